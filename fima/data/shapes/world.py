"""What a world of moving shapes is: its knobs, and the regimes that name their settings."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fima.data.shapes.waves import STEEPEST
from fima.errors import InputError

__all__ = ["REGIMES", "ShapesWorld", "world_from_text"]

_Range = tuple[float, float]


@dataclass(frozen=True)
class ShapesWorld:
    """The settings that all videos of a data set share; lengths are in shares of the picture's side.

    Attributes:
        num_frames: of a video, at least 1.
        size: height and width, pixels, at least 16.
        fps: that the videos are said to have.
        radius: range of the object's.
        amplitude: range of its way, to one side.
        period: range of the time that a motion takes, in frames.
        pan: greatest speed of the camera, per frame, in a direction of each video's own.
        slowest: share of ``pan`` that the slowest camera has.
        shake: standard deviation of the camera's trembling in x and in y.
        resting: share of the videos whose camera rests: no pan, trembling or zoom.
        segments: motions that follow each other along the video; the longest gives the label.
        distractors: smaller shapes that drift and turn as no class does.
        distractor_radius: range of theirs.
        static_distractors: shapes that rest on the background.
        movers: 1, or 2: a second, smaller shape, with a motion class of its own.
        noise: standard deviation of noise in every pixel of every frame, of the range [0, 1].
        correlation: share of the videos whose background's pattern is given by the label; the others draw it.
        swapped: the correlated share gets the pattern of another class, each class always of the same one.
        look: what backgrounds and objects look like: "drawn" patterns; "natural": cut from real footage; or "noise":
            all the same noise, in which only motion shows anything.
        textures: where natural looks are cut from (`fima.data.shapes.pool.open_pool`); "": two pictures that come with
            scikit-learn.
        objects: natural objects with masks, likewise; "": smooth outlines of chance, filled from ``textures``.
        tiled: natural backgrounds smaller than the camera's way go on mirrored; otherwise they are enlarged, and blur.
        zoom: greatest growth or shrinking of the background per frame.
        tilt: by what share the background moves more quickly a side of the picture farther, across the camera's way,
            at most: 0 for a wall that it faces, 2 for a ground that reaches to the horizon at the picture's edge; less
            where the camera goes far. Nothing without ``pan``.
        parallax: by what share what rests on the background moves more quickly than it, at most: it stands before it.
            Nothing without ``static_distractors``.
        ripple: steepness of waves in a part of the background (height over length), at most; half of the videos have
            none. Water, leaves.
        bend: steepness of waves that bend the object and what moves by itself, at most. Legs, wings.
        blur: share of the time between two frames that a frame's light is gathered over.
        shadow: how dark the shadow of what moves by itself is (natural looks).
        feather: width of an object's soft edge, standard deviation in pixels (natural looks).
        scenes: backgrounds that follow each other along the video, by a cut; the object goes on.
        still_copies: 1: the object a second time, at rest at a place where it could be, behind everything that moves.
        still_in: where it rests: "picture", or "world": it goes along with the background; "either": drawn by video.
        picture_share: of "either", the share of videos in which it rests in the picture.
    """

    num_frames: int = 64
    size: int = 64
    fps: float = 25.0
    radius: _Range = (0.13, 0.19)
    amplitude: _Range = (0.1, 0.15)
    period: _Range = (14.0, 26.0)
    pan: float = 0.0
    slowest: float = 0.5
    shake: float = 0.0
    resting: float = 0.0
    segments: int = 1
    distractors: int = 0
    distractor_radius: _Range = (0.05, 0.08)
    static_distractors: int = 0
    movers: Literal[1, 2] = 1
    noise: float = 0.0
    correlation: float = 0.0
    swapped: bool = False
    look: Literal["drawn", "natural", "noise"] = "drawn"
    textures: str = ""
    objects: str = ""
    tiled: bool = False
    zoom: float = 0.0
    tilt: float = 0.0
    parallax: float = 0.0
    ripple: float = 0.0
    bend: float = 0.0
    blur: float = 0.0
    shadow: float = 0.0
    feather: float = 0.0
    scenes: int = 1
    still_copies: Literal[0, 1] = 0
    still_in: Literal["picture", "world", "either"] = "picture"
    picture_share: float = 0.5

    def __post_init__(self) -> None:
        for name, (lowest, highest) in _RANGES.items():
            if getattr(self, name) < lowest:
                raise InputError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
            if getattr(self, name) > highest:
                raise InputError(f"{name} must be at most {highest}, got {getattr(self, name):.4g}")
        if self.num_frames * self.size**2 > _MOST_PIXELS:
            raise InputError(f"a video of num_frames {self.num_frames} and size {self.size} would fit no memory")
        for name, most in _SHARES.items():
            if not 0 <= getattr(self, name) <= most:
                raise InputError(f"{name} must be in [0, {most}], got {getattr(self, name)}")
        for name in ("radius", "amplitude", "period", "distractor_radius"):
            low, high = getattr(self, name)
            if not 0 < low <= high <= _HIGHEST[name]:
                ends = f"above 0 and at most {_HIGHEST[name]}"
                raise InputError(f"{name} must be two ascending values {ends}, got {low} and {high}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} must be {' or '.join(map(str, choices))}, got {getattr(self, name)}")
        if not 0 <= self.feather <= self.size / 8:
            raise InputError(f"feather must be in [0, size / 8], got {self.feather}")
        if self.look == "noise" and (given := [name for name in _NOT_IN_NOISE if getattr(self, name)]):
            raise InputError(f"look=noise goes without {', '.join(given)}: they would show in a single frame")
        if self.scenes * self._largest_background() > _MOST_PIXELS:
            names = ("num_frames", "size", "pan", "shake", "zoom", "scenes")
            words = ", ".join(f"{name} {getattr(self, name)}" for name in names)
            raise InputError(f"a background for {words} would fit no memory; lower one of them")
        if not 0 < self.fps <= 1000:
            raise InputError(f"fps must be more than 0 and at most 1000, got {self.fps}")

    def _largest_background(self) -> float:
        """Pixels of the background where the camera goes as far as it may, about."""
        half = (self.num_frames - 1) / 2
        smallest = (1 - self.zoom) ** half
        if smallest < 1e-3:
            return math.inf
        way = self.pan * half + 3 * self.shake + (0.5 if self.tilt else 0)
        return float((self.size * (1 + 2 * way) / smallest) ** 2)


_RANGES = {"num_frames": (1, 10**6), "size": (16, 4096), "segments": (1, 1000), "distractors": (0, 1000),
           "static_distractors": (0, 1000), "scenes": (1, 10**6)}  # fmt: skip
_HIGHEST = {"radius": 1, "distractor_radius": 1, "amplitude": 10, "period": 10**6}
_SHARES = {"pan": 1, "slowest": 1, "shake": 1, "resting": 1, "noise": 1, "correlation": 1, "zoom": 1, "tilt": 2,
           "parallax": 2, "ripple": STEEPEST, "bend": STEEPEST, "blur": 1, "shadow": 1, "picture_share": 1}  # fmt: skip
_NOT_IN_NOISE = ("static_distractors", "zoom", "tilt", "parallax", "ripple", "bend", "blur", "shadow", "feather",
                 "noise")  # fmt: skip
_MOST_PIXELS = 2**28
_CHOICES: dict[str, tuple[Any, ...]] = {
    name: get_args(hint) for name, hint in get_type_hints(ShapesWorld).items() if get_origin(hint) is Literal
}

_NATURAL = ShapesWorld(
    size=112,
    radius=(0.12, 0.2),
    pan=0.012,
    shake=0.01,
    zoom=0.004,
    static_distractors=3,
    distractor_radius=(0.08, 0.18),
    look="natural",
    blur=0.5,
    shadow=0.3,
    feather=0.7,
)

REGIMES: dict[str, ShapesWorld] = {
    "easy": ShapesWorld(),
    "camera": ShapesWorld(pan=0.012, shake=0.02),
    "clutter": ShapesWorld(radius=(0.1, 0.14), distractors=4, static_distractors=2),
    "changing": ShapesWorld(segments=2),
    "natural": _NATURAL,
    "outdoors": replace(
        _NATURAL,
        radius=(0.08, 0.28),
        amplitude=(0.01, 0.2),
        period=(16.0, 80.0),
        pan=0.07,
        slowest=0.0,
        zoom=0.008,
        tilt=1.2,
        parallax=0.6,
        ripple=0.1,
        bend=0.1,
        blur=0.4,
        shadow=0.2,
        tiled=True,
    ),
    "noise": ShapesWorld(pan=0.02, look="noise"),
}
"""Where FIMA's claims are put to the test. In all but ``easy``, motion and object are weakly aligned: in space by a
moving camera or by moving clutter, in time by motions that change; in ``natural`` all looks are of real footage and
objects like the one that moves rest on the background; ``outdoors`` has a camera between rest and haste, a ground in
depth, things that stand before it, water, and objects that bend; in ``noise`` nothing but motion tells them apart."""


def world_from_text(regime: str, knobs: dict[str, str]) -> ShapesWorld:
    """A regime with some knobs turned, as ``--data shapes:camera,shake=0.04`` gives them.

    Raises:
        InputError: if there is no such regime or knob, or a value is none of its kind.
    """
    if regime not in REGIMES:
        raise InputError(f"shapes: the regime must be one of {', '.join(REGIMES)}, got {regime!r}")
    hints = get_type_hints(ShapesWorld)
    known = {field.name: hints[field.name] for field in fields(ShapesWorld)}
    values: dict[str, Any] = {}
    for name, text in knobs.items():
        if name not in known:
            raise InputError(f"shapes: {name!r} is no knob; there are videos, seed, {', '.join(known)}")
        values[name] = _value(name, text, known[name])
    return replace(REGIMES[regime], **values)


def _value(name: str, text: str, kind: Any) -> Any:
    try:
        if kind is str or str in map(type, get_args(kind)):
            return text
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if kind is float:
            return float(text)
        if kind == _Range:
            low, high = text.split("-")
            return float(low), float(high)
        return int(text)
    except (ValueError, KeyError):
        wanted = (
            "LOW-HIGH" if kind == _Range else {bool: "true or false", float: "a number"}.get(kind, "a whole number")
        )
        raise InputError(f"shapes: {name} must be {wanted}, got {text!r}") from None
