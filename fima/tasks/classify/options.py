"""Settings of fine-tuning and of linear probes, in the groups that flags have. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fima.data.clip_protocol import ClipProtocol
from fima.engine.configuration import Crops, Optimizer, at_least, within
from fima.transforms.color_ranges import ColorRanges

__all__ = [
    "AugmentOptions",
    "HeadOptions",
    "InputOptions",
    "OptimizerOptions",
    "SweepOptions",
    "TestOptions",
    "ValidationOptions",
]


@dataclass(frozen=True)
class InputOptions:
    """Which frames are taken in training.

    Args:
        num_frames: Frames of a clip; null: what the checkpoint expects.
        frame_stride: Frames of the video from one frame of a clip to the next; null: what the checkpoint expects.
        size: Height and width of a clip, pixels; null: what the checkpoint expects.
        clips_per_epoch: Clips of each video in an epoch.
        augmented: false: the same evenly spaced clips and the test's crop in every epoch, and no change of them.
        short_side: Scale frames on reading so that the shorter side has this many pixels; null: as they are.
    """

    num_frames: int | None = at_least(1, None)
    frame_stride: int | None = at_least(1, None)
    size: int | None = at_least(1, None)
    clips_per_epoch: int = at_least(1, 1)
    augmented: bool = True
    short_side: int | None = at_least(1, None)


@dataclass(frozen=True)
class AugmentOptions(Crops, ColorRanges):
    """How training clips are changed, drawn for each clip, the same on all its frames."""

    blur_probability: float = 0.0


@dataclass(frozen=True)
class OptimizerOptions(Optimizer):
    """The optimizer and how its rate falls.

    Args:
        lr: First (after the warm-up) learning rate; null: chosen on validation by a sweep on cached features.
        backbone_lr_factor: Factor of the backbone's rate.
        layer_decay: Factor of the rate from one block of a token network to the one before it; 1: all alike.
        decay_norms: Whether the backbone's biases and norms have weight decay too.
    """

    epochs: int = at_least(1, 150)
    schedule: Literal["cosine", "milestones", "plateau", "constant"] = "milestones"
    milestones: tuple[int, ...] = (60, 120)
    batch_size: int = at_least(1, 16)
    lr: float | None = within("(0, inf)", 0.01)
    backbone_lr_factor: float = at_least(0, 1.0)
    layer_decay: float = within("(0, 1]", 1.0)
    decay_norms: bool = True


@dataclass(frozen=True)
class HeadOptions:
    """What stands on the pooled feature.

    Args:
        dropout: Share that is dropped before the last layer.
        l2_norm: Scale features to length 1.
        batch_norm: Normalize channels by the batch.
        backbone_mode: Mode of a frozen backbone: "train" goes on collecting statistics of its batch normalization.
    """

    dropout: float = within("[0, 1)", 0.0)
    l2_norm: bool = False
    batch_norm: bool = False
    backbone_mode: Literal["train", "eval"] = "eval"


@dataclass(frozen=True)
class TestOptions:
    """How the trained classifier is tested.

    Args:
        clips: Clips of a video, evenly spaced.
        crops: Crops of a clip: 1, 3 or 10.
        placement: "uniform", or "half_overlap": as many clips as fit.
        crop_fraction: Side of a crop as a share of the frame's short side; null: all of it.
        average: Mean over clips and crops of the "softmax", "log_softmax" or "logits".
        size: Height and width of a test clip, pixels; null: as in training.
        batch_size: Clips that go through the network at once.
    """

    __test__ = False

    clips: int = 10
    crops: int = 1
    placement: Literal["uniform", "half_overlap"] = "uniform"
    crop_fraction: float | None = 0.875
    average: Literal["softmax", "log_softmax", "logits"] = "softmax"
    size: int | None = at_least(1, None)
    batch_size: int = at_least(1, 32)

    def protocol(self) -> ClipProtocol:
        """As `fima.data.protocol_clips` takes it."""
        return ClipProtocol(self.clips, self.crops, self.placement, self.crop_fraction, self.average)


@dataclass(frozen=True)
class ValidationOptions:
    """How the epoch is chosen whose weights are tested.

    Args:
        choose: "val": the best on a validation split; "last": the last one; "test": the best on the test split, which
            is too good to be true and said so in every result.
        fraction: Share of each training class that is held out where no validation split is named.
        clips: Clips of a validation video; with "test" all clips and crops of the test are taken.
        every_epochs: Epochs between evaluations.
    """

    choose: Literal["val", "last", "test"] = "val"
    fraction: float = within("(0, 1)", 0.1)
    clips: int = at_least(1, 1)
    every_epochs: int = at_least(1, 1)


@dataclass(frozen=True)
class SweepOptions:
    """Values that a probe on cached features is tried with; the best on validation is taken.

    Args:
        lr: Learning rates.
        weight_decay: Weight decays; empty: that of the optimizer.
    """

    lr: tuple[float, ...] = within("(0, inf)", (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0))
    weight_decay: tuple[float, ...] = ()
