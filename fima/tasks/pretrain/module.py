"""A step of pre-training: views of a batch, a method's losses, and how a checkpoint holds the method."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from fima.data.windows import WindowBatch
from fima.engine.callbacks.health import collapse_measures
from fima.engine.module import TaskModule, seed_from
from fima.engine.optimizer import group
from fima.input_spec import InputSpec
from fima.methods import Method, method_state
from fima.tasks.pretrain.config import PretrainConfig
from fima.transforms.views import make_views

__all__ = ["PretrainModule", "compile_encoders"]

_PREFIX = "method."


class PretrainModule(TaskModule):
    """One optimizer's step of pre-training after another.

    A checkpoint of it is a file of `fima.methods.save_method` with the run's state beside the method, so
    `fima.methods.load_method` and `fima.checkpoints.load_backbone` read it as it is.

    Args:
        method: What is trained.
        config: Configuration of the run.
        num_slices: T', local clips to a window.
        steps_per_epoch: Optimizer's steps.
        data: What tells the data set.
    """

    config: PretrainConfig
    clips_per_sample = 2

    def __init__(
        self, method: Method, config: PretrainConfig, *, num_slices: int, steps_per_epoch: int, data: dict[str, Any]
    ) -> None:
        super().__init__(config, steps_per_epoch=steps_per_epoch, data=data)
        self.method, self.num_slices = method, num_slices

    def step(self, batch: WindowBatch) -> dict[str, Tensor]:
        """The losses by name with "loss" for their total, "accuracy_…", and the three of `collapse_measures`."""
        seed_from(batch.keys)
        views = self.config.views
        losses = self.method(
            make_views(
                batch.windows,
                batch.keys,
                size=views.size,
                num_slices=self.num_slices,
                flow=batch.flow,
                masks=batch.masks,
                area=views.area,
                aspect=views.aspect,
                flip_probability=views.flip_probability,
                shared_crop=views.shared_crop,
            )
        )
        found = {"loss": losses["total"]} | {name: value for name, value in losses.items() if name != "total"}
        found |= {f"accuracy_{name}": value for name, value in self.method.accuracies.items()}
        if {"query", "key"} <= self.method.observed.keys():
            found |= collapse_measures(self.method.observed["query"], self.method.observed["key"])
        return found

    def groups(self) -> Iterable[dict[str, Any]]:
        """All that has a gradient, alike."""
        return [group(self.method.parameters())]

    def content(self) -> dict[str, Any]:
        """The method under its own names, and what the backbone was fed: the global clip's frames and size."""
        return method_state(self.method) | {"input": self.fed.to_dict()}

    @property
    def fed(self) -> InputSpec:
        """What the backbone is fed: the global clip."""
        windows = self.config.windows
        frames = {"num_frames": windows.num_frames // 2, "frame_stride": 2 * windows.frame_stride}
        return self.method.input_spec.replace(**frames, size=self.config.views.size)

    def restored(self, content: dict[str, Any]) -> dict[str, Any]:
        """Names of the method, with this module's prefix."""
        return {f"{_PREFIX}{name}": value for name, value in content["state_dict"].items()}


def compile_encoders(method: Method) -> None:
    """Compile every encoder of a method in place, so that names in checkpoints stay."""
    for name, child in method.named_children():
        if "encoder" in name and isinstance(child, nn.Module):
            child.compile()
