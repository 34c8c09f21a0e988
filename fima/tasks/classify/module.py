"""A step of fine-tuning or of a linear probe: clips of a batch, cross-entropy, and how a checkpoint holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from fima.checkpoints.formats import NATIVE
from fima.engine.module import TaskModule, seed_from
from fima.engine.optimizer import group, layer_groups
from fima.input_spec import InputSpec
from fima.tasks.classify.classifier import Classifier, classifier_extra
from fima.tasks.classify.clips import ClipBatch, make_clips
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.options import OptimizerOptions

__all__ = ["SupervisedModule", "classifier_groups"]


class SupervisedModule(TaskModule):
    """One optimizer's step after another; its checkpoints are also files of `save_classifier`.

    So `load_backbone` and `load_classifier` read them as they are.

    Args:
        classifier: What is trained.
        config: Configuration of the run.
        arch: Name of the backbone.
        spec: Input of a training clip.
        class_names: Names by output.
        steps_per_epoch: Optimizer's steps.
        data: What tells the run's data and start from others'.
    """

    config: SupervisedConfig

    def __init__(
        self,
        classifier: Classifier,
        config: SupervisedConfig,
        *,
        arch: str,
        spec: InputSpec,
        class_names: tuple[str, ...],
        steps_per_epoch: int,
        data: dict[str, Any],
    ) -> None:
        super().__init__(config, steps_per_epoch=steps_per_epoch, data=data)
        self.classifier, self.arch, self.spec, self.class_names = classifier, arch, spec, class_names

    def step(self, batch: ClipBatch) -> dict[str, Tensor]:
        """The loss, and the share of clips that are right."""
        seed_from(batch.keys)
        augment = self.config.augment if self.config.input.augmented else None
        logits = self.classifier(make_clips(batch, self.spec, augment))
        right = (logits.argmax(dim=1) == batch.labels).float().mean()
        return {"loss": F.cross_entropy(logits.float(), batch.labels), "accuracy_train": right}

    def groups(self) -> Iterable[dict[str, Any]]:
        """Head and backbone in groups of their own."""
        return classifier_groups(self.classifier.head, self.classifier.backbone, self.config.optimizer)

    def content(self) -> dict[str, Any]:
        """The classifier under its own names."""
        backbone = self.classifier.backbone
        return {
            "format": NATIVE,
            "version": 1,
            "arch": self.arch,
            "settings": dict(getattr(backbone, "settings", {})),
            "input": self.spec.to_dict(),
            "state_dict": {name: value.detach().cpu().contiguous() for name, value in backbone.state_dict().items()},
            "extra": classifier_extra(self.classifier.head, self.class_names, epoch=self.finished_epochs),
        }

    def restored(self, content: dict[str, Any]) -> dict[str, Any]:
        """Names of backbone and head, with this module's prefixes."""
        head = content["extra"]["classifier"]["state_dict"]
        parts = {"classifier.backbone.": content["state_dict"], "classifier.head.": head}
        return {prefix + name: value for prefix, state in parts.items() for name, value in state.items()}


def classifier_groups(head: nn.Module, backbone: nn.Module | None, options: OptimizerOptions) -> list[dict[str, Any]]:
    """The optimizer's groups: the head at the full rate, a backbone that is trained at its factor of it."""
    if backbone is None:
        return [group(head.parameters())]
    rates = {"share": options.backbone_lr_factor, "layer_decay": options.layer_decay}
    return [group(head.parameters()), *layer_groups(backbone, **rates, decay_norms=options.decay_norms)]
