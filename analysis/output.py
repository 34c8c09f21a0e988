"""What a study leaves behind: files that appear whole or not at all, and a record of how they came to be."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from fima.errors import InputError
from fima.files.claims import results_folder
from fima.files.writing import to_plain, write_json

__all__ = [
    "output_folder",
    "timestamp",
    "to_plain",
    "versions",
    "write_json",
    "write_npz",
]


def output_folder(
    out: str | Path,
    kind: str,
    settings: Mapping[str, Any],
    *,
    names: Iterable[str] = (),
    inputs: Iterable[str | Path] = (),
    overwrite: bool = False,
) -> AbstractContextManager[Path]:
    """A scratch folder whose files move to ``out`` together when the block ends well; see `fima.files.claims`.

    Args:
        out: Destination; made, with its parents, if missing.
        kind: Name of the result, such as ``cam``.
        settings: What it depends on; a result of other settings is replaced only if ``overwrite`` is true.
        names: What will be written for sure.
        inputs: Files that are read, which are never replaced.
        overwrite: Replace other results that an earlier run wrote there.

    Raises:
        InputError: If the folder is another run's or holds something else of these names; names --out.
    """
    if not isinstance(out, str | Path):
        raise InputError(f"out must be a path, got {out!r} (papermill takes a text as -r NAME TEXT)")
    return results_folder(out, kind, to_plain(settings), names=tuple(names), inputs=inputs, overwrite=overwrite)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Save arrays; the same arrays give the same bytes."""
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return dict(_versions())


@cache  # each is a search in the file system, and every study asks
def _versions() -> dict[str, str]:
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
