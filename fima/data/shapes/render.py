"""Drawing a video of a world, and the truth that comes with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.looks import Cutout, Look, look_of
from fima.data.shapes.motions import (
    MOTIONS,
    camera_path,
    carried,
    class_path,
    drift_path,
    path_at,
    schedule,
    zoom_path,
)
from fima.data.shapes.paint import Sprite, paint, paint_flow
from fima.data.shapes.swarm import Swarm
from fima.data.shapes.textures import PATTERNS
from fima.data.shapes.world import ShapesWorld
from fima.errors import InputError

__all__ = ["ShapesVideo", "draw_video", "label_and_pattern"]

_Array = NDArray[np.floating[Any]]
_ATTEMPTS = 40
_EXPOSURES = 3  # moments whose mean a blurred frame is


@dataclass(frozen=True)
class _Mover:
    """A sprite on its way: ``path`` is ``(T, 4)`` of x, y, angle, scale on the screen, the camera's motion in it."""

    sprite: Sprite
    path: _Array


@dataclass(frozen=True)
class ShapesVideo:
    """A video drawn on demand: any of its frames, and what is true of them.

    Attributes:
        world: its settings.
        label: the motion class, an index into `fima.data.shapes.MOTIONS`.
        motions: ``(T,)``: which motion is on at every frame; all the label's in a world of one segment.
        pattern: the background's id, an index into `fima.data.shapes.PATTERNS`.
        scenes: ``(Hc, Wc, 3)`` float32 in [0, 1] each: backgrounds with what rests on them, larger than the picture,
            in the order in which they are seen.
        camera: ``(T, 3)``: how far the content is moved to the right and down, in shares of the side, and its size.
        layers: what is laid over it, from back to front; the last is the object.
        copy: the object at rest; None without one. It is also the first of the layers.
        noise_seed: of the noise in the frames.
    """

    world: ShapesWorld
    label: int
    motions: NDArray[np.int64]
    pattern: int
    scenes: tuple[_Array, ...]
    camera: _Array
    layers: tuple[_Mover, ...]
    copy: _Mover | None
    noise_seed: tuple[int, ...]

    def __len__(self) -> int:
        return self.world.num_frames

    @property
    def sequence(self) -> tuple[int, ...]:
        """The motions in their order."""
        return tuple(int(self.motions[i]) for i in (0, *(np.flatnonzero(np.diff(self.motions)) + 1)))

    def frames(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """``(T, H, W, 3)`` uint8 RGB of these frames."""
        if self.world.look == "noise":
            return _bytes(self._scattered(indices))
        picture = self._exposed(indices, self.layers)
        if self.world.noise:
            for place, index in enumerate(indices):
                rng = np.random.default_rng([*self.noise_seed, int(index)])
                picture[place] += self.world.noise * rng.standard_normal(picture[place].shape, dtype=np.float32)
        return _bytes(picture)

    def background(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """``(T, H, W, 3)`` uint8: the same frames without anything that moves by itself, and without noise."""
        return _bytes(self._exposed(indices, ()))

    def masks(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``(T, H, W)``: where the object covers at least half of the pixel."""
        return self._cover(self.layers[-1], indices)

    def copy_masks(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``(T, H, W)``: where the object's copy at rest is and nothing lies over it; nowhere without one."""
        if self.copy is None:
            return np.zeros((len(indices), self.world.size, self.world.size), np.bool_)
        over = [self._cover(layer, indices) for layer in self.layers[1:]]
        return np.asarray(self._cover(self.copy, indices) & ~np.any(over, axis=0))

    def flow(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """``(T, 2, H, W)``: how far what is seen at each pixel moves right and down until the next frame, pixels.

        From the paths themselves, not from pictures. The last frame is given the motion of the one before it, and the
        background before a cut moves on as the camera does.
        """
        size, last = self.world.size, max(len(self) - 2, 0)
        now = np.minimum(indices, last)
        after = np.minimum(now + 1, len(self) - 1)
        flow = np.zeros((len(indices), size, size, 2), np.float32)
        flow += (size * (self.camera[after, :2] - self.camera[now, :2]))[:, None, None, :]
        growth = self.camera[after, 2] / self.camera[now, 2] - 1
        if growth.any():
            ticks = np.arange(size) + 0.5 - size / 2
            for axis, places in enumerate((ticks[None, None, :], ticks[None, :, None])):
                away = places - size * self.camera[now, axis][:, None, None]
                flow[..., axis] += growth[:, None, None] * away
        for mover in self.layers:
            paint_flow(flow, mover.sprite, mover.path[now], mover.path[after])
        return np.moveaxis(flow, -1, 1)

    def _cover(self, mover: _Mover, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        size = self.world.size
        cover = np.zeros((len(indices), size, size, 1), np.float32)
        paint(cover, mover.sprite, mover.path[indices], cover_only=True)
        return cover[..., 0] >= 0.5

    def _scattered(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Pictures of points that move in noise."""
        picture = self._exposed(indices, ())
        for number, mover in enumerate(self.layers):
            masks = self._cover(mover, indices)
            for place, index in enumerate(indices):
                rng = np.random.default_rng([*self.noise_seed, number, int(index)])
                if isinstance(mover.sprite, Swarm):
                    mover.sprite.scatter(picture[place], masks[place], mover.path[index], rng)
        return picture

    def _exposed(self, indices: NDArray[np.int64], layers: tuple[_Mover, ...]) -> NDArray[np.float32]:
        """Pictures of the background and some layers, blurred by what moves while light is gathered."""
        scene = indices * len(self.scenes) // len(self)
        if not self.world.blur:
            return self._moment(indices, scene, layers)
        offsets = self.world.blur * ((np.arange(_EXPOSURES) + 0.5) / _EXPOSURES - 0.5)
        light = self._moment(np.clip(indices + offsets[0], 0, len(self) - 1), scene, layers)
        for offset in offsets[1:]:
            light += self._moment(np.clip(indices + offset, 0, len(self) - 1), scene, layers)
        light *= np.float32(1 / _EXPOSURES)
        return light

    def _moment(
        self, times: _Array | NDArray[np.int64], scene: NDArray[np.int64], layers: tuple[_Mover, ...]
    ) -> NDArray[np.float32]:
        picture = self._background(path_at(self.camera, times), scene)
        for mover in layers:
            path = path_at(mover.path, times)
            if isinstance(mover.sprite, Cutout):
                for frame, place in zip(picture, path, strict=True):
                    mover.sprite.lay(frame, place, self.world.shadow)
            else:
                paint(picture, mover.sprite, path)
        return picture

    def _background(self, camera: _Array, scene: NDArray[np.int64]) -> NDArray[np.float32]:
        """``(T, H, W, 3)``: what a camera ``(T, 3)`` sees of the scenes with these numbers."""
        import cv2

        size = self.world.size
        out = np.empty((len(camera), size, size, 3), np.float32)
        for place, (x, y, scale) in enumerate(camera):
            canvas = self.scenes[scene[place]]
            height, width = canvas.shape[:2]
            if (x, y, scale) == (0, 0, 1):
                top, left = (height - size) // 2, (width - size) // 2
                out[place] = canvas[top : top + size, left : left + size]
                continue
            # Where the picture's first pixel is on the canvas.
            left, top = (
                (0.5 - size / 2 - size * way) / scale + side / 2 - 0.5 for way, side in ((x, width), (y, height))
            )
            whole_x, whole_y = max(math.floor(left), 0), max(math.floor(top), 0)
            reach = math.ceil((size + 1) / scale)
            part = canvas[whole_y : whole_y + reach, whole_x : whole_x + reach]
            where = np.array([[1 / scale, 0, left - whole_x], [0, 1 / scale, top - whole_y]])
            how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            cv2.warpAffine(part, where, (size, size), dst=out[place], flags=how, borderMode=cv2.BORDER_REFLECT_101)
        return out


def draw_video(world: ShapesWorld, *seed: int) -> ShapesVideo:
    """The video of a world with this seed; nothing but the two decides what is in it.

    Args:
        world: the settings.
        seed: numbers of at least 0.

    Raises:
        InputError: if there is no such seed, or natural looks cannot be read.
        FileNotFoundError: if there are none.
    """
    if not seed or min(seed) < 0:
        raise InputError(f"the seed must be numbers of at least 0, got {seed}")
    rng = np.random.default_rng(seed)
    label, pattern = label_and_pattern(rng, world)
    look, motions = look_of(world), schedule(rng, label, world)
    pan, shake = camera_path(rng, world.num_frames, world)
    way = pan + shake
    way -= (way.max(axis=0) + way.min(axis=0)) / 2
    if world.look == "noise":  # moved by whole pixels, noise stays as it is
        way = np.rint(way * world.size) / world.size
    camera = np.concatenate([way, zoom_path(rng, world.num_frames, world)[:, None]], axis=1)
    scenes = tuple(_canvas(rng, look, pattern, camera, world) for _ in range(world.scenes))
    # The camera goes along with the object: its pan moves all but the classes' objects, its trembling moves everything.
    trembling = np.concatenate([shake, np.zeros((world.num_frames, 2))], axis=1)
    layers = []
    for _ in range(world.distractors):
        sprite = look.sprite(rng, world.distractor_radius)
        layers.append(_Mover(sprite, carried(drift_path(rng, world.num_frames), camera)))
    if world.movers == 2:
        other = (label + int(rng.integers(1, len(MOTIONS)))) % len(MOTIONS)
        smaller = (0.55 * world.radius[0], 0.75 * world.radius[0])
        sprite = look.sprite(rng, smaller)
        path = class_path(rng, np.full(world.num_frames, other), sprite.radius, world)
        layers.append(_Mover(sprite, path + trembling))
    sprite = look.sprite(rng, world.radius)
    if not world.still_copies:
        mover = _Mover(sprite, class_path(rng, motions, sprite.radius, world) + trembling)
        return ShapesVideo(world, label, motions, pattern, scenes, camera, (*layers, mover), None, (*seed, 1))
    mover, copy = _apart(rng, motions, sprite, camera, trembling, world)
    return ShapesVideo(world, label, motions, pattern, scenes, camera, (copy, *layers, mover), copy, (*seed, 1))


def label_and_pattern(rng: np.random.Generator, world: ShapesWorld) -> tuple[int, int]:
    """The motion class and the background's id: what a video's generator is asked for first."""
    label, free = int(rng.integers(len(MOTIONS))), int(rng.integers(len(PATTERNS)))
    given = (label + 1) % len(PATTERNS) if world.swapped else label % len(PATTERNS)
    return label, given if rng.random() < world.correlation else free


def _canvas(
    rng: np.random.Generator, look: Look, pattern: int, camera: _Array, world: ShapesWorld
) -> NDArray[np.float32]:
    """The background and what rests on it, with as much margin as the camera needs."""
    size, margins = world.size, [0, 0]
    if camera[:, :2].any() or (camera[:, 2] != 1).any():
        # Of the picture's half and its way, as large as they are on the canvas; two pixels to interpolate between.
        spans = ((np.abs(camera[:, :2]) + 0.5) / camera[:, 2:]).max(axis=0) - 0.5
        margins = [math.ceil(size * float(span)) + 2 for span in spans]
    width, height = (size + 2 * margin for margin in margins)
    picture = np.array(look.background(rng, pattern, height, width, size), np.float32)
    for _ in range(world.static_distractors):
        sprite = look.sprite(rng, world.distractor_radius)
        place = rng.uniform(0, 1, 2) + np.array(margins) / size
        rest = np.array([[*place, rng.uniform(0, 2 * math.pi), 1.0]])
        paint(picture[None], sprite, rest, side=size)
    return picture


def _apart(
    rng: np.random.Generator,
    motions: NDArray[np.int64],
    sprite: Sprite,
    camera: _Array,
    trembling: _Array,
    world: ShapesWorld,
) -> tuple[_Mover, _Mover]:
    """The object, and the same at rest across from where it is at one moment; anew until they are clear of each other.

    At half of all moments the object is farther from the center than its copy: a liking for the center gains nothing.
    """
    best: tuple[float, _Array, _Array] | None = None
    in_world = world.still_in == "world" or (world.still_in == "either" and rng.random() < 1 - world.picture_share)
    for _ in range(_ATTEMPTS):
        path = class_path(rng, motions, sprite.radius, world)
        median = np.argsort(np.hypot(*(path[:, :2] - 0.5).T))[world.num_frames // 2]
        rest = np.tile(path[median], (world.num_frames, 1))
        across = rng.permutation([[1, 0], [0, 1], [1, 1]])[0]
        rest[:, :2] += across * (1 - 2 * rest[:, :2])
        path, rest = path + trembling, carried(rest, camera) if in_world else rest
        gap = float((np.hypot(*(rest - path)[:, :2].T) - sprite.radius * (rest + path)[:, 3]).min())
        if best is None or gap > best[0]:
            best = gap, path, rest
        if gap > 0:
            break
    assert best is not None
    return _Mover(sprite, best[1]), _Mover(sprite, best[2])


def _bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)
