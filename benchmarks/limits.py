"""What every benchmark shares: tasks timed in turn, a line for each figure with its limit, and an exit code."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

__all__ = ["check", "finish", "medians", "peak_elsewhere", "peak_mib", "timed"]

T = TypeVar("T")
_missed: list[str] = []


def check(said: str, value: float, *, most: float | None = None, least: float | None = None, unit: str = "x") -> None:
    """Print a figure beside its limit, and keep whether it was missed.

    Args:
        said: What was measured, with the parts that the figure is made of.
        value: The figure, mostly a ratio of one run.
        most: Its limit, if it is to be small.
        least: Its limit, if it is to be large.
        unit: Behind the figure.
    """
    missed = (most is not None and value > most) or (least is not None and value < least)
    limit = f"at most {most:g}" if most is not None else f"at least {least:g}"
    print(f"{said} = {value:.3g} {unit} (limit: {limit})  {'MISSED' if missed else 'ok'}", flush=True)
    if missed:
        _missed.append(said)


def finish() -> NoReturn:
    """Leave with exit code 1 where a limit was missed."""
    sys.exit(bool(_missed))


def timed(work: Callable[[], T], clock: Callable[[], float] = time.perf_counter) -> tuple[float, T]:
    """Seconds that a piece of work takes, and what it gives."""
    start = clock()
    result = work()
    return clock() - start, result


def medians(
    *tasks: Callable[[], object], rounds: int, warm_up: int = 1, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Median seconds of each task; the tasks take turns, so that a busy moment hits all of them."""
    seconds = [[timed(task, clock)[0] for task in tasks] for _ in range(warm_up + rounds)][warm_up:]
    return [statistics.median(column) for column in zip(*seconds, strict=True)]


def peak_mib() -> float:
    """MiB that this process has held at most; a new process starts with its parent's peak as its own."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_elsewhere(*words: str) -> float:
    """MiB that this benchmark holds at most in a process of its own, started with these words; it prints them last."""
    done = subprocess.run([sys.executable, sys.argv[0], *words], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])
