"""The clip around a keyframe, with the boxes of its persons moved along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.data.datasets.layouts.ava import first_frame_second
from fima.data.datasets.layouts.ava_files import Keyframe
from fima.data.datasets.records import VideoRecord
from fima.data.readers.open import open_video
from fima.errors import VideoError
from fima.evaluation.features import to_clip_batch

__all__ = ["AVA_FPS", "KeyframeClip", "ReaderPool", "Variation", "clip_frames", "pad_clips", "vary"]

AVA_FPS = 30.0
"""Rate at which the protocols count frames."""


@dataclass(frozen=True)
class KeyframeClip:
    """A clip with boxes.

    Attributes:
        keyframe: what it is of; its ``boxes`` and ``actions`` are those that are left in the clip.
        frames: ``(T, 3, H, W)`` uint8 RGB.
        boxes: ``(N, 4)`` float32: x1, y1, x2, y2 in pixels of the clip.
    """

    keyframe: Keyframe
    frames: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class Variation:
    """How a clip is shown in training.

    Attributes:
        short_side: of the frame, pixels.
        flip: mirror it.
        crop: side of the square that is cut out, pixels; None: the whole frame.
        place: of the crop, as shares in [0, 1) of the room there is, down and right; of the box, if none would stay.
    """

    short_side: int
    flip: bool = False
    crop: int | None = None
    place: tuple[float, float, float] = (0.5, 0.5, 0.5)


class ReaderPool:
    """Readers of films, kept open from one keyframe to the next; may be used by several threads.

    Args:
        videos: film → its file or folder of frames.
        last_seconds: film → its last keyframe, by which a whole film is told from its annotated 15 minutes.
        start_second: of the film that files begin with; None: found out (`first_frame_second`).
        kept: readers that stay open.
    """

    def __init__(
        self,
        videos: Mapping[str, VideoRecord],
        last_seconds: Mapping[str, int],
        *,
        start_second: float | None = None,
        kept: int = 64,
    ) -> None:
        self._videos, self._last, self._start, self._kept = videos, last_seconds, start_second, kept
        self._idle: list[tuple[str, Any]] = []  # used longest ago first; each is lent to one thread at a time
        self._failed: dict[str, str] = {}  # opening a damaged film may take long, and it has hundreds of keyframes
        self._lock = Lock()

    def read(self, keyframe: Keyframe, num_frames: int, frame_stride: int, short_side: int) -> KeyframeClip:
        """The clip around a keyframe, scaled, with its boxes.

        Raises:
            VideoError: if the film is not there or cannot be read, or has no frame at that second.
        """
        if keyframe.video not in self._videos:
            raise VideoError(f"{keyframe.video}: is not there")
        if keyframe.video in self._failed:
            raise VideoError(self._failed[keyframe.video])
        with self._borrow(keyframe.video) as reader:
            begins = first_frame_second(reader.duration_seconds, self._last[keyframe.video], self._start)
            if begins is None:
                raise VideoError(
                    f"{reader.path}: plays {reader.duration_seconds:.0f} s, which is neither the whole film nor its 15 "
                    "minutes from second 900; give --start-second"
                )
            where = clip_frames(keyframe.second - begins, reader.fps, len(reader), num_frames, frame_stride)
            if where is None:
                begun = f"which begins at second {begins:g}; see --start-second"
                raise VideoError(f"{reader.path}: has no frame at second {keyframe.second} of the film, {begun}")
            frames = reader.frames(where, short_side=short_side)
        height, width = frames.shape[2:]
        boxes = torch.from_numpy(keyframe.boxes * [width, height, width, height]).float()
        return KeyframeClip(keyframe, frames, boxes)

    def close(self) -> None:
        """Closes all readers."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, reader in idle:
            reader.close()

    @contextmanager
    def _borrow(self, video: str) -> Iterator[Any]:
        with self._lock:
            place = next((i for i, (name, _) in enumerate(self._idle) if name == video), None)
            reader = None if place is None else self._idle.pop(place)[1]
        if reader is None:
            try:
                reader = open_video(self._videos[video], threads=1)
            except (VideoError, OSError) as error:
                self._failed[video] = str(error)
                raise VideoError(str(error)) from None
        try:
            yield reader
        except BaseException:
            reader.close()
            raise
        with self._lock:
            self._idle.append((video, reader))
            oldest = self._idle.pop(0)[1] if len(self._idle) > self._kept else None
        if oldest is not None:
            oldest.close()


def clip_frames(
    seconds: float, fps: float, length: int, num_frames: int, frame_stride: int
) -> NDArray[np.int64] | None:
    """Which frames show a moment: ``num_frames`` of them, of which number ``num_frames // 2`` is at the moment.

    Args:
        seconds: the moment, from the first frame on.
        fps: of the video; where it is not 30, the clip still lasts as long as it would at 30.
        length: frames in the video.
        num_frames: of the clip.
        frame_stride: of the clip, in frames of 1/30 s.

    Returns:
        ``(num_frames,)`` indices, those outside the video replaced by its first or last frame; None if the moment
        itself is outside.

    Source: PySlowFast ``slowfast/datasets/utils.py`` (``get_sequence``).
    """
    if not 0 <= seconds * fps + 0.5 < length:
        return None
    steps = (np.arange(num_frames) - num_frames // 2) * frame_stride / AVA_FPS
    where = np.floor((seconds + steps) * fps + 0.5).astype(np.int64)
    return np.clip(where, 0, length - 1)


def vary(clip: KeyframeClip, variation: Variation) -> KeyframeClip:
    """Cut and mirror a clip that has its size already; boxes, actions and frames stay together.

    A crop takes the place that is drawn or, if no box would keep any area there, the one nearest to a drawn box's
    middle. Boxes are cut to the crop, and those without area left go (ours: PySlowFast keeps them, empty).
    """
    frames, boxes, keyframe = clip.frames, clip.boxes, clip.keyframe
    if variation.crop is not None and len(boxes):
        frames, boxes, stay = _crop(frames, boxes, variation.crop, variation.place)
        keyframe = _some(keyframe, stay)
    if variation.flip:
        frames = frames.flip(-1)
        boxes = torch.stack([frames.shape[-1] - boxes[:, 2], boxes[:, 1], frames.shape[-1] - boxes[:, 0], boxes[:, 3]])
        boxes = boxes.T.contiguous()
    return replace(clip, frames=frames, boxes=boxes, keyframe=keyframe)


def pad_clips(clips: Sequence[KeyframeClip], device: torch.device | str = "cpu") -> Tensor:
    """Clips of different sizes as one batch, black at the right and the bottom, so that boxes stay where they are.

    Returns:
        ``(N, 3, T, H, W)`` float32 in [0, 1], H and W those of the largest.
    """
    height, width = (max(clip.frames.shape[axis] for clip in clips) for axis in (2, 3))
    first = clips[0].frames
    batch = torch.zeros(len(clips), len(first), 3, height, width, dtype=torch.uint8)
    for place, clip in zip(batch, clips, strict=True):
        place[:, :, : clip.frames.shape[2], : clip.frames.shape[3]] = clip.frames
    return to_clip_batch(batch, device)


def _crop(
    frames: Tensor, boxes: Tensor, side: int, place: tuple[float, float, float]
) -> tuple[Tensor, Tensor, NDArray[np.bool_]]:
    room = frames.shape[2] - side, frames.shape[3] - side
    top, left = (int(share * (free + 1)) for share, free in zip(place[:2], room, strict=True))
    moved = _inside(boxes, top, left, side)
    if not _has_area(moved).any():
        middle = boxes[int(place[2] * len(boxes))].view(2, 2).mean(dim=0)
        left, top = (
            min(max(round(float(at) - side / 2), 0), free) for at, free in zip(middle, room[::-1], strict=True)
        )
        moved = _inside(boxes, top, left, side)
    stay = _has_area(moved)
    return frames[:, :, top : top + side, left : left + side], moved[stay], stay.numpy()


def _inside(boxes: Tensor, top: int, left: int, side: int) -> Tensor:
    return (boxes - torch.tensor([left, top, left, top])).clamp(0, side)


def _has_area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


def _some(keyframe: Keyframe, stay: NDArray[np.bool_]) -> Keyframe:
    kept = tuple(own for own, here in zip(keyframe.actions, stay, strict=True) if here)
    return keyframe._replace(boxes=keyframe.boxes[stay], actions=kept)
