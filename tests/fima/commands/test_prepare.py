"""``fima prepare`` as it is typed: exit codes, what is printed, and ends that come at any moment."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fima.cli import main
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import write_video
from fima.data.transcode.manifest import FOLDER, read_manifest
from tests.progress import without_progress

FIMA = [sys.executable, "-m", "fima.cli", "prepare"]


def noise(path, *, frames, seed=0, size=(48, 64)):
    rng = np.random.default_rng(seed)
    pictures = (rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(frames))
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, pictures, fps=25, crf=30)


@pytest.fixture
def source(tmp_path):
    for number in range(3):
        noise(tmp_path / "source" / f"class{number % 2}" / f"{number}.mp4", frames=6, seed=number)
    (tmp_path / "source" / "list.csv").write_text("class0/0.mp4,0\n")
    return tmp_path / "source"


@pytest.fixture
def long_source(tmp_path):
    """A few seconds of work, in pieces of some tenths."""
    for number in range(12):
        noise(tmp_path / "source" / f"{number:02d}.mp4", frames=40, seed=number, size=(192, 256))
    return tmp_path / "source"


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def assert_all_done(source, out):
    assert files(out) == [f"{FOLDER}/manifest.jsonl", *files(source)]
    for path in source.glob("*.mp4"):
        with VideoReader(path) as before, VideoReader(out / path.name) as after:
            assert len(after) == len(before)
            after.frames([0, len(after) - 1])


def test_it_says_what_it_does(source, tmp_path, capsys):
    out = tmp_path / "out"
    typed = ["prepare", str(source), str(out), "--short-side", "32", "--workers", "2"]
    assert main(typed) == 0
    said, err = capsys.readouterr()
    assert said.splitlines()[0].startswith("3 videos to do (")
    assert said.splitlines()[0].endswith("), 0 done before")
    assert said.splitlines()[1] == "1 annotation file to copy"
    assert said.splitlines()[2].startswith("3 videos prepared: ")
    assert (len(said.splitlines()), without_progress(err)) == (3, "")
    assert files(out) == [f"{FOLDER}/manifest.jsonl", "class0/0.mp4", "class0/2.mp4", "class1/1.mp4", "list.csv"]

    assert main(typed) == 0
    assert capsys.readouterr().out == "0 videos to do (0.0 MB), 3 done before\n"


def test_a_dry_run_does_nothing(source, tmp_path, capsys):
    (source / "frames.zip").write_bytes(b"zip")
    assert main(["prepare", str(source), str(tmp_path / "out"), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["1 annotation file to copy", "1 other file left out"]
    assert not (tmp_path / "out").exists()


def test_broken_videos_are_exit_code_3(source, tmp_path, capsys):
    (source / "class1" / "broken.mp4").write_bytes(b"broken")
    out = tmp_path / "out"
    assert main(["prepare", str(source), str(out), "--workers", "1"]) == 3
    said, err = capsys.readouterr()
    assert said.splitlines()[-1] == f"1 failed, listed in {out / 'failed.csv'}"
    assert without_progress(err) == ""
    assert (out / "failed.csv").read_text().splitlines()[0] == "path,reason"
    assert "class1/broken.mp4," in (out / "failed.csv").read_text()
    assert main(["prepare", str(source), str(out)]) == 3
    (source / "class1" / "broken.mp4").unlink()
    assert main(["prepare", str(source), str(out)]) == 0
    assert not (out / "failed.csv").exists()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["absent", "out"], "absent: no such file or folder"),
        (["source", "source/in"], "source/in: lies inside source; source and prepared files must be apart"),
        (["source", "source"], "source: is the source folder itself, expected another one"),
        (["source", "out", "--short-side", "241"], "--short-side must be even and at least 32, got 241"),
        (["source", "out", "--crf", "60"], "--crf must be between 0 and 51, got 60"),
        (["source", "out", "--gop", "0"], "--gop must be at least 1, got 0"),
        (["source", "out", "--workers", "0"], "--workers must be at least 1, got 0"),
        (
            ["source", "out", "--short-side", "big"],
            "argument --short-side: must be a whole number of 64 bits, got 'big'",
        ),
        (["source"], "the following arguments are required: DST"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(source, tmp_path, capsys, monkeypatch, flags, line):
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", *flags]) == 2
    said, err = capsys.readouterr()
    assert (said, err) == ("", f"fima prepare: error: {line}\n")
    assert files(tmp_path) == [f"source/{name}" for name in files(source)]


def test_other_settings_are_refused_until_overwritten(source, tmp_path, capsys):
    typed = ["prepare", str(source), str(tmp_path / "out"), "--short-side"]
    assert main([*typed, "32"]) == 0
    assert main([*typed, "48"]) == 2
    assert "was prepared with --short-side 32" in capsys.readouterr().err
    assert main([*typed, "48", "--overwrite"]) == 0
    with VideoReader(tmp_path / "out" / "class0" / "0.mp4") as reader:
        assert (reader.height, reader.width) == (48, 64)


def test_lines_of_progress_where_there_is_no_terminal(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fima.progress.EVERY_SECONDS", 0.0)
    (source / "class1" / "broken.mp4").write_bytes(b"broken")
    assert main(["prepare", str(source), str(tmp_path / "out"), "--workers", "1"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"prepare: {i}/4 videos" for i in range(1, 5)]
    assert lines[-1].split(",")[2:] == [" 1 failed", " 0 s left"]


def test_a_bar_on_a_terminal(source, tmp_path):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [*FIMA, source, tmp_path / "out"], stderr=theirs, stdout=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    assert process.returncode == 0
    assert b"3/3" in shown
    assert b"videos/s" in shown


def _read(handle):
    try:
        return os.read(handle, 1024)
    except OSError:  # the other end is closed
        return b""


def started(source, out):
    """The process, once it has finished one more video."""
    before = len(list(out.glob("*.mp4")))
    process = subprocess.Popen(
        [*FIMA, source, out, "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list(out.glob("*.mp4"))) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_only_whole_files_and_goes_on(long_source, tmp_path, number, code):
    out = tmp_path / "out"
    process = started(long_source, out)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert without_progress(err) == "fima prepare: error: interrupted\n"
    names = files(out)
    assert names[0] == f"{FOLDER}/manifest.jsonl"
    assert 1 <= len(names) - 1 < 12
    for name in names[1:]:
        with VideoReader(out / name) as reader:
            assert len(reader) == 40
    assert main(["prepare", str(long_source), str(out), "--workers", "2"]) == 0
    assert_all_done(long_source, out)


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_everything_done_once(long_source, tmp_path):
    out = tmp_path / "out"
    rng = np.random.default_rng(0)
    kept, kills = {}, 0
    while len(kept) < 9:
        process = started(long_source, out)
        time.sleep(float(rng.uniform(0, 0.2)))
        process.kill()
        process.communicate()
        kills += 1
        _, done = read_manifest(out)
        now = {name: (out / entry.output).stat() for name, entry in done.items()}
        for name, (inode, changed) in kept.items():
            assert (now[name].st_ino, now[name].st_mtime_ns) == (inode, changed), f"{name} was done again"
        kept = {name: (state.st_ino, state.st_mtime_ns) for name, state in now.items()}
    assert kills > 1
    assert main(["prepare", str(long_source), str(out)]) == 0
    assert_all_done(long_source, out)
    for name, (inode, changed) in kept.items():
        state = (out / name).stat()
        assert (state.st_ino, state.st_mtime_ns) == (inode, changed)


@pytest.mark.slow
def test_no_room_is_one_line_and_what_is_done_stays(source, tmp_path):
    noise(source / "class2" / "large.mp4", frames=100, size=(192, 256))
    out = tmp_path / "out"
    limited = ["bash", "-c", 'ulimit -f 200; exec "$@"', "_", *FIMA, source, out, "--workers", "1"]  # 200 KiB a file
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert without_progress(done.stderr) == (
        f"fima prepare: error: {out / 'class2/large.mp4'}: cannot be written (File too large); what is done is kept, "
        "and the same command goes on from there\n"
    )
    assert files(out) == [f"{FOLDER}/manifest.jsonl", "class0/0.mp4", "class0/2.mp4", "class1/1.mp4", "list.csv"]
    assert subprocess.run([*FIMA, source, out], capture_output=True, check=False).returncode == 0
    assert "class2/large.mp4" in files(out)


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(long_source, tmp_path):
    out = tmp_path / "out"
    process = started(long_source, out)
    deadline, found = time.monotonic() + 60, []
    while not found and time.monotonic() < deadline:  # between two videos there is none
        found = [path for path in (out / FOLDER / "tmp").glob("*") if path.name.startswith(".")]
    scratch = found[0]
    os.kill(int(scratch.name.split("-")[2]), signal.SIGKILL)  # the worker's id is in its temporary file's name
    said, err = process.communicate(timeout=120)
    assert (process.returncode, without_progress(err)) == (0, "")
    assert "12 videos prepared" in said
    assert_all_done(long_source, out)


def test_the_manifest_is_lines_of_json(source, tmp_path):
    assert main(["prepare", str(source), str(tmp_path / "out"), "--workers", "1"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "out" / FOLDER / "manifest.jsonl").read_text().splitlines()]
    assert rows[0]["settings"] == {"short_side": 256, "crf": 23, "gop": 12}
    assert sorted(row["source"] for row in rows[1:]) == ["class0/0.mp4", "class0/2.mp4", "class1/1.mp4"]
