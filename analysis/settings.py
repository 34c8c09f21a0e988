"""One set of words for flags, notebook parameters and Python: what to look at, with which backbone, and how.

Importing this module does not import torch.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.measures.entries.attribution import BASELINES as ATTRIBUTION_BASELINES
from analysis.measures.entries.attribution import METHODS as ATTRIBUTION_METHODS
from analysis.measures.entries.attribution import TARGETS as ATTRIBUTION_TARGETS
from analysis.measures.registry import find_measure
from fima.errors import InputError

__all__ = [
    "ATTRIBUTION_BASELINES",
    "ATTRIBUTION_METHODS",
    "ATTRIBUTION_TARGETS",
    "BOUNDARIES",
    "DEFAULT_CKPT",
    "DENSE",
    "FITS",
    "NORMALIZATIONS",
    "NOT_DECISIVE",
    "SPACES",
    "Settings",
    "as_names",
    "untrained_seed",
]

BOUNDARIES = ("repeat", "wrap")
NORMALIZATIONS = ("frame", "clip")
FITS = ("clip", "set")
SPACES = ("backbone", "projected")
DENSE = (1, 2, 4)
"""Cells of a map per cell of the network, along each side."""
_SMALLEST = {
    "num_frames": 2, "frame_stride": 1, "size": 8, "clips": 1, "batch_size": 1, "hop": 1, "show": 1, "seed": 0,
    "steps": 1,
}  # fmt: skip
_LARGEST = {"num_frames": 10**5, "frame_stride": 10**6, "size": 10**5, "clips": 10**4, "steps": 10**5, "show": 1000}
NOT_DECISIVE = {"trust_checkpoint", "show", "device", "batch_size"}
DEFAULT_CKPT = "tiny-fima"
"""Comes with the package: without any flag, every command shows something trained."""
_RANDOM = re.compile(r"random(?::(\d+))?")
_TEXTS = (
    "ckpt",
    "arch",
    "input_spec",
    "data",
    "split",
    "train_split",
    "masks",
    "layer",
    "layers",
    "space",
    "boundary",
    "normalize",
    "device",
    "cell",
    "fit",
    "method",
    "target",
    "baseline",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a study looks at and how; ``None`` means "what the checkpoint expects" or "the built-in one".

    Attributes:
        ckpt: Checkpoint file, or the folder of a training run (its newest); ``random`` or ``random:SEED``, an untrained
            backbone; or the name of one that comes with the package. None is an untrained
            one of ``arch`` where that is given, else what the measure's entry names (``default_backbone``), else
            ``DEFAULT_CKPT``.
        arch: Architecture, where the checkpoint's keys cannot tell it, or ``package.module:factory``.
        input_spec: Overrides the checkpoint's input specification (file or inline, see ``InputSpec.parse``).
        trust_checkpoint: Allow a checkpoint that runs code when unpickled.
        video: Paths of videos; with neither ``video`` nor ``data``, one procedural clip.
        data: A data set: folder or list of ``path label`` rows.
        split: Split of the data set; None takes every video, of drawn data (``shapes:``) those of ``test``: the shipped
            backbones were trained on their training videos.
        train_split: Split that a probe is trained on (background only); None: the tested videos
            themselves, in folds that keep recordings whole.
        battery: Also ask probes of the classes about the order of frames (sensitivity only).
        pairs: Pairs of classes that are each other's reversal, ``CLASS:CLASS``, for the battery.
        masks: Where objects are: a folder of masks, boxes or a data set's annotation (``fima.data.masks``); drawn
            videos need none.
        num_frames: Frames per clip.
        frame_stride: Frames from one clip frame to the next.
        size: Side of the square, center-cropped clip in pixels.
        clips: Clips per video: 1 is the middle, more are uniformly spaced.
        start_seconds: Start of the one clip per video, instead of ``clips``.
        layer: The backbone's layer to read; None is its output.
        layers: Which layers to read as a curve from input to output: ``all`` that the backbone publishes, or names with
            commas between them (affinity, cam, temporal, localize and mover only).
        space: Compare features as the ``backbone`` gives them, or ``projected`` by the method in ``ckpt`` (affinity and
            temporal only).
        boundary: First frame of the frame difference: ``repeat`` the second's, or ``wrap`` as in training.
        normalize: Scale activation maps to [0, 1] over each ``frame``, or over the ``clip``, which keeps frames
            comparable (cam only).
        dense: Cells of a map per cell of the backbone's grid, along height and width: 1, 2 or 4; takes ``dense²``
            passes (cam, localize and mover only).
        hop: Frames between windows along a video (temporal, and cam of whole videos); None is a quarter of a window, of
            cam half.
        whole: Look at whole videos, by windows that overlap, instead of clips (cam only).
        cell: ``t,y,x`` of the grid: whose attention is shown (attention only); None is the cell of most motion.
        fit: Principal components of each ``clip``, or of the whole ``set`` (pca only).
        method: Method of attribution, with captum (attribution only, as the next three).
        target: What is attributed.
        baseline: What a clip is compared with.
        steps: Gradients per map.
        twin: Set beside every score that of an untrained backbone of the same architecture on the same clips.
        show: How many clips a figure shows at most.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        batch_size: Clips per forward pass.
        seed: Seed of all random draws: untrained weights, the procedural clip, shuffled frames.

    Raises:
        InputError: For a value that cannot be used; names the word, the rule and the value.
    """

    ckpt: str | None = None
    arch: str | None = None
    input_spec: str | None = None
    trust_checkpoint: bool = False
    video: tuple[str, ...] = ()
    data: str | None = None
    split: str | None = None
    train_split: str | None = None
    battery: bool = False
    pairs: tuple[str, ...] = ()
    masks: str | None = None
    num_frames: int | None = None
    frame_stride: int | None = None
    size: int | None = None
    clips: int = 1
    start_seconds: float | None = None
    layer: str | None = None
    layers: str | None = None
    space: str = "backbone"
    boundary: str = "repeat"
    normalize: str = "frame"
    dense: int = 1
    hop: int | None = None
    whole: bool = False
    cell: str | None = None
    fit: str = "clip"
    method: str = ATTRIBUTION_METHODS[0]
    target: str = ATTRIBUTION_TARGETS[0]
    baseline: str = ATTRIBUTION_BASELINES[0]
    steps: int = 32
    twin: bool = False
    show: int = 4
    device: str = "auto"
    batch_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "video", as_names("video", self.video))
        object.__setattr__(self, "pairs", as_names("pairs", self.pairs))
        for name in _TEXTS:
            object.__setattr__(self, name, _as_text(name, getattr(self, name)))
        if self.split is None and self.data is not None and self.data.startswith("shapes:"):
            object.__setattr__(self, "split", "test")
        for name, smallest in _SMALLEST.items():
            _check_whole(name, getattr(self, name), smallest)
        for name in ("trust_checkpoint", "battery", "whole", "twin"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be true or false, got {getattr(self, name)!r}")
        _check_seconds(self.start_seconds)
        if self.start_seconds is not None and self.clips != 1:
            raise InputError(f"start_seconds chooses one clip; give either it or clips, got clips {self.clips}")
        if self.whole and (self.clips != 1 or self.start_seconds is not None):
            raise InputError("whole takes all of a video; give neither clips nor start_seconds")
        if self.video and self.data is not None:
            raise InputError("give either video or data, not both")
        if self.split is not None and self.data is None:
            raise InputError(f"split {self.split!r} needs data")
        if self.pairs and not self.battery:
            raise InputError(f"pairs {' '.join(self.pairs)} are for the battery: give it as well")
        if self.train_split is not None and (self.data is None or self.train_split == self.split):
            raise InputError(
                f"train_split {self.train_split!r} needs data and another split to test on, got {self.split!r}"
            )
        _check_choice("space", self.space, SPACES)
        if self.space == "projected" and self.layer is not None:
            raise InputError(
                f"a projector takes the backbone's output; give either layer {self.layer!r} or space projected"
            )
        if self.layers is not None and (self.layer or self.whole or self.dense > 1 or self.space != "backbone"):
            raise InputError("layers reads every depth; it goes with none of layer, whole, dense and space projected")
        _check_choice("boundary", self.boundary, BOUNDARIES)
        _check_choice("normalize", self.normalize, NORMALIZATIONS)
        _check_choice("dense", self.dense, DENSE)
        _check_choice("fit", self.fit, FITS)
        if self.cell is not None and not re.fullmatch(r"[0-9]{1,6}(,[0-9]{1,6}){2}", self.cell):
            raise InputError(f"cell must be t,y,x of the grid, three whole numbers, got {self.cell!r}")
        _check_choice("method", self.method, ATTRIBUTION_METHODS)
        if self.target not in ATTRIBUTION_TARGETS and not re.fullmatch(r"logit:[0-9]+", str(self.target)):
            known = ", ".join(ATTRIBUTION_TARGETS)
            raise InputError(f"target must be one of {known}, or logit:CLASS with its index, got {self.target!r}")
        _check_choice("baseline", self.baseline, ATTRIBUTION_BASELINES)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Settings:
        """Settings from flags or notebook parameters.

        Args:
            parameters: Names of this class's fields; others are refused.

        Raises:
            InputError: For an unknown name or a value that cannot be used.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(parameters) - known):
            raise InputError(f"unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
        return cls(**parameters)

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any]) -> Settings:
        """Settings from a notebook's ``globals()``: every variable that is named like a setting."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls.from_parameters({name: namespace[name] for name in names if name in namespace})

    @property
    def checkpoint(self) -> str:
        """What ``ckpt`` comes to."""
        if self.ckpt is not None:
            return self.ckpt
        return DEFAULT_CKPT if self.arch is None else "random"

    def for_measure(self, measure: str) -> Settings:
        """The settings, with a measure's own default backbone where neither ``ckpt`` nor ``arch`` is given."""
        if self.ckpt is not None or self.arch is not None:
            return self
        return dataclasses.replace(self, **find_measure(measure).default_backbone)

    def changed(self) -> dict[str, Any]:
        """The settings that differ from their defaults, in the order of the fields."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }

    def decisive(self) -> dict[str, Any]:
        """The settings that a result depends on: those that differ from their defaults, but for how it was computed."""
        return {name: value for name, value in self.changed().items() if name not in NOT_DECISIVE}

    def command(self, measure: str) -> str:
        """The command line that repeats this study, but for ``--out``."""
        words = ["fima-analyze", measure]
        for name, value in self.changed().items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                words.append(flag)
            elif isinstance(value, tuple):
                words += [flag, *value]
            else:
                words += [flag, str(value)]
        return shlex.join(words)


def as_names(name: str, value: Any) -> tuple[str, ...]:
    """A notebook parameter that may be None, one path or name, or a list of them.

    Raises:
        InputError: For anything else, such as a number or a list that was passed as a text.
    """
    if value is None:
        return ()
    given = [value] if isinstance(value, str | Path) else value
    if isinstance(value, str) and value.startswith("[") and value.endswith("]") and not Path(value).exists():
        raise InputError(f"{name}: papermill takes a list as -y '{name}: [a, b]', got the text {value!r}")
    if not isinstance(given, list | tuple) or not all(isinstance(item, str | Path) for item in given):
        raise InputError(f"{name} must be a text or a list of texts, got {value!r}{_PAPERMILL}")
    return tuple(map(str, given))


_PAPERMILL = " (papermill takes a text as -r NAME TEXT)"


def untrained_seed(ckpt: str, seed: int) -> int | None:
    """The seed of the weights that ``random`` (``seed`` itself) or ``random:SEED`` asks for; None for anything else."""
    match = _RANDOM.fullmatch(ckpt)
    if match is not None and match[1] and (len(match[1]) > 19 or int(match[1]) >= 2**63):
        raise InputError(f"--ckpt {ckpt[:40]}: a seed must be below 2**63")
    return None if match is None else int(match[1] or seed)


def _as_text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise InputError(f"{name} must be a text, got {value!r}{_PAPERMILL}")


def _check_seconds(value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise InputError(f"start_seconds must be a number of at least 0, got {value!r}")


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if isinstance(value, bool) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")


def _check_whole(name: str, value: Any, smallest: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
        raise InputError(f"{name} must be a whole number of at least {smallest}, got {value!r}")
    if value > (largest := _LARGEST.get(name, 2**63 - 1)):
        raise InputError(f"{name} must be at most {largest}, got {value}")
