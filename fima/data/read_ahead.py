"""Work that threads do ahead of the caller, handed over in order."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from fima.errors import VideoError

__all__ = ["produce_ahead", "read_ahead"]

Item = TypeVar("Item")
Made = TypeVar("Made")


def read_ahead(
    items: Sequence[Item], make: Callable[[Item], Made], *, threads: int, window: int
) -> Iterator[tuple[Item, Made | str]]:
    """What is made of each item, in order.

    Args:
        items: any number.
        make: called in threads.
        threads: how many.
        window: items that are made, or being made, before they are asked for.

    Yields:
        The item with what was made or, if its video cannot be read, one line that says why.
    """

    def attempt(item: Item) -> Made | str:
        try:
            return make(item)
        except (VideoError, OSError) as error:
            return str(error)

    waiting: deque[Future[Made | str]] = deque()
    pool = ThreadPoolExecutor(threads, "video-reader")
    try:
        for place, item in enumerate(items):
            while len(waiting) < max(window, threads) and place + len(waiting) < len(items):
                waiting.append(pool.submit(attempt, items[place + len(waiting)]))
            yield item, waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_END = object()


def produce_ahead(produce: Callable[[], Iterator[Item]], size: int) -> Iterator[Item]:
    """What ``produce()`` yields, run in a thread; its errors surface here, and closing stops it.

    Args:
        produce: Called in the thread.
        size: Items that may wait.
    """
    items: queue.Queue[Any] = queue.Queue(maxsize=size)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                items.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in produce():
                if not put(item):
                    return
            put(_END)
        except BaseException as error:  # handed over, raised by the consumer
            put(error)

    thread = threading.Thread(target=work, name="video-reader", daemon=True)
    thread.start()
    try:
        while (item := items.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
