"""What fine-tuning or a linear probe is made of, and which numbers no run can use. No torch here."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fima.errors import InputError
from fima.tasks.classify.options import (
    AugmentOptions,
    HeadOptions,
    InputOptions,
    OptimizerOptions,
    SweepOptions,
    TestOptions,
    ValidationOptions,
)
from fima.tasks.pretrain.config import CheckpointOptions, LoaderOptions, LogOptions, TrainerOptions

__all__ = ["SupervisedConfig", "flatten"]


@dataclass
class SupervisedConfig:
    """A whole evaluation.

    Args:
        task: "finetune" or "linear".
        data: a data set's folder, or a list file.
        ckpt: a checkpoint's path, the name of a shipped one, or "random" for an untrained backbone.
        out: folder of the run; null: runs/<task>-<preset>.
        arch: with --ckpt random: the architecture; otherwise only where the file does not tell.
        train_split: of the data set.
        test_split: of the data set.
        val_split: of the data set; null: held out from training.
        layout: of the data set; null: found out.
        frame_template: names of pictures in folders of frames; null: found out.
        frame_fps: their rate, frames per second; null: 30.
        preset: published settings that flags change one by one.
        seed: of every draw.
        resume: "auto": from `out`/last.ckpt where there is one; "never"; or a checkpoint's path.
        examples: training videos that are used, drawn by seed and class by class; null: all.
        features: train on features that are computed once, without augmentation (linear probes).
        features_train: a table of fima extract to train a linear probe on, instead of data and ckpt.
        features_test: the table to test it on.
        test_only: test the classifier in --ckpt, without training.
    """

    task: Literal["finetune", "linear"]
    data: str
    ckpt: str
    out: str
    arch: str | None = None
    train_split: str | None = "train"
    test_split: str | None = "test"
    val_split: str | None = None
    layout: str | None = None
    frame_template: str | None = None
    frame_fps: float | None = None
    preset: str = "fima"
    seed: int = 0
    resume: str = "never"
    examples: int | None = None
    features: bool = False
    features_train: str | None = None
    features_test: str | None = None
    test_only: bool = False
    input: InputOptions = field(default_factory=InputOptions)
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    head: HeadOptions = field(default_factory=HeadOptions)
    test: TestOptions = field(default_factory=TestOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)
    sweep: SweepOptions = field(default_factory=SweepOptions)
    loader: LoaderOptions = field(default_factory=LoaderOptions)
    trainer: TrainerOptions = field(default_factory=TrainerOptions)
    checkpoints: CheckpointOptions = field(default_factory=CheckpointOptions)
    log: LogOptions = field(default_factory=LogOptions)

    def __post_init__(self) -> None:
        _check_ranges(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as YAML has them."""
        return asdict(self)

    def decisive(self) -> dict[str, Any]:
        """The settings that the weights depend on, dotted name → value: they may not change on the way."""
        free = {"data", "ckpt", "out", "resume", "preset", "loader", "trainer", "checkpoints", "log", "test_only",
                "features_train", "features_test"}  # fmt: skip
        flat = flatten({name: value for name, value in self.to_dict().items() if name not in free})
        return flat | {"trainer.precision": self.trainer.precision}


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names; tuples become lists."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


_AT_LEAST_ONE = (
    *("input.num_frames", "input.frame_stride", "input.size", "input.clips_per_epoch", "input.short_side"),
    *("optimizer.epochs", "optimizer.batch_size", "optimizer.accumulate", "optimizer.patience"),
    *("test.size", "test.batch_size", "validation.clips", "validation.every_epochs", "examples"),
    *("loader.prefetch", "trainer.threads", "trainer.max_steps", "log.every_steps"),
    *("checkpoints.every_epochs", "checkpoints.every_steps", "checkpoints.keep", "checkpoints.keep_every"),
)
_NOT_NEGATIVE = (
    *("optimizer.backbone_lr_factor", "optimizer.momentum", "optimizer.weight_decay"),
    *("optimizer.warmup_epochs", "optimizer.warmup_start", "loader.workers"),
)
_SHARES = (
    *("augment.flip_probability", "augment.gray_probability", "augment.jitter_probability"),
    *("augment.blur_probability", "augment.brightness", "augment.contrast", "augment.saturation", "loader.max_failed"),
)


def _check_ranges(config: SupervisedConfig) -> None:
    """Refuse numbers that no run can use."""
    flat = flatten(config.to_dict())
    for name in _AT_LEAST_ONE:
        if flat[name] is not None and flat[name] < 1:
            raise InputError(f"{name} must be at least 1, got {flat[name]}")
    for name in _NOT_NEGATIVE:
        if not 0 <= flat[name] < math.inf:
            raise InputError(f"{name} must be at least 0, got {flat[name]}")
    for name in _SHARES:
        if not 0 <= flat[name] <= 1:
            raise InputError(f"{name} must be in [0, 1], got {flat[name]}")
    if not 0 <= config.head.dropout < 1:
        raise InputError(f"head.dropout must be in [0, 1), got {config.head.dropout}")
    if not 0 < config.validation.fraction < 1:
        raise InputError(f"validation.fraction must be in (0, 1), got {config.validation.fraction}")
    rates = [("optimizer.lr", config.optimizer.lr), *(("sweep.lr", rate) for rate in config.sweep.lr)]
    for name, rate in rates:
        if rate is not None and not 0 < rate < math.inf:
            raise InputError(f"{name} must be above 0, got {rate}")
    if not 0 < config.optimizer.gamma <= 1:
        raise InputError(f"optimizer.gamma must be in (0, 1], got {config.optimizer.gamma}")
    if not 0 <= config.seed < 2**63:
        raise InputError(f"seed must be in [0, 2**63), got {config.seed}")
    if (config.features or config.features_train) and config.task != "linear":
        raise InputError("features: only a linear probe (fima linear) can be trained on cached features")
    if config.optimizer.lr is None and config.task != "linear":
        raise InputError("optimizer.lr: this preset's source gives none; set one with --optimizer.lr")
    if config.test_only and config.ckpt == "random":
        raise InputError("test_only: tests the classifier of a checkpoint, and --ckpt random has none")
    config.test.protocol()
