"""Backgrounds and the shapes that lie on them: colors as functions of place."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PATTERNS", "Sprite", "background"]

_Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Place:
    """Where a pattern is asked for: ``u`` and ``v`` grow by 2π in a period; the draws are of the video."""

    u: _Array
    v: _Array
    sharp: float
    draws: _Array

    def edge(self, wave: _Array) -> _Array:
        """A wave with flanks as steep as this video has them."""
        return np.asarray(np.tanh(self.sharp * wave))


def _stripes(p: _Place) -> _Array:
    return p.edge(np.sin(p.u))


def _checks(p: _Place) -> _Array:
    return p.edge(1.6 * np.sin(p.u / 1.4) * np.sin(p.v / 1.4))


def _dots(p: _Place) -> _Array:
    return p.edge(np.cos(p.u) + np.cos(p.v) - 0.5 - 0.6 * p.draws[0])


def _rings(p: _Place) -> _Array:
    far = 6 * math.pi * (p.draws[:2] - 0.5)
    middle_u, middle_v = p.u.mean(), p.v.mean()
    return p.edge(np.sin(np.hypot(p.u - middle_u - far[0], p.v - middle_v - far[1])))


def _plaid(p: _Place) -> _Array:
    return 0.5 * p.edge(np.sin(p.u)) + 0.5 * p.edge(np.sin(p.v * (0.7 + 0.8 * p.draws[0])))


def _waves(p: _Place) -> _Array:
    return p.edge(np.sin(p.u + (0.8 + p.draws[0]) * np.sin(0.6 * p.v)))


def _cells(p: _Place) -> _Array:
    return p.edge(np.abs(np.sin(p.u / 2) * np.sin(p.v / 2)) + np.abs(np.sin((p.u + p.v) / 3)) - 0.9)


def _bricks(p: _Place) -> _Array:
    row = np.floor(p.v / math.pi)
    return p.edge(3 * np.minimum(np.abs(np.sin(p.v)), np.abs(np.sin(p.u / 2 + row * math.pi / 2))) - 0.8)


def _chevrons(p: _Place) -> _Array:
    return p.edge(np.sin(p.u + 2.2 * np.arcsin(np.sin(0.7 * p.v))))


def _clouds(p: _Place) -> _Array:
    fineness, heading = 0.25 + 0.65 * p.draws[:5], 2 * math.pi * p.draws[5:]
    ways = zip(fineness * np.cos(heading), fineness * np.sin(heading), heading * 7, strict=True)
    return np.clip(sum((np.sin(a * p.u + b * p.v + c) for a, b, c in ways), np.zeros(1)) / 2.2, -1, 1)


_PATTERNS: dict[str, Callable[[_Place], _Array]] = {
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "rings": _rings,
    "plaid": _plaid,
    "waves": _waves,
    "cells": _cells,
    "bricks": _bricks,
    "chevrons": _chevrons,
    "clouds": _clouds,
}
PATTERNS = tuple(_PATTERNS)
"""Of backgrounds, by id; as many as there are motion classes."""


def background(rng: np.random.Generator, pattern: int, height: int, width: int, pixels_per_side: float) -> _Array:
    """``(H, W, 3)`` float32 in [0, 1]: a pattern whose two or three colors, fineness, direction and place are drawn.

    Args:
        rng: of the video.
        pattern: an index into `PATTERNS`.
        height: of the canvas, pixels.
        width: likewise.
        pixels_per_side: pixels that count as one side of the picture.
    """
    rows = ((np.arange(height) + 0.5) / pixels_per_side).astype(np.float32)[:, None]
    columns = ((np.arange(width) + 0.5) / pixels_per_side).astype(np.float32)[None, :]
    angle, periods = rng.uniform(0, 2 * math.pi), math.exp(rng.uniform(math.log(2.5), math.log(9)))
    phase, sharp, draws = rng.uniform(0, 2 * math.pi, 3), rng.uniform(1.5, 5), rng.random(10)
    u = 2 * math.pi * periods * (columns * math.cos(angle) + rows * math.sin(angle)) + phase[0]
    v = 2 * math.pi * periods * (rows * math.cos(angle) - columns * math.sin(angle)) + phase[1]
    mix = _PATTERNS[PATTERNS[pattern]](_Place(u, v, sharp, draws))
    colors = _palette(rng)
    share = 0.5 + 0.5 * np.clip(mix, -1, 1)
    shade = 0.5 + 0.5 * np.sin(u / periods * rng.uniform(0.3, 0.9) + v / periods * rng.uniform(0.3, 0.9) + phase[2])
    picture = colors[0] + (colors[1] - colors[0]) * share[..., None]
    return np.asarray(picture + (colors[2] - picture) * 0.35 * shade[..., None], np.float32)


def _palette(rng: np.random.Generator) -> list[_Array]:
    hue, dark, light = rng.random(), rng.uniform(0.12, 0.45), rng.uniform(0.55, 0.95)
    near, far = hue + rng.uniform(-0.12, 0.12), hue + rng.uniform(0.25, 0.75)
    saturation = rng.uniform(0.15, 0.85, 3)
    return [
        _rgb(hue, saturation[0], dark),
        _rgb(near, saturation[1], light),
        _rgb(far, saturation[2], rng.uniform(0.3, 0.8)),
    ]


def _rgb(hue: float, saturation: float, value: float) -> _Array:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32)


@dataclass(frozen=True)
class Sprite:
    """A rounded shape with a texture that turns and grows with it.

    Attributes:
        radius: at scale 1, in shares of the side.
        lobes, depth: how many, and how deep the dents between them are.
        stretch: of one axis over the other.
        kind: of texture: 0 stripes, 1 rings, 2 checks, 3 sectors.
        fineness: periods of it from the center to the edge.
        colors: three.
    """

    radius: float
    lobes: int
    depth: float
    stretch: float
    kind: int
    fineness: float
    colors: tuple[_Array, _Array, _Array]

    @classmethod
    def draw(cls, rng: np.random.Generator, radius: tuple[float, float]) -> Sprite:
        """A shape of its own, its colors bright."""
        lobes = int(rng.integers(2, 6))
        hue = rng.random()
        return cls(
            float(rng.uniform(*radius)),
            lobes,
            float(rng.uniform(0.04, 0.2)),
            float(rng.uniform(0.8, 1.25)),
            int(rng.integers(4)),
            float(rng.uniform(1.0, 2.2)),
            (_rgb(hue, 0.8, 1.0), _rgb(hue + rng.uniform(0.08, 0.5), 0.85, 0.55), _rgb(hue, 0.1, 1.0)),
        )

    @property
    def reach(self) -> float:
        """Greatest distance of a point from the center at scale 1, in shares of the side."""
        return self.radius * max(self.stretch, 1 / self.stretch)

    def render(self, dx: _Array, dy: _Array, pixel: float) -> tuple[_Array, _Array]:
        """Colors ``(..., 3)`` and cover ``(...)`` in [0, 1] at places in its own coordinates.

        Args:
            dx: to the right of the center, in its own frame at scale 1, shares of the side.
            dy: below it.
            pixel: width of a pixel there, over which the edge is soft.
        """
        x, y = dx / self.stretch, dy * self.stretch
        distance, direction = np.hypot(x, y), np.arctan2(y, x)
        edge = self.radius * (1 - self.depth * (1 - np.cos(self.lobes * direction)))
        cover = np.clip((edge - distance) / pixel + 0.5, 0, 1)
        inside = distance / self.radius
        turn = 2 * math.pi * self.fineness
        wave = {
            0: lambda: np.sin(turn * x / self.radius + 0.6),
            1: lambda: np.cos(turn * inside),
            2: lambda: 1.5 * np.sin(turn * x / self.radius) * np.sin(turn * y / self.radius + 0.5),
            3: lambda: np.sin(self.lobes * direction + 1.0) * np.clip(4 * inside, 0, 1),
        }[self.kind]()
        base, dark, light = self.colors
        share = 0.5 + 0.5 * np.tanh(3 * wave)
        body = dark + (base - dark) * share[..., None]
        # A bright spot off the center: without it, some textures look alike when they are turned.
        spot = np.clip((0.3 - np.hypot(x / self.radius - 0.35, y / self.radius)) / 0.12, 0, 1)
        return (body + (light - body) * spot[..., None]).astype(np.float32), cover.astype(np.float32)
