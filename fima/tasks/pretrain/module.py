"""Lightning's module around a method: views, losses, optimizer, and what of it a checkpoint holds."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from fima.data.windows import WindowBatch
from fima.engine.health import collapse_measures
from fima.engine.schedule import learning_rate
from fima.errors import TrainingError
from fima.methods import Method, method_state
from fima.seeding import SampleKeys, uniforms
from fima.tasks.pretrain.config import PretrainConfig
from fima.transforms.views import make_views

__all__ = ["PretrainModule"]

_PREFIX = "method."


class PretrainModule(pl.LightningModule):
    """One optimizer's step of pre-training after another.

    A checkpoint of it is a file of `fima.methods.save_method` with the run's state beside the method, so
    `fima.methods.load_method` and `fima.checkpoints.load_backbone` read it as it is.

    Args:
        method: what is trained.
        config: of the run.
        num_slices: T', local clips to a window.
        steps_per_epoch: optimizer's steps.
        data: what tells the data set (`fima.engine.resume.fingerprint`).

    Attributes:
        measured: of the last batch, scalars without gradient: the losses by name with "loss" for their total,
            "accuracy_…", and the three of `collapse_measures`.
    """

    def __init__(
        self, method: Method, config: PretrainConfig, *, num_slices: int, steps_per_epoch: int, data: dict[str, Any]
    ) -> None:
        super().__init__()
        self.method, self.config, self.data = method, config, data
        self.num_slices, self.steps_per_epoch = num_slices, steps_per_epoch
        self.measured: dict[str, Tensor] = {}

    def training_step(self, batch: WindowBatch, batch_idx: int) -> Tensor:
        """The total loss of a batch.

        Raises:
            TrainingError: if a loss is not finite.
        """
        seed_from(batch.keys)
        views = self.config.views
        losses = self.method(
            make_views(
                batch.windows,
                batch.keys,
                size=views.size,
                num_slices=self.num_slices,
                flow=batch.flow,
                area=views.area,
                aspect=views.aspect,
                flip_probability=views.flip_probability,
                shared_crop=views.shared_crop,
            )
        )
        self._check_finite(losses, batch.keys)
        self.measured = _measured(self.method, losses)
        return losses["total"]  # type: ignore[no-any-return]

    def configure_optimizers(self) -> Any:
        """SGD or AdamW on all that has a gradient, its rate a function of the step."""
        options = self.config.optimizer
        trained = [parameter for parameter in self.method.parameters() if parameter.requires_grad]
        optimizer: torch.optim.Optimizer
        if options.algorithm == "adamw":
            optimizer = torch.optim.AdamW(trained, options.lr, weight_decay=options.weight_decay)
        else:
            optimizer = torch.optim.SGD(trained, options.lr, options.momentum, weight_decay=options.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(step, self.steps_per_epoch, options) / options.lr
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def finished_epochs(self) -> int:
        """Whole passes over the data so far."""
        return int(self.global_step) // self.steps_per_epoch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The method under its own names, readable without this class."""
        checkpoint |= method_state(self.method)
        checkpoint["epoch"] = self.finished_epochs
        checkpoint["input"] = self._input()
        checkpoint["config"] = self.config.to_dict()
        checkpoint["run"] = {"decisive": self.config.decisive(), "data": self.data, "world": self.trainer.world_size}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Back to this module's names."""
        checkpoint["state_dict"] = {f"{_PREFIX}{name}": value for name, value in checkpoint["state_dict"].items()}

    def _input(self) -> dict[str, Any]:
        """What the backbone was fed: the global clip's frames and size."""
        windows, views = self.config.windows, self.config.views
        spec = self.method.input_spec
        frames = {"num_frames": windows.num_frames // 2, "frame_stride": 2 * windows.frame_stride}
        return spec.replace(**frames, size=views.size).to_dict()

    def _check_finite(self, losses: dict[str, Tensor], keys: SampleKeys) -> None:
        if bool(torch.isfinite(losses["total"])):
            return
        terms = [f"{name} = {float(value.detach()):g}" for name, value in losses.items() if not torch.isfinite(value)]
        raise TrainingError(
            f"step {int(self.global_step) + 1} (epoch {keys.epoch + 1}): loss is not finite: {', '.join(terms)}; "
            "training stopped before the weights took it up, the last checkpoint is good"
        )


def compile_encoders(method: Method) -> None:
    """Compile every encoder of a method in place, so that names in checkpoints stay."""
    for name, child in method.named_children():
        if "encoder" in name and isinstance(child, nn.Module):
            child.compile()


def seed_from(keys: SampleKeys) -> None:
    """Seed torch's generators for a batch by its samples, so that dropout and shuffling are the same after a resume."""
    first = SampleKeys(keys.seed, keys.epoch, keys.indices[:1])
    torch.manual_seed(int(uniforms(first, "step", 1)[0, 0] * 2**53))


def _measured(method: Method, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    measured = {"loss": losses["total"]}
    measured |= {name: value for name, value in losses.items() if name != "total"}
    measured |= {f"accuracy_{name}": value for name, value in method.accuracies.items()}
    if {"query", "key"} <= method.observed.keys():
        measured |= collapse_measures(method.observed["query"], method.observed["key"])
    return {name: value.detach() for name, value in measured.items()}
