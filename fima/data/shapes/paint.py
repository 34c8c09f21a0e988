"""Laying sprites over pictures and over flow, only where they can be."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.waves import Waves

__all__ = ["Sprite", "paint", "paint_flow"]

_Array = NDArray[np.floating[Any]]


class Sprite(Protocol):
    """What can be laid over a picture.

    Attributes:
        radius: at scale 1, in shares of the side.
    """

    @property
    def radius(self) -> float:
        """See above."""

    @property
    def reach(self) -> float:
        """Greatest distance of a point from the center at scale 1, in shares of the side."""

    def render(self, dx: _Array, dy: _Array, pixel: float) -> tuple[_Array, _Array]:
        """Colors ``(..., 3)`` and cover ``(...)`` in [0, 1] at places in its own coordinates.

        Args:
            dx: to the right of the center, in its own frame at scale 1, shares of the side.
            dy: below it.
            pixel: width of a pixel there, over which the edge is soft.
        """


def paint(
    picture: NDArray[np.float32],
    sprite: Sprite,
    path: _Array,
    *,
    side: int | None = None,
    cover_only: bool = False,
    waves: Waves | None = None,
    times: _Array | None = None,
) -> None:
    """Lays a sprite over pictures ``(T, H, W, C)`` in place.

    Args:
        picture: the pictures.
        sprite: the sprite.
        path: ``(T, 4)``: its x, y, angle and scale in each.
        side: what lengths are shares of, in pixels; None: the pictures' height.
        cover_only: write its cover alone, into one channel.
        waves: that bend it; None: it is stiff.
        times: ``(T,)``: theirs.
    """
    side = picture.shape[1] if side is None else side
    place, dx, dy = _window(sprite, path, side, picture.shape[1:3], waves, times)
    colors, cover = sprite.render(dx, dy, 1 / side)
    if cover_only:
        picture[place] = np.maximum(picture[place], cover[..., None])
        return
    under = picture[place]
    picture[place] = under + (colors - under) * cover[..., None]


def paint_flow(
    flow: NDArray[np.float32],
    sprite: Sprite,
    now: _Array,
    after: _Array,
    waves: Waves | None,
    times: tuple[_Array, _Array],
) -> None:
    """Writes a sprite's own motion into ``(T, H, W, 2)`` where it covers at least half of a pixel.

    Args:
        flow: pixels to the right and down.
        sprite: the sprite.
        now: ``(T, 4)``: its x, y, angle and scale in each picture.
        after: the same a frame later.
        waves: that bend it; None: it is stiff.
        times: ``(T,)`` each: theirs now and a frame later.
    """
    side = flow.shape[1]
    place, dx, dy = _window(sprite, now, side, flow.shape[1:3], waves, times[0])
    _, cover = sprite.render(dx, dy, 1 / side)
    if waves is not None:
        for one, (x, y, time) in enumerate(zip(dx, dy, times[1], strict=True)):
            dx[one], dy[one] = waves.origin(x, y, float(time))
    scale, angle = after[:, 3, None, None], after[:, 2, None, None]
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    x = after[:, 0, None, None] + dx * cos - dy * sin
    y = after[:, 1, None, None] + dx * sin + dy * cos
    moved = np.stack([x * side - 0.5 - place[2], y * side - 0.5 - place[1]], axis=-1)
    flow[place] = np.where(cover[..., None] >= 0.5, moved, flow[place])


def _window(
    sprite: Sprite, path: _Array, side: int, shape: tuple[int, ...], waves: Waves | None, times: _Array | None
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], _Array, _Array]:
    """The pixels around a sprite in each frame, as an index, and which of its own places are seen there.

    Pixels beyond the picture's edge are replaced by copies of one at the edge, in all respects: writing one twice
    writes the same value.
    """
    more = waves.greatest if waves else 0.0
    half = math.ceil(side * (sprite.reach + more) * float(path[:, 3].max())) + 1
    height, width = shape
    span = np.arange(2 * half + 1) - half
    rows = np.clip(np.floor(path[:, 1] * side).astype(int)[:, None] + span, 0, height - 1)
    columns = np.clip(np.floor(path[:, 0] * side).astype(int)[:, None] + span, 0, width - 1)
    frames = np.arange(len(path))[:, None, None]
    x = ((columns + 0.5) / side - path[:, 0, None]).astype(np.float32)[:, None, :]
    y = ((rows + 0.5) / side - path[:, 1, None]).astype(np.float32)[:, :, None]
    cos = (np.cos(path[:, 2]) / path[:, 3]).astype(np.float32)[:, None, None]
    sin = (np.sin(path[:, 2]) / path[:, 3]).astype(np.float32)[:, None, None]
    dx, dy = x * cos + y * sin, y * cos - x * sin
    if waves is not None and times is not None:
        for one, time in enumerate(times):
            right, down = waves.displacement(dx[one], dy[one], float(time))
            dx[one] += right
            dy[one] += down
    return (frames, rows[:, :, None], columns[:, None, :]), dx, dy
