"""Objects of noise in noise: points that move together, and nothing else that could be seen.

Every point is carried to the pixel that it is in; pixels of the object that no point reaches get fresh noise, and of
several points in a pixel one is seen. So each pixel of each frame is noise of its own, whatever and wherever the object
is: a single frame tells nothing, only the points' common way does. The idea is SpookyBench's (arXiv 2505.24867).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.outline import Outline

__all__ = ["Swarm"]

_Array = NDArray[np.floating[Any]]
_DENSITY = 1.2  # points along a pixel's side, at scale 1: few pixels go without where the object is at its largest


@dataclass(frozen=True, eq=False)
class Swarm:
    """Points inside an outline.

    Attributes:
        radius: at scale 1, in shares of the side.
        outline: of the object, in radii.
        points: ``(P, 2)``: their x and y from its center, in shares of the side.
        colors: ``(P, 3)`` float32 in [0, 1].
    """

    radius: float
    outline: Outline
    points: _Array
    colors: NDArray[np.float32]

    @classmethod
    def draw(cls, rng: np.random.Generator, outline: Outline, radius: float, side: int) -> Swarm:
        """A point in every cell of a grid."""
        half = outline.extent * radius
        count = int(np.ceil(2 * half * side * _DENSITY))
        ticks = (np.arange(count) + 0.5) / count * 2 * half - half
        points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
        points = points[rng.permutation(len(points))]
        return cls(radius, outline, points, rng.random((len(points), 3), np.float32))

    @property
    def reach(self) -> float:
        """Greatest distance of a point from the center at scale 1, in shares of the side."""
        return self.outline.extent * self.radius * float(np.sqrt(2))

    def render(self, dx: _Array, dy: _Array, pixel: float) -> tuple[_Array, _Array]:
        """See `fima.data.shapes.paint.Sprite`; without colors, and all or nothing of a pixel."""
        cover = self.outline.inside(dx / self.radius, dy / self.radius) > 0
        return np.zeros((*dx.shape, 3), np.float32), cover.astype(np.float32)

    def scatter(self, frame: NDArray[np.float32], mask: NDArray[np.bool_], place: _Array, rng: Any) -> None:
        """Puts it into one picture ``(H, W, 3)`` in place.

        Args:
            frame: the picture, square.
            mask: ``(H, W)``, where it is.
            place: its x, y, angle and scale.
            rng: of the fresh noise.
        """
        side = len(frame)
        frame[mask] = rng.random((int(mask.sum()), 3), np.float32)
        x, y, angle, scale = place
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        columns, rows = np.floor((self.points @ turn.T + [x, y]) * side).astype(int).T
        here = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
        here[here] = mask[rows[here], columns[here]]
        frame[rows[here], columns[here]] = self.colors[here]
