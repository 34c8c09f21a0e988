"""Published settings of fine-tuning and linear probes, by name; what a source leaves open is None. No torch here.

Those of retrieval are in `fima.evaluation.retrieval_presets`.

The numbers are facts from public code: ZMHH-H/FIMA ``eval.py``; Mark12Ding/FAME ``eval.py``;
amazon-science/self-supervised-maclr ``configs/UCF101``; facebookresearch/SlowFast ``configs/contrastive_ssl``;
DAVEISHAN/TCLR ``linear_eval``; TengdaHan/CoCLR ``eval``; megvii-research/MSCL ``configs``;
fmthoker/SEVERE-BENCHMARK ``configs/benchmark``. The presets themselves are in `fima.presets.published`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from fima.errors import InputError

__all__ = ["OURS", "SupervisedPreset", "Task", "preset", "preset_names"]

Task = Literal["finetune", "linear"]


@dataclass(frozen=True)
class SupervisedPreset:
    """Settings of fine-tuning or of a linear probe; None: the source leaves it open.

    Attributes:
        name, task, source: what it is, and where it is from.
        arch: the network it is published for.
        num_frames, frame_stride: of a clip; ``fps``: the rate its frames are taken at, where that is what is fixed.
        size: of the crops that are trained on, pixels; ``test_size``: of those that are tested, where it is another.
        algorithm, lr, momentum, weight_decay, batch_size, epochs: of the optimizer.
        backbone_lr_factor: of the backbone's rate.
        schedule, milestones, gamma: how the rate falls; ``patience``: epochs, of "plateau".
        warmup_epochs, warmup_start: of a linear warm-up.
        clips_per_epoch: clips of each video in an epoch.
        dropout, l2_norm, batch_norm: before the last layer.
        backbone_mode: of its batch normalization while the head is trained: "train" goes on collecting statistics.
        area, aspect, flip_probability, gray_probability, jitter_probability: of the augmentation.
        clips, crops, placement, crop_fraction, average: of the test (`fima.data.clip_protocol.TestProtocol`).
        best_on_test: whether the published number is the best of several epochs on the test split.
        every_epochs: epochs between evaluations.
        examples: training videos, if not all.
        ours: what we do where it is open and `OURS` does not fit.
        notes: what the numbers do not say.
    """

    name: str
    task: Task
    source: str
    arch: str | None = None
    num_frames: int | None = None
    frame_stride: int | None = None
    fps: float | None = None
    size: int | None = None
    test_size: int | None = None
    algorithm: str | None = None
    lr: float | None = None
    backbone_lr_factor: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    schedule: str | None = None
    milestones: tuple[int, ...] | None = None
    gamma: float | None = None
    patience: int | None = None
    warmup_epochs: float | None = None
    warmup_start: float | None = None
    clips_per_epoch: int | None = None
    dropout: float | None = None
    l2_norm: bool | None = None
    batch_norm: bool | None = None
    backbone_mode: str | None = None
    area: tuple[float, float] | None = None
    aspect: tuple[float, float] | None = None
    flip_probability: float | None = None
    gray_probability: float | None = None
    jitter_probability: float | None = None
    clips: int | None = None
    crops: int | None = None
    placement: str | None = None
    crop_fraction: float | None = None
    average: str | None = None
    best_on_test: bool | None = None
    every_epochs: int | None = None
    examples: int | None = None
    ours: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[str, ...]:
        """Names of the settings that the source leaves open."""
        return tuple(item.name for item in fields(self) if getattr(self, item.name) is None)

    def settings(self) -> dict[str, Any]:
        """Flags of ``fima finetune`` and ``fima linear``, dotted name → value: the source's, where open ours."""
        chosen = {**OURS, **self.ours}
        values = {}
        for name, flag in _FLAGS.items():
            value = getattr(self, name)
            value = chosen.get(name) if value is None else value
            values[flag] = list(value) if isinstance(value, tuple) else value
        return values


OURS: Mapping[str, Any] = {
    "algorithm": "sgd",
    "backbone_lr_factor": 1.0,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "batch_size": 32,
    "schedule": "milestones",
    "gamma": 0.1,
    "patience": 3,
    "warmup_epochs": 0.0,
    "warmup_start": 0.0,
    "clips_per_epoch": 1,
    "dropout": 0.0,
    "l2_norm": False,
    "batch_norm": False,
    "backbone_mode": "eval",
    "area": (0.2, 1.0),
    "aspect": (3 / 4, 4 / 3),
    "flip_probability": 0.5,
    "gray_probability": 0.0,
    "jitter_probability": 0.0,
    "clips": 10,
    "crops": 1,
    "placement": "uniform",
    "crop_fraction": 0.875,
    "average": "softmax",
    "every_epochs": 1,
    "milestones": (),
}
"""What is done where a source leaves a setting open and the preset does not say otherwise."""

_FLAGS = {
    "num_frames": "input.num_frames",
    "frame_stride": "input.frame_stride",
    "size": "input.size",
    "clips_per_epoch": "input.clips_per_epoch",
    "area": "augment.area",
    "aspect": "augment.aspect",
    "flip_probability": "augment.flip_probability",
    "gray_probability": "augment.gray_probability",
    "jitter_probability": "augment.jitter_probability",
    **{
        name: f"optimizer.{name}"
        for name in (
            *("algorithm", "lr", "backbone_lr_factor", "momentum", "weight_decay", "batch_size", "epochs"),
            *("schedule", "milestones", "gamma", "patience", "warmup_epochs", "warmup_start"),
        )
    },
    **{name: f"head.{name}" for name in ("dropout", "l2_norm", "batch_norm", "backbone_mode")},
    **{name: f"test.{name}" for name in ("clips", "crops", "placement", "crop_fraction", "average")},
    "test_size": "test.size",
    "every_epochs": "validation.every_epochs",
    "examples": "examples",
}


def preset_names(task: Task) -> tuple[str, ...]:
    """The presets of a task."""
    from fima.presets.published import PRESETS

    return tuple(name for of, name in PRESETS if of == task)


def preset(name: str, task: Task) -> SupervisedPreset:
    """A preset by name.

    Raises:
        InputError: if the sources have no such settings; the message lists those there are.
    """
    from fima.presets.published import ABSENT, PRESETS

    if (task, name) in PRESETS:
        return PRESETS[task, name]
    known = preset_names(task)
    if (task, name) in ABSENT:
        raise InputError(f"--preset {name}: {ABSENT[task, name]}; presets of {task}: {', '.join(known)}")
    close = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(f"--preset {name}: no such preset of {task}; there are {', '.join(known)}{hint}")
