"""What fine-tuning and a linear probe are made of: typed settings in groups. No torch here."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fima.errors import InputError
from fima.evaluation.protocol import TestProtocol
from fima.training.config import CheckpointOptions, LoaderOptions, LogOptions, TrainerOptions

__all__ = [
    "AugmentOptions",
    "HeadOptions",
    "InputOptions",
    "OptimizerOptions",
    "SupervisedConfig",
    "SweepOptions",
    "TestOptions",
    "ValidationOptions",
]


@dataclass
class InputOptions:
    """Which frames are taken in training.

    Args:
        num_frames: of a clip; null: what the checkpoint expects.
        frame_stride: frames of the video from one frame of a clip to the next; null: what the checkpoint expects.
        size: height and width of a clip, pixels; null: what the checkpoint expects.
        clips_per_epoch: clips of each video in an epoch.
        augmented: false: the same evenly spaced clips and the test's crop in every epoch, and no change of them.
        short_side: scale frames on reading so that the shorter side has this many pixels; null: as they are.
    """

    num_frames: int | None = None
    frame_stride: int | None = None
    size: int | None = None
    clips_per_epoch: int = 1
    augmented: bool = True
    short_side: int | None = None


@dataclass
class AugmentOptions:
    """How training clips are changed, drawn for each clip, the same on all its frames.

    Args:
        area: range of a crop's share of the frame.
        aspect: range of a crop's width over its height.
        flip_probability: of each clip.
        grey_probability: of a grey clip.
        jitter_probability: of the four changes together.
        brightness: factors are drawn from [1 - x, 1 + x].
        contrast: likewise.
        saturation: likewise.
        hue: turns are drawn from [-x, x].
        blur_probability: of a blurred clip.
    """

    area: tuple[float, float] = (0.2, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip_probability: float = 0.5
    grey_probability: float = 0.2
    jitter_probability: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    blur_probability: float = 0.0


@dataclass
class OptimizerOptions:
    """The optimiser and how its rate falls.

    Args:
        algorithm: "sgd", "adam" or "adamw".
        epochs: passes over the data.
        batch_size: clips in one step, before accumulation.
        accumulate: batches whose gradients are summed up (as their mean) before each step.
        lr: first (after the warm-up) learning rate; null: chosen on validation by a sweep on cached features.
        backbone_lr_factor: of the backbone's rate.
        momentum: of SGD.
        weight_decay: on every parameter.
        schedule: "milestones": times gamma at each; "cosine" to zero; "plateau": times gamma after `patience` epochs
            whose mean training loss was above the least so far; "constant".
        update: the rate changes once an "epoch" or with every "step".
        milestones: epochs.
        gamma: factor.
        patience: epochs.
        warmup_epochs: epochs of linear growth from `warmup_start` before.
        warmup_start: first learning rate of the warm-up.
    """

    algorithm: Literal["sgd", "adam", "adamw"] = "sgd"
    epochs: int = 150
    batch_size: int = 16
    accumulate: int = 1
    lr: float | None = 0.01
    backbone_lr_factor: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Literal["milestones", "cosine", "plateau", "constant"] = "milestones"
    update: Literal["epoch", "step"] = "epoch"
    milestones: list[int] = field(default_factory=lambda: [60, 120])
    gamma: float = 0.1
    patience: int = 3
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0


@dataclass
class HeadOptions:
    """What stands on the pooled feature.

    Args:
        dropout: before the last layer.
        l2_norm: scale features to length 1.
        batch_norm: normalise channels by the batch.
        backbone_mode: of a frozen backbone: "train" goes on collecting statistics of its batch normalisation.
    """

    dropout: float = 0.0
    l2_norm: bool = False
    batch_norm: bool = False
    backbone_mode: Literal["train", "eval"] = "eval"


@dataclass
class TestOptions:
    """How the trained classifier is tested.

    Args:
        clips: of a video, evenly spaced.
        crops: 1, 3 or 10.
        placement: "uniform", or "half_overlap": as many clips as fit.
        crop_fraction: side of a crop as a share of the frame's short side; null: all of it.
        average: mean over clips and crops of the "softmax", "log_softmax" or "logits".
        size: height and width of a test clip, pixels; null: as in training.
        batch_size: clips that go through the network at once.
    """

    __test__ = False

    clips: int = 10
    crops: int = 1
    placement: Literal["uniform", "half_overlap"] = "uniform"
    crop_fraction: float | None = 0.875
    average: Literal["softmax", "log_softmax", "logits"] = "softmax"
    size: int | None = None
    batch_size: int = 32

    def protocol(self) -> TestProtocol:
        """As `fima.evaluation.clips` takes it."""
        return TestProtocol(self.clips, self.crops, self.placement, self.crop_fraction, self.average)


@dataclass
class ValidationOptions:
    """How the epoch is chosen whose weights are tested.

    Args:
        choose: "val": the best on a validation split; "last": the last one; "test": the best on the test split, which
            is too good to be true and said so in every result.
        fraction: of each training class that is held out where no validation split is named.
        clips: of a validation video; with "test" all clips and crops of the test are taken.
        every_epochs: epochs between evaluations.
    """

    choose: Literal["val", "last", "test"] = "val"
    fraction: float = 0.1
    clips: int = 1
    every_epochs: int = 1


@dataclass
class SweepOptions:
    """Values that a probe on cached features is tried with; the best on validation is taken.

    Args:
        lr: learning rates.
        weight_decay: weight decays; empty: that of the optimiser.
    """

    lr: list[float] = field(default_factory=lambda: [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
    weight_decay: list[float] = field(default_factory=list)


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
        free = {"data", "ckpt", "out", "resume", "preset", "loader", "trainer", "checkpoints", "log", "test_only"}
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
    *("augment.flip_probability", "augment.grey_probability", "augment.jitter_probability"),
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
    if config.features and config.task != "linear":
        raise InputError("features: only a linear probe (fima linear) can be trained on cached features")
    if config.optimizer.lr is None and config.task != "linear":
        raise InputError("optimizer.lr: this preset's source gives none; set one with --optimizer.lr")
    if config.test_only and config.ckpt == "random":
        raise InputError("test_only: tests the classifier of a checkpoint, and --ckpt random has none")
    config.test.protocol()
