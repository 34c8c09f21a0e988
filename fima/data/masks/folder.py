"""A folder of masks by video id, in whatever form each is stored."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fima.data.datasets.records import VideoRecord
from fima.data.masks.source import Masks, find, from_stack, names_of
from fima.data.masks.stored import is_numbered_picture, read_npz, read_pictures, read_video
from fima.errors import VideoError

__all__ = ["MaskFolder", "holds_masks"]

_VIDEOS = (".mp4", ".mkv", ".avi", ".webm")
_FILES = (".npz", *_VIDEOS)


class MaskFolder:
    """Masks in ``<id>.npz``, ``<id>.mp4`` (or mkv, avi, webm) or ``<id>/`` with numbered png pictures, in this order.

    The id is the video's, or what is left of it without its first folders, down to its last part. A video that lies in
    this folder itself is no mask of its own.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def __contains__(self, record: VideoRecord) -> bool:
        return self._find(record) is not None

    def __repr__(self) -> str:
        return f"MaskFolder({str(self._root)!r})"

    def read(self, record: VideoRecord, indices: Sequence[int], *, height: int, width: int) -> Masks:
        """As `fima.data.masks.MaskSource.read`."""
        path = find(self._root, record, self._find)
        if path.suffix == ".npz":
            return from_stack(read_npz(path), indices, height=height, width=width)
        if path.is_dir():
            return read_pictures(path, record, indices, height=height, width=width)
        return read_video(path, indices, height=height, width=width)

    def _find(self, record: VideoRecord) -> Path | None:
        for name in names_of(record):
            files = (self._root / f"{name}{extension}" for extension in _FILES)
            found = next(filter(Path.is_file, files), None)
            if found is None and _holds_pictures(self._root / name):
                found = self._root / name
            if found is not None and not _is_same(found, record.path):
                return found
        return None


def _holds_pictures(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(is_numbered_picture(entry.name) for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise VideoError(f"{folder}: cannot be listed ({error.strerror})") from None


def _is_same(path: Path, other: Path) -> bool:
    return other.exists() and path.samefile(other)


def holds_masks(root: Path) -> bool:
    """Whether anything in a folder, at any depth, has the name of a mask."""
    return any(
        name.endswith(_FILES) or is_numbered_picture(name)
        for _, _, files in os.walk(root, followlinks=False)
        for name in files
        if not name.startswith(".")
    )
