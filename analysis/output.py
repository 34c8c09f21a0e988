"""What a study leaves behind: files that appear whole or not at all, and a record of how they came to be."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from fima.errors import InputError

__all__ = [
    "make_folder",
    "output_folder",
    "remove_empty",
    "timestamp",
    "to_plain",
    "versions",
    "write_json",
    "write_npz",
]


@contextmanager
def output_folder(out: str | Path, *, replaces: tuple[str, ...] = ()) -> Iterator[Path]:
    """A scratch folder inside ``out`` whose files move to ``out`` together when the block ends well.

    On an error or Ctrl-C nothing of it stays, nor does ``out`` if it was made here.

    Args:
        out: Destination; made, with its parents, if missing. Files of the same name are replaced.
        replaces: Patterns of an earlier run's files, removed unless they are written anew.

    Yields:
        The scratch folder.

    Raises:
        InputError: If nothing can be written there; names --out.
    """
    target = Path(out)
    made = make_folder(target)
    _sweep(target)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".partial-{os.getpid()}-", dir=target))
    except OSError as error:
        remove_empty(made)
        raise InputError(f"--out {target}: cannot be written ({error.strerror})") from None
    try:
        yield scratch
        _publish(scratch, target, replaces)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        remove_empty(made)


def _publish(scratch: Path, target: Path, replaces: tuple[str, ...]) -> None:
    files = sorted(path.relative_to(scratch) for path in scratch.rglob("*") if path.is_file())
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        (scratch / file).replace(target / file)
    for old in (path for pattern in replaces for path in target.glob(pattern)):
        if old.is_file() and old.relative_to(target) not in files:
            old.unlink()
            remove_empty([old.parent] if old.parent != target else [])


def _sweep(target: Path) -> None:
    """Remove scratch folders of processes that were killed."""
    for folder in target.glob(".partial-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not _is_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def make_folder(target: Path) -> list[Path]:
    """Make a folder with its parents.

    Returns:
        What was made, innermost first, for ``remove_empty``.

    Raises:
        InputError: If it cannot be made; names --out.
    """
    missing = [path for path in (target, *target.parents) if not path.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {target}: cannot be made ({error.strerror})") from None
    return missing


def remove_empty(folders: list[Path]) -> None:
    """Remove folders as far as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Save arrays; the same arrays give the same bytes."""
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Save a mapping as readable JSON; NaN and infinities become null."""
    path.write_text(json.dumps(to_plain(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def to_plain(value: Any) -> Any:
    """Numpy scalars and arrays, tuples and paths as what JSON has; not-a-number as None."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in ("fima", "torch", "numpy", "av", "scipy", "matplotlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def timestamp() -> str:
    """Now, UTC, to the second; the only part of a result that differs between two equal runs."""
    return datetime.now(UTC).isoformat(timespec="seconds")
