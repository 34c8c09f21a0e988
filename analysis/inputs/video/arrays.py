"""Clips that are in memory: arrays and tensors of any usual layout as videos that a study reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.inputs.video.videos import VideoList, VideoSource
from fima.data.readers.base import FrameReader, write_scaled
from fima.errors import InputError

__all__ = ["ArrayReader", "array_videos", "frames_of"]

_LAYOUTS = {"THWC": (0, 1, 2, 3), "CTHW": (1, 2, 3, 0), "TCHW": (0, 2, 3, 1)}
"""Name → axes of time, height, width and color."""


class ArrayReader(FrameReader):
    """Frames that are in memory.

    Args:
        frames: uint8 ``(T, H, W, 3)``.
        fps: frames per second, for times.
        name: for messages.
    """

    codec = "memory"

    def __init__(self, frames: NDArray[np.uint8], fps: float, name: str) -> None:
        self._frames, self.fps, self.path = frames, fps, Path(name)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self._frames.shape[1])

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self._frames.shape[2])

    def _write(self, out: NDArray[np.uint8], places: dict[int, list[int]]) -> None:
        write_scaled(out, places, self._frames.__getitem__)


@dataclass(frozen=True)
class _ArraySource(VideoSource):
    frames: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0, 0, 3), np.uint8), repr=False)
    fps: float = 25.0

    @property
    def drawn(self) -> bool:
        """No: nobody knows where its object is."""
        return False

    def open(self) -> ArrayReader:
        """Open for reading."""
        return ArrayReader(self.frames, self.fps, self.video_id)


def array_videos(clip: Any, *, layout: str | None = None, fps: float = 25.0) -> VideoList:
    """A clip in memory, or a batch of them, as the videos of a study.

    Args:
        clip: as of `frames_of`.
        layout: as of `frames_of`.
        fps: frames per second, for times.

    Raises:
        InputError: as `frames_of`.
    """
    batch = frames_of(clip, layout=layout)
    names = ["clip"] if len(batch) == 1 else [f"clip {number}" for number in range(len(batch))]
    return VideoList(
        [_ArraySource(name, None, frames=frames, fps=fps) for name, frames in zip(names, batch, strict=True)]
    )


def frames_of(clip: Any, *, layout: str | None = None) -> NDArray[np.uint8]:
    """A clip, or a batch of clips, of any usual layout.

    Args:
        clip: numpy array or tensor, on any device, of any strides: uint8, or floating point in [0, 1]; its axes are
            time, height, width and color (of size 3) in the order THWC, CTHW or TCHW, with or without one more axis in
            front, or a sequence of frames.
        layout: ``THWC``, ``CTHW`` or ``TCHW``, where the sizes do not tell.

    Returns:
        uint8 ``(N, T, H, W, 3)``.

    Raises:
        InputError: if the axes or the values cannot be understood.
    """
    array = _as_array(clip)
    if array.ndim not in (4, 5):
        raise InputError(f"clip must have 4 axes (THWC, CTHW or TCHW), or 5 with a batch, got {array.shape}")
    batch = array if array.ndim == 5 else array[None]
    axes = _LAYOUTS[_layout_of(batch.shape[1:], layout)]
    ordered = np.moveaxis(batch, [1 + axis for axis in axes], [1, 2, 3, 4])
    if 0 in ordered.shape:
        raise InputError(f"clip has no pixels: its shape is {array.shape}")
    return np.ascontiguousarray(_as_bytes(ordered))


def _as_array(clip: Any) -> NDArray[Any]:
    if isinstance(clip, Sequence) and clip:
        return np.stack([_as_array(frame) for frame in clip])
    if isinstance(clip, torch.Tensor):
        tensor = clip.detach().cpu()
        return np.asarray((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())
    return np.asarray(clip)


def _layout_of(shape: tuple[int, ...], layout: str | None) -> str:
    if layout is not None:
        if layout not in _LAYOUTS or shape[_LAYOUTS[layout][3]] != 3:
            raise InputError(f"layout must be one of {', '.join(_LAYOUTS)} with 3 colors, got {layout!r} for {shape}")
        return layout
    fitting = [name for name, axes in _LAYOUTS.items() if shape[axes[3]] == 3]
    if "THWC" in fitting and min(shape[1:3]) > 3:
        return "THWC"
    if len(fitting) != 1:
        what = "no axis of 3 colors" if not fitting else "several axes of size 3: say layout=" + " or ".join(fitting)
        raise InputError(f"clip {shape} has {what}; its axes must be THWC, CTHW or TCHW")
    return fitting[0]


def _as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"clip must be uint8, or floating point in [0, 1], got {values.dtype}")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # also where they are not numbers
        raise InputError(
            f"a floating point clip must be in [0, 1], got values from {low:.3g} to {high:.3g}; give the frames "
            "as they are before normalization"
        )
    return (values * 255).round().astype(np.uint8)
