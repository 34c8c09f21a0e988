"""The mean of several backbones' weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fima.checkpoints.loaded import LoadedBackbone
from fima.errors import InputError

__all__ = ["average_weights"]


@torch.no_grad()
def average_weights(loaded: Sequence[LoadedBackbone]) -> nn.Module:
    """One backbone whose weights and running statistics are the mean of several, of one run and its continuations.

    A run that went on in other data gains there and loses elsewhere; the mean of before and after keeps most of both
    (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022; Model soups, ICML 2022). Of runs that began
    apart the mean is worth nothing.

    Args:
        loaded: at least one; the first one's backbone is changed in place.

    Returns:
        The first one's backbone.

    Raises:
        InputError: if they are not of one architecture; names the file.
    """
    first = loaded[0]
    states = [one.backbone.state_dict() for one in loaded]
    shapes = [{name: value.shape for name, value in state.items()} for state in states]
    for other, theirs in zip(loaded, shapes, strict=True):
        if theirs != shapes[0]:
            raise InputError(f"{other.path}: {other.arch} has other weights than {first.arch} of {first.path}: no mean")
    for name, value in states[0].items():
        if value.is_floating_point():
            value.copy_(torch.stack([state[name].to(torch.float64) for state in states]).mean(dim=0))
    return first.backbone
