"""Processes in lanes: all are run, a failure names its log and stops the others, folders keep to one job."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import pytest

from analysis.jobs import SOME_SKIPPED, Process, claim, run_processes
from fima.errors import InputError, TrainingError


class FakeChild:
    """A process that ends after a moment, unless it is told to."""

    running, most = 0, 0
    lock = threading.Lock()

    def __init__(self, command: list[str], stdout, **_given) -> None:
        self.seconds, self.code = float(command[3]), int(command[4])
        self.ended = threading.Event()
        stdout.write(f"said {command[3:]}\n".encode())
        with FakeChild.lock:
            FakeChild.running += 1
            FakeChild.most = max(FakeChild.most, FakeChild.running)

    def wait(self) -> int:
        stopped = self.ended.wait(self.seconds)
        with FakeChild.lock:
            FakeChild.running -= 1
        self.ended.set()
        return 130 if stopped else self.code

    def poll(self) -> int | None:
        return 0 if self.ended.is_set() else None

    def terminate(self) -> None:
        self.ended.set()


@pytest.fixture
def processes(monkeypatch, tmp_path):
    """Makes processes of (seconds, exit code), and the list of those that finished."""
    monkeypatch.setattr("analysis.jobs.subprocess.Popen", FakeChild)
    monkeypatch.setattr(FakeChild, "most", 0)
    finished: list[tuple[str, int]] = []

    def make(*wanted: tuple[float, int]) -> list[Process]:
        return [
            Process(f"job {i}", tmp_path / str(i), [str(seconds), str(code)],
                    lambda code, i=i: finished.append((f"job {i}", code)))
            for i, (seconds, code) in enumerate(wanted)
        ]  # fmt: skip

    return make, finished


def test_as_many_run_as_there_are_lanes_and_each_is_finished(processes, tmp_path):
    make, finished = processes
    said: list[str] = []
    run_processes(make(*[(0.05, 0)] * 5, (0.05, SOME_SKIPPED)), lanes=2, threads=1, tell=said.append)
    assert FakeChild.most == 2
    assert sorted(finished) == [*((f"job {i}", 0) for i in range(5)), ("job 5", SOME_SKIPPED)]
    assert all(re.fullmatch(r"job \d: 0\.0 min", line) for line in said)
    assert (tmp_path / "4" / "log.txt").read_text() == "said ['0.05', '0']\n"


def test_a_failure_names_its_log_and_stops_the_others(processes, tmp_path):
    make, finished = processes
    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"0/log\.txt: job 0: ended with exit code 2: said \['0.1', '2'\]"):
        run_processes(make((0.1, 2), (60, 0), (60, 0)), lanes=2, threads=1, tell=lambda line: None)
    assert time.monotonic() - began < 30
    assert finished == []
    log = tmp_path / "2" / "log.txt"
    assert not log.exists() or log.read_text() == ""


def test_a_folder_keeps_to_its_job(tmp_path: Path):
    identity = {"seed": 0, "settings": {"rate": "0.1", "epochs": "5"}}
    claim(tmp_path / "a", identity)
    claim(tmp_path / "a", identity)
    assert json.loads((tmp_path / "a" / "job.json").read_text()) == identity
    with pytest.raises(InputError, match=r"job\.json: was begun with other seed \(0, now 1\); give another --runs"):
        claim(tmp_path / "a", {**identity, "seed": 1})
    with pytest.raises(InputError, match=r"other settings \(epochs: 5, now 9\)"):
        claim(tmp_path / "a", {"settings": {"rate": "0.1", "epochs": "9"}})
