"""What was found in a data set, kept in the user's cache folder, so that opening it again need not list it again.

An answer is kept with the signature of everything it depended on: annotation files and listed folders. It is used only
while all of them look the same. A cache is never needed: whatever is wrong with it, the data set is listed instead.
Files may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fima.errors import WriteError
from fima.files.writing import write_text

__all__ = ["Signature", "cache_folder", "load_index", "signature", "store_index"]

# Within the clock's grain, a folder may change without its time changing; two seconds is FAT's, the coarsest.
_GRAIN_NS = 2_000_000_000


class Signature(NamedTuple):
    """How a file or folder looked; the change time tells also of a file put back with its old modification time."""

    modified_ns: int
    changed_ns: int
    size: int


def signature(path: str | Path) -> Signature | None:
    """How a file or folder looks now; None if there is none, or it cannot be asked."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- called for thousands of strings
    except (OSError, ValueError):
        return None
    return Signature(status.st_mtime_ns, status.st_ctime_ns, status.st_size)


def cache_folder() -> Path:
    """Where answers are kept: ``$FIMA_CACHE_DIR``, else ``$XDG_CACHE_HOME/fima``, else ``~/.cache/fima``.

    Raises:
        RuntimeError: if there is no home folder.
    """
    if chosen := os.environ.get("FIMA_CACHE_DIR"):
        return Path(chosen).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # The standard has relative paths ignored.
    return (Path(shared) if Path(shared).is_absolute() else Path.home() / ".cache") / "fima"


def load_index(key: Mapping[str, Any], data: Path) -> Any | None:
    """The answer kept under a key, if nothing it depended on has changed since.

    Args:
        key: what the question was; values that JSON can hold.
        data: the data set, as in `store_index`.

    Returns:
        The content given to `store_index`, as JSON keeps it; None if there is none, or it is stale or damaged.
    """
    try:
        path = _path(key, data)
        if path is None:
            return None
        kept = json.loads(path.read_bytes())
        if kept["key"] != dict(key):
            return None
        if kept["digest"] != _digest(kept["content"]):
            return None
        seen = {name: None if was is None else Signature(*was) for name, was in kept["seen"].items()}
        content = kept["content"]
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return content if all(signature(name) == was for name, was in seen.items()) else None


def store_index(key: Mapping[str, Any], data: Path, content: Any, seen: Mapping[str, Signature | None]) -> bool:
    """Keeps an answer: written beside, then renamed, so that readers and other writers see whole files only.

    Nothing is kept where the cache folder lies in the data set, cannot be written, or something the answer depended on
    has been changed so lately that a further change could go unnoticed.

    Args:
        key: as for `load_index`.
        data: the data set's folder or list file, in which nothing may be written.
        content: of values that JSON can hold.
        seen: how everything looked just before it was read, by absolute path.

    Returns:
        Whether it was kept.
    """
    newest = max((was.modified_ns for was in seen.values() if was is not None), default=0)
    if newest > time.time_ns() - _GRAIN_NS:
        return False
    try:
        path = _path(key, data)
        if path is None:
            return False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_text(path, json.dumps({"key": dict(key), "seen": seen, "digest": _digest(content), "content": content}))
    except (OSError, RuntimeError, WriteError):
        return False
    return True


def _path(key: Mapping[str, Any], data: Path) -> Path | None:
    """The file of a key; None if it would lie in the data set."""
    folder = (cache_folder() / "datasets").resolve()
    root = data.resolve()
    if folder.is_relative_to(root if root.is_dir() else root.parent):
        return None
    return folder / f"{_digest(dict(key))[:32]}.json"


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
