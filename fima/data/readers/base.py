"""What every reader of frames shares: how frames are asked for, checked, scaled and handed over."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from fima.data.readers.orientation import rgb_pixels
from fima.errors import InputError

__all__ = ["Allocate", "FrameReader", "scaled_size", "write_scaled"]

Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]
"""Gives the memory of a shape ``(T, H, W, 3)`` to write frames into."""


def scaled_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width whose shorter side is ``short_side``; the longer keeps the aspect, rounded, halves up.

    Raises:
        InputError: if ``short_side`` is less than 1.
    """
    if short_side is None:
        return height, width
    if short_side < 1:
        raise InputError(f"short_side must be at least 1, got {short_side}")
    short, long = sorted((height, width))
    other = (2 * long * short_side + short) // (2 * short)
    return (short_side, other) if height <= width else (other, short_side)


class FrameReader(ABC):
    """Frames of one video by index. Use it as a context manager, or call `close`. One reader is for one thread.

    A subclass says how long and how large the video is, and writes its frames (`_write`).

    Attributes:
        path: what is read, as messages name it.
        fps: frames per second, the average over the video.
        codec: how the frames are stored.
    """

    path: Path
    fps: float
    codec: str

    @abstractmethod
    def __len__(self) -> int:
        """The number of frames."""

    @property
    @abstractmethod
    def height(self) -> int:
        """Of the frames as displayed, in pixels: a file's rotation is applied, its pixel aspect ratio is not."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Of the frames as displayed, in pixels."""

    @abstractmethod
    def _write(self, out: NDArray[np.uint8], places: dict[int, list[int]]) -> None:
        """Writes frames scaled to ``out``, ``(T, H, W, 3)``; ``places``: index → where it is wanted."""

    def _size(self, first: int) -> tuple[int, int]:
        """Height and width, by someone who is going to read frame ``first`` and none before it."""
        return self.height, self.width

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        size = f"{self.width}×{self.height}"
        return f"{type(self).__name__}({str(self.path)!r}, {len(self)} frames, {size}, {self.fps:.3g} fps)"

    @property
    def duration_seconds(self) -> float:
        """How long the video plays, in seconds."""
        return len(self) / self.fps

    @property
    def seconds(self) -> NDArray[np.float64]:
        """When each frame is shown, ``(len(reader),)`` ascending seconds from the first; not evenly in many files."""
        return np.arange(len(self)) / self.fps

    @property
    def concealed(self) -> Collection[int]:
        """Indices of frames that the decoder had to make up where a file is damaged, known of all that were read."""
        return ()

    def close(self) -> None:  # noqa: B027 -- what holds nothing open has nothing to do
        """Ends reading; does nothing the second time."""

    def frames(
        self,
        indices: Sequence[int] | NDArray[np.integer[Any]],
        *,
        short_side: int | None = None,
        allocate: Allocate | None = None,
    ) -> torch.Tensor:
        """Reads the frames with these indices, each once.

        Args:
            indices: in any order, repeats allowed, each in ``[0, len(reader))``.
            short_side: scale so that the shorter side has this many pixels (swscale, bilinear with its support widened
                when shrinking), as `scaled_size` says.
            allocate: gives the memory to write into: called once, with the shape ``(T, H, W, 3)``, it returns such a
                uint8 array. None: new memory, which for many frames may take as long to get as to fill.

        Returns:
            ``(T, 3, H, W)`` uint8 RGB, one frame per index, in the order asked. A view with the channels last in memory
            (as decoded, not copied again); ``.contiguous()`` if the layout matters.

        Raises:
            IndexError: if an index is outside the video.
            InputError: if ``short_side`` is less than 1.
            VideoError: if one of these frames cannot be read, or the reader is closed.
        """
        places: dict[int, list[int]] = {}
        for place, index in enumerate(map(operator.index, indices)):
            if not 0 <= index < len(self):
                raise IndexError(f"{self.path}: frame {index} is outside this video of {len(self)} frames")
            places.setdefault(index, []).append(place)
        shape = (len(indices), *scaled_size(*self._size(min(places, default=0)), short_side), 3)
        out = np.empty(shape, np.uint8) if allocate is None else allocate(shape)
        self._write(out, places)
        return torch.from_numpy(out).permute(0, 3, 1, 2)


def write_scaled(
    out: NDArray[np.uint8], places: dict[int, list[int]], picture: Callable[[int], NDArray[np.uint8]]
) -> None:
    """`FrameReader._write` for readers whose frames are arrays ``(H, W, 3)``."""
    reformatter, (height, width) = VideoReformatter(), out.shape[1:3]
    for index, where in places.items():
        pixels = picture(index)
        if pixels.shape[:2] != (height, width):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            pixels = rgb_pixels(reformatter.reformat(frame, width, height, "rgb24", threads=1))
        out[where] = pixels
