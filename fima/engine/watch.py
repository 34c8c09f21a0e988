"""What a run watches for: videos that cannot be read, and a representation that collapses."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from fima.errors import TrainingError, one_line
from fima.tasks.pretrain.config import LogOptions

__all__ = ["CollapseWatch", "FailureWatch"]

_ROWS = 5  # a fresh network's features lie close together for a while
_FEW = 20  # videos: below this a share says little


class FailureWatch(pl.Callback):
    """Lists unreadable videos in failures.csv (path, reason, epoch), each once, and stops when they are too many.

    The share is of the videos asked for so far, or of the data set if fewer were asked for than it has, but of no fewer
    than twenty (or the whole of a smaller set): one broken video in the first batch is not a broken data set.

    Args:
        path: of the list.
        num_videos: of the data set.
        max_failed: greatest share.
        tell: called with a line for each new one.
    """

    def __init__(self, path: Path, num_videos: int, max_failed: float, tell: Callable[[str], None]) -> None:
        self.path, self.num_videos, self.max_failed, self.tell = path, num_videos, max_failed, tell
        self.failed: dict[str, str] = {}
        self.asked = 0

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Note the failures of a batch before it is trained on.

        Raises:
            TrainingError: if too many videos have failed.
        """
        self.asked = min(self.asked + len(batch), self.num_videos)
        for failure in batch.failures:
            if str(failure.path) not in self.failed:
                self._note(str(failure.path), one_line(failure.reason), batch.keys.epoch)
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

    def _note(self, path: str, reason: str, epoch: int) -> None:
        self.failed[path] = reason
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(("path", "reason", "epoch"))
            writer.writerow((path, reason, epoch + 1))
        self.tell(f"skipped, another video stands in: {reason}")


class CollapseWatch:
    """Says in words that a representation collapses, once each time it has for a while; a listener of the `Recorder`.

    Args:
        options: of the log.
        tell: called with a line.
    """

    def __init__(self, options: LogOptions, tell: Callable[[str], None]) -> None:
        self.threshold, self.tell = options.collapse, tell
        self.low = 0

    def __call__(self, row: dict[str, float]) -> None:
        """Look at a row of metrics."""
        spread = row.get("spread")
        if spread is None or spread != spread:  # unknown, or of a single sample
            return
        self.low = self.low + 1 if spread < self.threshold else 0
        if self.low == _ROWS:
            self.tell(
                f"step {row['step']:.0f}: the features may be collapsing: for {_ROWS} rows their spread was below "
                f"{self.threshold:g} of that of evenly spread ones, now {spread:.2f} (uniformity "
                f"{row['uniformity']:.2f}, 0 when all are one; alignment {row['alignment']:.2f}). A lower learning "
                "rate, a warm-up, or a larger batch are the usual cures"
            )
