"""A function over many jobs in several processes; a job that kills its process costs nothing but itself."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

__all__ = ["ProcessDiedError", "run_each", "stopping"]

Job = TypeVar("Job")
Result = TypeVar("Result")

_PER_WORKER = 2  # jobs handed out at a time: one running, one waiting
_stop: Any = None  # of a worker: a shared byte, 1 once it should give up its job


class ProcessDiedError(Exception):
    """The process was killed in the middle of a job, also when it was tried a second time and alone."""


def stopping() -> bool:
    """In a worker: whether the run is over, so that a long job had better end."""
    return _stop is not None and bool(_stop.value)


def run_each(
    function: Callable[[Job], Result], jobs: Iterable[Job], *, workers: int, preload: tuple[str, ...] = ()
) -> Generator[tuple[Job, Result | ProcessDiedError], None, None]:
    """Calls a function for every job, in no particular order.

    Where a process dies (a codec's crash, the kernel out of memory) the jobs under way are tried again one by one. When
    the caller stops taking results, or is interrupted, or is killed, the processes end as well.

    Args:
        function: of a module; must look at `stopping` now and then if a job takes long.
        jobs: taken as they are needed.
        workers: processes, at least 1.
        preload: modules that all processes need.

    Yields:
        The job with its result, or with the error where its process died.

    Raises:
        Exception: what the function raises ends the run.
    """
    context = _context(preload)
    remaining = iter(jobs)
    while True:
        unfinished = yield from _run(function, remaining, workers, context)
        if not unfinished:
            return
        for job in unfinished:
            died = yield from _run(function, iter([job]), 1, context)
            if died:
                yield job, ProcessDiedError("the process was killed")


def _context(preload: tuple[str, ...]) -> BaseContext:
    """Processes that start clean: what the caller's threads and libraries hold is not copied."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _run(
    function: Callable[[Job], Result], jobs: Iterator[Job], workers: int, context: BaseContext
) -> Generator[tuple[Job, Result | ProcessDiedError], None, list[Job]]:
    """Works until no job is left, or a process dies; returns the jobs that were then under way."""
    stop = context.RawValue("b", 0)  # without a lock, which a killed process could take with it
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(stop,))
    running: dict[Future[Result], Job] = {}
    try:
        while True:
            for job in islice(jobs, _PER_WORKER * workers - len(running)):
                running[_submit(pool, function, job)] = job
            if not running:
                return []
            done = wait(running, return_when=FIRST_COMPLETED).done
            lost = [future for future in done if isinstance(future.exception(), BrokenProcessPool)]
            for future in done.difference(lost):
                result = future.result()
                yield running.pop(future), result
            if lost:
                return list(running.values())
    finally:
        stop.value = 1
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, function: Callable[[Job], Result], job: Job) -> Future[Result]:
    try:
        return pool.submit(function, job)
    except BrokenProcessPool as error:
        future = Future[Result]()
        future.set_exception(error)
        return future


def _begin(stop: Any) -> None:
    """Sets up a worker: Ctrl-C is its parent's business, and without a parent it ends."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)
