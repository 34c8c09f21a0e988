"""A world as a data set: videos that are drawn when they are read, so nothing has to be on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from fima.data.datasets.records import VideoDataset, VideoRecord
from fima.data.shapes.looks import look_of
from fima.data.shapes.motions import MOTIONS
from fima.data.shapes.pool import open_pool
from fima.data.shapes.render import ShapesVideo, draw_video, label_and_pattern
from fima.data.shapes.textures import PATTERNS
from fima.data.shapes.world import ShapesWorld, world_from_text
from fima.errors import InputError

__all__ = ["SPLITS", "ShapesRecord", "open_shapes", "require_backgrounds"]

SPLITS = {"train": 1500, "val": 500, "test": 500}
"""Splits and how many videos each has unless told; their videos are drawn from seeds of their own."""

_SCHEME = "shapes:"


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


_MOST_VIDEOS = 10**6


def open_shapes(text: str, *, split: str | None = None) -> VideoDataset:
    """The data set that ``shapes:REGIME[,KNOB=VALUE…]`` names.

    Args:
        text: a regime of `fima.data.shapes.REGIMES`, then ``videos=N`` (of the split), ``seed=S`` and knobs of
            `ShapesWorld`, ranges as ``LOW-HIGH``: ``shapes:camera,videos=600,shake=0.03,radius=0.1-0.15``.
        split: "train" (if None), "val" or "test".

    Raises:
        InputError: if the text or the split is not understood, or natural looks cannot be read.
        FileNotFoundError: if the folder of natural looks is not there.
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
    if videos > _MOST_VIDEOS:
        raise InputError(f"shapes: videos must be at most {_MOST_VIDEOS}, got {videos:.4g}")
    seed = _whole("seed", knobs.pop("seed", 0), 0)
    world = world_from_text(regime, knobs)
    look_of(world)  # says now, and to no worker, that pictures are missing
    number = list(SPLITS).index(split)
    records = tuple(_record(world, (seed, number, index), regime, split) for index in range(videos))
    return VideoDataset(records, MOTIONS, Path(text), "shapes")


def require_backgrounds(data: VideoDataset, flag: str) -> None:
    """Refuse natural looks of so few pictures that ids of backgrounds share them: no probe could tell those apart.

    Args:
        data: as of `open_shapes`.
        flag: that names the world, for the message.

    Raises:
        InputError: for fewer pictures than ids.
    """
    world = next(record.world for record in data if isinstance(record, ShapesRecord))
    if world.look == "natural":
        found, needed = len(open_pool(world.textures, world.objects).pictures), len(PATTERNS)
        if found < needed:
            looks = f"textures={world.textures}" if world.textures else "natural looks as they come"
            raise InputError(
                f"{flag}: {looks}: {found} pictures (of a video, up to 8) stand for {needed} backgrounds, which are "
                f"probed; expected at least {needed}: natural,textures=DIR"
            )


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
