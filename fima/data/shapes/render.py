"""Drawing a video of a world, and the truth that comes with it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.backdrop import Backdrop, View, margins
from fima.data.shapes.looks import Look, look_of
from fima.data.shapes.motions import MOTIONS, camera_path, class_path, drift_path, schedule, tilt_of, zoom_path
from fima.data.shapes.mover import Mover
from fima.data.shapes.paint import Sprite, paint
from fima.data.shapes.swarm import Swarm
from fima.data.shapes.textures import PATTERNS
from fima.data.shapes.waves import Waves
from fima.data.shapes.world import ShapesWorld
from fima.errors import InputError

__all__ = ["ShapesVideo", "draw_video", "label_and_pattern"]

_Array = NDArray[np.floating[Any]]
_ATTEMPTS = 40
_EXPOSURES = 3  # moments whose mean a blurred frame is
_RIPPLES, _RIPPLE_TIMES = (0.08, 0.4), (8.0, 40.0)  # lengths of the background's waves, in sides, and their periods
_BENDS, _BEND_TIMES = (2.0, 5.0), (8.0, 40.0)  # of an object's, in radii


@dataclass(frozen=True)
class ShapesVideo:
    """A video drawn on demand: any of its frames, and what is true of them.

    Attributes:
        world: its settings.
        label: the motion class, an index into `fima.data.shapes.MOTIONS`.
        motions: ``(T,)``: which motion is on at every frame; all the label's in a world of one segment.
        pattern: the background's id, an index into `fima.data.shapes.PATTERNS`.
        backdrop: what lies behind everything.
        standing: what rests before it at depths of its own, from far to near.
        layers: what is laid over both, from back to front; the last is the object.
        copy: the object at rest; None without one. It is also the first of the layers.
        noise_seed: of the noise in the frames.
    """

    world: ShapesWorld
    label: int
    motions: NDArray[np.int64]
    pattern: int
    backdrop: Backdrop
    standing: tuple[Mover, ...]
    layers: tuple[Mover, ...]
    copy: Mover | None
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
        return self.layers[-1].cover(indices, self.world.size)

    def copy_masks(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``(T, H, W)``: where the object's copy at rest is and nothing lies over it; nowhere without one."""
        if self.copy is None:
            return np.zeros((len(indices), self.world.size, self.world.size), np.bool_)
        over = [layer.cover(indices, self.world.size) for layer in self.layers[1:]]
        return np.asarray(self.copy.cover(indices, self.world.size) & ~np.any(over, axis=0))

    def flow(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """``(T, 2, H, W)``: how far what is seen at each pixel moves right and down until the next frame, pixels.

        From the paths themselves, not from pictures. The last frame is given the motion of the one before it, and the
        background before a cut moves on as the camera does.
        """
        last = max(len(self) - 2, 0)
        now = np.minimum(indices, last)
        after = np.minimum(now + 1, len(self) - 1)
        flow = self.backdrop.flow(now, after, self.world.size)
        for mover in (*self.standing, *self.layers):
            mover.lay_flow(flow, now, after)
        return np.moveaxis(flow, -1, 1)

    def _scattered(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Pictures of points that move in noise."""
        picture = self._exposed(indices, ())
        for number, mover in enumerate(self.layers):
            masks = mover.cover(indices, self.world.size)
            for place, index in enumerate(indices):
                rng = np.random.default_rng([*self.noise_seed, number, int(index)])
                if isinstance(mover.sprite, Swarm):
                    mover.sprite.scatter(picture[place], masks[place], mover.path[index], rng)
        return picture

    def _exposed(self, indices: NDArray[np.int64], layers: tuple[Mover, ...]) -> NDArray[np.float32]:
        """Pictures of the background and some layers, blurred by what moves while light is gathered."""
        scene = indices * len(self.backdrop.scenes) // len(self)
        if not self.world.blur:
            return self._moment(indices, scene, layers)
        offsets = self.world.blur * ((np.arange(_EXPOSURES) + 0.5) / _EXPOSURES - 0.5)
        light = self._moment(np.clip(indices + offsets[0], 0, len(self) - 1), scene, layers)
        for offset in offsets[1:]:
            light += self._moment(np.clip(indices + offset, 0, len(self) - 1), scene, layers)
        light *= np.float32(1 / _EXPOSURES)
        return light

    def _moment(
        self, times: _Array | NDArray[np.int64], scene: NDArray[np.int64], layers: tuple[Mover, ...]
    ) -> NDArray[np.float32]:
        picture = self.backdrop.picture(times, scene, self.world.size)
        for mover in (*self.standing, *layers):
            mover.lay(picture, times)
        return picture


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
    filmed = world  # as the camera takes it
    if world.resting and rng.random() < world.resting:
        filmed = replace(world, pan=0.0, shake=0.0, zoom=0.0)
    pan, shake = camera_path(rng, world.num_frames, filmed)
    way = pan + shake
    way -= (way.max(axis=0) + way.min(axis=0)) / 2
    if world.look == "noise":  # moved by whole pixels, noise stays as it is
        way = np.rint(way * world.size) / world.size
    camera = np.concatenate([way, zoom_path(rng, world.num_frames, filmed)[:, None]], axis=1)
    view = View(camera, pan - (pan[0] + pan[-1]) / 2, tilt_of(rng, pan, filmed))
    waves = None
    if world.ripple and (steepness := world.ripple * float(rng.uniform(-1, 1))) > 0:
        waves = Waves.draw(rng, steepness, _RIPPLES, _RIPPLE_TIMES, shore=True)
    scenes = tuple(_canvas(rng, look, pattern, view, waves, world) for _ in range(world.scenes))
    standing = _standing(rng, look, view, world)
    layers = []
    for _ in range(world.distractors):
        sprite = look.sprite(rng, world.distractor_radius)
        path = view.carried(drift_path(rng, world.num_frames))
        layers.append(Mover(sprite, path, _bending(rng, sprite, world), shadow=world.shadow))
    # The camera goes along with the object: its pan moves all but the classes' objects, its trembling moves everything.
    trembling = np.concatenate([shake, np.zeros((world.num_frames, 2))], axis=1)
    if world.movers == 2:
        other = (label + int(rng.integers(1, len(MOTIONS)))) % len(MOTIONS)
        smaller = (0.55 * world.radius[0], 0.75 * world.radius[0])
        sprite = look.sprite(rng, smaller)
        path = class_path(rng, np.full(world.num_frames, other), sprite.radius, world)
        layers.append(Mover(sprite, path + trembling, _bending(rng, sprite, world), shadow=world.shadow))
    sprite = look.sprite(rng, world.radius)
    bend = _bending(rng, sprite, world)
    copy = None
    if world.still_copies:
        path, rest, frozen = _apart(rng, motions, sprite.radius, trembling, view, world)
        copy = Mover(sprite, rest, bend, frozen, world.shadow)
        layers.insert(0, copy)
    else:
        path = class_path(rng, motions, sprite.radius, world) + trembling
    mover = Mover(sprite, path, bend, shadow=world.shadow)
    backdrop = Backdrop(scenes, view, waves)
    return ShapesVideo(world, label, motions, pattern, backdrop, standing, (*layers, mover), copy, (*seed, 1))


def label_and_pattern(rng: np.random.Generator, world: ShapesWorld) -> tuple[int, int]:
    """The motion class and the background's id: what a video's generator is asked for first."""
    label, free = int(rng.integers(len(MOTIONS))), int(rng.integers(len(PATTERNS)))
    given = (label + 1) % len(PATTERNS) if world.swapped else label % len(PATTERNS)
    return label, given if rng.random() < world.correlation else free


def _canvas(
    rng: np.random.Generator, look: Look, pattern: int, view: View, waves: Waves | None, world: ShapesWorld
) -> NDArray[np.float32]:
    """The background and what rests on it, with as much margin as the camera needs."""
    size = world.size
    beyond = margins(view, size, waves.greatest if waves else 0)
    width, height = (size + 2 * margin for margin in beyond)
    picture = np.array(look.background(rng, pattern, height, width, size), np.float32)
    for _ in range(0 if world.parallax else world.static_distractors):
        sprite = look.sprite(rng, world.distractor_radius)
        place = rng.uniform(0, 1, 2) + np.array(beyond) / size
        rest = np.array([[*place, rng.uniform(0, 2 * math.pi), 1.0]])
        paint(picture[None], sprite, rest, side=size)
    return picture


def _standing(rng: np.random.Generator, look: Look, view: View, world: ShapesWorld) -> tuple[Mover, ...]:
    """What rests in the world, nearer than the background, so that it passes more quickly; from far to near.

    Each is in sight at some frame of chance.
    """
    if not world.parallax:
        return ()
    found = []
    for nearer in np.sort(rng.uniform(0, world.parallax, world.static_distractors)):
        sprite = look.sprite(rng, world.distractor_radius)
        time = rng.integers(world.num_frames, size=1)
        place = view.at(time).behind(rng.uniform(-0.5, 0.5, (1, 2)) - nearer * view.travel[time])[0] + 0.5
        rest = np.array([*place, rng.uniform(0, 2 * math.pi), 1.0])
        found.append(Mover(sprite, view.carried(np.tile(rest, (world.num_frames, 1)), float(nearer))))
    return tuple(found)


def _bending(rng: np.random.Generator, sprite: Sprite, world: ShapesWorld) -> Waves | None:
    if not world.bend:
        return None
    lengths = (_BENDS[0] * sprite.radius, _BENDS[1] * sprite.radius)
    return Waves.draw(rng, world.bend * float(rng.uniform(0, 1)), lengths, _BEND_TIMES)


def _apart(
    rng: np.random.Generator,
    motions: NDArray[np.int64],
    radius: float,
    trembling: _Array,
    view: View,
    world: ShapesWorld,
) -> tuple[_Array, _Array, int]:
    """The ways of the object and of its copy at rest, anew until they are clear of each other.

    The copy rests, in the picture or on the background as it is seen in the video's middle, across from where the
    object is at one moment: the one at which the object is farther from the center for half of the time. So a liking
    for the center gains nothing.

    Returns:
        Both paths ``(T, 4)``, and that moment.
    """
    best: tuple[float, tuple[_Array, _Array, int]] | None = None
    in_world = world.still_in == "world" or (world.still_in == "either" and rng.random() < 1 - world.picture_share)
    for _ in range(_ATTEMPTS):
        path = class_path(rng, motions, radius, world)
        median = int(np.argsort(np.hypot(*(path[:, :2] - 0.5).T))[world.num_frames // 2])
        rest = np.tile(path[median], (world.num_frames, 1))
        across = rng.permutation([[1, 0], [0, 1], [1, 1]])[0]
        rest[:, :2] += across * (1 - 2 * rest[:, :2])
        path, rest = path + trembling, view.carried(rest) if in_world else rest
        gap = float((np.hypot(*(rest - path)[:, :2].T) - radius * (rest + path)[:, 3]).min())
        if best is None or gap > best[0]:
            best = gap, (path, rest, median)
        if gap > 0:
            break
    assert best is not None
    return best[1]


def _bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)
