"""A sprite on its way through a video: laid over pictures, its cover, its flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.looks import Cutout
from fima.data.shapes.motions import path_at
from fima.data.shapes.paint import Sprite, paint, paint_flow
from fima.data.shapes.waves import Waves

__all__ = ["Mover"]

_Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Mover:
    """A sprite on its way.

    Attributes:
        sprite: what it looks like.
        path: ``(T, 4)`` of x, y, angle, scale on the screen, the camera's motion in it.
        waves: that bend it, in shares of the side from its center at scale 1; None: it is stiff.
        frozen: the frame whose shape it keeps; None: it goes on bending.
        shadow: how dark a shadow it casts (natural looks); 0 for none.
    """

    sprite: Sprite
    path: _Array
    waves: Waves | None = None
    frozen: int | None = None
    shadow: float = 0.0

    def lay(self, picture: NDArray[np.float32], times: _Array | NDArray[np.int64]) -> None:
        """Lays it over pictures ``(T, H, W, 3)`` in place, its shadow first if it is natural."""
        path = path_at(self.path, times)
        if not isinstance(self.sprite, Cutout):
            paint(picture, self.sprite, path, bend=self._bend(times))
            return
        for frame, place, age in zip(picture, path, self._ages(times), strict=True):
            self.sprite.lay(frame, place, self.shadow, self.waves, age)

    def cover(self, indices: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
        """``(T, size, size)``: where it covers at least half of the pixel."""
        cover = np.zeros((len(indices), size, size, 1), np.float32)
        paint(cover, self.sprite, self.path[indices], cover_only=True, bend=self._bend(indices))
        return cover[..., 0] >= 0.5

    def lay_flow(self, flow: NDArray[np.float32], now: NDArray[np.int64], after: NDArray[np.int64]) -> None:
        """Writes its own motion into ``(T, H, W, 2)``, pixels, where it covers at least half of one."""
        bends = None if self.waves is None else (self.waves, self._ages(now), self._ages(after))
        paint_flow(flow, self.sprite, self.path[now], self.path[after], bends)

    def _ages(self, times: _Array | NDArray[np.int64]) -> _Array:
        return np.full(len(times), times if self.frozen is None else self.frozen, np.float64)

    def _bend(self, times: _Array | NDArray[np.int64]) -> tuple[Waves, _Array] | None:
        return None if self.waves is None else (self.waves, self._ages(times))
