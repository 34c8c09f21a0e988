"""How a training run shows itself, by `fima.progress.Progress`."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from fima.progress import Progress

__all__ = ["RunProgress"]

_HIDDEN = {"step", "epoch", "loss", "learning_rate", "clips_per_second", "data_wait", "uniformity"}


class RunProgress(pl.Callback):
    """Losses, contrastive accuracies, pace and the share of time spent waiting for data.

    Args:
        style: "bar", "lines", "none", or "auto": a bar where stderr is a terminal.
        visible: Whether this process is the one that shows anything.
    """

    def __init__(self, style: str, *, visible: bool = True) -> None:
        self.last_step, self.epochs = 0, 0
        self._shown = Progress("training", unit="steps", style=style if visible else "none", ends=True)
        self._text = ""
        self.tell = self._shown.tell

    def begin(self, last_step: int, epochs: int) -> None:
        """How far training will go."""
        self.last_step, self.epochs = last_step, epochs

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin, from the step the run goes on from."""
        self._shown.begin(trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the bar."""
        if self._shown.style == "bar":
            self._shown(trainer.global_step, self.last_step, self._text)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the terminal as it was."""
        self._shown.close()

    def __call__(self, row: dict[str, float]) -> None:
        """Show a row of the `Recorder`; beside a bar there is room for the loss alone."""
        brief = f"epoch {row['epoch']:.1f}, loss {row.get('loss', float('nan')):.3f}"
        self._text = brief if self._shown.style == "bar" else describe(row, self.epochs)
        self._shown(int(row["step"]), self.last_step, self._text)


def describe(row: dict[str, float], epochs: int) -> str:
    """A row in one line: epoch, loss and its terms, accuracies, spread, pace and waiting."""
    terms = {k: v for k, v in row.items() if k not in _HIDDEN and not k.startswith(("accuracy_", "probe_"))}
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
