"""Ctrl-C and SIGTERM: finish the step, save, leave."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist

from fima.engine.callbacks.checkpoints import CheckpointKeeper
from fima.errors import Interrupted

__all__ = ["Interruption"]


class Interruption(pl.Callback):
    """Turns signals into an orderly end after the current step, on all processes at the same step.

    The first SIGINT, SIGTERM or SIGUSR1 (what SLURM is told to send before a job's time is up) is remembered; after the
    step, a checkpoint is written and `Interrupted` raised. A second one acts as it would without us.

    Args:
        keeper: writes the checkpoint.
        accumulate: batches to a step.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

    def __init__(self, keeper: CheckpointKeeper, accumulate: int) -> None:
        self.keeper, self.accumulate = keeper, accumulate
        self._asked = 0
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the signals, from Lightning too, which would end between epochs only, or save inside a step."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember) for number in self.SIGNALS}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop here if any process was asked to and the step is whole."""
        if (batch_idx + 1) % self.accumulate:
            return
        asked = _agree(self._asked, trainer)
        if asked:
            self.keeper.save(trainer)
            name = signal.Signals(asked).name
            raise Interrupted(asked, f"{name}: stopped after a whole step and saved; go on with --resume auto")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before = {}

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._asked:  # asked twice: now
            signal.signal(number, signal.SIG_DFL)
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            signal.raise_signal(number)
        self._asked = number


def _agree(number: int, trainer: pl.Trainer) -> int:
    """The largest number of any process."""
    if trainer.world_size == 1:
        return number
    shared = torch.tensor(number, device=trainer.strategy.root_device)
    dist.all_reduce(shared, op=dist.ReduceOp.MAX)
    return int(shared)
