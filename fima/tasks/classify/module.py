"""Lightning's module around a classifier: clips, loss, optimizer, and what of it a checkpoint holds."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fima.checkpoints.formats import NATIVE
from fima.errors import TrainingError
from fima.input_spec import InputSpec
from fima.tasks.classify.classifier import Classifier, classifier_extra
from fima.tasks.classify.clips import ClipBatch, make_clips
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.options import OptimizerOptions
from fima.tasks.classify.rates import Plateau, rate_factor
from fima.tasks.pretrain.module import seed_from

__all__ = ["SupervisedModule", "make_optimizer", "set_rates"]


class SupervisedModule(pl.LightningModule):
    """One optimizer's step of fine-tuning, or of a linear probe, after another.

    A checkpoint of it is a file of `fima.tasks.classify.classifier.save_classifier` with the run's state beside it, so
    `load_backbone` and `load_classifier` read it as it is.

    Args:
        classifier: what is trained.
        config: of the run.
        arch: name of the backbone.
        spec: of a training clip.
        class_names: by output.
        steps_per_epoch: optimizer's steps.
        identity: what tells the run's data and start from others (`fima.tasks.classify.run`).

    Attributes:
        measured: of the last batch: "loss" and "accuracy_train", scalars without gradient.
        rate: of the last step.
        plateau: of the schedule "plateau".
    """

    def __init__(
        self,
        classifier: Classifier,
        config: SupervisedConfig,
        *,
        arch: str,
        spec: InputSpec,
        class_names: tuple[str, ...],
        steps_per_epoch: int,
        identity: dict[str, Any],
    ) -> None:
        super().__init__()
        self.classifier, self.config, self.arch, self.spec = classifier, config, arch, spec
        self.class_names, self.steps_per_epoch, self.identity = class_names, steps_per_epoch, identity
        self.plateau = Plateau(config.optimizer.patience, config.optimizer.gamma)
        self.measured: dict[str, Tensor] = {}
        self.rate = 0.0

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """The loss of a batch.

        Raises:
            TrainingError: if it is not finite.
        """
        seed_from(batch.keys)
        self.rate = set_rates(
            self.optimizers(), int(self.global_step), self.steps_per_epoch, self.config.optimizer, self.plateau
        )
        augment = self.config.augment if self.config.input.augmented else None
        logits = self.classifier(make_clips(batch, self.spec, augment))
        loss = F.cross_entropy(logits.float(), batch.labels)
        if not bool(torch.isfinite(loss)):
            step = int(self.global_step) + 1
            raise TrainingError(
                f"step {step} (epoch {batch.keys.epoch + 1}): loss is not finite: {float(loss):g}; "
                "training stopped before the weights took it up, the last checkpoint is good; lower optimizer.lr"
            )
        right = (logits.argmax(dim=1) == batch.labels).float().mean()
        self.measured = {"loss": loss.detach(), "accuracy_train": right}
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Head and backbone in groups of their own; rates are set before each step."""
        return make_optimizer(self.classifier.head, self.classifier.backbone, self.config.optimizer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The classifier under its own names, readable without this class."""
        backbone = self.classifier.backbone
        epoch = int(self.global_step) // self.steps_per_epoch
        checkpoint |= {
            "epoch": epoch,
            "format": NATIVE,
            "version": 1,
            "arch": self.arch,
            "settings": dict(getattr(backbone, "settings", {})),
            "input": self.spec.to_dict(),
            "state_dict": {name: value.detach().cpu().contiguous() for name, value in backbone.state_dict().items()},
            "extra": classifier_extra(self.classifier.head, self.class_names, epoch=epoch),
            "config": self.config.to_dict(),
            "run": {"decisive": self.config.decisive(), "data": self.identity, "world": 1},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Back to this module's names."""
        head = checkpoint["extra"]["classifier"]["state_dict"]
        parts = {"classifier.backbone.": checkpoint["state_dict"], "classifier.head.": head}
        checkpoint["state_dict"] = {
            prefix + name: value for prefix, state in parts.items() for name, value in state.items()
        }


def make_optimizer(head: nn.Module, backbone: nn.Module | None, options: OptimizerOptions) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW; each group's "share" is the factor of its rate.

    Args:
        head: trained at the full rate.
        backbone: trained at ``backbone_lr_factor`` of it; None, or all frozen: not at all.
        options: of the run.
    """
    groups: list[dict[str, Any]] = [{"params": list(head.parameters()), "share": 1.0}]
    trained = [] if backbone is None else [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    if trained:
        groups.append({"params": trained, "share": options.backbone_lr_factor})
    lr, decay = options.lr or 0.0, options.weight_decay
    if options.algorithm == "adam":
        return torch.optim.Adam(groups, lr, weight_decay=decay)
    if options.algorithm == "adamw":
        return torch.optim.AdamW(groups, lr, weight_decay=decay)
    return torch.optim.SGD(groups, lr, options.momentum, weight_decay=decay)


def set_rates(optimizer: Any, step: int, steps_per_epoch: int, options: OptimizerOptions, plateau: Plateau) -> float:
    """Give every group the rate of a step; returns the head's."""
    lr = options.lr or 0.0
    rate = lr * rate_factor(step, steps_per_epoch, options, lr=lr)
    if options.schedule == "plateau":
        rate *= plateau.factor
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    return rate
