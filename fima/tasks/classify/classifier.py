"""A classifier on a backbone, and its file: a backbone's own file with the head beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fima.checkpoints import LoadedBackbone, load_backbone, save_backbone
from fima.errors import CheckpointError, InputError, one_line
from fima.input_spec import InputSpec
from fima.tasks.classify.options import HeadOptions

__all__ = ["Classifier", "ClassifierHead", "LoadedClassifier", "load_classifier", "save_classifier"]


class ClassifierHead(nn.Module):
    """Pooled feature → one number for each class: L2 norm and batch normalization if asked for, dropout, linear.

    Args:
        channels: C of the feature.
        classes: at least 2.
        dropout: share that training drops.
        l2_norm: scale features to length 1.
        batch_norm: normalize channels by the batch, without learnt scale, as CoCLR's probe does.

    Raises:
        InputError: if a value is out of its range.
    """

    def __init__(
        self, channels: int, classes: int, *, dropout: float = 0.0, l2_norm: bool = False, batch_norm: bool = False
    ) -> None:
        super().__init__()
        if classes < 2:
            raise InputError(f"a classifier needs at least 2 classes, got {classes}")
        if not 0 <= dropout < 1:
            raise InputError(f"head.dropout must be in [0, 1), got {dropout}")
        self.settings = {"dropout": dropout, "l2_norm": l2_norm, "batch_norm": batch_norm}
        self.norm = nn.BatchNorm1d(channels) if batch_norm else None
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, classes)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    @classmethod
    def seeded(cls, channels: int, classes: int, options: HeadOptions, seed: int) -> ClassifierHead:
        """A head with the options of a run, whose weights depend on the seed alone."""
        torch.manual_seed(seed)
        norms = {"l2_norm": options.l2_norm, "batch_norm": options.batch_norm}
        return cls(channels, classes, dropout=options.dropout, **norms)

    def forward(self, feature: Tensor) -> Tensor:
        """``(N, C)`` → ``(N, classes)``."""
        if self.settings["l2_norm"]:
            feature = F.normalize(feature, dim=1)
        if self.norm is not None:
            feature = self.norm(feature)
        return self.fc(self.dropout(feature))  # type: ignore[no-any-return]


class Classifier(nn.Module):
    """Backbone, mean over time and space, head.

    Args:
        backbone: normalized clip ``(N, 3, T, H, W)`` → ``(N, C, T', H', W')``.
        head: of C channels.
        frozen: whether the backbone has no gradient.
        backbone_mode: of a frozen backbone while the head is trained: "eval", or "train", where batch normalization
            uses and collects the batch's statistics.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: ClassifierHead,
        *,
        frozen: bool = False,
        backbone_mode: Literal["train", "eval"] = "eval",
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.frozen, self.backbone_mode = frozen, backbone_mode
        backbone.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> Classifier:
        """A frozen backbone keeps to its own mode."""
        super().train(mode)
        if self.frozen and self.backbone_mode == "eval":
            self.backbone.eval()
        return self

    def features(self, clip: Tensor) -> Tensor:
        """``(N, 3, T, H, W)`` → ``(N, C)``, float32."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            feature: Tensor = self.backbone(clip)
            return feature.float().mean(dim=(2, 3, 4))

    def forward(self, clip: Tensor) -> Tensor:
        """Normalized clip ``(N, 3, T, H, W)`` → logits ``(N, classes)``."""
        logits: Tensor = self.head(self.features(clip))
        return logits


@dataclass(frozen=True, eq=False)
class LoadedClassifier:
    """A classifier with what belongs to it.

    Attributes:
        classifier: in eval mode.
        class_names: by output.
        source: its backbone's file: architecture, input, hash.
    """

    classifier: Classifier
    class_names: tuple[str, ...]
    source: LoadedBackbone


def classifier_extra(head: ClassifierHead, class_names: tuple[str, ...], **extra: Any) -> dict[str, Any]:
    """What a file of `fima.checkpoints.save_backbone` holds in ``extra`` when it is a classifier."""
    state = {name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
    return {"classifier": {"state_dict": state, "settings": dict(head.settings), "classes": list(class_names)}, **extra}


def save_classifier(
    path: str | os.PathLike[str],
    classifier: Classifier,
    *,
    arch: str,
    input: InputSpec,
    class_names: tuple[str, ...],
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write a classifier: `load_backbone` reads its backbone, `load_classifier` all of it.

    Args:
        path: the file; it appears whole or not at all.
        classifier: to be written.
        arch: name of its backbone.
        input: the clip it expects.
        class_names: by output.
        extra: plain values to keep beside it, such as the epoch.
    """
    content = classifier_extra(classifier.head, class_names, **dict(extra or {}))
    return save_backbone(path, classifier.backbone, arch=arch, input=input, extra=content)


def restore_head(content: Mapping[str, Any], path: str | os.PathLike[str]) -> tuple[ClassifierHead, tuple[str, ...]]:
    """The head that `classifier_extra` described, and the names of its classes.

    Args:
        content: its ``classifier``.
        path: of the file, for errors.

    Raises:
        CheckpointError: if it is damaged.
    """
    try:
        names, state = tuple(map(str, content["classes"])), content["state_dict"]
        head = ClassifierHead(state["fc.weight"].shape[1], len(names), **content["settings"])
        head.load_state_dict(state)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise CheckpointError(f"{path}: its classifier is damaged ({reason})") from error
    return head, names


def load_classifier(
    path: str | os.PathLike[str], *, device: str | torch.device = "cpu", trust: bool = False
) -> LoadedClassifier:
    """Read a file of `save_classifier`, or a checkpoint of ``fima finetune`` and ``fima linear``.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is no classifier, or damaged.
    """
    source = load_backbone(path, device=device, trust=trust)
    content = source.extra.get("classifier")
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a backbone without a classifier; train one with fima finetune")
    head, names = restore_head(content, path)
    classifier = Classifier(source.backbone, head.to(device)).eval()
    return LoadedClassifier(classifier, names, source)
