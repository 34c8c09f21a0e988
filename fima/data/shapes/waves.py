"""Displacement that goes through a surface in waves: water, leaves, and a body that bends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["STEEPEST", "Waves"]

_Array = NDArray[np.floating[Any]]
STEEPEST = 0.12
"""Greatest height of the waves, in shares of their length, at which every point still has a place of its own."""

_COUNT = 3
_ROUNDS = 25  # at the steepest, a point is then found to a thousandth of a wave's height


@dataclass(frozen=True, eq=False)
class Waves:
    """Plane waves that travel, everywhere or on one side of a soft line.

    Attributes:
        height: ``(K, 2)``: of each wave, to the right and down, in the unit of places.
        number: ``(K, 2)``: radians per unit to the right and down.
        speed: ``(K,)``: radians per frame.
        phase: ``(K,)``: radians.
        shore: ``(3,)``: direction of the line's normal times its steepness, and its place: waves are where
            ``x * shore[0] + y * shore[1] > shore[2]``, fading over about 1; None: everywhere.
    """

    height: NDArray[np.float32]
    number: NDArray[np.float32]
    speed: _Array
    phase: _Array
    shore: tuple[float, float, float] | None = None

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        steepness: float,
        lengths: tuple[float, float],
        periods: tuple[float, float],
        *,
        shore: bool = False,
    ) -> Waves:
        """Waves in directions of chance.

        Args:
            rng: of the video.
            steepness: their height together, in shares of their length, at most `STEEPEST`.
            lengths: range of a wave's length.
            periods: range of the frames that a wave takes to pass.
            shore: on one side of a line only, through the middle at most a quarter of a side away.
        """
        length, toward, heading = (
            rng.uniform(*lengths, _COUNT), rng.uniform(0, 2 * math.pi, _COUNT), rng.uniform(0, 2 * math.pi, _COUNT)
        )  # fmt: skip
        height = steepness / _COUNT * length[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        number = 2 * math.pi / length[:, None] * np.stack([np.cos(toward), np.sin(toward)], axis=1)
        speed, phase = 2 * math.pi / rng.uniform(*periods, _COUNT), rng.uniform(0, 2 * math.pi, _COUNT)
        line = None
        if shore:
            angle, steep = rng.uniform(0, 2 * math.pi), 8.0
            line = steep * math.cos(angle), steep * math.sin(angle), steep * float(rng.uniform(-0.25, 0.25))
        return cls(height.astype(np.float32), number.astype(np.float32), speed, phase, line)

    @property
    def greatest(self) -> float:
        """No point is displaced farther."""
        return float(np.hypot(*self.height.T).sum())

    def at(self, x: _Array, y: _Array, time: float) -> tuple[_Array, _Array]:
        """How far what is seen at these places is displaced to the right and down.

        Args:
            x: places, to the right.
            y: likewise, down; of shapes that broadcast.
            time: in frames.
        """
        right: _Array = np.zeros(1, np.float32)
        down: _Array = right
        for height, number, speed, phase in zip(self.height, self.number, self.speed, self.phase, strict=True):
            wave = np.sin(number[0] * x + (number[1] * y - np.float32((speed * time - phase) % (2 * math.pi))))
            right, down = right + height[0] * wave, down + height[1] * wave
        if self.shore is not None:
            across = np.float32(self.shore[0]) * x + (np.float32(self.shore[1]) * y - np.float32(self.shore[2]))
            share = 0.5 + 0.5 * np.tanh(across)
            right, down = right * share, down * share
        return right, down

    def origin(self, x: _Array, y: _Array, time: float) -> tuple[_Array, _Array]:
        """The inverse of ``x + dx, y + dy``: places at which these points of the surface are seen."""
        at_x, at_y = x, y
        for _ in range(_ROUNDS):
            right, down = self.at(at_x, at_y, time)
            at_x, at_y = x - right, y - down
        return at_x, at_y
