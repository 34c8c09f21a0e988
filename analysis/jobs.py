"""Long work in pieces that are done once: processes of ``fima`` in lanes, and folders that say whose result they hold.

A job is a folder. ``job.json`` in it says what its result depends on, so that nothing finished under other settings is
taken for this job's; ``log.txt`` is what its process said. What was begun goes on when the same command is given again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fima.errors import InputError, TrainingError
from fima.files.reading import read_json
from fima.files.writing import write_json

__all__ = ["SOME_SKIPPED", "Process", "Tell", "claim", "run_processes"]

SOME_SKIPPED = 3
"""Exit code of a command that is complete but for videos that could not be read."""
Tell = Callable[[str], None]
"""Takes a line of progress."""


@dataclass(frozen=True)
class Process:
    """A command to run.

    Attributes:
        label: Its name in lines of progress.
        folder: Folder of the job; the log is written there.
        command: Arguments of ``fima``.
        finish: Called with the exit code once the command has ended well: marks the job as finished.
    """

    label: str
    folder: Path
    command: Sequence[str]
    finish: Callable[[int], None]


def claim(folder: Path, identity: Mapping[str, Any]) -> None:
    """Take a job's folder, or check that it is this job's.

    Args:
        folder: Made if missing.
        identity: What the result depends on, as JSON has it: neither paths nor the number of threads.

    Raises:
        InputError: If the folder holds a job of another identity; names what differs.
    """
    path = folder / "job.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, identity)
        return
    found = read_json(path)
    for key, value in identity.items():
        if found.get(key) != value:
            raise InputError(
                f"{path}: was begun with other {key} ({_difference(found.get(key), value)}); give another --runs"
            )


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        key = next(key for key in {**found, **wanted} if found.get(key) != wanted.get(key))
        return f"{key}: {found.get(key)}, now {wanted.get(key)}"
    return f"{found}, now {wanted}"


def run_processes(processes: Sequence[Process], *, lanes: int, threads: int, tell: Tell) -> None:
    """Run commands, as many at a time as there are lanes.

    Args:
        processes: In the order in which they are taken up.
        lanes: Number of processes at a time.
        threads: Number of threads of each.
        tell: Takes a line for each that ended.

    Raises:
        TrainingError: If a process fails; names its log. The others save and end.
        KeyboardInterrupt: After every process was told to save and end.
    """
    lanes_ = _Lanes(threads, tell)
    with ThreadPoolExecutor(lanes) as pool:
        futures = [pool.submit(lanes_.run, process) for process in processes]
        try:
            for future in futures:
                future.result()
        except BaseException:
            lanes_.stop()
            raise


@dataclass
class _Lanes:
    """What the threads that wait for processes share."""

    threads: int
    tell: Tell
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, process: Process) -> None:
        """Start a process, unless all are to stop, and wait for its end."""
        began, log = time.monotonic(), process.folder / "log.txt"
        process.folder.mkdir(parents=True, exist_ok=True)
        child = self._start(process, log)
        code = child.wait() if child else 0
        if self.stopping.is_set():
            return
        if code not in (0, SOME_SKIPPED):
            self.stop()  # before this lane takes up another
            raise TrainingError(f"{log}: {process.label}: ended with exit code {code}: {_last_line(log)}")
        process.finish(code)
        self.tell(f"{process.label}: {(time.monotonic() - began) / 60:.1f} min")

    def _start(self, process: Process, log: Path) -> subprocess.Popen[bytes] | None:
        with self.lock, log.open("ab") as file:
            if self.stopping.is_set():
                return None
            # In a session of its own: Ctrl-C reaches it through us, once.
            child = subprocess.Popen(
                [sys.executable, "-m", "fima.cli", *process.command],
                stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": str(self.threads)},
            )  # fmt: skip
            self.children.append(child)
            return child

    def stop(self) -> None:
        """Tell every process to save and end, and start no other."""
        self.stopping.set()
        with self.lock:
            for child in self.children:
                if child.poll() is None:
                    child.terminate()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
