"""A world as a data set: videos that are drawn when they are read, so nothing has to be on disk."""

from __future__ import annotations

import operator
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.records import VideoDataset, VideoRecord
from fima.data.shapes.motions import MOTIONS
from fima.data.shapes.render import ShapesVideo, draw_video, label_and_pattern
from fima.data.shapes.world import ShapesWorld, world_from_text
from fima.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["SPLITS", "ShapesReader", "ShapesRecord", "open_shapes"]

SPLITS = {"train": 1500, "val": 500, "test": 500}
"""Splits and how many videos each has unless told; their videos are drawn from seeds of their own."""

_SCHEME = "shapes:"
_CACHE_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class ShapesRecord(VideoRecord):
    """A video of a world.

    Attributes:
        world: its settings.
        seed: of the video.
        pattern: id of its background.
    """

    world: ShapesWorld = field(default_factory=ShapesWorld)
    seed: tuple[int, ...] = (0,)
    pattern: int = 0

    def draw(self) -> ShapesVideo:
        """The video with its truth."""
        return _drawn(self.world, self.seed)


@lru_cache(maxsize=8)
def _drawn(world: ShapesWorld, seed: tuple[int, ...]) -> ShapesVideo:
    return draw_video(world, *seed)


def open_shapes(text: str, *, split: str | None = None) -> VideoDataset:
    """The data set that ``shapes:REGIME[,KNOB=VALUE…]`` names.

    Args:
        text: a regime of `fima.data.shapes.REGIMES`, then ``videos=N`` (of the split), ``seed=S`` and knobs of
            `ShapesWorld`, ranges as ``LOW-HIGH``: ``shapes:camera,videos=600,shake=0.03,radius=0.1-0.15``.
        split: "train" (if None), "val" or "test".

    Raises:
        InputError: if the text or the split is not understood.
    """
    regime, *parts = text[len(_SCHEME) :].split(",")
    knobs = {}
    for part in parts:
        name, mark, value = part.partition("=")
        if not mark:
            raise InputError(f"shapes: expected KNOB=VALUE after the comma, got {part!r}")
        knobs[name.strip()] = value.strip()
    split = split or "train"
    if split not in SPLITS:
        raise InputError(f"{text}: the split must be one of {', '.join(SPLITS)}, got {split!r}")
    videos = _whole("videos", knobs.pop("videos", SPLITS[split]), 1)
    seed = _whole("seed", knobs.pop("seed", 0), 0)
    world = world_from_text(regime, knobs)
    number = list(SPLITS).index(split)
    records = tuple(_record(world, (seed, number, index), regime, split) for index in range(videos))
    return VideoDataset(records, MOTIONS, Path(text), "shapes")


def _record(world: ShapesWorld, seed: tuple[int, int, int], regime: str, split: str) -> ShapesRecord:
    label, pattern = label_and_pattern(np.random.default_rng(seed), world)
    name = f"{split}/{seed[-1]:05d}"
    return ShapesRecord(
        Path(f"{_SCHEME}{regime}/{name}"), name, label, MOTIONS[label], world=world, seed=seed, pattern=pattern
    )


def _whole(name: str, text: str | int, lowest: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = lowest - 1
    if value < lowest:
        raise InputError(f"shapes: {name} must be a whole number of at least {lowest}, got {text!r}")
    return value


class ShapesReader:
    """The frames of a drawn video, by index; the interface is `fima.data.readers.file.VideoReader`'s.

    Frames are kept in memory once drawn, up to 2 GiB in a process, so that an epoch after the first only copies.

    Args:
        record: the video.

    Attributes:
        path: as messages name it.
        fps: frames per second.
        height, width: in pixels.
    """

    codec = "shapes"

    def __init__(self, record: ShapesRecord) -> None:
        self.record, self.path, self.fps = record, record.path, record.world.fps
        self.height = self.width = record.world.size

    def __len__(self) -> int:
        return self.record.world.num_frames

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def duration_seconds(self) -> float:
        """How long the video plays, in seconds."""
        return len(self) / self.fps

    def masks(self, indices: Sequence[int]) -> NDArray[np.bool_]:
        """``(T, H, W)``: where the object is."""
        return self.record.draw().masks(np.asarray(indices))

    def background(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """``(T, H, W, 3)`` uint8: the frames without anything that moves by itself."""
        return self.record.draw().background(np.asarray(indices))

    def frames(
        self,
        indices: Sequence[int] | NDArray[np.integer[Any]],
        *,
        short_side: int | None = None,
        allocate: Callable[[tuple[int, ...]], NDArray[np.uint8]] | None = None,
    ) -> torch.Tensor:
        """The frames with these indices.

        Args:
            indices: in any order, repeats allowed, each in ``[0, len(reader))``.
            short_side: height and width to scale to, with the scaler of `VideoReader.frames`.
            allocate: gives the memory to write into, as for `VideoReader.frames`.

        Returns:
            ``(T, 3, H, W)`` uint8 RGB, channels last in memory.

        Raises:
            IndexError: if an index is outside the video.
            InputError: if ``short_side`` is less than 1.
        """
        import torch

        wanted = [operator.index(i) for i in indices]
        for index in wanted:
            if not 0 <= index < len(self):
                raise IndexError(f"{self.path}: frame {index} is outside this video of {len(self)} frames")
        pictures = _CACHE.frames(self.record)
        side = self.height if short_side is None else short_side
        if side < 1:
            raise InputError(f"short_side must be at least 1, got {short_side}")
        shape = (len(wanted), side, side, 3)
        out = np.empty(shape, np.uint8) if allocate is None else allocate(shape)
        if side == self.height:
            np.take(pictures, wanted, axis=0, out=out)
        else:
            _scale(pictures, wanted, out)
        return torch.from_numpy(out).permute(0, 3, 1, 2)


def _scale(pictures: NDArray[np.uint8], wanted: list[int], out: NDArray[np.uint8]) -> None:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

    from fima.data.readers.orientation import rgb_pixels

    reformatter, done = VideoReformatter(), dict[int, int]()
    for place, index in enumerate(wanted):
        if index in done:
            out[place] = out[done[index]]
            continue
        frame = VideoFrame.from_ndarray(pictures[index], format="rgb24")
        out[place] = rgb_pixels(reformatter.reformat(frame, out.shape[2], out.shape[1], "rgb24", threads=1))
        done[index] = place


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
