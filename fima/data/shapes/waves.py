"""Displacement that goes through a surface in waves: water, leaves, and a body that bends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["STEEPEST", "Waves", "look_up"]

_Array = NDArray[np.floating[Any]]
STEEPEST = 0.12
"""Greatest height of the waves together, in shares of their length: points would cross at 1 / 2π, and `Waves.origin`
has to converge."""

_COUNT = 3
_ROUNDS = 25  # at the steepest, a point is then found to a thousandth of a wave's height


@dataclass(frozen=True, eq=False)
class Waves:
    """Plane waves that travel, everywhere or on one side of a soft line.

    Attributes:
        height: ``(K, 2)``: of each wave, to the right and down, in the unit of places.
        wavenumber: ``(K, 2)``: radians per unit to the right and down.
        speed: ``(K,)``: radians per frame.
        phase: ``(K,)``: radians.
        shore: ``(3,)``: direction of the line's normal times its steepness, and its place: waves are where
            ``x * shore[0] + y * shore[1] > shore[2]``, fading where the two differ by less than 1; None: everywhere.
    """

    height: NDArray[np.float32]
    wavenumber: NDArray[np.float32]
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
            shore: on one side of a line only, which passes the middle at most a quarter of a unit away.
        """
        length = rng.uniform(*lengths, _COUNT)
        travels, lifts = rng.uniform(0, 2 * math.pi, (2, _COUNT))
        height = steepness / _COUNT * length[:, None] * np.stack([np.cos(lifts), np.sin(lifts)], axis=1)
        wavenumber = 2 * math.pi / length[:, None] * np.stack([np.cos(travels), np.sin(travels)], axis=1)
        speed, phase = 2 * math.pi / rng.uniform(*periods, _COUNT), rng.uniform(0, 2 * math.pi, _COUNT)
        line = None
        if shore:
            angle, steep = rng.uniform(0, 2 * math.pi), 8.0
            line = steep * math.cos(angle), steep * math.sin(angle), steep * float(rng.uniform(-0.25, 0.25))
        return cls(height.astype(np.float32), wavenumber.astype(np.float32), speed, phase, line)

    @cached_property
    def greatest(self) -> float:
        """No point is displaced farther."""
        return float(np.hypot(*self.height.T).sum())

    def displacement(self, x: _Array, y: _Array, time: float) -> tuple[_Array, _Array]:
        """How far what is seen at these places is displaced to the right and down.

        Args:
            x: places, to the right.
            y: likewise, down; of shapes that broadcast.
            time: in frames.
        """
        right: _Array = np.zeros(1, np.float32)
        down: _Array = right
        for height, number, speed, phase in zip(self.height, self.wavenumber, self.speed, self.phase, strict=True):
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
            right, down = self.displacement(at_x, at_y, time)
            at_x, at_y = x - right, y - down
        return at_x, at_y


def look_up(
    source: NDArray[np.float32],
    where: _Array,
    size: tuple[int, int],
    border: int,
    waves: Waves | None,
    time: float,
    middle: _Array,
    unit: float,
) -> NDArray[np.float32]:
    """A picture seen through an affine map, and through waves if there are any.

    Args:
        source: ``(H, W, C)``.
        where: ``(2, 3)``: from the pixels that are seen, x, y and 1, to the source's.
        size: width and height of what is seen.
        border: OpenCV's constant for what lies beyond the source; transparent or mirrored.
        waves: that displace it; None: nothing does.
        time: theirs.
        middle: ``(2,)``: the source's pixel where the waves' places begin.
        unit: pixels of the source to one of the waves' unit.

    Returns:
        ``(height, width, C)``.
    """
    import cv2

    if waves is None:
        return np.asarray(
            cv2.warpAffine(source, where, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border)
        )
    columns, rows = np.arange(size[0])[None, :], np.arange(size[1])[:, None]
    x, y = (line[0] * columns + line[1] * rows + line[2] for line in where)
    place_x, place_y = (((at - start) / unit).astype(np.float32) for at, start in zip((x, y), middle, strict=True))
    moved = waves.displacement(place_x, place_y, time)
    x, y = ((at + unit * by).astype(np.float32) for at, by in zip((x, y), moved, strict=True))
    return np.asarray(cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=border))
