"""What a run keeps on disk: whole files only, the newest under ``last.ckpt``."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from fima.checkpoints.files import read_checkpoint, write_checkpoint
from fima.engine.record import Recorder
from fima.errors import CheckpointError, InputError, TrainingError
from fima.files import whole_file
from fima.tasks.pretrain.config import CheckpointOptions

__all__ = ["BEST", "LAST", "AtomicCheckpointIO", "CheckpointKeeper", "find_resume"]

LAST, BEST = "last.ckpt", "best.ckpt"
_STEP = "step-{:08d}.ckpt"
_STEP_PATTERN = re.compile(r"step-(\d+)\.ckpt")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that appear whole or not at all, and are read without running code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write beside the path, then rename."""
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """The content of a file of `save_checkpoint`, on the CPU."""
        return read_checkpoint(Path(path), trust=False)  # type: ignore[no-any-return]


class CheckpointKeeper(pl.Callback):
    """Saves after whole steps: at epochs' ends, every so many steps, and when asked.

    Each file is complete before an older one goes, and `LAST` (a second name of the newest) is moved between the two,
    so a run killed at any moment has a good `LAST`.

    Args:
        folder: of the run.
        options: when, and how many stay.
        recorder: knows the mean of what ``options.best`` names.
        steps_per_epoch: optimizer's steps.
        last_step: of the run.
    """

    def __init__(
        self, folder: Path, options: CheckpointOptions, recorder: Recorder, *, steps_per_epoch: int, last_step: int
    ) -> None:
        self.folder, self.options, self.recorder = folder, options, recorder
        self.steps_per_epoch, self.last_step = steps_per_epoch, last_step
        self.saved_step = -1
        self.best: float | None = None

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
        value = self.recorder.take_mean(self.options.best) if self.options.best else None
        improved = value is not None and (self.best is None or value < self.best)
        if improved:
            self.best = value
        path = self.folder / _STEP.format(step)
        try:
            trainer.save_checkpoint(path)
            if trainer.is_global_zero:
                for name in (LAST, BEST) if improved else (LAST,):
                    _give_name(path, self.folder / name)
                self._prune(path)
        except (CheckpointError, OSError) as error:
            raise TrainingError(f"{error}; training stopped at step {step}, {self._good()}") from error
        self.saved_step = step

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

    def _prune(self, newest: Path) -> None:
        steps = sorted(int(match[1]) for file in self.folder.iterdir() if (match := _STEP_PATTERN.fullmatch(file.name)))
        current = int(newest.stem.split("-")[1])
        done = [step for step in steps if step <= current]
        later = [step for step in steps if step > current]  # left by a run that was set back
        for step in later + done[: -self.options.keep]:
            if not self._stays(step):
                (self.folder / _STEP.format(step)).unlink(missing_ok=True)

    def _stays(self, step: int) -> bool:
        epochs, inside = divmod(step, self.steps_per_epoch)
        return self.options.keep_every is not None and not inside and epochs % self.options.keep_every == 0

    def _good(self) -> str:
        last = self.folder / LAST
        return f"{last} is good" if last.is_file() else "no checkpoint was written yet"


def find_resume(folder: Path, resume: str) -> Path | None:
    """The checkpoint that a run goes on from.

    Args:
        folder: of the run.
        resume: "auto", "never" or a path.

    Returns:
        The file; None for a new run.

    Raises:
        FileNotFoundError: if a path is given and nothing is there.
        InputError: if a run would be overwritten.
    """
    last = folder / LAST
    if resume == "never":
        if last.exists():
            raise InputError(f"{last}: this run exists; go on with --resume auto, or choose another --out")
        return None
    if resume != "auto":
        if not Path(resume).is_file():
            raise FileNotFoundError(f"--resume {resume}: no such file; expected auto, never or a checkpoint")
        return Path(resume)
    if last.is_file():
        return last
    steps = sorted(file for file in folder.glob("step-*.ckpt") if _STEP_PATTERN.fullmatch(file.name))
    return steps[-1] if steps else None


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
            raise TrainingError(f"step {step}: {name} is not finite; not saved, the last checkpoint is good")
