"""What backgrounds and objects of a world look like: drawn patterns, or cut from real footage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes import paint, textures
from fima.data.shapes.outline import Outline
from fima.data.shapes.pool import Pool, open_pool
from fima.data.shapes.swarm import Swarm
from fima.data.shapes.waves import Waves, look_up
from fima.data.shapes.world import ShapesWorld

__all__ = ["Cutout", "Look", "look_of"]

_Array = NDArray[np.floating[Any]]
_SHADOW_WAY = np.array([0.015, 0.03, 0, 0])  # to the right and down, shares of the side
_LARGEST = 1.35  # scale of an object on its way, for which its picture is drawn


class Look(Protocol):
    """Gives backgrounds and objects."""

    def background(self, rng: np.random.Generator, pattern: int, height: int, width: int, side: int) -> _Array:
        """``(height, width, 3)`` in [0, 1], of the kind that the pattern's id stands for; ``side`` as of the video."""

    def sprite(self, rng: np.random.Generator, radius: tuple[float, float]) -> paint.Sprite:
        """An object with a radius in this range."""


def look_of(world: ShapesWorld) -> Look:
    """The look that a world's settings name.

    Raises:
        InputError, FileNotFoundError: if its pictures cannot be found or read.
    """
    if world.look == "natural":
        return _Natural(open_pool(world.textures, world.objects), world.size, world.feather, world.tiled)
    return _Noise(world.size) if world.look == "noise" else _Drawn()


class _Drawn:
    background = staticmethod(textures.background)
    sprite = textures.Sprite.draw


@dataclass(frozen=True)
class _Natural:
    pool: Pool
    side: int
    feather: float
    tiled: bool

    def background(self, rng: np.random.Generator, pattern: int, height: int, width: int, side: int) -> _Array:
        picture = self.pool.of_pattern(rng, pattern)
        return np.asarray(self.pool.patch(rng, height, width, picture, tiled=self.tiled))

    def sprite(self, rng: np.random.Generator, radius: tuple[float, float]) -> Cutout:
        drawn = float(rng.uniform(*radius))
        if self.pool.cutouts:
            picture = self.pool.cutouts[int(rng.integers(len(self.pool.cutouts)))]
            if rng.random() < 0.5:
                picture = picture[:, ::-1]
            return Cutout.of_picture(picture, drawn, self.side, self.feather)
        outline = Outline.draw(rng)
        extent = outline.extent * drawn
        pixels = _pixels(extent, self.side)
        return Cutout.of_outline(outline, self.pool.patch(rng, pixels, pixels), drawn, self.side, self.feather)


@dataclass(frozen=True)
class _Noise:
    side: int

    def background(self, rng: np.random.Generator, pattern: int, height: int, width: int, side: int) -> _Array:
        return rng.random((height, width, 3), np.float32)

    def sprite(self, rng: np.random.Generator, radius: tuple[float, float]) -> Swarm:
        return Swarm.draw(rng, Outline.draw(rng), float(rng.uniform(*radius)), self.side)


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object cut from a picture.

    Attributes:
        radius: at scale 1, in shares of the side: of a disc of about its area.
        half: from its center to the edge of its picture, in shares of the side.
        picture: ``(S, S, 4)`` float32 in [0, 1]: color times cover, and cover.
    """

    radius: float
    half: float
    picture: NDArray[np.float32]

    @classmethod
    def of_outline(cls, outline: Outline, texture: _Array, radius: float, side: int, feather: float) -> Cutout:
        """A texture ``(S, S, 3)`` inside an outline."""
        pixels, half = len(texture), outline.extent * radius
        ticks = ((np.arange(pixels) + 0.5) / pixels * 2 - 1) * half / radius
        cover = np.clip(outline.inside(ticks[None, :], ticks[:, None]) * radius * pixels / (2 * half) + 0.5, 0, 1)
        return cls._padded(texture, cover, radius, half, feather * pixels / (2 * half * side))

    @classmethod
    def of_picture(cls, picture: NDArray[np.uint8], radius: float, side: int, feather: float) -> Cutout:
        """A picture ``(H, W, 4)`` with its cover, of the area of a disc of that radius."""
        import cv2

        height, width = picture.shape[:2]
        share = float((picture[..., 3] >= 128).mean()) * height * width
        half = radius * math.sqrt(math.pi / share) * max(height, width) / 2
        pixels = _pixels(half, side)
        factor = pixels / max(height, width)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        scaled = cv2.resize(np.ascontiguousarray(picture), size, interpolation=how).astype(np.float32) / 255
        square = np.zeros((pixels, pixels, 4), np.float32)
        top, left = (pixels - size[1]) // 2, (pixels - size[0]) // 2
        square[top : top + size[1], left : left + size[0]] = scaled
        return cls._padded(square[..., :3], square[..., 3], radius, half, feather * pixels / (2 * half * side))

    @classmethod
    def _padded(cls, colors: _Array, cover: _Array, radius: float, half: float, sigma: float) -> Cutout:
        """With room around it for the soft edge, which is ``sigma`` wide, pixels of its own picture."""
        import cv2

        border = math.ceil(2 * sigma) + 2
        edges = (border,) * 4
        wide = cv2.copyMakeBorder(colors.astype(np.float32), *edges, cv2.BORDER_REPLICATE)
        soft = cv2.copyMakeBorder(cover.astype(np.float32), *edges, cv2.BORDER_CONSTANT, value=0)
        if sigma > 0:
            soft = cv2.GaussianBlur(soft, (0, 0), sigma)
        half *= 1 + 2 * border / len(colors)
        return cls(radius, half, np.concatenate([wide * soft[..., None], soft[..., None]], axis=2))

    @property
    def reach(self) -> float:
        """Greatest distance of a point from the center at scale 1, in shares of the side."""
        return self.half * math.sqrt(2)

    def render(self, dx: _Array, dy: _Array, pixel: float) -> tuple[_Array, _Array]:
        """See `fima.data.shapes.paint.Sprite`."""
        import cv2

        pixels = len(self.picture)
        x, y = (((place / self.half + 1) * (pixels / 2) - 0.5).astype(np.float32) for place in (dx, dy))
        found = np.empty((*dx.shape, 4), np.float32)
        for frame in range(len(dx)):  # OpenCV's pictures have less than 2¹⁵ rows
            cv2.remap(self.picture, x[frame], y[frame], cv2.INTER_LINEAR, found[frame], cv2.BORDER_CONSTANT, 0)
        return found[..., :3] / np.maximum(found[..., 3:], 1e-6), found[..., 3]

    def lay(
        self, frame: NDArray[np.float32], place: _Array, shadow: float, waves: Waves | None = None, time: float = 0.0
    ) -> None:
        """Lays it over one picture ``(H, W, 3)`` in place, its shadow first: `paint.paint`, much quicker.

        Args:
            frame: the picture, square.
            place: its x, y, angle and scale.
            shadow: how dark; 0 for none. It does not bend.
            waves: that bend it; None: it is stiff.
            time: theirs.
        """
        if shadow and (found := self._seen(frame, place + _SHADOW_WAY, None, 0)) is not None:
            part, _, cover = found
            part -= part * (shadow * cover)
        if (found := self._seen(frame, place, waves, time)) is not None:
            part, colors, cover = found
            part -= part * cover
            part += colors

    def _seen(
        self, frame: NDArray[np.float32], place: _Array, waves: Waves | None, time: float
    ) -> tuple[Any, Any, Any] | None:
        """The part of a picture around it, its colors and its cover there, ``(h, w, 3)``; None outside the picture."""
        import cv2

        side, pixels = len(frame), len(self.picture)
        x, y, angle, scale = place
        reach = self.half if waves is None else self.half + waves.greatest
        turned = reach * scale * (abs(math.cos(angle)) + abs(math.sin(angle)))
        left, top = (max(0, math.floor((at - turned) * side)) for at in (x, y))
        right, bottom = (min(side, math.ceil((at + turned) * side) + 1) for at in (x, y))
        if left >= right or top >= bottom:
            return None
        factor = pixels / (2 * self.half * scale * side)
        cos, sin = factor * math.cos(angle), factor * math.sin(angle)
        dx, dy = left + 0.5 - x * side, top + 0.5 - y * side
        middle = pixels / 2 - 0.5
        where = np.array([[cos, sin, cos * dx + sin * dy + middle], [-sin, cos, cos * dy - sin * dx + middle]])
        size, unit = (right - left, bottom - top), pixels / (2 * self.half)
        seen = look_up(self.picture, where, size, cv2.BORDER_CONSTANT, waves, time, np.full(2, middle), unit)
        *_, cover = cv2.split(seen)
        return frame[top:bottom, left:right], seen[..., :3], cv2.merge([cover] * 3)  # numpy is slow at repeating it


def _pixels(half: float, side: int) -> int:
    """Sides of the picture of an object that reaches so far, sharp at its largest."""
    return max(8, math.ceil(2 * half * side * _LARGEST))
