"""Settings of training and testing an action detector, by name. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from fima.errors import InputError
from fima.presets.loader import preset_names, read_preset

__all__ = ["DetectionPreset", "detection_preset"]


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


def detection_preset(name: str) -> DetectionPreset:
    """A preset by name.

    Raises:
        InputError: if there is none; the message lists those there are.
    """
    if name not in preset_names("detection"):
        raise InputError(f"--preset must be one of {', '.join(preset_names('detection'))}, got {name!r}")
    content = read_preset(name, "detection", {item.name for item in fields(DetectionPreset)} - {"name"})
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    return DetectionPreset(name, **values)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
