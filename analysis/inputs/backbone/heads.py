"""The classifier that a fine-tuned checkpoint holds beside its backbone: pooled feature → logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fima.checkpoints import LoadedBackbone
from fima.checkpoints.containers import unwrap
from fima.checkpoints.files import read_checkpoint
from fima.errors import CheckpointError, InputError
from fima.tasks.classify.classifier import restore_head

__all__ = ["ClassHead", "load_head"]

_NAMES = ("fc", "head.projection")
"""Of the linear layer in files of others: FIMA, FAME, TCLR and torchvision; MaCLR and PySlowFast."""


@dataclass(frozen=True)
class ClassHead:
    """A classifier without its backbone.

    Attributes:
        head: Pooled features ``(N, C)`` → logits ``(N, classes)``; in eval mode, without gradient of its own.
        classes: At least 2.
        class_names: By index; empty where the file does not name them.
    """

    head: nn.Module
    classes: int
    class_names: tuple[str, ...] = ()

    def to(self, device: torch.device) -> ClassHead:
        """With its weights on a device."""
        return replace(self, head=self.head.to(device))

    def label(self, index: int) -> str:
        """The class's name, or ``class 3``."""
        return self.class_names[index] if self.class_names else f"class {index}"


def load_head(loaded: LoadedBackbone, *, trust: bool = False) -> ClassHead:
    """The classifier in a backbone's file.

    Files of ``fima finetune`` and ``fima linear`` say how their head works. In those of others it is the linear layer
    beside the backbone, on the mean over time and space; their dropout does nothing here.

    Args:
        loaded: The backbone, whose report says where the file's entries went.
        trust: Also read files that run code when they are read.

    Raises:
        InputError: If there is none.
        CheckpointError: If it is damaged.
    """
    if loaded.path is None:
        raise InputError("untrained weights have no classifier head; give a fine-tuned checkpoint")
    own = loaded.extra.get("classifier")
    made = _own_head(own, loaded.path) if isinstance(own, Mapping) else _linear_head(loaded, trust)
    if not all(bool(torch.isfinite(value).all()) for value in made.head.state_dict().values()):
        raise CheckpointError(f"{loaded.path}: its classifier is damaged: not all of its weights are finite")
    return replace(made, head=made.head.eval().requires_grad_(False))


def _own_head(content: Mapping[str, Any], path: Path) -> ClassHead:
    head, names = restore_head(content, path)
    return ClassHead(head, len(names), names)


def _linear_head(loaded: LoadedBackbone, trust: bool) -> ClassHead:
    missing = InputError(
        f"{loaded.path} has no classifier head; expected a file of fima finetune or fima linear, "
        f"or a linear layer {' or '.join(_NAMES)} of {loaded.info.channels} inputs beside the backbone"
    )
    key, name = next(iter(loaded.report.loaded.items()))
    prefix = key.removesuffix(name)
    if loaded.path is None or "encoder_q." in prefix:  # in pre-training a layer of that name is a projector
        raise missing
    state = unwrap(read_checkpoint(loaded.path, trust=trust), loaded.path).state
    for place in _NAMES:
        weight, bias = (state.get(f"{prefix}{place}.{word}") for word in ("weight", "bias"))
        if isinstance(weight, Tensor) and weight.ndim == 2 and weight.shape[1] == loaded.info.channels:
            return _as_head(weight, bias if isinstance(bias, Tensor) else torch.zeros(len(weight)))
    raise missing


def _as_head(weight: Tensor, bias: Tensor) -> ClassHead:
    head = nn.Linear(weight.shape[1], weight.shape[0])
    head.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return ClassHead(head, len(weight))
