"""Looking at folders: each is listed once, and how all looked that an answer depended on is kept for the cache."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fima.data.datasets.cache import Signature, signature
from fima.data.datasets.records import VIDEO_EXTENSIONS, is_video, video_stem
from fima.data.readers.picture_names import is_picture
from fima.errors import InputError

__all__ = ["Disk"]

_LOOKED_AT = 3  # folders that are looked into to tell whether they are videos, and not classes
_NO_DATA = frozenset({"lost+found"})  # belongs to the disk, and only its administrator may list it


class _Entries(NamedTuple):
    files: frozenset[str]
    folders: frozenset[str]


_NOTHING = _Entries(frozenset(), frozenset())


class Disk:
    """What is in folders, by name; hidden entries are found by name but never listed.

    Attributes:
        seen: how every file and folder looked just before it was read, by absolute path; None: it was not there.
    """

    def __init__(self) -> None:
        self.seen: dict[str, Signature | None] = {}
        self._entries: dict[tuple[Path, str], _Entries] = {}
        self._videos: dict[Path, list[str]] = {}

    def watch(self, path: Path) -> Path:
        """Notes how a file or folder looks before it is read; returns the path."""
        absolute = str(path.absolute())
        if absolute not in self.seen:
            self.seen[absolute] = signature(absolute)
        return path

    def files_in(self, folder: Path) -> list[str]:
        """Names of the visible files, sorted; none if there is no such folder."""
        return sorted(name for name in self._list(folder).files if not name.startswith("."))

    def folders_in(self, folder: Path) -> list[str]:
        """Names of the visible folders, sorted."""
        return sorted(name for name in self._list(folder).folders if not name.startswith(".") and name not in _NO_DATA)

    def videos_in(self, folder: Path) -> list[str]:
        """Names of the visible video files, sorted."""
        if folder not in self._videos:
            self._videos[folder] = list(filter(is_video, self.files_in(folder)))
        return self._videos[folder]

    def frame_folders_in(self, folder: Path) -> list[str]:
        """Names of the folders of pictures, sorted: all visible folders, if one of them holds pictures and no video.

        Looking into each would take as long as listing every frame of a data set.
        """
        if self.videos_in(folder):
            return []
        folders = self.folders_in(folder)
        return folders if any(self.holds_frames(folder / name) for name in folders) else []

    def is_flat(self, folder: Path) -> bool:
        """Whether the first few folders that hold anything are all folders of pictures: no classes, no splits."""
        inside = (folder / name for name in self.folders_in(folder))
        looked_at = list(islice((f for f in inside if self.holds_anything(f)), _LOOKED_AT))
        return bool(looked_at) and not self.videos_in(folder) and all(map(self.holds_frames, looked_at))

    def holds_anything(self, folder: Path) -> bool:
        """Whether there is such a folder, with anything in it."""
        return self._list(folder) != _NOTHING

    def holds_frames(self, folder: Path) -> bool:
        """Whether a folder holds pictures and no video."""
        return any(map(is_picture, self._list(folder).files)) and not self.videos_in(folder)

    def find_file(self, base: Path, name: str) -> str | None:
        """The listed file, or the same name with another extension of videos, or with one added; relative to base."""
        parent, last = _split(name)
        files = self._list(base, parent).files
        if last in files or not files:
            return name if files else None
        stem = video_stem(last)
        found = next((stem + extension for extension in VIDEO_EXTENSIONS if stem + extension in files), None)
        return None if found is None else name[: len(name) - len(last)] + found

    def find_folder(self, base: Path, name: str) -> str | None:
        """The folder of that name, with or without an extension of videos; relative to base."""
        parent, last = _split(name)
        folders = self._list(base, parent).folders
        found = next((candidate for candidate in (last, video_stem(last)) if candidate in folders), None)
        return None if found is None else name[: len(name) - len(last)] + found

    def _list(self, folder: Path, inside: str = "") -> _Entries:
        entries = self._entries.get((folder, inside))
        if entries is None:
            entries = self._entries[folder, inside] = _scan(self.watch(folder / inside))
        return entries


def _split(name: str) -> tuple[str, str]:
    parent, slash, last = name.rpartition("/")
    return parent or slash, last


def _scan(folder: Path) -> _Entries:
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_file():
                    files.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return _NOTHING
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror or error})") from None
    return _Entries(frozenset(files), frozenset(folders))
