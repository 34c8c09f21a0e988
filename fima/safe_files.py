"""Files that anyone may have written, read within limits: one loader for each kind.

What is read here may be damaged, hostile or no file at all. Whatever it is, the outcome is its content or one
`InputError` that starts with the path: never a hang, a traceback, code that runs, or memory without bound.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fima.errors import InputError

__all__ = ["check_regular", "hole_bytes"]


def check_regular(path: str | Path, expected: str = "a file", error: type[InputError] = InputError) -> os.stat_result:
    """How a file looks, if it is one: not a folder, device or pipe, which could block or never end.

    Args:
        path: the file.
        expected: what the message says was expected.
        error: what to raise.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: as ``error``, if it is something else, empty, or its name or links lead nowhere.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 -- also of names that no Path could be made of
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (OSError, ValueError) as reason:  # a loop of links, a name too long or with a null in it, no permission
        words = getattr(reason, "strerror", None) or str(reason)
        raise error(f"{str(path)!r}: cannot be opened ({words})") from None
    if not stat.S_ISREG(status.st_mode):
        found = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise error(f"{path}: is {found}, expected {expected}")
    if not status.st_size:
        raise error(f"{path}: the file is empty")
    return status


def hole_bytes(path: str | Path) -> int:
    """Bytes of a file that were never written: an unfinished download, or a size that is only declared."""
    if not hasattr(os, "SEEK_HOLE"):
        return 0
    handle = os.open(path, os.O_RDONLY)
    try:
        size, at, holes = os.fstat(handle).st_size, 0, 0
        for _ in range(1000):
            begins = os.lseek(handle, at, os.SEEK_HOLE)
            if begins >= size:
                break
            at = os.lseek(handle, begins, os.SEEK_DATA)
            holes += at - begins
        return holes
    except OSError:  # no data after the last hole, or a file system that does not tell
        return holes + (size - begins if at <= begins else 0)
    finally:
        os.close(handle)
