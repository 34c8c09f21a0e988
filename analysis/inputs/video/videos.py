"""Which videos a study reads: given files, a data set, or the built-in procedural video.

Importing this module does not import torch; opening a video does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from analysis.settings import Settings
from fima.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from fima.data.datasets import VideoRecord
    from fima.data.shapes import ShapesRecord

__all__ = ["FrameReader", "VideoList", "VideoSource", "list_videos", "procedural_record"]


class FrameReader(Protocol):
    """What a study needs of an open video (``fima.data.readers.file.VideoReader`` is one)."""

    @property
    def fps(self) -> float:
        """Frames per second, the average over the video."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """When each frame is shown, seconds from the first."""

    @property
    def duration_seconds(self) -> float:
        """How long the video plays."""

    @property
    def concealed(self) -> Collection[int]:
        """Frames that were read and that the decoder had to make up, since the file is damaged."""

    def __len__(self) -> int: ...

    def frames(self, indices: Sequence[int], *, short_side: int | None = None) -> Tensor:
        """uint8 ``(T, 3, H, W)``."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class VideoSource:
    """A video that has not been opened yet.

    Attributes:
        video_id: Unique among the videos of a study.
        path: The file; None is the procedural video.
        label: Class index, where known.
        seed: Seed of the procedural video.
        record: What the data set says of it, where it is of one.
        group: Number of the recording that it was cut from, where the data set says it.
        copy_of: Id of the video whose file has the same content; they count as one.
    """

    video_id: str
    path: Path | None
    label: int | None = None
    seed: int = 0
    record: VideoRecord | None = None
    group: int | None = None
    copy_of: str | None = None

    @property
    def drawn(self) -> bool:
        """Whether it is drawn when it is read, by code that knows where its object is."""
        from fima.data.shapes import ShapesRecord

        return self.path is None or isinstance(self.record, ShapesRecord)

    def open(self) -> FrameReader:
        """Open for reading; use as a context manager.

        Raises:
            VideoError: If the file is no readable video.
            FileNotFoundError: If there is none.
        """
        from fima.data.readers.open import open_video

        return open_video(procedural_record(self.seed) if self.path is None else self.record or self.path)


def procedural_record(seed: int = 0) -> ShapesRecord:
    """What is shown where no video is given: a drawn one, large enough to look at.

    Args:
        seed: Same seed, same video.
    """
    from fima.data.shapes import MOTIONS, ShapesRecord, ShapesWorld

    world = ShapesWorld(num_frames=96, size=224)
    record = ShapesRecord(Path("procedural"), "procedural", None, None, world=world, seed=(seed,))
    label = record.draw().label
    return replace(record, label=label, class_name=MOTIONS[label])


@dataclass(frozen=True)
class VideoList:
    """The videos of a study.

    Attributes:
        videos: In the order in which they are read.
        missing: Videos that a data set lists but does not hold, with the reason.
    """

    videos: list[VideoSource]
    missing: dict[str, str] = field(default_factory=dict)


def list_videos(settings: Settings) -> VideoList:
    """What a study reads.

    Raises:
        VideoError, FileNotFoundError: For a given video that cannot be read; each is opened once, so that nothing
            starts that cannot end. Videos of a data set are not opened here: broken ones are skipped and listed later.
        InputError: For a data set without videos, or a video given twice.
    """
    if settings.data is not None:
        from fima.data.datasets import open_dataset
        from fima.data.datasets.groups import source_groups

        dataset = open_dataset(settings.data, split=settings.split)
        groups = source_groups(Path(settings.data), [record.video_id for record in dataset.records])
        sources = [
            VideoSource(record.video_id, record.path, record.label, record=record, group=group)
            for record, group in zip(dataset.records, groups or repeat(None), strict=False)
        ]
        return VideoList(_joined(sources), dict.fromkeys(dataset.missing, "listed, but there is no such file"))
    if not settings.video:
        return VideoList([VideoSource("procedural", None, seed=settings.seed)])
    sources = _named(settings.video)
    for source in sources:
        with source.open():
            pass
    return VideoList(_joined(sources))


def _joined(sources: list[VideoSource]) -> list[VideoSource]:
    """The videos, in which copies of one file are of one recording."""
    from fima.data.duplicates import copies

    found = copies([source.path for source in sources])
    if not found:
        return sources
    joined = [replace(s, group=place if s.group is None else s.group) for place, s in enumerate(sources)]
    for place, first in found.items():
        joined[place] = replace(joined[place], group=joined[first].group, copy_of=joined[first].video_id)
    return joined


def _named(paths: Sequence[str]) -> list[VideoSource]:
    """File stems as ids, whole paths where stems repeat."""
    for path, times in Counter(str(Path(path).resolve()) for path in paths).items():
        if times > 1:
            raise InputError(f"{path}: is given {times} times; the unit of every interval is the video, so once")
    stems = Counter(Path(path).stem for path in paths)
    return [VideoSource(Path(path).stem if stems[Path(path).stem] == 1 else path, Path(path)) for path in paths]
