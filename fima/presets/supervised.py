"""Published settings of fine-tuning and of linear probes, and what we do where a source is silent. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from fima.errors import InputError
from fima.presets.loader import preset_names, read_preset

__all__ = ["OURS", "SupervisedPreset", "Task", "preset"]

Task = Literal["finetune", "linear"]

OURS: Mapping[str, Any] = {
    "examples": None,
    "input.num_frames": None,
    "input.frame_stride": None,
    "input.size": None,
    "input.clips_per_epoch": 1,
    "augment.area": (0.2, 1.0),
    "augment.aspect": (3 / 4, 4 / 3),
    "augment.flip_probability": 0.5,
    "augment.gray_probability": 0.0,
    "augment.jitter_probability": 0.0,
    "optimizer.algorithm": "sgd",
    "optimizer.lr": None,
    "optimizer.backbone_lr_factor": 1.0,
    "optimizer.layer_decay": 1.0,
    "optimizer.decay_norms": True,
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 0.0,
    "optimizer.batch_size": 32,
    "optimizer.epochs": None,
    "optimizer.schedule": "milestones",
    "optimizer.milestones": (),
    "optimizer.gamma": 0.1,
    "optimizer.patience": 3,
    "optimizer.warmup_epochs": 0.0,
    "optimizer.warmup_start": 0.0,
    "head.dropout": 0.0,
    "head.l2_norm": False,
    "head.batch_norm": False,
    "head.backbone_mode": "eval",
    "test.clips": 10,
    "test.crops": 1,
    "test.placement": "uniform",
    "test.crop_fraction": 0.875,
    "test.average": "softmax",
    "test.size": None,
    "validation.every_epochs": 1,
}
"""Every flag that a preset may set, and what is done where neither the source nor the preset's ``ours`` says it."""

_ABOUT = {"arch", "fps", "best_on_test"}
_ABSENT = {
    ("finetune", "tclr"): "fine-tuning settings are not in TCLR's public facts that we have",
    ("linear", "fame"): "FAME's code has no linear probe",
    ("linear", "mscl"): "MSCL's linear probe is not in the public facts that we have",
}


@dataclass(frozen=True)
class SupervisedPreset:
    """Settings of fine-tuning or of a linear probe.

    Attributes:
        name: of the preset.
        task: that it is for.
        source: the code that its numbers are from.
        published: what the source says: flag of ``fima finetune`` or ``fima linear`` → value.
        ours: what we do where the source is silent and `OURS` does not fit.
        arch: the network it is published for; None if the source leaves it open.
        fps: frames per second that clips are taken at, where that is what the source fixes.
        best_on_test: whether the published number is the best of several epochs on the test split.
        notes: what the numbers do not say.
    """

    name: str
    task: Task
    source: str
    published: Mapping[str, Any]
    ours: Mapping[str, Any]
    arch: str | None
    fps: float | None
    best_on_test: bool | None
    notes: tuple[str, ...]

    @property
    def open(self) -> tuple[str, ...]:
        """Flags that the source leaves open."""
        return tuple(flag for flag in OURS if flag not in self.published)

    def settings(self) -> dict[str, Any]:
        """Flags of ``fima finetune`` and ``fima linear`` → value: the source's, and where it is silent ours."""
        values = {**OURS, **self.ours, **self.published}
        return {flag: list(value) if isinstance(value, tuple) else value for flag, value in values.items()}


@cache
def preset(name: str, task: Task) -> SupervisedPreset:
    """A preset by name.

    Raises:
        InputError: if the sources have no such settings; the message lists those there are.
    """
    if (task, name) in _ABSENT:
        raise InputError(f"--preset {name}: {_ABSENT[task, name]}; presets of {task}: {', '.join(preset_names(task))}")
    content = read_preset(name, task, {*OURS, *_ABOUT, *(f"ours.{flag}" for flag in OURS)})
    return SupervisedPreset(
        name,
        task,
        content["source"],
        {flag: content[flag] for flag in OURS if flag in content},
        {flag: content[f"ours.{flag}"] for flag in OURS if f"ours.{flag}" in content},
        content.get("arch"),
        content.get("fps"),
        content.get("best_on_test"),
        tuple(content["notes"]),
    )
