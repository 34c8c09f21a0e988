"""Which videos a study reads: given files, a data set, or the built-in procedural video.

Importing this module does not import torch; opening a video does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from analysis.settings import Settings
from fima.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from fima.data.datasets import VideoRecord

__all__ = ["FrameReader", "ProceduralVideo", "VideoList", "VideoSource", "list_videos"]


class FrameReader(Protocol):
    """What a study needs of an open video (``fima.data.video.VideoReader`` is one)."""

    @property
    def fps(self) -> float:
        """Frames per second."""

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
        seed: Of the procedural video.
        record: What the data set says of it, where it is of one.
    """

    video_id: str
    path: Path | None
    label: int | None = None
    seed: int = 0
    record: VideoRecord | None = None

    def open(self) -> FrameReader:
        """Open for reading; use as a context manager.

        Raises:
            VideoError: If the file is no readable video.
            FileNotFoundError: If there is none.
        """
        if self.path is None:
            return ProceduralVideo(self.seed)
        from fima.data.frame_folder import open_video

        return open_video(self.record or self.path)


class ProceduralVideo:
    """A textured object moving over a still, textured background: what is shown where no video is given.

    Args:
        seed: Same seed, same video.
    """

    fps = 25.0

    def __init__(self, seed: int = 0) -> None:
        from fima.data.shapes import moving_shape

        self._frames = moving_shape(seed, num_frames=96, height=224, width=224).frames

    def __len__(self) -> int:
        return len(self._frames)

    def frames(self, indices: Sequence[int], *, short_side: int | None = None) -> Tensor:
        """Frames by index, resized (antialiased) where ``short_side`` differs from 224; uint8 ``(T, 3, H, W)``."""
        import torch

        frames = torch.as_tensor(self._frames[list(indices)])
        if short_side is None or short_side == frames.shape[-1]:
            return frames
        resized = torch.nn.functional.interpolate(
            frames.float(), size=(short_side, short_side), mode="bilinear", antialias=True, align_corners=False
        )
        return resized.round_().clamp_(0, 255).to(torch.uint8)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


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

        dataset = open_dataset(settings.data, split=settings.split)
        sources = [VideoSource(record.video_id, record.path, record.label, record=record) for record in dataset.records]
        return VideoList(sources, dict.fromkeys(dataset.missing, "listed, but there is no such file"))
    if not settings.video:
        return VideoList([VideoSource("procedural", None, seed=settings.seed)])
    sources = _named(settings.video)
    for source in sources:
        with source.open():
            pass
    return VideoList(sources)


def _named(paths: Sequence[str]) -> list[VideoSource]:
    """File stems as ids, whole paths where stems repeat."""
    for path, times in Counter(str(Path(path).resolve()) for path in paths).items():
        if times > 1:
            raise InputError(f"{path}: is given {times} times; the unit of every interval is the video, so once")
    stems = Counter(Path(path).stem for path in paths)
    return [VideoSource(Path(path).stem if stems[Path(path).stem] == 1 else path, Path(path)) for path in paths]
