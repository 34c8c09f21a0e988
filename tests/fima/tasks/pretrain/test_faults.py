"""What happens to a run from outside: signals, full disks, dead workers, several processes."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fima.methods import load_method

FEW_VIDEOS = ["--trainer.threads=1", "--checkpoints.every_steps=1", "--optimizer.epochs=500"]


@pytest.fixture
def start(shapes, small_flags):
    """A small run in a process of its own; its stderr is a file beside it."""
    started = []

    def start(out, *flags, program=("-m", "fima.cli"), **options):
        command = [
            sys.executable,
            *program,
            "pretrain",
            *small_flags,
            *FEW_VIDEOS,
            f"--data={shapes}",
            f"--out={out}",
            *flags,
        ]
        with Path(f"{out}.log").open("w") as log:
            process = subprocess.Popen(command, stderr=log, stdout=log, start_new_session=True, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def children(pid):
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listing.stdout.split()]


def step_of(out):
    return torch.load(out / "last.ckpt", weights_only=True)["global_step"]


def log_of(out):
    return Path(f"{out}.log").read_text()


@pytest.mark.slow
def test_killed_again_and_again(start, tmp_path, differences):
    """SIGKILL at moments spread over steps and saves, then to the end: the same bits as without."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    delays = (0.0, 0.013, 0.05, 0.11, 0.17)
    for delay in delays:
        before = (killed / "last.ckpt").stat().st_mtime_ns if (killed / "last.ckpt").exists() else 0
        process = start(killed, "--loader.workers=1", "--resume=auto")
        until(lambda b=before: (killed / "last.ckpt").exists() and (killed / "last.ckpt").stat().st_mtime_ns != b)
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(300) == -signal.SIGKILL
        load_method(killed / "last.ckpt")  # whole, whatever was going on
    flags = ("--loader.workers=1", f"--trainer.max_steps={step_of(killed) + 10}")
    assert start(killed, *flags, "--resume=auto").wait(300) == 0
    assert start(whole, *flags).wait(300) == 0
    assert differences(whole / "last.ckpt", killed / "last.ckpt") == []
    assert not list(killed.glob(".*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_a_signal_to_all_processes_ends_in_a_saved_step(start, tmp_path, differences, number, code):
    """As a terminal's Ctrl-C and a scheduler send it: to the workers too."""
    whole, out = tmp_path / "whole", tmp_path / "run"
    flags = ("--loader.workers=1", "--checkpoints.every_steps=null", "--checkpoints.every_epochs=500")
    process = start(out, *flags)
    until(lambda: (out / "metrics.csv").exists() and len((out / "metrics.csv").read_text().splitlines()) > 3)
    os.killpg(process.pid, number)
    assert process.wait(300) == code
    step = step_of(out)
    assert step >= 3
    assert f"{number.name}: stopped after a whole step and saved" in log_of(out)
    flags = (*flags, f"--trainer.max_steps={step + 10}")
    assert start(out, *flags, "--resume=auto").wait(300) == 0
    assert start(whole, *flags).wait(300) == 0
    assert differences(whole / "last.ckpt", out / "last.ckpt") == []


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint(start, tmp_path):
    """A limit on file size stands in for the disk: writing fails half-way, as it does there."""
    out = tmp_path / "run"
    assert start(out, "--trainer.max_steps=2").wait(300) == 0
    good = (out / "last.ckpt").read_bytes()

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, len(good) // 2))

    process = start(out, "--resume=auto", preexec_fn=small_files)
    assert process.wait(300) == 4
    error = log_of(out).strip().splitlines()[-1]
    assert re.search(r"step-00000003\.ckpt: cannot be written \(File too large\); .*last\.ckpt is good", error), error
    assert (out / "last.ckpt").read_bytes() == good
    assert not list(out.glob(".*.partial"))
    assert start(out, "--resume=auto", "--trainer.max_steps=4").wait(300) == 0


@pytest.mark.slow
def test_a_dead_worker_is_told(start, tmp_path):
    out = tmp_path / "run"
    process = start(out, "--loader.workers=1")
    until(lambda: (out / "last.ckpt").exists())
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGKILL)
    assert process.wait(300) == 4
    error = log_of(out).strip().splitlines()[-1]
    assert error.startswith("fima pretrain: error: a worker that decodes videos died")
    assert "--resume auto" in error
    load_method(out / "last.ckpt")


TWO = ["--trainer.accelerator=cpu", "--trainer.devices=2", "--optimizer.batch_size=2", "--optimizer.epochs=3"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["lightning", "torchrun"])
def test_two_processes_agree_after_every_step(start, tmp_path, launcher):
    """The run compares weights and queues of both ranks bit by bit after each logged step, here after each."""
    out = tmp_path / "run"
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "fima.cli")
    process = start(out, *TWO, program=("-m", "fima.cli") if launcher == "lightning" else torchrun)
    assert process.wait(300) == 0, log_of(out)
    method = load_method(out / "last.ckpt")
    assert int(method.queue.cursor) == (6 * 2 * 4) % 16  # six steps, two views, four samples of both ranks
    assert len((out / "metrics.csv").read_text().splitlines()) == 7


@pytest.mark.slow
def test_two_processes_go_on_as_if_nothing_had_been(start, tmp_path, differences):
    whole, out = tmp_path / "whole", tmp_path / "run"
    assert start(whole, *TWO).wait(300) == 0
    assert start(out, *TWO, "--trainer.max_steps=3").wait(300) == 0
    assert start(out, *TWO, "--resume=auto").wait(300) == 0
    left = [name for name in differences(whole / "last.ckpt", out / "last.ckpt") if "/state_dict/" in name]
    assert left == []


@pytest.mark.slow
def test_a_dead_rank_ends_the_run(start, tmp_path):
    out = tmp_path / "run"
    process = start(out, *TWO[:3], "--trainer.timeout_seconds=300")
    until(lambda: (out / "last.ckpt").exists())
    other = [pid for pid in children(process.pid) if b"pretrain" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(other[0], signal.SIGKILL)
    assert process.wait(300) != 0
    assert "Traceback" not in log_of(out).splitlines()[-1]
    load_method(out / "last.ckpt")
