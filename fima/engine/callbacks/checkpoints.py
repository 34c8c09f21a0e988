"""What a run keeps on disk: whole files only, the newest under ``last.ckpt``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from fima.checkpoints.files import read_checkpoint, write_checkpoint
from fima.engine.callbacks.record import Recorder
from fima.engine.configuration import Checkpoints
from fima.engine.folder import RunFolder
from fima.engine.legacy import as_today
from fima.engine.resume import LAST, step_files
from fima.errors import InputError, TrainingError
from fima.files.writing import whole_file

__all__ = ["BEST", "AtomicCheckpointIO", "CheckpointKeeper"]

BEST = "best.ckpt"
_STEP = "step-{:08d}.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that appear whole or not at all, and are read without running code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write beside the path, then rename."""
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """The content of a file of `save_checkpoint`, on the CPU, as today's."""
        return as_today(read_checkpoint(Path(path), trust=False))


class CheckpointKeeper(pl.Callback):
    """Saves after whole steps: at epochs' ends, every so many steps, and when asked.

    Each file is complete before an older one goes, and `LAST` (a second name of the newest) is moved between the two,
    so a run killed at any moment has a good `LAST`.

    Args:
        folder: Where the run writes.
        options: when, and how many stay.
        recorder: knows the mean of what ``options.best`` names.
        steps_per_epoch: optimizer's steps.
        last_step: of the run.

    Attributes:
        after_save: What is called, by the first process, once a checkpoint is under `LAST`.
    """

    def __init__(
        self, folder: RunFolder, options: Checkpoints, recorder: Recorder, *, steps_per_epoch: int, last_step: int
    ) -> None:
        self.folder, self.options, self.recorder = folder, options, recorder
        self.steps_per_epoch, self.last_step = steps_per_epoch, last_step
        self.saved_step = -1
        self.best: float | None = None
        self.after_save: list[Callable[[], None]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A resumed run has its current step on disk already."""
        self.saved_step = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save if this step is due."""
        if self._is_due(trainer.global_step):
            self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Save now, on all processes alike; nothing if this step is on disk already.

        Raises:
            TrainingError: if weights are not finite or the file cannot be written; older files are untouched.
        """
        step = trainer.global_step
        if step == self.saved_step:
            return
        _check_finite(trainer.lightning_module, step)
        value = self.recorder.take_mean(self.options.best, trainer) if self.options.best else None
        improved = value is not None and (self.best is None or value < self.best)
        if improved:
            self.best = value
        path = self.folder.path / _STEP.format(step)
        try:
            self.folder.expect(path.name)
            trainer.save_checkpoint(path)
            if trainer.is_global_zero:
                for name in (LAST, BEST) if improved else (LAST,):
                    _give_name(path, self.folder.path / name)
                self._prune(step)
        except (InputError, OSError) as error:
            raise TrainingError(f"{error}; training stopped at step {step}") from error
        self.saved_step = step
        if trainer.is_global_zero:
            for act in self.after_save:
                act()

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        self.best = state_dict["best"]

    def _is_due(self, step: int) -> bool:
        if step in (0, self.saved_step):
            return False
        epochs, inside = divmod(step, self.steps_per_epoch)
        by_epoch = not inside and epochs % self.options.every_epochs == 0
        by_step = self.options.every_steps is not None and step % self.options.every_steps == 0
        return by_epoch or by_step or step == self.last_step

    def _prune(self, current: int) -> None:
        steps = [int(file.stem.split("-")[1]) for file in step_files(self.folder.path)]
        done = [step for step in steps if step <= current]
        later = [step for step in steps if step > current]  # left by a run that was set back
        for step in later + done[: -self.options.keep]:
            if not self._stays(step):
                self.folder.forget(_STEP.format(step))

    def _stays(self, step: int) -> bool:
        epochs, inside = divmod(step, self.steps_per_epoch)
        return self.options.keep_every is not None and not inside and epochs % self.options.keep_every == 0


def _give_name(file: Path, name: Path) -> None:
    """Make ``name`` another name of the file, in one step."""
    with whole_file(name) as beside:
        try:
            os.link(file, beside)
        except OSError:  # a file system without hard links
            shutil.copyfile(file, beside)


def _check_finite(module: torch.nn.Module, step: int) -> None:
    """A step can end in weights that are not finite though its loss was; such a checkpoint would replace a good one."""
    for name, parameter in module.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingError(f"step {step}: {name} is not finite; not saved")
