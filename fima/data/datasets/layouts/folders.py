"""Folders that speak for themselves: a folder for each class, for each split, or only videos."""

from __future__ import annotations

import re
from pathlib import Path

from fima.data.datasets.disk import Disk
from fima.data.datasets.index import Index, Request, Row
from fima.errors import InputError

__all__ = [
    "FRAME_PLACES",
    "VIDEO_PLACES",
    "class_root",
    "class_rows",
    "has_class_folders",
    "has_flat_folder",
    "has_split_folders",
    "read_class_folders",
    "read_flat_folder",
    "read_split_folders",
    "samples_in",
]

VIDEO_PLACES = ("videos", "data", "UCF-101", ".")
"""Where class folders or videos lie, below the data set's folder."""

FRAME_PLACES = ("rawframes", "frames", "jpegs_256", "images", *VIDEO_PLACES)
"""Where folders of pictures lie."""

_KINDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def samples_in(disk: Disk, folder: Path, frames: bool) -> list[str]:
    """Names of the videos in a folder, or of its folders of pictures."""
    return disk.frame_folders_in(folder) if frames else disk.videos_in(folder)


def class_folders(disk: Disk, folder: Path, frames: bool) -> list[str]:
    """Names of the folders that hold videos, or folders of pictures; none if the folders are themselves videos."""
    if disk.is_flat(folder):
        return []
    return [name for name in disk.folders_in(folder) if samples_in(disk, folder / name, frames)]


def class_root(disk: Disk, base: Path, frames: bool) -> Path | None:
    """The first of the usual folders that holds class folders; a usual folder itself is no class."""
    places = FRAME_PLACES if frames else VIDEO_PLACES
    for folder in (base / place for place in places):
        if any(name not in places for name in class_folders(disk, folder, frames)):
            return folder
    return None


def class_rows(disk: Disk, root: Path, ids: dict[str, int], frames: bool, source: str = "") -> tuple[Row, ...]:
    """All videos below class folders.

    Raises:
        InputError: if a folder is none of the classes; ``source``: the files that say what the classes are.
    """
    rows = []
    for name in class_folders(disk, root, frames):
        if name not in ids:
            raise InputError(f"{root}: class {name!r} is not one of the {len(ids)} classes listed in {source}")
        samples = samples_in(disk, root / name, frames)
        rows += [Row(f"{name}/{sample}", ids[name], folder=frames) for sample in samples]
    return tuple(rows)


def has_class_folders(request: Request) -> bool:
    """Class folders of videos, or of folders of pictures, with no video beside them."""
    return _class_tree(request) is not None and not request.disk.videos_in(request.path)


def read_class_folders(request: Request) -> Index:
    """Every folder with videos in it is a class, numbered by sorted name."""
    if request.split is not None:
        raise InputError(
            f"{request.path}: class folders without lists have no split {request.split!r}; put them into folders train "
            "and test, or write a list of 'path label' for each (docs/datasets.md)"
        )
    tree = _class_tree(request)
    if tree is None:
        raise InputError(f"{request.path}: holds no class folders")
    root, frames = tree
    ids = {name: i for i, name in enumerate(class_folders(request.disk, root, frames))}
    return Index("class folders", root, tuple(ids), class_rows(request.disk, root, ids, frames))


def has_split_folders(request: Request) -> bool:
    """Folders of class folders."""
    return any(_splits(request, frames) for frames in _kinds(request))


def read_split_folders(request: Request) -> Index:
    """A folder of class folders for each split; classes are numbered by sorted name over all splits."""
    splits, frames = next(((s, f) for f in _kinds(request) if (s := _splits(request, f))), ({}, False))
    folder = _named_split(request.split, list(splits))
    if folder is None:
        raise InputError(
            f"{request.path}: holds the splits {', '.join(splits)}; expected one of them, got {request.split}"
        )
    ids = {name: i for i, name in enumerate(sorted({name for classes in splits.values() for name in classes}))}
    root = request.path / folder
    return Index("split folders", root, tuple(ids), class_rows(request.disk, root, ids, frames))


def has_flat_folder(request: Request) -> bool:
    """Videos, or folders of pictures, without class folders."""
    return _flat_root(request) is not None


def read_flat_folder(request: Request) -> Index:
    """Videos without labels."""
    if request.split is not None:
        raise InputError(f"{request.path}: a folder of videos without lists has no split {request.split!r}")
    found = _flat_root(request)
    if found is None:
        raise InputError(f"{request.path}: holds no videos")
    root, frames = found
    if not frames and class_folders(request.disk, root, frames):
        raise InputError(f"{root}: holds videos and folders of videos; expected one or the other")
    samples = samples_in(request.disk, root, frames)
    return Index("flat folder", root, (), tuple(Row(name, None, folder=frames) for name in samples))


def _kinds(request: Request) -> tuple[bool, ...]:
    """Videos go before folders of pictures, unless those are asked for."""
    return (True,) if request.frame_template else (False, True)


def _class_tree(request: Request) -> tuple[Path, bool] | None:
    trees = ((class_root(request.disk, request.path, frames), frames) for frames in _kinds(request))
    return next(((root, frames) for root, frames in trees if root is not None), None)


def _flat_root(request: Request) -> tuple[Path, bool] | None:
    for frames in _kinds(request):
        places = (".", *(FRAME_PLACES if frames else VIDEO_PLACES))
        holds = request.disk.is_flat if frames else request.disk.videos_in
        found = next((root for root in (request.path / place for place in places) if holds(root)), None)
        if found is not None:
            return found, frames
    return None


def _splits(request: Request, frames: bool) -> dict[str, list[str]]:
    """Folder → its class folders."""
    folders = request.disk.folders_in(request.path)
    found = {name: class_folders(request.disk, request.path / name, frames) for name in folders}
    return {name: classes for name, classes in found.items() if classes}


def _named_split(split: str | None, folders: list[str]) -> str | None:
    """The folder of that name, or the only one whose name has the split's as a word (train_256, videos_val)."""
    if split is None or split in folders:
        return split
    named = [name for name in folders if _kind(name) == _KINDS.get(split)]
    if split not in _KINDS or not named:
        return None
    if len(named) > 1:
        raise InputError(f"split {split!r} could be any of the folders {', '.join(named)}; name the folder")
    return named[0]


def _kind(name: str) -> str | None:
    kinds = {_KINDS[word] for word in re.split(r"[_\-\s.]+", name.lower()) if word in _KINDS}
    return kinds.pop() if len(kinds) == 1 else None
