"""Reading videos of a drawn world: nothing is on disk, frames are drawn when they are asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fima.data.readers.base import FrameReader, write_scaled
from fima.data.shapes.dataset import ShapesRecord
from fima.data.shapes.world import ShapesWorld

__all__ = ["ShapesReader"]

_CACHE_BYTES = 2 * 1024**3


class ShapesReader(FrameReader):
    """The frames of a drawn video, by index.

    Frames are kept in memory once drawn, up to 2 GiB in a process, so that an epoch after the first only copies.

    Args:
        record: the video.
    """

    codec = "shapes"

    def __init__(self, record: ShapesRecord) -> None:
        self.record, self.path, self.fps = record, record.path, record.world.fps

    def __len__(self) -> int:
        return self.record.world.num_frames

    @property
    def height(self) -> int:
        """In pixels."""
        return self.record.world.size

    @property
    def width(self) -> int:
        """In pixels; the frames are square."""
        return self.record.world.size

    def masks(self, indices: Sequence[int]) -> NDArray[np.bool_]:
        """``(T, H, W)``: where the object is."""
        return self.record.draw().masks(np.asarray(indices))

    def copy_masks(self, indices: Sequence[int]) -> NDArray[np.bool_]:
        """``(T, H, W)``: where the object's copy at rest is seen (``still_copies=1``)."""
        return self.record.draw().copy_masks(np.asarray(indices))

    def background(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """``(T, H, W, 3)`` uint8: the frames without anything that moves by itself."""
        return self.record.draw().background(np.asarray(indices))

    def _write(self, out: NDArray[np.uint8], places: dict[int, list[int]]) -> None:
        write_scaled(out, places, _CACHE.frames(self.record).__getitem__)


class _FrameCache:
    """Whole videos, the ones used last, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held, self._lock = limit, 0, threading.Lock()
        self._videos: OrderedDict[tuple[ShapesWorld, tuple[int, ...]], NDArray[np.uint8]] = OrderedDict()

    def frames(self, record: ShapesRecord) -> NDArray[np.uint8]:
        """``(T, H, W, 3)``."""
        key = (record.world, record.seed)
        with self._lock:
            if key in self._videos:
                self._videos.move_to_end(key)
                return self._videos[key]
        drawn = record.draw().frames(np.arange(record.world.num_frames))
        with self._lock:
            if key not in self._videos:
                self._videos[key] = drawn
                self._held += drawn.nbytes
            while self._held > self._limit and len(self._videos) > 1:
                self._held -= self._videos.popitem(last=False)[1].nbytes
        return drawn


_CACHE = _FrameCache(_CACHE_BYTES)
