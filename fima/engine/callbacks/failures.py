"""Videos that cannot be read: listed once each, and too many of them end the run, on all processes alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist

from fima.errors import TrainingError, one_line
from fima.files.writing import append_text

__all__ = ["FailureWatch"]

_FEW = 20  # videos: below this a share says little


class FailureWatch(pl.Callback):
    """Lists unreadable videos in failures.csv (path, reason, epoch), each once, and stops when they are too many.

    The share is of the videos asked for so far, or of the data set if fewer were asked for than it has, but of no fewer
    than twenty (or the whole of a smaller set): one broken video in the first batch is not a broken data set. Several
    processes share what each has met, so all know the same and stop at the same step.

    Args:
        path: The list.
        num_videos: Videos of the data set.
        max_failed: Greatest share.
        tell: Called with a line for each new one.
    """

    def __init__(self, path: Path, num_videos: int, max_failed: float, tell: Callable[[str], None]) -> None:
        self.path, self.num_videos, self.max_failed, self.tell = path, num_videos, max_failed, tell
        self.failed: dict[str, str] = {}
        self.asked = 0

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Note the failures of a batch before it is trained on.

        Raises:
            TrainingError: If too many videos have failed.
        """
        self.asked = min(self.asked + len(batch) * trainer.world_size, self.num_videos)
        met = {str(failure.path): one_line(failure.reason) for failure in batch.failures}
        for path, reason in _of_all_processes(met, trainer).items():
            if path not in self.failed:
                self.failed[path] = reason
                if trainer.is_global_zero:
                    self._write(path, reason, batch.keys.epoch)
                self.tell(f"skipped, another video stands in: {reason}")
        base = max(self.asked, min(_FEW, self.num_videos))
        if len(self.failed) > self.max_failed * base:
            first = next(iter(self.failed.values()))
            raise TrainingError(
                f"{len(self.failed)} of the {self.asked} videos asked for so far cannot be read, more than "
                f"loader.max_failed = {self.max_failed:g} of {base}; first: {first}; all are listed in {self.path}"
            )

    def state_dict(self) -> dict[str, Any]:
        """What has failed so far."""
        return {"failed": self.failed, "asked": self.asked}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        self.failed, self.asked = dict(state_dict["failed"]), state_dict["asked"]

    def _write(self, path: str, reason: str, epoch: int) -> None:
        head = [] if self.path.exists() else [("path", "reason", "epoch")]
        rows = io.StringIO()
        csv.writer(rows).writerows([*head, (path, reason, epoch + 1)])
        append_text(self.path, rows.getvalue())


def _of_all_processes(met: dict[str, str], trainer: pl.Trainer) -> dict[str, str]:
    """What any process has met, in the order of ranks; almost always nothing, which costs one small sum."""
    if trainer.world_size == 1:
        return met
    count = torch.tensor(len(met), device=trainer.strategy.root_device)
    dist.all_reduce(count)
    if not int(count):
        return met
    every: list[Any] = [None] * trainer.world_size
    dist.all_gather_object(every, met)
    return {path: reason for one in every for path, reason in one.items()}
