"""Settings of fine-tuning and of linear probes, in the groups that flags have. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fima.data.clip_protocol import ClipProtocol

__all__ = [
    "AugmentOptions",
    "HeadOptions",
    "InputOptions",
    "OptimizerOptions",
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
        gray_probability: of a gray clip.
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
    gray_probability: float = 0.2
    jitter_probability: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    blur_probability: float = 0.0


@dataclass
class OptimizerOptions:
    """The optimizer and how its rate falls.

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
        batch_norm: normalize channels by the batch.
        backbone_mode: of a frozen backbone: "train" goes on collecting statistics of its batch normalization.
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

    def protocol(self) -> ClipProtocol:
        """As `fima.data.protocol_clips` takes it."""
        return ClipProtocol(self.clips, self.crops, self.placement, self.crop_fraction, self.average)


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
        weight_decay: weight decays; empty: that of the optimizer.
    """

    lr: list[float] = field(default_factory=lambda: [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
    weight_decay: list[float] = field(default_factory=list)
