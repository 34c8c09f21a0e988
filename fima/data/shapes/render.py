"""Drawing a video of a world, and the truth that comes with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.motions import MOTIONS, camera_path, class_path, drift_path, schedule
from fima.data.shapes.textures import PATTERNS, Sprite, background
from fima.data.shapes.world import ShapesWorld
from fima.errors import InputError

__all__ = ["ShapesVideo", "draw_video", "label_and_pattern"]

_Array = NDArray[np.floating[Any]]


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
        canvas: ``(Hc, Wc, 3)`` float32 in [0, 1], the background with what rests on it, larger than the picture.
        camera: ``(T, 2)``: how far the content is moved to the right and down, in shares of the side.
        layers: what moves, from back to front; the last is the object.
        noise_seed: of the noise in the frames.
    """

    world: ShapesWorld
    label: int
    motions: NDArray[np.int64]
    pattern: int
    canvas: _Array
    camera: _Array
    layers: tuple[_Mover, ...]
    noise_seed: tuple[int, ...]

    def __len__(self) -> int:
        return self.world.num_frames

    @property
    def sequence(self) -> tuple[int, ...]:
        """The motions in their order."""
        return tuple(int(self.motions[i]) for i in (0, *(np.flatnonzero(np.diff(self.motions)) + 1)))

    def frames(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """``(T, H, W, 3)`` uint8 RGB of these frames."""
        picture = self._background(indices)
        for mover in self.layers:
            _paint(picture, mover.sprite, mover.path[indices])
        if self.world.noise:
            for place, index in enumerate(indices):
                rng = np.random.default_rng([*self.noise_seed, int(index)])
                picture[place] += self.world.noise * rng.standard_normal(picture[place].shape, dtype=np.float32)
        return _bytes(picture)

    def background(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """``(T, H, W, 3)`` uint8: the same frames without anything that moves by itself, and without noise."""
        return _bytes(self._background(indices))

    def masks(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``(T, H, W)``: where the object covers at least half of the pixel."""
        size = self.world.size
        cover = np.zeros((len(indices), size, size, 1), np.float32)
        _paint(cover, self.layers[-1].sprite, self.layers[-1].path[indices], cover_only=True)
        return cover[..., 0] >= 0.5

    def flow(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """``(T, 2, H, W)``: how far what is seen at each pixel moves right and down until the next frame, pixels.

        From the paths themselves, not from pictures. The last frame is given the motion of the one before it.
        """
        size, last = self.world.size, max(len(self) - 2, 0)
        now = np.minimum(indices, last)
        after = np.minimum(now + 1, len(self) - 1)
        flow = np.zeros((len(indices), size, size, 2), np.float32)
        flow += (size * (self.camera[after] - self.camera[now]))[:, None, None, :]
        for mover in self.layers:
            _paint_flow(flow, mover.sprite, mover.path[now], mover.path[after])
        return np.moveaxis(flow, -1, 1)

    def _background(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        size = self.world.size
        margin = np.array([self.canvas.shape[1] - size, self.canvas.shape[0] - size]) / 2
        corner = margin - size * self.camera[indices]  # of the picture on the canvas, x and y
        if not self.camera.any():
            x, y = (int(c) for c in margin)
            return np.repeat(self.canvas[None, y : y + size, x : x + size], len(indices), axis=0)
        import cv2

        out = np.empty((len(indices), size, size, 3), np.float32)
        for place, (x, y) in enumerate(corner):
            whole_x, whole_y = math.floor(x), math.floor(y)
            part = self.canvas[whole_y : whole_y + size + 1, whole_x : whole_x + size + 1]
            shift = np.array([[1, 0, whole_x - x], [0, 1, whole_y - y]])
            cv2.warpAffine(part, shift, (size, size), dst=out[place], flags=cv2.INTER_LINEAR)
        return out


def draw_video(world: ShapesWorld, *seed: int) -> ShapesVideo:
    """The video of a world with this seed; nothing but the two decides what is in it.

    Args:
        world: the settings.
        seed: numbers of at least 0.

    Raises:
        InputError: if there is no such seed.
    """
    if not seed or min(seed) < 0:
        raise InputError(f"the seed must be numbers of at least 0, got {seed}")
    rng = np.random.default_rng(seed)
    label, pattern = label_and_pattern(rng, world)
    motions = schedule(rng, label, world)
    pan, shake = camera_path(rng, world.num_frames, world)
    camera = pan + shake
    camera -= (camera.max(axis=0) + camera.min(axis=0)) / 2
    canvas = _canvas(rng, pattern, camera, world)
    # The camera goes along with the object: its pan moves all but the classes' objects, its trembling moves everything.
    nothing = np.zeros((world.num_frames, 2))
    carried, trembling = (np.concatenate([way, nothing], axis=1) for way in (camera, shake))
    layers = []
    for _ in range(world.distractors):
        sprite = Sprite.draw(rng, world.distractor_radius)
        layers.append(_Mover(sprite, drift_path(rng, world.num_frames) + carried))
    if world.movers == 2:
        other = (label + int(rng.integers(1, len(MOTIONS)))) % len(MOTIONS)
        smaller = (0.55 * world.radius[0], 0.75 * world.radius[0])
        sprite = Sprite.draw(rng, smaller)
        layers.append(
            _Mover(sprite, class_path(rng, np.full(world.num_frames, other), sprite.radius, world) + trembling)
        )
    sprite = Sprite.draw(rng, world.radius)
    layers.append(_Mover(sprite, class_path(rng, motions, sprite.radius, world) + trembling))
    return ShapesVideo(world, label, motions, pattern, canvas, camera, tuple(layers), (*seed, 1))


def label_and_pattern(rng: np.random.Generator, world: ShapesWorld) -> tuple[int, int]:
    """The motion class and the background's id: what a video's generator is asked for first."""
    label, free = int(rng.integers(len(MOTIONS))), int(rng.integers(len(PATTERNS)))
    given = (label + 1) % len(PATTERNS) if world.swapped else label % len(PATTERNS)
    return label, given if rng.random() < world.correlation else free


def _canvas(rng: np.random.Generator, pattern: int, camera: _Array, world: ShapesWorld) -> NDArray[np.float32]:
    """The background and what rests on it, with as much margin as the camera needs."""
    size = world.size
    margins = [math.ceil(size * float(np.abs(camera[:, i]).max())) + 2 if camera.any() else 0 for i in (0, 1)]
    width, height = (size + 2 * margin for margin in margins)
    picture = np.asarray(background(rng, pattern, height, width, size), np.float32)
    for _ in range(world.static_distractors):
        sprite = Sprite.draw(rng, world.distractor_radius)
        place = rng.uniform(0, 1, 2) + np.array(margins) / size
        _paint(picture[None], sprite, np.array([[*place, rng.uniform(0, 2 * math.pi), 1.0]]), side=size)
    return picture


def _paint(
    picture: NDArray[np.float32], sprite: Sprite, path: _Array, *, side: int | None = None, cover_only: bool = False
) -> None:
    """Lays a sprite over pictures ``(T, H, W, C)`` in place, only where it can be."""
    side = picture.shape[1] if side is None else side
    window = _window(sprite, path, side, picture.shape[1:3])
    if window is None:
        return
    place, dx, dy = window
    colors, cover = sprite.render(dx, dy, 1 / side)
    if cover_only:
        picture[place] = np.maximum(picture[place], cover[..., None])
        return
    under = picture[place]
    picture[place] = under + (colors - under) * cover[..., None]


def _paint_flow(flow: NDArray[np.float32], sprite: Sprite, now: _Array, after: _Array) -> None:
    """Where a sprite covers at least half of a pixel, its own motion."""
    side = flow.shape[1]
    window = _window(sprite, now, side, flow.shape[1:3])
    if window is None:
        return
    place, dx, dy = window
    _, cover = sprite.render(dx, dy, 1 / side)
    scale, angle = after[:, 3, None, None], after[:, 2, None, None]
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    x = after[:, 0, None, None] + dx * cos - dy * sin
    y = after[:, 1, None, None] + dx * sin + dy * cos
    moved = np.stack([x * side - 0.5 - place[2], y * side - 0.5 - place[1]], axis=-1)
    flow[place] = np.where(cover[..., None] >= 0.5, moved, flow[place])


def _window(
    sprite: Sprite, path: _Array, side: int, shape: tuple[int, ...]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], _Array, _Array] | None:
    """The pixels around a sprite in each frame, as an index, and their places in its own coordinates.

    Pixels beyond the picture's edge are replaced by copies of one at the edge, in all respects: writing one twice
    writes the same value.
    """
    half = math.ceil(side * sprite.reach * float(path[:, 3].max())) + 1
    height, width = shape
    span = np.arange(2 * half + 1) - half
    rows = np.clip(np.floor(path[:, 1] * side).astype(int)[:, None] + span, 0, height - 1)
    columns = np.clip(np.floor(path[:, 0] * side).astype(int)[:, None] + span, 0, width - 1)
    frames = np.arange(len(path))[:, None, None]
    x = ((columns + 0.5) / side - path[:, 0, None]).astype(np.float32)[:, None, :]
    y = ((rows + 0.5) / side - path[:, 1, None]).astype(np.float32)[:, :, None]
    cos = (np.cos(path[:, 2]) / path[:, 3]).astype(np.float32)[:, None, None]
    sin = (np.sin(path[:, 2]) / path[:, 3]).astype(np.float32)[:, None, None]
    return (frames, rows[:, :, None], columns[:, None, :]), x * cos + y * sin, y * cos - x * sin


def _bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)
