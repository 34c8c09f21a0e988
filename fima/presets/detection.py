"""Settings of training and testing an action detector, by name. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from fima.errors import InputError

__all__ = ["PRESETS", "DetectionPreset", "detection_preset"]


@dataclass(frozen=True)
class DetectionPreset:
    """How a detector is trained and tested.

    Attributes:
        name, source: what it is, and where it is from.
        num_frames, frame_stride: of a clip, at 30 frames per second; None: the backbone's.
        train_sides: range that the frame's shorter side is scaled to in training, pixels; None: 1 to 1.25 times the
            backbone's size.
        train_crop: side of the random square that is trained on, pixels; None: the whole frame, so no box is lost.
        flip_probability: of a mirrored clip in training.
        test_side: the frame's shorter side in testing, pixels, always of whole frames; None: the backbone's size.
        finer_map: without the spatial stride of the backbone's last stage, and with dilation instead.
        resolution: bins of RoIAlign along each side.
        dropout: before the last layer.
        algorithm: "sgd" (with Nesterov's momentum) or "adamw".
        batch_size: keyframes in a step.
        epochs, lr, momentum, weight_decay: of the optimizer.
        milestones, gamma: epochs at which the rate is multiplied by gamma.
        warmup_epochs, warmup_start: of a linear warm-up.
        min_score: of the person boxes that are tested.
        notes: how it differs from its source.

    Raises:
        InputError: if a value is out of its range.
    """

    name: str
    source: str
    num_frames: int | None = None
    frame_stride: int | None = None
    train_sides: tuple[int, int] | None = None
    train_crop: int | None = None
    flip_probability: float = 0.5
    test_side: int | None = None
    finer_map: bool = False
    resolution: int = 7
    dropout: float = 0.5
    algorithm: Literal["sgd", "adamw"] = "sgd"
    batch_size: int = 64
    epochs: int = 20
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-7
    milestones: tuple[int, ...] = (10, 15)
    gamma: float = 0.1
    warmup_epochs: float = 5.0
    warmup_start: float = 0.000125
    min_score: float = 0.9
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("num_frames", "frame_stride", "test_side", "train_crop", "batch_size", "epochs", "resolution"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        for name, value in (("lr", self.lr), ("weight_decay", self.weight_decay)):
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be at least 0, got {value}")
        if self.train_sides is not None and not 1 <= self.train_sides[0] <= self.train_sides[1]:
            raise InputError(f"train_sides must be two ascending numbers of pixels, got {self.train_sides}")
        if self.train_crop is not None and self.train_crop > (self.train_sides or (math.inf,))[0]:
            raise InputError(f"train_crop must fit into train_sides, got {self.train_crop} and {self.train_sides}")

    def settings(self) -> dict[str, Any]:
        """Plain values, as JSON stores them, without what only explains them."""
        return {key: _plain(value) for key, value in asdict(self).items() if key not in ("source", "notes")}

    def changed(self, **values: Any) -> DetectionPreset:
        """The same with other values, where they are not None.

        Raises:
            InputError: if one is out of its range.
        """
        known = {item.name for item in fields(self)}
        return replace(self, **{key: value for key, value in values.items() if value is not None and key in known})

    def learning_rate(self, epoch: float) -> float:
        """The rate at a moment of training.

        Args:
            epoch: passed so far, with its fraction.
        """
        if epoch < self.warmup_epochs:
            end = self._stepped(self.warmup_epochs)
            return self.warmup_start + (end - self.warmup_start) * epoch / self.warmup_epochs
        return self._stepped(epoch)

    def _stepped(self, epoch: float) -> float:
        return self.lr * self.gamma ** sum(epoch >= milestone for milestone in self.milestones)


PRESETS: dict[str, DetectionPreset] = {
    preset.name: preset
    for preset in (
        DetectionPreset(
            "severe",
            "fmthoker/SEVERE-BENCHMARK action_detection_multi_label_classification/configs/AVA/VSSL/"
            "32x2_112x112_R18_v2.2_*.yaml",
            num_frames=32,
            frame_stride=2,
            train_sides=(256, 320),
            train_crop=112,
            test_side=112,
            notes=(
                "the source also trains on a person detector's boxes on the training films; here true boxes alone",
                "a crop is placed so that at least one box stays, and boxes outside it are not trained on",
            ),
        ),
        DetectionPreset(
            "maclr",
            "facebookresearch/SlowFast configs/AVA/SLOW_8x8_R50_SHORT.yaml, whose code MaCLR's is; its paper's own "
            "settings for AVA are in neither repository",
            num_frames=8,
            frame_stride=8,
            train_sides=(256, 320),
            train_crop=224,
            test_side=256,
            finer_map=True,
            notes=(
                "8 frames, stride 8, as MaCLR is trained (the named file says 4 and 16)",
                "the source also trains on a person detector's boxes on the training films; here true boxes alone",
                "a crop is placed so that at least one box stays, and boxes outside it are not trained on",
            ),
        ),
        DetectionPreset(
            "small",
            "ours: for small backbones and few films",
            algorithm="adamw",
            batch_size=16,
            epochs=12,
            lr=1e-3,
            weight_decay=1e-4,
            milestones=(8, 11),
            warmup_epochs=0.5,
            warmup_start=1e-4,
            dropout=0.2,
        ),
    )
}
"""By name."""


def detection_preset(name: str) -> DetectionPreset:
    """A preset by name.

    Raises:
        InputError: if there is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise InputError(f"--preset must be one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
