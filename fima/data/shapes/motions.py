"""The motion classes: where an object is, how it is turned and how large it is at every frame.

No single frame tells the class. Every class moves some of four quantities (x, y, size, angle); the others rest at a
value drawn from what the moving ones take over time, so that one moment looks alike in all classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.world import ShapesWorld

__all__ = ["MOTIONS", "camera_path", "class_path", "drift_path", "path_at", "schedule", "tilt_of", "zoom_path"]

MOTIONS = (
    "horizontal",
    "vertical",
    "falling diagonal",
    "rising diagonal",
    "clockwise",
    "counter-clockwise",
    "looming",
    "figure eight",
    "zig-zag",
    "spinning",
)
"""By label. All but the last two come back to where they were once a period; zig-zag crosses its way once in three."""

_GROWTH = 1.3
_GREATEST_SHEAR = 1.0
_Path = NDArray[np.floating[Any]]


def schedule(rng: np.random.Generator, label: int, world: ShapesWorld) -> NDArray[np.int64]:
    """Which motion is on at every frame, ``(T,)``: the label's alone, or segments of which its is the longest."""
    times = np.full(world.num_frames, label)
    if world.segments == 1:
        return times
    # The label's segment has 1.25 to 1.75 times the length of the others.
    lengths = np.ones(world.segments)
    longest = int(rng.integers(world.segments))
    lengths[longest] = rng.uniform(1.25, 1.75)
    ends = np.rint(np.cumsum(lengths) / lengths.sum() * world.num_frames).astype(int)
    begin, last = 0, -1
    for number, end in enumerate(ends):
        motion = label
        if number != longest:
            others = [m for m in range(len(MOTIONS)) if m not in (label, last)]
            motion = int(rng.choice(others))
        times[begin:end] = motion
        begin, last = int(end), motion
    return times


def class_path(rng: np.random.Generator, motions: NDArray[np.int64], radius: float, world: ShapesWorld) -> _Path:
    """``(T, 4)``: x, y in shares of the side, angle in radians, scale, of an object with these motions.

    Where the motion changes, the two ways are blended into each other over about six frames.
    """
    amplitude = rng.uniform(*world.amplitude)
    margin = min(amplitude + 0.8 * radius, 0.45)
    center = rng.uniform(margin, 1 - margin, 2)
    rest = rng.uniform(0, 2 * math.pi, 4)
    parts = {int(motion): _moves(rng, int(motion), rest, len(motions), world) for motion in np.unique(motions)}
    path = np.zeros((len(motions), 4))
    turns = np.zeros(len(motions))
    for motion, moves in parts.items():
        weight = _smooth(motions == motion)
        path += weight[:, None] * moves
        turns += weight * np.diff(moves[:, 2], prepend=moves[:1, 2])
    path[:, 2] = rest[3] + np.cumsum(turns)
    path[:, :2] = center + amplitude * path[:, :2]
    path[:, 3] = _GROWTH ** path[:, 3]
    return path


def _smooth(on: NDArray[np.bool_]) -> _Path:
    padded = np.pad(on.astype(float), 3, mode="edge")
    return np.convolve(padded, np.full(7, 1 / 7), "valid")


def _moves(rng: np.random.Generator, motion: int, rest: _Path, length: int, world: ShapesWorld) -> _Path:
    """``(length, 4)``: x, y, angle, exponent of the size; x, y and the exponent within [-1, 1]."""
    time = np.arange(length) * (2 * math.pi / rng.uniform(*world.period))
    phase = time + rng.uniform(0, 2 * math.pi)
    x, y, size = (np.full(length, math.sin(rest[i])) for i in range(3))
    angle = np.zeros(length)
    name = MOTIONS[motion]
    if name == "horizontal":
        x = np.sin(phase)
    elif name == "vertical":
        y = np.sin(phase)
    elif name == "falling diagonal":
        x, y = np.sin(phase), np.sin(phase)
    elif name == "rising diagonal":
        x, y = np.sin(phase), -np.sin(phase)
    elif name == "clockwise":  # as seen on the screen: y points down
        x, y = np.cos(phase), np.sin(phase)
    elif name == "counter-clockwise":
        x, y = np.cos(phase), -np.sin(phase)
    elif name == "looming":
        size = np.sin(phase)
    elif name == "figure eight":
        x, y = np.sin(phase), np.sin(2 * phase + rng.choice([0.0, math.pi]))
    elif name == "zig-zag":
        x, y = _triangle(phase / 3), _triangle(phase)
        if rng.random() < 0.5:
            x, y = y, x
    else:
        angle = rng.choice([-1.0, 1.0]) * time
    return np.stack([x, y, angle, size], axis=1)


def _triangle(phase: _Path) -> _Path:
    return np.asarray(2 / math.pi * np.arcsin(np.sin(phase)))


def drift_path(rng: np.random.Generator, num_frames: int) -> _Path:
    """``(T, 4)`` of a distractor: a straight line with a slow bend that never comes back; no class has it."""
    time = np.arange(num_frames) - rng.uniform(0, num_frames)
    heading = rng.uniform(0, 2 * math.pi) + rng.uniform(-0.02, 0.02) * time
    speed = rng.uniform(0.006, 0.02)
    steps = speed * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    way = np.cumsum(steps, axis=0)
    place = rng.uniform(0, 1, 2) - way[int(rng.integers(num_frames))]
    angle = rng.uniform(0, 2 * math.pi) + rng.uniform(-0.08, 0.08) * time
    return np.concatenate([way + place, angle[:, None], np.ones((num_frames, 1))], axis=1)


def camera_path(rng: np.random.Generator, num_frames: int, world: ShapesWorld) -> tuple[_Path, _Path]:
    """A steady pan, and a trembling with a memory of about two frames.

    Returns:
        How far each moves the picture's content to the right and down, ``(T, 2)``, in shares of the side.
    """
    direction, speed = rng.uniform(0, 2 * math.pi), world.pan * rng.uniform(world.slowest, 1)
    pan = speed * np.arange(num_frames)[:, None] * np.array([math.cos(direction), math.sin(direction)])
    shocks = rng.standard_normal((num_frames + 7, 2))
    kernel = 0.6 ** np.arange(8)
    smooth = np.stack([np.convolve(shocks[:, i], kernel, "valid") for i in range(2)], axis=1)
    return pan, world.shake * smooth / np.sqrt((kernel**2).sum())


def zoom_path(rng: np.random.Generator, num_frames: int, world: ShapesWorld) -> _Path:
    """How large the background is seen, ``(T,)``, 1 in the middle of the video: it grows or shrinks steadily."""
    if not world.zoom:
        return np.ones(num_frames)
    speed = world.zoom * rng.uniform(-1, 1)
    return np.asarray((1 + speed) ** (np.arange(num_frames) - (num_frames - 1) / 2))


def tilt_of(rng: np.random.Generator, pan: _Path, world: ShapesWorld) -> _Path:
    """By what share the background moves more quickly a side to the right and a side down, ``(2,)``.

    Across the camera's way, as the ground's depth changes below a horizon that the camera moves along; less where it
    goes far, since a flat picture of a ground is sheared the more, the farther from its middle it is seen.
    """
    way = pan[-1] - pan[0]
    length = float(np.hypot(*way))
    if not world.tilt or not length:
        return np.zeros(2)
    most = min(world.tilt, 2 * _GREATEST_SHEAR / length)
    return np.asarray(np.array([-way[1], way[0]]) / length * most * rng.uniform(-1, 1))


def path_at(path: _Path, times: _Path | NDArray[np.int64]) -> _Path:
    """A path at times between its frames, ``(len(times), …)``."""
    if np.issubdtype(times.dtype, np.integer):
        return path[times]
    before = np.minimum(np.floor(times).astype(int), max(len(path) - 2, 0))
    after = np.minimum(before + 1, len(path) - 1)
    return np.asarray(path[before] + (times - before)[:, None] * (path[after] - path[before]))
