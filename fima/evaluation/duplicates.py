"""Videos that are in two sets at once, which would make a test of memory. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Duplicate", "content_key", "find_duplicates"]

_HEAD = 1 << 20


@dataclass(frozen=True)
class Duplicate:
    """A test video that is also a training video, as far as can be told.

    Attributes:
        test: its id.
        train: the other's id.
        reason: ``same content`` or ``same id``.
    """

    test: str
    train: str
    reason: str


def content_key(path: Path) -> str | None:
    """Size and SHA-256 of the first MiB of a file; of a folder, its pictures' names, sizes and the first one's content.

    None where there is nothing on the disk, as for videos that are drawn when they are read.
    """
    try:
        if path.is_dir():
            files = sorted(entry for entry in path.iterdir() if entry.is_file())
            listing = "\n".join(f"{file.name} {file.stat().st_size}" for file in files)
            return f"folder-{hashlib.sha256(listing.encode()).hexdigest()}-{content_key(files[0]) if files else ''}"
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(_HEAD)).hexdigest()
        return f"{path.stat().st_size}-{digest}"
    except OSError:
        return None


def find_duplicates(
    test_ids: Sequence[str],
    test_contents: Sequence[str | None],
    train_ids: Sequence[str],
    train_contents: Sequence[str | None],
) -> list[Duplicate]:
    """Every test video with the same content, or else the same id, as a training video; one entry for each."""
    by_content = {key: name for key, name in zip(train_contents, train_ids, strict=True) if key is not None}
    by_id = set(train_ids)
    found = []
    for name, key in zip(test_ids, test_contents, strict=True):
        if key is not None and key in by_content:
            found.append(Duplicate(name, by_content[key], "same content"))
        elif name in by_id:
            found.append(Duplicate(name, name, "same id"))
    return found
