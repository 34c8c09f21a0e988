"""One process at a time: a lock file that goes with its process, whatever ends it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fima.errors import InputError

__all__ = ["exclusive"]

_HELD: set[int] = set()


@contextmanager
def exclusive(path: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file, made with its folder and removed at the end.

    Where the file system knows no locks, nothing is kept out.

    Args:
        path: of the lock file.
        what: names the place where an error begins.
        wait: for who holds it, instead of refusing.

    Raises:
        InputError: if another process holds it, or no file can be made there.
    """
    handle = _open_locked(path, what, wait=wait)
    _HELD.add(handle)
    try:
        yield
    finally:
        if handle in _HELD:  # not in a forked child
            _HELD.remove(handle)
            path.unlink(missing_ok=True)
            os.close(handle)


def _let_go() -> None:
    """In a forked child: it would keep the lock after its parent's death."""
    while _HELD:
        os.close(_HELD.pop())


os.register_at_fork(after_in_child=_let_go)


def _open_locked(path: Path, what: str, *, wait: bool) -> int:
    for _ in range(1000):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # another process has just removed the empty folder
            continue
        except OSError as error:
            raise InputError(f"{what}: cannot be written ({error.strerror})") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            raise InputError(f"{what}: another run is writing there; wait for it, or give another folder") from None
        except OSError:
            return handle
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        os.close(handle)  # who held it has just removed it
    raise InputError(f"{what}: cannot be locked ({path})")
