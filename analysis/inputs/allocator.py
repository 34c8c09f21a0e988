"""Keep the memory of long runs flat where glibc's allocator would let it grow."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["return_large_blocks"]

_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 20


def return_large_blocks() -> bool:
    """Have blocks of a mebibyte and more go back to the system when they are freed, for the whole process.

    By default glibc raises that limit to 32 MiB as a program runs; tensors then live on a heap that the small blocks
    between them keep from shrinking. Over a data set some runs grew to twice the memory of others on the same input.
    It has a price (every block is new to the process, page by page: passes of tiny networks take 40 % longer), so
    commands set it for data sets alone.

    Returns:
        Whether the allocator took the setting; False where there is no glibc.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_THRESHOLD, _LARGE))
