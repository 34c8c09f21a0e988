"""Where the object truly is in a clip: masks that come with drawn videos, or from files (``--masks``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.inputs.video.clips import ClipTruth, center_crop
from analysis.inputs.video.videos import FrameReader, VideoSource
from fima.data.sampling import clip_indices
from fima.errors import InputError
from fima.input_spec import InputSpec

if TYPE_CHECKING:
    from fima.data.datasets import VideoRecord
    from fima.data.masks import MaskSource

__all__ = [
    "KnowsTruth",
    "TruthReader",
    "as_record",
    "cut_frames",
    "drawn_backgrounds",
    "mask_source",
    "scale_masks",
    "truth_reader",
]


@runtime_checkable
class KnowsTruth(Protocol):
    """A reader of drawn videos: it knows what it drew."""

    def masks(self, indices: Sequence[int]) -> NDArray[np.bool_]:
        """``(T, H, W)``."""

    def background(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """``(T, H, W, 3)``: the same frames without the object."""


@dataclass(frozen=True)
class TruthReader:
    """Gives the truth of clips: called with an open video and the frames of a clip.

    Attributes:
        masks: masks of real videos; None where only drawn ones are expected.
    """

    masks: MaskSource | None

    def __call__(
        self, video: VideoSource, reader: FrameReader, indices: NDArray[np.int64], spec: InputSpec
    ) -> ClipTruth | None:
        """Masks scaled and cropped as the clip's frames are; None for a video without any.

        Raises:
            InputError, VideoError: if its masks cannot be read.
        """
        if self.masks is None and isinstance(reader, KnowsTruth):
            mask = _fit(reader.masks(indices.tolist()), spec.size)
            return ClipTruth(mask, torch.ones(len(mask), dtype=torch.bool))
        record = as_record(video)
        if self.masks is None or record is None or record not in self.masks:
            return None
        height, width = _size(reader)
        found = self.masks.read(record, indices.tolist(), height=height, width=width)
        return ClipTruth(_fit(found.masks, spec.size), torch.from_numpy(found.known))


def drawn_backgrounds(video: VideoSource, start: int, spec: InputSpec) -> Tensor | None:
    """The clip of a drawn video that starts at a frame, without its object, cut out as `read_clip` does.

    Args:
        video: Any video.
        start: The clip's first frame.
        spec: Frames, stride and size of the clip.

    Returns:
        uint8 ``(T, 3, size, size)``; None of a video that is not drawn.
    """
    with video.open() as reader:
        if not isinstance(reader, KnowsTruth):
            return None
        indices = clip_indices(len(reader), start, num_frames=spec.num_frames, frame_stride=spec.frame_stride)
        return cut_frames(reader.background(indices.tolist()), spec)


def cut_frames(frames: NDArray[np.uint8], spec: InputSpec) -> Tensor:
    """Frames ``(T, H, W, 3)`` as a clip has them, ``(T, 3, size, size)``: short side scaled, center-cropped."""
    pictures = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    return center_crop(_resize_pictures(pictures, spec.size), spec.size)


def truth_reader(masks: str | None, videos: Sequence[VideoSource]) -> Callable[..., ClipTruth | None]:
    """The truth that a study can have.

    Args:
        masks: of ``--masks``; None where the videos are drawn.
        videos: of the study.

    Raises:
        InputError: if there are no masks at all.
        FileNotFoundError: if ``masks`` is not there.
    """
    return TruthReader(mask_source(masks, videos))


def mask_source(masks: str | None, videos: Sequence[VideoSource]) -> MaskSource | None:
    """The masks that a study can have; None where the videos are drawn, whose readers know them. As `truth_reader`."""
    if masks is not None:
        from fima.data.masks import open_masks

        source = open_masks(masks)
        if not any((record := as_record(video)) is not None and record in source for video in videos):
            raise InputError(
                f"--masks {masks}: holds none of the {len(videos)} videos; the first is {videos[0].video_id!r}"
            )
        return source
    if all(video.drawn for video in videos):
        return None
    raise InputError("--masks: where the objects are is needed for video files (drawn videos know it)")


def scale_masks(masks: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Masks ``(T, H, W)`` at another size: true where at least half of a pixel is covered."""
    if masks.shape[1:] == (height, width):
        return masks
    import cv2

    shrinks = height * width < masks.shape[1] * masks.shape[2]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(m.astype(np.float32), (width, height), interpolation=how) >= 0.5 for m in masks])


def _fit(masks: NDArray[np.bool_], size: int) -> Tensor:
    """Short side scaled to ``size``, center-cropped, as `analysis.inputs.video.clips.read_clip` does with frames."""
    height, width = masks.shape[1:]
    short, long = sorted((height, width))
    other = (2 * long * size + short) // (2 * short)
    scaled = scale_masks(masks, *((size, other) if height <= width else (other, size)))
    return center_crop(torch.from_numpy(np.ascontiguousarray(scaled)), size)


def _resize_pictures(frames: Tensor, size: int) -> Tensor:
    if min(frames.shape[-2:]) == size:
        return frames
    factor = size / min(frames.shape[-2:])
    shape = [max(size, round(side * factor)) for side in frames.shape[-2:]]
    resized = torch.nn.functional.interpolate(
        frames.float(), size=shape, mode="bilinear", antialias=True, align_corners=False
    )
    return resized.round_().clamp_(0, 255).to(torch.uint8)


def as_record(video: VideoSource) -> VideoRecord | None:
    """What masks are looked up by: the data set's record of a video, or one of its file; None without either."""
    if video.record is not None or video.path is None:
        return video.record
    from fima.data.datasets import VideoRecord

    return VideoRecord(video.path, video.video_id, video.label, None)


def _size(reader: Any) -> tuple[int, int]:
    return int(reader.height), int(reader.width)
