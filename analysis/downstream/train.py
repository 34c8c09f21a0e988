"""The jobs that are processes of their own (features, fine-tuning), as many at a time as there are lanes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from analysis.downstream.identity import write_result
from analysis.downstream.plan import FEATURES, Job
from fima.commands.flags import SOME_SKIPPED
from fima.errors import TrainingError

__all__ = ["run_processes"]

Tell = Callable[[str], None]


def run_processes(
    jobs: Sequence[Job], commands: Sequence[Sequence[str]], *, lanes: int, threads: int, tell: Tell
) -> None:
    """Run jobs that are not finished; what was begun goes on.

    Args:
        jobs: in the order in which they are taken up.
        commands: arguments of ``fima``, of each job.
        lanes: processes at a time.
        threads: of the processor, for each.
        tell: takes a line of progress.

    Raises:
        TrainingError: if a job fails; names its log.
        KeyboardInterrupt: after every process has saved and ended.
    """
    children: list[subprocess.Popen[bytes]] = []
    lock, stop = threading.Lock(), threading.Event()

    def work(job: Job, command: Sequence[str]) -> None:
        if stop.is_set():
            return
        began, log = time.monotonic(), job.folder / "log.txt"
        with log.open("ab") as file:
            with lock:
                # In a session of its own: Ctrl-C reaches it through us, once.
                child = subprocess.Popen(
                    [sys.executable, "-m", "fima.cli", *command],
                    stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True,
                    env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                )  # fmt: skip
                children.append(child)
            code = child.wait()
        if stop.is_set():
            return
        if code not in (0, SOME_SKIPPED):
            raise TrainingError(f"{log}: {job.label}: ended with exit code {code}: {_last_line(log)}")
        if job.task == FEATURES:
            write_result(job, {"task": job.task, "some_unreadable": code == SOME_SKIPPED})
        tell(f"{job.label}: {(time.monotonic() - began) / 60:.1f} min")

    todo = [(job, command) for job, command in zip(jobs, commands, strict=True) if not job.finished]
    with ThreadPoolExecutor(lanes) as pool:
        futures = [pool.submit(work, *one) for one in todo]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            with lock:
                for child in children:
                    if child.poll() is None:
                        child.terminate()  # it saves and ends
            raise


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
