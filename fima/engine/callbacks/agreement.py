"""Are all processes training the same network? A checksum of weights and queues, compared bit by bit."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from fima.errors import TrainingError
from fima.methods.memory import gather_rows

__all__ = ["AgreementWatch", "checksums", "first_difference"]


class AgreementWatch(pl.Callback):
    """Stops a run of several processes whose weights or queues differ, as they must not after any step.

    Running statistics are left out: each process has its own (as the reference), and training does not read them.

    Args:
        every_steps: optimizer's steps between comparisons.
    """

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps
        self._names: list[str] = []
        self._seen = -1

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Compare after the steps that are due.

        Raises:
            TrainingError: names the first tensor that differs.
        """
        step = trainer.global_step
        if trainer.world_size == 1 or step == self._seen or step % self.every_steps:
            return
        self._seen = step
        names, values = checksums(pl_module)
        different = first_difference(gather_rows(values[None]))
        if different is not None:
            raise TrainingError(f"step {step}: {names[different]} differs between the {trainer.world_size} processes")


def checksums(module: nn.Module) -> tuple[list[str], Tensor]:
    """Names of all parameters and queues, and a number for each that changes with any of its bits.

    Returns:
        K names and ``(K,)`` int64, on the module's device.
    """
    tensors: dict[str, Tensor] = dict(module.named_parameters())
    tensors |= {name: value for name, value in module.named_buffers() if name.endswith((".rows", ".cursor"))}
    return list(tensors), torch.stack([_checksum(value) for value in tensors.values()])


def first_difference(rows: Tensor) -> int | None:
    """The first column of ``(processes, K)`` in which not all rows agree; None if they do."""
    differs = (rows != rows[0]).any(dim=0).nonzero()
    return int(differs[0]) if len(differs) else None


def _checksum(value: Tensor) -> Tensor:
    """Sum of the bits, read as integers and weighted by their place, with wrap-around."""
    flat = value.detach().reshape(-1)
    words = flat.view({1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[flat.element_size()])
    places = torch.arange(1, len(words) + 1, device=words.device)
    return (words.to(torch.int64) * places).sum()
