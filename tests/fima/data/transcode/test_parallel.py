"""Every job has its outcome once, also where processes die; nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from fima.data.transcode.parallel import ProcessDiedError, run_each

# Jobs are expressions: the function must be one that another process can import.
DIE = "__import__('os').kill(__import__('os').getpid(), 9)"
WORK_UNTIL_STOPPED = "[None for _ in iter(__import__('fima.data.transcode.parallel', fromlist=['_']).stopping, True)]"
PROCESS = "(__import__('time').sleep(0.5), __import__('os').getpid())[1]"


def is_alive(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def vanish(processes, seconds=20):
    deadline = time.monotonic() + seconds
    while any(is_alive(p) for p in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(is_alive(p) for p in processes)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("number", [0, 1, 20])
def test_every_job_has_its_result(workers, number):
    jobs = [f"{i} * {i}" for i in range(number)]
    assert sorted(run_each(eval, jobs, workers=workers)) == sorted((job, eval(job)) for job in jobs)


def test_several_processes_take_part_and_end():
    seen = dict(run_each(eval, [PROCESS + f" or {i}" for i in range(6)], workers=2))
    assert len(set(seen.values())) == 2
    assert os.getpid() not in seen.values()
    assert vanish(set(seen.values()))


def test_jobs_that_kill_their_process_cost_only_themselves():
    jobs = [f"{i}" if i % 7 else f"{DIE} or {i}" for i in range(1, 24)]
    outcomes = list(run_each(eval, jobs, workers=2))
    assert sorted(job for job, _ in outcomes) == sorted(jobs)
    for job, result in outcomes:
        assert isinstance(result, ProcessDiedError) if DIE in job else result == int(job)


def test_a_process_that_is_killed_once_costs_nothing(tmp_path):
    mark = tmp_path / "killed"
    path = f"__import__('pathlib').Path({str(mark)!r})"
    once = f"{path}.exists() or ({path}.touch(), {DIE})"
    outcomes = dict(run_each(eval, [once, "1", "2"], workers=1))
    assert outcomes == {once: True, "1": 1, "2": 2}


def test_what_a_job_raises_ends_the_run():
    with pytest.raises(ZeroDivisionError):
        list(run_each(eval, ["1", "1 / 0", *["2"] * 50], workers=2))


@pytest.mark.slow
def test_a_caller_that_stops_ends_the_jobs_under_way():
    processes = []
    with closing(run_each(eval, [PROCESS, *[WORK_UNTIL_STOPPED] * 5], workers=2)) as results:
        processes.append(next(results)[1])
    assert vanish(processes)


def test_jobs_are_taken_as_they_are_needed():
    taken = []

    def jobs():
        for i in range(100):
            taken.append(i)
            yield str(i)

    with closing(run_each(eval, jobs(), workers=2)) as results:
        next(results)
        assert len(taken) <= 4 + 1


_PARENT = f"""
import sys
from fima.data.transcode.parallel import run_each
if __name__ == "__main__":
    jobs = [{PROCESS!r}, {PROCESS!r} + " or 1", *[{WORK_UNTIL_STOPPED!r}] * 3]
    for job, process in run_each(eval, jobs, workers=2):
        print(process, flush=True)
"""


@pytest.mark.slow
def test_no_process_outlives_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    processes = {int(parent.stdout.readline()) for _ in range(2)}
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert vanish(processes)
