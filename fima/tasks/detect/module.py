"""A step of training a detector: the boxes of a batch of keyframes, and how a checkpoint holds the detector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.data.datasets.layouts.ava_files import Keyframe
from fima.engine.module import TaskModule
from fima.engine.optimizer import group
from fima.errors import InputError
from fima.tasks.detect.clips import pad_clips
from fima.tasks.detect.config import DetectConfig
from fima.tasks.detect.data import KeyframeBatch
from fima.tasks.detect.detector import Detector, action_loss

__all__ = ["FORMAT", "DetectModule", "wanted_actions"]

FORMAT = "fima-detector"
_PREFIX = "detector."


class DetectModule(TaskModule):
    """One optimizer's step after another; dropout is drawn by the step.

    Args:
        detector: What is trained.
        config: Configuration of the run.
        num_keyframes: Keyframes of an epoch.
        data: What tells the run's start.

    Attributes:
        skipped: Keyframe, as "film,second" → why it could not be read.
    """

    config: DetectConfig
    nesterov = True

    def __init__(self, detector: Detector, config: DetectConfig, *, num_keyframes: int, data: dict[str, Any]) -> None:
        super().__init__(config, steps_per_epoch=-(-num_keyframes // config.optimizer.batch_size), data=data)
        self.detector, self.num_keyframes = detector, num_keyframes
        self.skipped: dict[str, str] = {}

    def step(self, batch: KeyframeBatch) -> dict[str, Tensor] | None:
        """The loss of all boxes and actions; None if no keyframe of the batch can be read.

        Raises:
            InputError: If a whole epoch has passed and none could be read.
        """
        step = int(self.global_step)
        self.skipped |= batch.skipped
        if step + 1 in (self.steps_per_epoch, self.last_step) and len(self.skipped) >= self.num_keyframes:
            reason = next(iter(self.skipped.values()))
            raise InputError(f"none of the {self.num_keyframes} training keyframes can be read; the first: {reason}")
        if not batch.clips:
            return None
        torch.manual_seed(((self.config.seed << 32) ^ step) % 2**63)
        wanted = torch.from_numpy(wanted_actions([clip.keyframe for clip in batch.clips], self.config.classes))
        boxes = [clip.boxes.to(self.device) for clip in batch.clips]
        logits = self.detector(pad_clips(batch.clips, self.device), boxes)
        return {"loss": action_loss(logits, wanted.to(self.device))}

    def groups(self) -> Iterable[dict[str, Any]]:
        """Batch normalization is not decayed, as PySlowFast has it (``BN.WEIGHT_DECAY`` 0)."""
        norms = [m for m in self.detector.modules() if isinstance(m, torch.nn.BatchNorm3d)]
        free = {id(p) for norm in norms for p in norm.parameters()}
        parameters = list(self.detector.parameters())
        return [
            group((p for p in parameters if id(p) not in free), weight_decay=self.config.optimizer.weight_decay),
            group((p for p in parameters if id(p) in free), weight_decay=0.0),
        ]

    def content(self) -> dict[str, Any]:
        """The detector under its own names."""
        return {
            "format": FORMAT,
            "step": int(self.global_step),
            "skipped": dict(self.skipped),
            "state_dict": self.detector.state_dict(),
        }

    def restored(self, content: dict[str, Any]) -> dict[str, Any]:
        """Names with this module's prefix; what was skipped is known again."""
        self.skipped = dict(content["skipped"])
        return {f"{_PREFIX}{name}": value for name, value in content["state_dict"].items()}


def wanted_actions(keyframes: Sequence[Keyframe], class_ids: Sequence[int]) -> NDArray[np.float32]:
    """``(ΣN, K)``: 1 where a person does the action, otherwise 0."""
    column = {label: place for place, label in enumerate(class_ids)}
    persons = [own for frame in keyframes for own in frame.actions]
    table = np.zeros((len(persons), len(class_ids)), np.float32)
    for row, own in zip(table, persons, strict=True):
        row[[column[action] for action in own]] = 1
    return table
