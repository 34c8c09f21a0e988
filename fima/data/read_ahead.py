"""Work that threads do ahead of the caller, handed over in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fima.errors import VideoError

__all__ = ["read_ahead"]

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
