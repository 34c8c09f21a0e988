"""What every cell of a video transformer pays to every other cell: the whole matrix, of clips small enough for it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fima.models.attention import attention_layers, layers_of_block, query_and_key, through_time
from fima.models.capture import capture

__all__ = ["attention_between_cells"]


@torch.no_grad()
def attention_between_cells(backbone: nn.Module, clip: Tensor, layer: str | None = None) -> Tensor:
    """What the cells pay to each other in one block, mean over heads.

    Where time and space are divided it is the product of both, as of `attention_between_slices`.

    Args:
        backbone: One of ours that has attention.
        clip: Normalized, ``(N, 3, T, H, W)``.
        layer: A block or an attention layer of `attention_layers`; None: the last block.

    Returns:
        ``(N, T', P, T', P)`` with ``P = H' · W'``: slice and place that pay, then slice and place that are paid. What
        a cell pays sums to 1, less what a class token gets.

    Raises:
        InputError: If there is no such attention.
    """
    kinds = attention_layers(backbone)
    names = layers_of_block(backbone, kinds, layer)
    with capture(backbone, names, query_and_key) as seen:
        count, _, *grid = backbone(clip).shape
    heads: dict[str, tuple[Tensor, Tensor]] = {kinds[name]: seen[name][0] for name in names}
    steps, places = grid[0], math.prod(grid[1:])
    if "cells" in heads:
        return _paid_by_cells(heads["cells"], steps * places).reshape(count, steps, places, steps, places)
    space = torch.eye(places, device=clip.device).expand(count, steps, places, places)
    if "space" in heads:
        space = _paid_by_cells(heads["space"], places).reshape(count, steps, places, places)
    time = torch.eye(steps, device=clip.device)[None, :, :, None].expand(count, steps, steps, places)
    if "time" in heads:
        query, key = heads["time"]
        time = through_time(query, key, count, grid).mean(dim=1).flatten(3)
    return space[:, :, :, None] * time[:, :, None]


def _paid_by_cells(heads: tuple[Tensor, Tensor], cells: int) -> Tensor:
    """``(N, cells, cells)``, head by head: one matrix at a time. Class tokens come first and are left out."""
    query, key = heads
    total = query.new_zeros(len(query), cells, cells, dtype=torch.float32)
    for head in range(query.shape[1]):
        own = query[:, head, -cells:].float() * query.shape[-1] ** -0.5
        total += (own @ key[:, head].float().mT).softmax(dim=-1)[..., -cells:]
    return total / query.shape[1]
