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

from fima.engine.schedule import learning_rate
from fima.files import write_csv
from fima.tasks.pretrain.config import PretrainConfig
from fima.tasks.pretrain.data import WindowDataModule
from fima.tasks.pretrain.module import PretrainModule

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
        with self.path.open("a", newline="") as file:
            file.write(line.getvalue())

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        write_csv(self.path, self.columns, ([row.get(name, "") for name in self.columns] for row in rows))


class Recorder(pl.Callback):
    """Means over the steps since the last row, of all processes, and the pace.

    Columns: step, epoch (finished, as a fraction), the losses, accuracies and collapse measures of
    `PretrainModule.measured`, learning_rate, clips_per_second (global clips, two to a video) and data_wait (the share
    of time spent waiting for the loader). The pace counts from the process's first step.

    Args:
        file: where rows go; None: nowhere.
        config: of the run.
        listeners: called with each row.
    """

    def __init__(
        self,
        file: MetricsFile | None,
        config: PretrainConfig,
        listeners: tuple[Callable[[dict[str, float]], None], ...] = (),
    ) -> None:
        self.file, self.config, self.listeners = file, config, listeners
        self._rows = Means()
        self._since_checkpoint = Means()
        self._clips = 0
        self._begun = self._waited = 0.0
        self.total_wait = self.total_seconds = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Rows after this step are of a run that was stopped."""
        if self.file is not None and trainer.is_global_zero:
            self.file.keep_until(trainer.global_step)
        self._restart_clock(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add a batch; after the step that is due, a row."""
        if not isinstance(pl_module, PretrainModule):
            raise TypeError("a Recorder reads a PretrainModule")
        self._rows.add(pl_module.measured)
        self._since_checkpoint.add(pl_module.measured)
        self._clips += 2 * len(batch) * trainer.world_size
        whole = (batch_idx + 1) % self.config.optimizer.accumulate == 0
        if whole and trainer.global_step % self.config.log.every_steps == 0:
            self._record(trainer, pl_module)

    def take_mean(self, name: str) -> float | None:
        """Mean of a quantity over the batches since this was last asked, and start anew; None if it is unknown."""
        means = self._since_checkpoint.take()
        return means.get(name)

    def state_dict(self) -> dict[str, Any]:
        """Sums that a row was not made of yet."""
        return {"rows": self._rows.state(), "since_checkpoint": self._since_checkpoint.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        self._rows = Means(**state_dict["rows"])
        self._since_checkpoint = Means(**state_dict["since_checkpoint"])

    def _record(self, trainer: pl.Trainer, module: PretrainModule) -> None:
        means = _over_processes(trainer, self._rows.take())
        seconds, waited = time.perf_counter() - self._begun, _waited(trainer) - self._waited
        self.total_seconds += seconds
        self.total_wait += waited
        row = {
            "step": float(trainer.global_step),
            "epoch": trainer.global_step / module.steps_per_epoch,
            **means,
            "learning_rate": learning_rate(trainer.global_step - 1, module.steps_per_epoch, self.config.optimizer),
            "clips_per_second": self._clips / max(seconds, 1e-9),
            "data_wait": min(max(waited / max(seconds, 1e-9), 0.0), 1.0),
        }
        if trainer.is_global_zero:
            if self.file is not None:
                self.file.append(row)
            for logger in trainer.loggers:
                logger.log_metrics({k: v for k, v in row.items() if k != "step"}, step=trainer.global_step)
        for listener in self.listeners:
            listener(row)
        self._restart_clock(trainer)

    def _restart_clock(self, trainer: pl.Trainer) -> None:
        self._begun, self._waited, self._clips = time.perf_counter(), _waited(trainer), 0


class Means:
    """Running sums of scalars, kept where they are so that no device is waited for."""

    def __init__(self, sums: dict[str, Any] | None = None, count: int = 0) -> None:
        self.sums: dict[str, Any] = dict(sums or {})
        self.count = count

    def add(self, values: dict[str, Tensor]) -> None:
        """One step's scalars."""
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
    if trainer.world_size == 1:
        return means
    values = torch.tensor(list(means.values()), dtype=torch.float32, device=trainer.strategy.root_device)
    reduced = trainer.strategy.reduce(values, reduce_op="mean")
    return dict(zip(means, torch.as_tensor(reduced).tolist(), strict=True))


def _waited(trainer: pl.Trainer) -> float:
    data = trainer.datamodule  # type: ignore[attr-defined]  # set by fit
    return data.loader.waited if isinstance(data, WindowDataModule) and data.loader is not None else 0.0


def _written(row: dict[str, float]) -> dict[str, str]:
    return {name: str(int(value)) if name == "step" else f"{value:.6g}" for name, value in row.items()}
