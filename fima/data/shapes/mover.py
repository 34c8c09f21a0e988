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
            paint(picture, self.sprite, path, waves=self.waves, times=self._wave_times(times))
            return
        for frame, place, time in zip(picture, path, self._wave_times(times), strict=True):
            self.sprite.lay(frame, place, self.shadow, self.waves, time)

    def cover(self, indices: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
        """``(T, size, size)``: where it covers at least half of the pixel."""
        cover = np.zeros((len(indices), size, size, 1), np.float32)
        paint(
            cover, self.sprite, self.path[indices], cover_only=True, waves=self.waves, times=self._wave_times(indices)
        )
        return cover[..., 0] >= 0.5

    def lay_flow(self, flow: NDArray[np.float32], now: NDArray[np.int64], after: NDArray[np.int64]) -> None:
        """Writes its own motion into ``(T, H, W, 2)``, pixels, where it covers at least half of one."""
        times = self._wave_times(now), self._wave_times(after)
        paint_flow(flow, self.sprite, self.path[now], self.path[after], self.waves, times)

    def _wave_times(self, times: _Array | NDArray[np.int64]) -> _Array:
        return np.asarray(times, np.float64) if self.frozen is None else np.full(len(times), float(self.frozen))
