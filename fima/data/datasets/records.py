"""What a data set is once it has been read: videos in a fixed order, each with its label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["VIDEO_EXTENSIONS", "SegmentRecord", "VideoDataset", "VideoRecord", "is_video", "video_stem"]

VIDEO_EXTENSIONS = (".avi", ".mp4", ".webm", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".3gp")
"""What counts as a video, by its name; also the order in which a listed name is looked for under another extension."""


def is_video(name: str) -> bool:
    """Whether a name ends in an extension of videos."""
    return name.lower().endswith(VIDEO_EXTENSIONS)


def video_stem(name: str) -> str:
    """The name without its extension, if that is one of videos: other dots belong to the name."""
    return name[: name.rindex(".")] if is_video(name) else name


@dataclass(frozen=True)
class VideoRecord:
    """One video of a data set.

    Attributes:
        path: the file, or the folder of its pictures; `fima.data.readers.open.open_video` opens either.
        video_id: its path relative to the data set's root, without extension, with forward slashes; unique.
        label: index into the data set's ``class_names``; None without labels.
        class_name: the class's name; None without labels.
        start_frame, end_frame: the first frame and the one after the last, as the annotation gives them (Diving48: of a
            file that is already cut to them, so readers do not cut again); None where it gives none.
        frame_template: of a folder of pictures: how they are named, as given; None: found out on opening.
        frame_fps: of a folder of pictures: frames per second, as given; None: not given.
    """

    path: Path
    video_id: str
    label: int | None
    class_name: str | None
    start_frame: int | None = None
    end_frame: int | None = None
    frame_template: str | None = None
    frame_fps: float | None = None


@dataclass(frozen=True)
class SegmentRecord(VideoRecord):
    """A part of a video that counts as a video of its own; ``path`` is no file, but its name below that of the whole.

    Attributes:
        clip: the whole video: the file, or the folder of its pictures.
        start_second, end_second: of the segment in it.
    """

    clip: Path = Path()
    start_second: float = 0.0
    end_second: float = 2.0


@dataclass(frozen=True)
class VideoDataset:
    """The videos of one split, always in the same order.

    Attributes:
        records: the videos that are there.
        class_names: by label, the same for all splits of a data set; empty without labels.
        root: the folder that ``video_id`` is relative to.
        layout: which reader understood it: a name in `fima.data.datasets.registry.LAYOUTS`.
        missing: names that a list holds but the disk does not.
    """

    records: tuple[VideoRecord, ...]
    class_names: tuple[str, ...]
    root: Path
    layout: str
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> VideoRecord:
        return self.records[index]

    def __iter__(self) -> Iterator[VideoRecord]:
        return iter(self.records)
