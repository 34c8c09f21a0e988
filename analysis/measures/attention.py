"""What the attention of a token network says of a clip, from its weights between slices and cells."""

from __future__ import annotations

import torch
from torch import Tensor

from fima.errors import InputError

__all__ = ["attention_rows", "attention_spread", "received_attention", "time_reach"]


def attention_rows(between: Tensor) -> Tensor:
    """What each place looks at, in shares of what an even spread would give: over the whole clip, and slice by slice.

    Args:
        between: ``(N, T', P, T', P)``: what slice and place pay to slice and place, not negative; what a class token
            got is left out.

    Returns:
        ``(N, 1 + T', P, P)``, every row with mean 1; row = place that pays, column = place that is paid. The first
        matrix adds up all times; the others are of a slice's attention within itself.

    Raises:
        InputError: If the tensor is not such.

    >>> attention_rows(torch.tensor([1.0, 3.0, 2.0, 2.0]).reshape(1, 1, 2, 1, 2))[0, 0]
    tensor([[0.5000, 1.5000],
            [1.0000, 1.0000]])
    """
    if between.ndim != 5 or between.shape[1:3] != between.shape[3:] or 0 in between.shape:
        raise InputError(f"attention between cells must be (N, T', P, T', P), got {tuple(between.shape)}")
    within = between.diagonal(dim1=1, dim2=3).movedim(-1, 1)
    rows = torch.cat((between.mean(dim=1).sum(dim=2)[:, None], within), dim=1)
    return rows / rows.mean(dim=3, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)


def received_attention(between: Tensor) -> Tensor:
    """How much attention each cell receives, in shares of what an even spread would give it.

    Args:
        between: ``(N, heads, S, T', H', W')``: what the cells of each of S slices pay to every cell, not negative; what
            a class token got is left out of the sum.

    Returns:
        ``(N, heads, T', H', W')``, mean 1: 1 is an even share, 2 twice as much.

    Raises:
        InputError: If the tensor is not such.

    >>> received_attention(torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2, 1, 1)).flatten()
    tensor([0.5000, 1.5000])
    """
    _check(between)
    received = between.mean(dim=2)
    return received / received.mean(dim=(2, 3, 4), keepdim=True)


def attention_spread(between: Tensor) -> Tensor:
    """Over how many of the cells attention spreads: the exponential of the entropy, as a share of the cells.

    Args:
        between: As of `received_attention`.

    Returns:
        ``(N,)`` in (0, 1], mean over heads: 1 where all cells receive alike, 1 / cells where one receives everything.

    >>> attention_spread(torch.eye(4)[0].reshape(1, 1, 1, 1, 2, 2))
    tensor([0.2500])
    """
    _check(between)
    received = between.mean(dim=2).flatten(2)
    share = received / received.sum(dim=2, keepdim=True)
    entropy = torch.special.entr(share).sum(dim=2)
    spread: Tensor = (entropy.exp() / share.shape[2]).mean(dim=1)
    return spread


def time_reach(between: Tensor) -> Tensor:
    """How far attention reaches through time: mean distance in slices, as a share of an even spread's.

    Args:
        between: As of `received_attention`, with S = T' > 1.

    Returns:
        ``(N,)``, mean over heads: 0 where every cell looks at its own slice only, 1 where all slices are looked at
        alike. It hardly depends on the grid or on the length of a clip; NaN for a single slice.

    >>> time_reach(torch.eye(3)[None, None, :, :, None, None])
    tensor([0.])
    """
    _check(between)
    paid = between.sum(dim=(4, 5))
    slices = torch.arange(paid.shape[3], device=paid.device)
    distance = (slices[:, None] - slices).abs().to(paid.dtype)
    mean = (paid * distance).sum(dim=(2, 3)) / paid.sum(dim=(2, 3))
    return (mean / distance.mean()).mean(dim=1)


def _check(between: Tensor) -> None:
    if between.ndim != 6 or not between.is_floating_point() or 0 in between.shape:
        raise InputError(f"attention must be (N, heads, S, T', H', W'), floating point, got {tuple(between.shape)}")
