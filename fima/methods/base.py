"""What every method is: a module that turns views into named losses and keeps its key networks and queues."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from fima.checkpoints.report import LoadReport
from fima.errors import InputError
from fima.input_spec import InputSpec
from fima.methods.losses import Contrast, contrast
from fima.methods.memory import FeatureQueue
from fima.models.registry import create_backbone
from fima.models.short_clips import guard_short_clips

if TYPE_CHECKING:
    from fima.transforms.views import Views

__all__ = [
    "Method",
    "check_settings",
    "frozen_copy",
    "laid_out",
    "make_backbone",
    "mean_contrast",
    "symmetric_contrast",
]

M = TypeVar("M", bound=nn.Module)


class Method(nn.Module, ABC):
    """A method of self-supervised training: no optimizer, no logging, no loop.

    Attributes:
        settings: keyword arguments that build it again, plain values; ``arch`` is None where the backbone was given
            as a module.
        accuracies: of the last step, by the name of its loss: how often the positive was the most similar key, a
            scalar in [0, 1] without gradient.
        observed: of the last step, without gradient: ``query`` and ``key``, ``(2, N, D)``, the unit vectors that the
            instance loss compares, for watching collapse; methods add their own.
        report: where every entry of the file went that it was loaded from; None if it was not.
        encoder_q, encoder_k: the backbone of the RGB clips that is trained, and its key network.
        input_spec: what that backbone is fed.
        colors: how clips are augmented; any callable like `fima.transforms.colors.ColorAugment` will do.
        num_local_clips: local clips to a window; None: one for each slice of the global clip's feature map.
    """

    encoder_q: nn.Module
    encoder_k: nn.Module
    input_spec: InputSpec
    colors: Callable[..., Tensor]
    num_local_clips: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}
        self.accuracies: dict[str, Tensor] = {}
        self.observed: dict[str, Tensor] = {}
        self.report: LoadReport | None = None

    @abstractmethod
    def losses(self, views: Views, *, augment: bool = True, update: bool = True) -> dict[str, Tensor]:
        """One training step's losses; moves the key networks first and fills the queues, each once.

        Args:
            views: what `fima.transforms.views` makes of a batch, in [0, 1].
            augment: whether colors are augmented; without, clips are only normalized.
            update: False leaves key networks and queues as they are, for a look that is no training step. (Running
                statistics move in train mode, as in any module.)

        Returns:
            The losses by name and their sum, ``total``: scalars with a graph.

        Raises:
            InputError: if the views' shapes do not fit the method.
        """

    def forward(self, views: Views, *, augment: bool = True, update: bool = True) -> dict[str, Tensor]:
        """The same as `losses`, so that a wrapper such as DistributedDataParallel sees the step."""
        return self.losses(views, augment=augment, update=update)


def make_backbone(arch: str | nn.Module, settings: dict[str, Any] | None) -> nn.Module:
    """The backbone of that name, or the module itself.

    Raises:
        InputError: as `fima.models.create_backbone`, or if settings come with a module.
    """
    if isinstance(arch, str):
        return create_backbone(arch, **(settings or {}))
    if settings:
        raise InputError("backbone_settings belong to a backbone given by name, not to a module")
    return arch


def laid_out(backbone: nn.Module, memory_format: torch.memory_format) -> nn.Module:
    """A backbone ready to be trained: its 5-D weights have that layout, other weights stay as they are."""
    for parameter in backbone.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)
    guard_short_clips(backbone)
    return backbone


def frozen_copy(module: M) -> M:
    """A key network: the same parameters and buffers, out of the optimizer's reach."""
    return copy.deepcopy(module).requires_grad_(False)


def symmetric_contrast(
    query: Tensor, key: Tensor, queue: FeatureQueue, *, temperature: float, update: bool
) -> Contrast:
    """InfoNCE of each view's query against the other's key, in the reference's order of effects.

    First m's query against n's key; the queue then takes n's keys, which are negatives for n's query against m's key;
    then it takes m's. So the sum changes if the views change places.

    Args:
        query: ``(2, N, D)``, views m and n, unit vectors.
        key: ``(2, N, D)``, likewise.
        queue: the negatives.
        temperature: τ.
        update: False leaves the queue alone.

    Source: ZMHH-H/FIMA ``moco/builder.py`` (``compute_logits``), commit fd63cbd.
    """
    terms = []
    for key_view in (1, 0):
        terms.append(contrast(query[1 - key_view], key[key_view], queue.snapshot(), temperature=temperature))
        if update:
            queue.enqueue(key[key_view])
    return mean_contrast(terms)


def mean_contrast(terms: Iterable[Contrast]) -> Contrast:
    """Mean of the losses and of the accuracies."""
    losses, accuracies = zip(*terms, strict=True)
    return Contrast(torch.stack(losses).mean(), torch.stack(accuracies).mean())


_MOST = 10**9


def check_settings(*, momentum: float, **positive: float) -> None:
    """Refuse a momentum outside [0, 1], and temperatures, radii or sizes that are not above 0.

    Raises:
        InputError: names the first of them.
    """
    if not 0 <= momentum <= 1:
        raise InputError(f"momentum must be in [0, 1], got {momentum}")
    for name, value in positive.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _MOST:
            raise InputError(f"{name} must be above 0 and below {_MOST}, got {value!r}")
