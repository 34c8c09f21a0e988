"""Training the runs of a reproduction: each a process of its own, as many at a time as there are lanes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from analysis.reproduction.plan import Run
from fima.errors import TrainingError

__all__ = ["train"]

Tell = Callable[[str], None]


def train(runs: Sequence[Run], *, lanes: int, threads: int, tell: Tell) -> None:
    """Train what is not finished; what was begun goes on.

    Args:
        runs: in the order in which they are taken up.
        lanes: processes at a time.
        threads: of the processor, for each.
        tell: takes a line of progress.

    Raises:
        TrainingError: if a run fails; names its log.
        KeyboardInterrupt: after every process has saved and ended.
    """
    todo = [run for run in runs if not run.finished]
    if not todo:
        return
    children: dict[Run, subprocess.Popen[bytes]] = {}
    lock, stop = threading.Lock(), threading.Event()

    def work(run: Run) -> None:
        if stop.is_set():
            return
        run.folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with (run.folder / "log.txt").open("ab") as log:
            with lock:
                # In a session of its own: Ctrl-C reaches it through us, once.
                children[run] = child = subprocess.Popen(
                    [sys.executable, "-m", "fima.cli", *run.command(threads)],
                    stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, env=_environment(threads),
                )  # fmt: skip
            code = child.wait()
        if stop.is_set():
            return
        if code != 0:
            raise TrainingError(f"{run.folder}: training ended with exit code {code}: {_last_line(run)}")
        (run.folder / "finished").touch()
        tell(f"trained {run.method}, {run.regime}, seed {run.seed}: {(time.monotonic() - began) / 60:.1f} min")

    with ThreadPoolExecutor(lanes) as pool:
        futures = [pool.submit(work, run) for run in todo]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            with lock:
                for child in children.values():
                    if child.poll() is None:
                        child.terminate()  # it saves and ends
            raise


def _environment(threads: int) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(threads)}


def _last_line(run: Run) -> str:
    lines = (run.folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
