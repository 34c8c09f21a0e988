"""How a run shows itself: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["RunProgress"]

_EVERY_SECONDS = 15.0
_HIDDEN = {"step", "epoch", "loss", "learning_rate", "clips_per_second", "data_wait", "uniformity"}


class RunProgress(pl.Callback):
    """Losses, contrastive accuracies, pace and the share of time spent waiting for data.

    Args:
        style: "bar", "lines", "none", or "auto": a bar where stderr is a terminal.
        visible: Whether this process is the one that shows anything.
    """

    def __init__(self, style: str, *, visible: bool = True) -> None:
        self.style = ("bar" if sys.stderr.isatty() else "lines") if style == "auto" else style
        self.last_step, self.epochs = 0, 0
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._said = 0.0
        self._first = True
        self._visible = visible and style != "none"

    def begin(self, last_step: int, epochs: int) -> None:
        """How far training will go."""
        self.last_step, self.epochs = last_step, epochs

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin, from the step the run goes on from."""
        if self.style == "bar" and self._visible:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console,
                expand=True,
            )
            self._bar.start()
            self._bar.add_task("training", total=self.last_step, completed=trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=trainer.global_step)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, row: dict[str, float]) -> None:
        """Show a row of the `Recorder`."""
        text = describe(row, self.epochs)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=text)
        elif self.style == "lines" and self._visible:
            now, last = time.monotonic(), row["step"] >= self.last_step
            if self._first or last or now - self._said >= _EVERY_SECONDS:
                self._said, self._first = now, False
                self.tell(f"step {row['step']:.0f}/{self.last_step}  {text}")

    def tell(self, line: str) -> None:
        """A line above the bar."""
        if self._visible:
            self.console.print(line, markup=False)


def describe(row: dict[str, float], epochs: int) -> str:
    """A row in one line: epoch, loss and its terms, accuracies, spread, pace and waiting."""
    terms = {k: v for k, v in row.items() if k not in _HIDDEN and not k.startswith("accuracy_")}
    watched = {k: terms.pop(k) for k in ("spread", "alignment") if k in terms}
    accuracies = {k.removeprefix("accuracy_"): v for k, v in row.items() if k.startswith("accuracy_")}
    inner = f" ({_pairs(terms)})" if len(terms) > 1 else ""
    parts = [f"epoch {row['epoch']:.1f}/{epochs}", f"loss {row.get('loss', float('nan')):.3f}{inner}"]
    if accuracies:
        parts.append(f"accuracy {_pairs(accuracies)}")
    if "spread" in watched:
        parts.append(f"spread {watched['spread']:.2f}")
    parts.append(f"{row['clips_per_second']:.1f} clips/s")
    parts.append(f"waiting for data {row['data_wait']:.0%}")
    return "  ".join(parts)


def _pairs(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())
