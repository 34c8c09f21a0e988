"""From names in a list to records: what every reader is asked, what it answers, and how that becomes a data set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from fima.data.datasets.disk import Disk
from fima.data.datasets.records import VideoDataset, VideoRecord, video_stem
from fima.errors import InputError

__all__ = ["Index", "Listed", "Request", "Row", "check", "fold_of", "look_up", "printable", "to_dataset"]

_SPLIT = re.compile(r"([a-z]*?)(\d{0,9})", re.ASCII)


@dataclass(frozen=True)
class Request:
    """What a reader is asked.

    Attributes:
        path: the data set's folder or list file.
        split: as in `open_dataset`.
        separator: of list files.
        frame_template: asks for folders of pictures even where there are videos.
        disk: what is on it; shared by all readers that are tried.
    """

    path: Path
    split: str | None = None
    separator: str | None = None
    frame_template: str | None = None
    disk: Disk = field(default_factory=Disk)


class Listed(NamedTuple):
    """A video that an annotation names, before anyone looked whether it is there."""

    name: str
    label: int | None
    start: int | None = None
    end: int | None = None


class Row(NamedTuple):
    """A video that is there; ``name`` is relative to the index's root, or absolute; ``folder``: of pictures."""

    name: str
    label: int | None
    start: int | None = None
    end: int | None = None
    folder: bool = False


class Index(NamedTuple):
    """What a reader answers; see `VideoDataset`."""

    layout: str
    root: Path
    class_names: tuple[str, ...]
    rows: tuple[Row, ...]
    missing: tuple[str, ...] = ()

    def to_json(self, path: Path) -> dict[str, Any]:
        """As values that JSON can hold; the root is kept relative to the path the data set was asked for by."""
        base = path if path.is_dir() else path.parent
        return {**self._asdict(), "root": self.root.relative_to(base).as_posix(), "rows": [list(r) for r in self.rows]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], path: Path) -> Index:
        """The inverse of `to_json`."""
        base = path if path.is_dir() else path.parent
        rows = tuple(Row(*row) for row in content["rows"])
        names, missing = tuple(content["class_names"]), tuple(content["missing"])
        return cls(content["layout"], base / content["root"], names, rows, missing)


def fold_of(split: str) -> tuple[str, int | None]:
    """A split's kind and number: "train2" is ``("train", 2)``, "test" is ``("test", None)``."""
    match = _SPLIT.fullmatch(split)
    if match is None:
        return split, None
    return match[1], int(match[2]) if match[2] else None


def look_up(
    request: Request, listed: Sequence[Listed], places: Iterable[str]
) -> tuple[Path, tuple[Row, ...], tuple[str, ...]]:
    """Finds listed videos below the first of the places that holds one of them.

    Files are looked for in all places before folders of pictures; those only, if there is a frame template. All videos
    of a list are the one or the other.

    Args:
        request: with the data set's folder, or a list file, whose folder is then meant.
        listed: in the order of the annotation.
        places: folders, relative to the data set's folder.

    Returns:
        The place (if nothing is found, the first that exists), what is there in the same order, and the names that are
        not.
    """
    disk = request.disk
    base = request.path if request.path.is_dir() else request.path.parent
    roots = [base / place for place in places]
    roots = [root for root in roots if disk.holds_anything(root)] or roots[:1]
    for frames in (True,) if request.frame_template else (False, True):
        find = disk.find_folder if frames else disk.find_file
        for root in roots:
            found = [find(root, video.name) for video in listed]
            if any(name is not None and (not frames or disk.holds_frames(root / name)) for name in found):
                pairs = list(zip(found, listed, strict=True))
                rows = (Row(name, v.label, v.start, v.end, frames) for name, v in pairs if name is not None)
                return root, tuple(rows), tuple(video.name for name, video in pairs if name is None)
    return roots[0], (), tuple(video.name for video in listed)


def to_dataset(index: Index, frame_template: str | None, frame_fps: float | None) -> VideoDataset:
    """Records of an index."""
    root, names = index.root, tuple(map(printable, index.class_names))
    records = [
        VideoRecord(
            root / name,
            _video_id(name, root),
            label,
            None if label is None else names[label],
            start,
            end,
            frame_template if folder else None,
            frame_fps if folder else None,
        )
        for name, label, start, end, folder in index.rows
    ]
    return VideoDataset(tuple(records), names, root, index.layout, tuple(map(printable, index.missing)))


def check(dataset: VideoDataset, path: Path) -> VideoDataset:
    """Refuses a data set with nothing in it, with two files under one id, or with two labels for one file."""
    if not dataset.records:
        listed = f"none of the {len(dataset.missing)} listed videos was found" if dataset.missing else "lists no video"
        example = f", such as {dataset.missing[0]}" if dataset.missing else ""
        raise InputError(f"{path}: {listed} under {dataset.root}{example}")
    seen: dict[str, VideoRecord] = {}
    for record in dataset.records:
        first = seen.setdefault(record.video_id, record)
        if first.path != record.path:
            raise InputError(f"{path}: {first.path.name} and {record.path.name} share a video id; remove one")
        if first.label != record.label:
            raise InputError(
                f"{path}: {record.video_id} is listed as {first.class_name} and as {record.class_name}; "
                "expected one label for a video"
            )
    return dataset


def printable(name: str) -> str:
    """A name with what is no UTF-8 on the disk written as an escape, so that files of results can hold it."""
    return name.encode("utf-8", "backslashreplace").decode()


def _video_id(name: str, root: Path) -> str:
    if name.startswith("/"):
        absolute = PurePosixPath(name)
        name = str(absolute.relative_to(root) if absolute.is_relative_to(root) else absolute).lstrip("/")
    elif name.startswith("./") or "/./" in name or "//" in name:
        name = str(PurePosixPath(name))
    return video_stem(printable(name))
