"""Videos that are in two sets at once, or twice in one, told by their content. Imports no torch."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["content_key", "copies", "same_videos"]

_HEAD = 1 << 20


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


def copies(paths: Sequence[Path | None]) -> dict[int, int]:
    """Which of some files are copies of others: place of a copy → place of the first file of that content.

    Only files of one size are read. A path that is there twice, as for two segments of one film, is no copy.

    Args:
        paths: Files; None for what has none.
    """
    by_size: defaultdict[int, dict[Path, int]] = defaultdict(dict)
    for place, path in enumerate(paths):
        if path is not None and path.is_file():
            by_size[path.stat().st_size].setdefault(path, place)
    found: dict[int, int] = {}
    for alike in by_size.values():
        if len(alike) > 1:
            first: dict[str | None, int] = {}
            for path, place in alike.items():
                original = first.setdefault(content_key(path), place)
                found |= {place: original} if original != place else {}
    return found


def same_videos(
    train: Mapping[str, str | None], test: Mapping[str, str | None], *, one_source: bool
) -> list[tuple[str, str]]:
    """Pairs (training, test) of the same video, of tables of features; `fima.evaluation.checks.duplicates` of records.

    Ids say nothing by themselves: ``a/1`` of one folder and ``a/1`` of another may be two videos.

    Args:
        train: id → `content_key`.
        test: likewise.
        one_source: whether both are of one data set: a drawn video, which has no content, is then known by its id.

    Returns:
        ``(id, id)``, in the order of the test videos; one pair for each.
    """
    by_content: dict[str, str] = {}
    for name, key in train.items():
        if key is not None:
            by_content.setdefault(key, name)
    found = []
    for name, key in test.items():
        if key is not None and key in by_content:
            found.append((by_content[key], name))
        elif one_source and key is None and name in train and train[name] is None:
            found.append((name, name))
    return found
