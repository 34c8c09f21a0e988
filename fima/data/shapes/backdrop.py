"""What lies behind all that moves: a plane that a camera passes, level or tilted, at rest or flowing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.motions import path_at
from fima.data.shapes.waves import Waves, look_up

__all__ = ["Backdrop", "View", "margins"]

_Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class View:
    """How places on the plane are seen over time. Places are in shares of the side from the picture's middle.

    A camera that travels sideways past a plane whose inverse depth grows across its way sees an affine motion: what is
    nearer passes more quickly. Its trembling turns it, which moves near and far alike.

    Attributes:
        camera: ``(T, 3)``: how far the content is moved to the right and down, in shares of the side, and how large
            it is seen.
        travel: ``(T, 2)``: the part of the first two that is the camera's way, along one line.
        tilt: ``(2,)``: by what share of it content moves more quickly a side to the right and a side down; at right
            angles to that line.
    """

    camera: _Array
    travel: _Array
    tilt: _Array

    @property
    def at_rest(self) -> bool:
        """Whether every frame sees the same."""
        return not self.camera[:, :2].any() and bool((self.camera[:, 2] == 1).all())

    def at(self, times: _Array | NDArray[np.int64]) -> View:
        """The view at these times, frames or between them."""
        return View(path_at(self.camera, times), path_at(self.travel, times), self.tilt)

    def seen(self, places: _Array) -> _Array:
        """``(T, …, 2)``: where places ``(T or 1, …, 2)`` of the plane are seen."""
        way, travel, scale = self._aligned(places)
        return np.asarray(scale * places + way + travel * (places @ self.tilt)[..., None])

    def behind(self, seen: _Array) -> _Array:
        """``(T, …, 2)``: the places of the plane that are seen there; the inverse of `seen`."""
        way, travel, scale = self._aligned(seen)
        away = (seen - way) / scale
        return np.asarray(away - travel * ((away @ self.tilt)[..., None] / scale))

    def carried(self, path: _Array, nearer: float = 0.0) -> _Array:
        """How a path ``(T, 4)`` on the plane is seen: of its center; what is carried stands upright.

        Args:
            path: x, y, angle and scale.
            nearer: by what share of the camera's way it moves more quickly than the plane behind it.
        """
        found = path.copy()
        found[:, :2] = 0.5 + self.seen(path[:, :2] - 0.5)
        found[:, :2] += nearer * self.travel
        found[:, 3:] *= self.camera[:, 2:]
        return found

    def _aligned(self, places: _Array) -> tuple[_Array, _Array, _Array]:
        shape = (len(self.camera),) + (1,) * (places.ndim - 2)
        way, scale = self.camera[:, :2].reshape(*shape, 2), self.camera[:, 2].reshape(*shape, 1)
        return way, self.travel.reshape(*shape, 2), scale


def margins(view: View, size: int, more: float = 0.0) -> tuple[int, int]:
    """Pixels that a canvas has to reach beyond the picture to the sides, and above and below.

    Args:
        view: all that is seen of it.
        size: the picture's side in pixels.
        more: how far waves displace it at most, in shares of the side.
    """
    if view.at_rest and not more:
        return 0, 0
    corners = np.array([[[x, y] for x in (-0.5, 0.5) for y in (-0.5, 0.5)]])
    spans = np.abs(view.behind(corners)).max(axis=(0, 1)) - 0.5 + more
    sides, ends = (math.ceil(size * float(span)) + 2 for span in spans)  # two pixels to interpolate between
    return sides, ends


@dataclass(frozen=True, eq=False)
class Backdrop:
    """The plane and what is seen of it.

    Attributes:
        scenes: ``(Hc, Wc, 3)`` float32 in [0, 1] each: backgrounds with what rests on them, larger than the picture,
            in the order in which they are seen.
        view: of the camera.
        waves: that go through it, in shares of the side from its middle; None: it rests.
    """

    scenes: tuple[_Array, ...]
    view: View
    waves: Waves | None

    def picture(self, times: _Array | NDArray[np.int64], scene: NDArray[np.int64], size: int) -> NDArray[np.float32]:
        """``(T, size, size, 3)``: what is seen at these times of the scenes with these numbers."""
        out = np.empty((len(times), size, size, 3), np.float32)
        view = self.view.at(times)
        # Of the corner pixels, which say where all others are, too.
        corners = (np.array([[[0.0, 0.0], [1, 0], [0, 1], [1, 1]]]) * (size - 1) + 0.5) / size - 0.5
        places = size * view.behind(corners)
        for number, (time, points) in enumerate(zip(times, places, strict=True)):
            canvas = self.scenes[scene[number]]
            height, width = canvas.shape[:2]
            if self.waves is None and (view.camera[number] == (0, 0, 1)).all():
                top, left = (height - size) // 2, (width - size) // 2
                out[number] = canvas[top : top + size, left : left + size]
                continue
            middle = np.array([width, height]) / 2 - 0.5
            out[number] = self._seen(canvas, points + middle, middle, float(time), size)
        return out

    def _seen(self, canvas: _Array, corners: _Array, middle: _Array, time: float, size: int) -> NDArray[np.float32]:
        """The picture whose corner pixels are at these places of a canvas; all in the canvas's pixels."""
        import cv2

        more = size * self.waves.greatest if self.waves else 0.0
        first = np.maximum(np.floor(corners.min(axis=0) - more).astype(int), 0)
        last = np.ceil(corners.max(axis=0) + more).astype(int) + 2
        part = canvas[first[1] : last[1], first[0] : last[0]]
        right, down = (corners[1] - corners[0]) / (size - 1), (corners[2] - corners[0]) / (size - 1)
        where = np.stack([right, down, corners[0] - first], axis=1)
        return look_up(part, where, (size, size), cv2.BORDER_REFLECT_101, self.waves, time, middle - first, size)

    def flow(self, now: NDArray[np.int64], after: NDArray[np.int64], size: int) -> NDArray[np.float32]:
        """``(T, size, size, 2)``: how far what is seen at each pixel moves right and down, pixels."""
        before, then = self.view.at(now), self.view.at(after)
        ticks = (np.arange(size) + 0.5) / size - 0.5
        grid = np.stack(np.meshgrid(ticks, ticks), axis=-1)[None]
        places = before.behind(grid)
        if self.waves is not None:
            for place, (time, later) in zip(places, zip(now, after, strict=True), strict=True):
                right, down = self.waves.displacement(place[..., 0], place[..., 1], float(time))
                x, y = self.waves.origin(place[..., 0] + right, place[..., 1] + down, float(later))
                place[..., 0], place[..., 1] = x, y
        return np.asarray(size * (then.seen(places) - grid), np.float32)
