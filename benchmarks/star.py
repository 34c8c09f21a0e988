"""Procedural videos whose truth is known: one textured shape moving over a still, textured background."""

from __future__ import annotations

import colorsys
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError

__all__ = ["MovingShape", "moving_shape"]

_RADIUS = 0.22  # of the short side
_Array = NDArray[np.floating[Any]]


class MovingShape(NamedTuple):
    """A video and where its object is.

    Attributes:
        frames: ``(T, 3, H, W)`` uint8 RGB.
        masks: ``(T, H, W)`` bool, True where the object covers at least half of the pixel.
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def moving_shape(seed: int = 0, *, num_frames: int = 64, height: int = 112, width: int = 112) -> MovingShape:
    """Draws a rounded star that hurries, slows down and turns over a still pattern of other colors.

    Nothing but the object moves: a pixel that it does not touch has the same value in every frame. Palette,
    orientation and fineness of both textures, the star and its path come from the seed.

    Args:
        seed: at least 0; the same seed gives the same video.
        num_frames: at least 1; the path is the same for any number, sampled more or less finely.
        height: in pixels, at least 16.
        width: in pixels, at least 16.

    Raises:
        InputError: if a value is out of its range.
    """
    for name, value, lowest in (
        ("seed", seed, 0),
        ("num_frames", num_frames, 1),
        ("height", height, 16),
        ("width", width, 16),
    ):
        if value < lowest:
            raise InputError(f"{name} must be at least {lowest}, got {value}")
    rng = np.random.default_rng(seed)
    hue = rng.random()
    background = _background(rng, hue, height, width)
    star = _Star.draw(rng, hue + rng.uniform(0.4, 0.6), _RADIUS * min(height, width))
    path = _path(rng, num_frames, height, width, star.radius)
    frames = np.empty((num_frames, 3, height, width), np.uint8)
    masks = np.empty((num_frames, height, width), np.bool_)
    for t, (x, y, angle) in enumerate(path):
        colors, cover = star.render(x, y, angle, height, width)
        picture = background * (1 - cover) + colors * cover
        frames[t] = np.rint(255 * picture).astype(np.uint8)
        masks[t] = cover >= 0.5
    return MovingShape(frames, masks)


def _background(rng: np.random.Generator, hue: float, height: int, width: int) -> _Array:
    """``(3, H, W)``: soft waves in two directions, in muted neighboring colors, darker towards the corners."""
    y, x = _grid(height, width)
    short = min(height, width)
    angle, periods = rng.uniform(0, math.pi), rng.uniform(4, 7)
    bend, phase = rng.uniform(0.1, 0.25), rng.uniform(0, 2 * math.pi, 3)
    along = (x * math.cos(angle) + y * math.sin(angle)) / short
    across = (y * math.cos(angle) - x * math.sin(angle)) / short
    wave = np.sin(2 * math.pi * (periods * along + bend * np.sin(2 * math.pi * across + phase[0])) + phase[1])
    fine = np.sin(2 * math.pi * 2.3 * periods * across + phase[2])
    mix = 0.5 + 0.32 * wave + 0.18 * fine * (0.5 + 0.5 * wave)
    dark, light = _color(hue, 0.5, 0.3), _color(hue + 0.08, 0.32, 0.68)
    corners = 1 - 0.35 * (((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) / 0.5)
    picture: _Array = (dark + (light - dark) * mix) * corners
    return picture


def _path(rng: np.random.Generator, num_frames: int, height: int, width: int, radius: float) -> _Array:
    """``(T, 3)`` of x, y, angle: a smooth curve inside the picture, run through at a changing speed."""
    time = np.arange(num_frames) / max(num_frames, 2)
    phase = rng.uniform(0, 2 * math.pi, 5)
    # The derivative goes from 0.2 to 1.8: slow and fast stretches, never backwards; 0.85 of the curve: no way twice.
    slow = 0.5 / (2 * math.pi) * np.sin(2 * math.pi * time + phase[0])
    quick = 0.3 / (6 * math.pi) * np.sin(6 * math.pi * time + phase[4])
    run = 0.85 * (time + slow + quick)
    room_x, room_y = (max(side / 2 - 1.15 * radius, 0) for side in (width, height))
    turns = (1, 2) if rng.random() < 0.5 else (2, 1)
    direction = 1 if rng.random() < 0.5 else -1
    x = width / 2 + 0.92 * room_x * np.sin(2 * math.pi * turns[0] * run + phase[1])
    y = height / 2 + 0.92 * room_y * np.sin(2 * math.pi * turns[1] * direction * run + phase[2])
    angle = 2 * math.pi * direction * run + phase[3]
    return np.stack([x, y, angle], axis=1)


class _Star(NamedTuple):
    """A rounded star with stripes around a bright core, in its own coordinates."""

    radius: float
    points: int
    depth: float
    stripes: float
    colors: tuple[_Array, _Array, _Array]

    @classmethod
    def draw(cls, rng: np.random.Generator, hue: float, radius: float) -> _Star:
        points, depth, stripes = int(rng.integers(4, 7)), rng.uniform(0.16, 0.24), rng.uniform(2.2, 3.2)
        return cls(
            radius,
            points,
            depth,
            stripes,
            (_color(hue, 0.78, 1.0), _color(hue - 0.1, 0.85, 0.68), _color(hue, 0.12, 1.0)),
        )

    def render(self, x: float, y: float, angle: float, height: int, width: int) -> tuple[_Array, _Array]:
        """Colors ``(3, H, W)`` and cover ``(H, W)`` in [0, 1], with an edge one pixel soft."""
        rows, columns = _grid(height, width)
        dy, dx = rows - y, columns - x
        distance, direction = np.hypot(dx, dy), np.arctan2(dy, dx) - angle
        edge = self.radius * (1 - self.depth * (1 - np.cos(self.points * direction)))
        cover = np.clip(edge - distance + 0.5, 0, 1)
        inside = distance / np.maximum(edge, 1e-9)
        stripe = 0.5 + 0.5 * np.tanh(
            4 * np.sin(2 * math.pi * self.stripes * distance * np.cos(direction) / self.radius)
        )
        core = np.clip((0.36 - inside) / 0.08, 0, 1)
        base, dark, light = self.colors
        body = dark + (base - dark) * stripe
        return (body + (light - body) * core) * (1 - 0.25 * np.clip(inside, 0, 1) ** 4), cover


def _grid(height: int, width: int) -> tuple[_Array, _Array]:
    """Pixel centers, ``(H, 1)`` and ``(1, W)``."""
    return np.arange(height)[:, None] + 0.5, np.arange(width)[None, :] + 0.5


def _color(hue: float, saturation: float, value: float) -> _Array:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))[:, None, None]
