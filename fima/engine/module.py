"""What a task gives the engine: a step on a batch, what is trained, and what of it a checkpoint holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from fima.engine.configuration import RunConfig
from fima.engine.optimizer import make_optimizer, set_rates
from fima.engine.schedule import Plateau
from fima.errors import TrainingError
from fima.seeding import SampleKeys, uniforms

__all__ = ["Evaluation", "TaskModule", "seed_from"]


class TaskModule(pl.LightningModule, ABC):
    """Lightning's module of every task; a subclass is thin.

    Args:
        config: Configuration of the run.
        steps_per_epoch: Optimizer's steps.
        data: What tells the run's data and start from others', by name, plain values.

    Attributes:
        measured: Scalars of the last batch without gradient, by the names of metrics.csv; "loss" is the trained one.
        noted: Numbers of what is looked at now and then, for the next row of metrics.csv.
        rate: Learning rate of the last step.
        plateau: State of the schedule "plateau".
        clips_per_sample: How many clips a sample counts for in the pace.
        nesterov: Whether SGD's momentum is Nesterov's.
    """

    clips_per_sample = 1
    nesterov = False

    def __init__(self, config: RunConfig, *, steps_per_epoch: int, data: dict[str, Any]) -> None:
        super().__init__()
        self.config, self.steps_per_epoch, self.data = config, steps_per_epoch, data
        self.measured: dict[str, Tensor] = {}
        self.noted: dict[str, float] = {}
        self.rate = 0.0
        self.plateau = Plateau(config.optimizer)

    @abstractmethod
    def step(self, batch: Any) -> dict[str, Tensor] | None:
        """Scalars of a batch: "loss" with its graph, and what else is recorded; None: the step changes nothing."""

    @abstractmethod
    def groups(self) -> Iterable[dict[str, Any]]:
        """The optimizer's groups (`fima.engine.optimizer.group`)."""

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """What a checkpoint holds, readable without this class; its ``state_dict`` replaces Lightning's."""

    @abstractmethod
    def restored(self, content: dict[str, Any]) -> dict[str, Any]:
        """The ``state_dict`` under this module's own names, from a checkpoint's content."""

    @property
    def last_step(self) -> int:
        """The optimizer's step after which the run stops."""
        whole = self.config.optimizer.epochs * self.steps_per_epoch
        return min(whole, self.config.trainer.max_steps or whole)

    @property
    def finished_epochs(self) -> int:
        """Whole passes over the data so far."""
        return int(self.global_step) // self.steps_per_epoch

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        """The loss of a batch, at the rate of its step.

        Raises:
            TrainingError: If the loss is not finite; names all scalars that are not.
        """
        step = int(self.global_step)
        self.rate = set_rates(self.optimizers(), step, self.steps_per_epoch, self.config.optimizer, self.plateau)
        found = self.step(batch)
        if found is None:
            self.measured = {}
            return None
        if not bool(torch.isfinite(found["loss"])):
            wrong = ", ".join(f"{name} = {float(v.detach()):g}" for name, v in found.items() if not torch.isfinite(v))
            raise TrainingError(
                f"step {step + 1} (epoch {step // self.steps_per_epoch + 1}): loss is not finite: {wrong}; training "
                "stopped before the weights took it up; a lower learning rate is the usual cure"
            )
        self.measured = {name: value.detach() for name, value in found.items()}
        return found["loss"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimizer, whose rates are set before each step."""
        return make_optimizer(self.groups(), self.config.optimizer, nesterov=self.nesterov)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The task's content, and what a run must share that goes on from it."""
        checkpoint |= self.content()
        checkpoint["epoch"] = self.finished_epochs
        checkpoint["config"] = self.config.to_dict()
        checkpoint["run"] = self.run(self.trainer.world_size)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Back to this module's names."""
        checkpoint["state_dict"] = self.restored(checkpoint)

    def run(self, world: int) -> dict[str, Any]:
        """What tells this run from others (`fima.engine.resume.check_same_run`)."""
        return {"decisive": self.config.decisive(), "data": self.data, "world": world}


class Evaluation(pl.Callback):
    """A callback that evaluates at epochs' ends; what it keeps on disk follows what the checkpoints know."""

    def settle(self) -> None:
        """The state of this callback is under ``last.ckpt`` now."""


def seed_from(keys: SampleKeys) -> None:
    """Seed torch's generators for a batch by its samples, so that dropout and shuffling are the same after a resume."""
    first = SampleKeys(keys.seed, keys.epoch, keys.indices[:1])
    torch.manual_seed(int(uniforms(first, "step", 1)[0, 0] * 2**53))
