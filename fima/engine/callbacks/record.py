"""What a run writes down: a row of means every few steps, in metrics.csv, TensorBoard and on the screen."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from fima.engine.configuration import RunConfig
from fima.files.writing import append_text, write_csv

__all__ = ["Means", "MetricsFile", "Recorder"]


class MetricsFile:
    """A csv file with a row for each step that was recorded, of which none is ever half-written or there twice.

    Args:
        path: of the file; it is made with the first row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: list[str] = []

    def keep_until(self, step: int) -> None:
        """Drop rows after a step, as a run does that goes on from there."""
        if not self.path.is_file():
            return
        with self.path.open(newline="") as file:
            whole = [row for row in csv.DictReader(file) if None not in row.values()]  # the last may be cut off
            rows = [row for row in whole if row["step"].isdigit() and int(row["step"]) <= step]
            self.columns = list(rows[0]) if rows else []
        self._rewrite(rows)

    def append(self, row: dict[str, float]) -> None:
        """Add a row, which has a "step"; new columns at the end are allowed."""
        new = [name for name in row if name not in self.columns]
        if new:
            rows = list(csv.DictReader(self.path.open(newline=""))) if self.columns else []
            self.columns += new
            self._rewrite(rows)
        line = io.StringIO()
        csv.DictWriter(line, self.columns, restval="").writerow(_written(row))
        append_text(self.path, line.getvalue())

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        write_csv(self.path, self.columns, ([row.get(name, "") for name in self.columns] for row in rows))


class Recorder(pl.Callback):
    """Means over the steps since the last row, of all processes, and the pace; ends of epochs for "plateau".

    Columns: step, epoch (finished, as a fraction), what the task measured, learning_rate, clips_per_second and
    data_wait (the share of time spent waiting for data). The pace counts from the process's first step.

    Args:
        file: Where rows go.
        config: Configuration of the run.
        listeners: Called with each row.
    """

    def __init__(
        self, file: MetricsFile, config: RunConfig, listeners: tuple[Callable[[dict[str, float]], None], ...] = ()
    ) -> None:
        self.file, self.config, self.listeners = file, config, listeners
        self._rows, self._epoch, self._since_checkpoint = Means(), Means(), Means()
        self._plateau: dict[str, float] | None = None
        self._clips, self._begun, self._waited = 0, 0.0, 0.0
        self.total_wait = self.total_seconds = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Rows after this step are of a run that was stopped."""
        if trainer.is_global_zero:
            self.file.keep_until(trainer.global_step)
        if self._plateau is not None:
            pl_module.plateau.restore(self._plateau)
        self._restart_clock(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add a batch; after the step that is due, a row."""
        for means in (self._rows, self._epoch, self._since_checkpoint):
            means.add(pl_module.measured)
        self._clips += pl_module.clips_per_sample * len(batch) * trainer.world_size
        if (batch_idx + 1) % self.config.optimizer.accumulate:
            return
        if trainer.global_step % pl_module.steps_per_epoch == 0:
            self._end_epoch(trainer, pl_module)
        if trainer.global_step % self.config.log.every_steps == 0:
            self._record(trainer, pl_module)

    def take_mean(self, name: str, trainer: pl.Trainer) -> float | None:
        """Mean of a quantity over the batches of all processes since this was last asked; None if it is unknown."""
        return _over_processes(trainer, self._since_checkpoint.take()).get(name)

    def state_dict(self) -> dict[str, Any]:
        """Sums that nothing was made of yet, and the schedule's state."""
        sums = {"rows": self._rows, "epoch": self._epoch, "since_checkpoint": self._since_checkpoint}
        return {name: means.state() for name, means in sums.items()} | {"plateau": self._plateau}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it; earlier versions kept no epoch's sums for pre-training."""
        self._rows, self._epoch = Means(**state_dict["rows"]), Means(**state_dict.get("epoch", {}))
        self._since_checkpoint = Means(**state_dict["since_checkpoint"])
        self._plateau = state_dict.get("plateau")

    def _end_epoch(self, trainer: pl.Trainer, module: Any) -> None:
        means = self._epoch.take()
        if module.plateau.active:
            module.plateau.see(_over_processes(trainer, means)["loss"])
            self._plateau = module.plateau.state()

    def _record(self, trainer: pl.Trainer, module: Any) -> None:
        means = _over_processes(trainer, self._rows.take())
        waited = trainer.datamodule.waited - self._waited  # type: ignore[attr-defined]  # set by fit
        seconds = max(time.perf_counter() - self._begun, 1e-9)
        self.total_seconds += seconds
        self.total_wait += waited
        row = {
            "step": float(trainer.global_step),
            "epoch": trainer.global_step / module.steps_per_epoch,
            **means,
            **module.noted,
            "learning_rate": module.rate,
            "clips_per_second": self._clips / seconds,
            "data_wait": min(max(waited / seconds, 0.0), 1.0),
        }
        module.noted = {}
        if trainer.is_global_zero:
            self.file.append(row)
            for logger in trainer.loggers:
                logger.log_metrics({k: v for k, v in row.items() if k != "step"}, step=trainer.global_step)
        for listener in self.listeners:
            listener(row)
        self._restart_clock(trainer)

    def _restart_clock(self, trainer: pl.Trainer) -> None:
        self._begun, self._clips = time.perf_counter(), 0
        self._waited = trainer.datamodule.waited  # type: ignore[attr-defined]  # set by fit


class Means:
    """Running sums of scalars, kept where they are so that no device is waited for."""

    def __init__(self, sums: dict[str, Any] | None = None, count: int = 0) -> None:
        self.sums: dict[str, Any] = dict(sums or {})
        self.count = count

    def add(self, values: dict[str, Tensor]) -> None:
        """One batch's scalars."""
        if not values:
            return
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach().float()
        self.count += 1

    def take(self) -> dict[str, float]:
        """The means since the last time, and begin anew."""
        means = {name: float(total) / max(self.count, 1) for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means

    def state(self) -> dict[str, Any]:
        """What ``Means(**state)`` goes on from."""
        return {"sums": {name: float(total) for name, total in self.sums.items()}, "count": self.count}


def _over_processes(trainer: pl.Trainer, means: dict[str, float]) -> dict[str, float]:
    if trainer.world_size == 1 or not means:
        return means
    values = torch.tensor(list(means.values()), dtype=torch.float32, device=trainer.strategy.root_device)
    reduced = trainer.strategy.reduce(values, reduce_op="mean")
    return dict(zip(means, torch.as_tensor(reduced).tolist(), strict=True))


def _written(row: dict[str, float]) -> dict[str, str]:
    return {name: str(int(value)) if name == "step" else f"{value:.6g}" for name, value in row.items()}
