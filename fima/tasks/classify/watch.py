"""What a supervised run writes down on its way, and how it chooses its epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import VideoRecord
from fima.engine.record import Means, MetricsFile
from fima.tasks.classify.classifier import save_classifier
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.data import ClipDataModule
from fima.tasks.classify.module import SupervisedModule
from fima.tasks.classify.testing import classify_videos

__all__ = ["CHOSEN", "EpochChoice", "SupervisedRecorder"]

CHOSEN = "chosen.ckpt"


class SupervisedRecorder(pl.Callback):
    """Means over the steps since the last row, and the pace; ends of epochs for the schedule "plateau".

    Columns: step, epoch (finished, as a fraction), loss, accuracy_train, learning_rate, clips_per_second, data_wait.

    Args:
        file: where rows go.
        config: of the run.
        listeners: called with each row.
    """

    def __init__(
        self,
        file: MetricsFile,
        config: SupervisedConfig,
        listeners: tuple[Callable[[dict[str, float]], None], ...] = (),
    ) -> None:
        self.file, self.config, self.listeners = file, config, listeners
        self._rows, self._epoch, self._since_checkpoint = Means(), Means(), Means()
        self._restored_plateau: dict[str, float] | None = None
        self._clips, self._begun, self._waited = 0, 0.0, 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Rows after this step are of a run that was stopped."""
        self.file.keep_until(trainer.global_step)
        if self._restored_plateau is not None:
            _ours(pl_module).plateau.restore(self._restored_plateau)
        self._restart_clock(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add a batch; after the step that is due, a row."""
        module = _ours(pl_module)
        for means in (self._rows, self._epoch, self._since_checkpoint):
            means.add(module.measured)
        self._clips += len(batch)
        if (batch_idx + 1) % self.config.optimizer.accumulate:
            return
        if trainer.global_step % module.steps_per_epoch == 0:
            module.plateau.see(self._epoch.take()["loss"])
            self._restored_plateau = module.plateau.state()
        if trainer.global_step % self.config.log.every_steps == 0:
            self._record(trainer, module)

    def take_mean(self, name: str) -> float | None:
        """As `fima.engine.record.Recorder.take_mean`."""
        return self._since_checkpoint.take().get(name)

    def state_dict(self) -> dict[str, Any]:
        """Sums that nothing was made of yet, and the schedule's."""
        return {
            "rows": self._rows.state(),
            "epoch": self._epoch.state(),
            "since_checkpoint": self._since_checkpoint.state(),
            "plateau": self._restored_plateau,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        self._rows, self._epoch = Means(**state_dict["rows"]), Means(**state_dict["epoch"])
        self._since_checkpoint = Means(**state_dict["since_checkpoint"])
        self._restored_plateau = state_dict["plateau"]

    def _record(self, trainer: pl.Trainer, module: SupervisedModule) -> None:
        seconds = max(time.perf_counter() - self._begun, 1e-9)
        row = {
            "step": float(trainer.global_step),
            "epoch": trainer.global_step / module.steps_per_epoch,
            **self._rows.take(),
            "learning_rate": module.rate,
            "clips_per_second": self._clips / seconds,
            "data_wait": min(max((_waited(trainer) - self._waited) / seconds, 0.0), 1.0),
        }
        self.file.append(row)
        for logger in trainer.loggers:
            logger.log_metrics({k: v for k, v in row.items() if k != "step"}, step=trainer.global_step)
        for listener in self.listeners:
            listener(row)
        self._restart_clock(trainer)

    def _restart_clock(self, trainer: pl.Trainer) -> None:
        self._begun, self._waited, self._clips = time.perf_counter(), _waited(trainer), 0


class EpochChoice(pl.Callback):
    """Tests after epochs and keeps the classifier of the best one, the earliest of equals, in `CHOSEN`.

    Args:
        folder: of the run.
        videos: that are tested on.
        protocol: their clips and crops.
        config: of the run.
        tell: called with a line after each.
    """

    def __init__(
        self,
        folder: Path,
        videos: Sequence[VideoRecord],
        protocol: ClipProtocol,
        config: SupervisedConfig,
        tell: Callable[[str], None],
    ) -> None:
        self.path, self.videos, self.protocol = folder / CHOSEN, videos, protocol
        self.config, self.tell = config, tell
        self.history: list[dict[str, float]] = []
        self._seen = 0

    @property
    def best(self) -> dict[str, float] | None:
        """The row of the history that was chosen."""
        return max(self.history, key=lambda row: (row["top1"], -row["epoch"]), default=None)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A resumed run has done what was due at its step."""
        self._seen = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Test if an epoch has ended that is due."""
        module, step = _ours(pl_module), trainer.global_step
        epoch, inside = divmod(step, module.steps_per_epoch)
        if step == self._seen or inside:
            return
        self._seen = step
        if epoch % self.config.validation.every_epochs and epoch != self.config.optimizer.epochs:
            return
        found = classify_videos(
            module.classifier,
            self.videos,
            module.spec.replace(size=self.config.test.size or module.spec.size),
            self.protocol,
            batch_size=self.config.test.batch_size,
            device=module.device,
        )
        self.history.append({"epoch": epoch, "top1": found.top1, "videos": len(found.labels)})
        row = self.history[-1]
        what = "TEST split" if self.config.validation.choose == "test" else "validation"
        skipped = f", {len(found.skipped)} unreadable" if found.skipped else ""
        self.tell(f"epoch {epoch}: {what} top-1 {row['top1']:.4f} of {len(found.labels)} videos{skipped}")
        if self.best is row:
            save_classifier(
                self.path,
                module.classifier,
                arch=module.arch,
                input=module.spec,
                class_names=module.class_names,
                extra={"epoch": epoch, "chosen": {"by": self.config.validation.choose, "top1": row["top1"]}},
            )

    def state_dict(self) -> dict[str, Any]:
        """All evaluations so far."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        self.history = list(state_dict["history"])


def _ours(module: pl.LightningModule) -> SupervisedModule:
    if not isinstance(module, SupervisedModule):
        raise TypeError("expected a SupervisedModule")
    return module


def _waited(trainer: pl.Trainer) -> float:
    data = trainer.datamodule  # type: ignore[attr-defined]  # set by fit
    return data.loader.waited if isinstance(data, ClipDataModule) and data.loader is not None else 0.0
