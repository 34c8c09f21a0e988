"""Outlines of objects that no pattern draws: smooth closed lines of chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Outline"]

_Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Outline:
    """A smooth closed line around the center: its distance there by direction, 1 on average over the area."""

    heights: _Array
    phases: _Array
    stretch: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Outline:
        """A line with two to six waves around it."""
        orders = np.arange(2, 7)
        heights = rng.normal(0, 0.3, 5) / orders
        return cls(heights, rng.uniform(0, 2 * math.pi, 5), float(np.exp(rng.uniform(-0.4, 0.4))))

    @property
    def extent(self) -> float:
        """Greatest distance from the center to either side."""
        direction = np.linspace(0, 2 * math.pi, 128)
        line = self._distance(direction)
        return float(
            max(
                np.abs(line * np.cos(direction)).max() * self.stretch,
                np.abs(line * np.sin(direction)).max() / self.stretch,
            )
        )

    def inside(self, x: _Array, y: _Array) -> _Array:
        """How far places are inside the line, in the same unit; negative outside."""
        x, y = x / self.stretch, y * self.stretch
        return np.asarray(self._distance(np.arctan2(y, x)) - np.hypot(x, y))

    def _distance(self, direction: _Array) -> _Array:
        orders = np.arange(2, 7)
        waves = self.heights * np.cos(direction[..., None] * orders + self.phases)
        return np.asarray(np.maximum(1 + waves.sum(axis=-1), 0.35))
