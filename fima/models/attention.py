"""What attends to what in a video transformer: maps over its grid, head by head, in blocks of queries.

The weights of all queries at once would take gigabytes (8,192 tokens in V-JEPA 2: 4.3 GB a layer), so they are summed
block by block inside a hook, from the layer's own queries and keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fima.errors import InputError
from fima.models.capture import capture

__all__ = ["attention_layers", "attention_received", "read_attention"]

_BLOCK = 512


def attention_received(query: Tensor, key: Tensor, *, rows: Sequence[int] | None = None, block: int = _BLOCK) -> Tensor:
    """How much attention each key gets, the mean over queries of the softmax weights.

    Args:
        query: ``(N, heads, Q, D)``.
        key: ``(N, heads, K, D)``.
        rows: of these queries only; None: of all.
        block: queries at a time.

    Returns:
        ``(N, heads, K)``, not negative, summing to 1.

    Example:
        >>> attention_received(torch.zeros(1, 1, 4, 2), torch.zeros(1, 1, 5, 2))
        tensor([[[0.2000, 0.2000, 0.2000, 0.2000, 0.2000]]])
    """
    query = query if rows is None else query[:, :, list(rows)]
    total = torch.zeros_like(key[..., 0], dtype=torch.float32)
    for start in range(0, query.shape[2], block):
        part = query[:, :, start : start + block]
        weights = (part.float() @ key.float().mT * part.shape[-1] ** -0.5).softmax(dim=-1)
        total += weights.sum(dim=2)
    return total / query.shape[2]


def attention_layers(backbone: nn.Module) -> dict[str, str]:
    """Attention layers that `read_attention` takes, in their order → ``cells``, ``space`` or ``time``.

    ``cells``: every cell sees every other one. ``space``: those of its own frame; ``time``: those of its own place.
    """
    found: dict[str, str] = {}
    for name, module in backbone.named_modules():
        if not callable(getattr(module, "heads_of", None)) or getattr(module, "window", None) is not None:
            continue
        divided = getattr(backbone, "attention", "joint")
        found[name] = "time" if name.endswith("temporal_attn") else "cells" if divided == "joint" else "space"
    return found


def read_attention(
    backbone: nn.Module,
    clip: Tensor,
    layers: Sequence[str] | None = None,
    *,
    cell: tuple[int, int, int] | None = None,
    from_class_token: bool = False,
) -> dict[str, Tensor]:
    """Maps of the attention that each cell receives.

    Args:
        backbone: one of ours that has attention.
        clip: normalized, ``(N, 3, T, H, W)``.
        layers: some of `attention_layers`; None: the last one.
        cell: ``(t, y, x)`` of the grid: attention paid by this cell alone, in layers of kind ``cells``.
        from_class_token: attention paid by the class token alone.

    Returns:
        Layer → ``(N, heads, T', H', W')``. Each map sums to 1 over what a query can see, less what a class token gets.

    Raises:
        InputError: if the backbone has no such attention, or the cell is outside its grid.
    """
    kinds = attention_layers(backbone)
    if not kinds:
        raise InputError(f"{type(backbone).__name__} has no attention over its cells")
    chosen = list(kinds)[-1:] if layers is None else list(layers)
    if unknown := [name for name in chosen if name not in kinds]:
        raise InputError(f"no attention in layer {', '.join(unknown)}; there is {', '.join(kinds)}")
    if cell is not None and any(kinds[name] != "cells" for name in chosen):
        raise InputError("attention of a cell: this backbone's cells do not all see each other")
    keep = partial(_received, cell=cell, from_class_token=from_class_token)
    with torch.no_grad(), capture(backbone, chosen, keep) as seen:
        count, _, *grid = backbone(clip).shape
    return {name: _on_grid(seen[name][0], kinds[name], count, grid) for name in chosen}


def _received(
    layer: Any, inputs: tuple[Any, ...], output: Any, *, cell: tuple[int, int, int] | None, from_class_token: bool
) -> Tensor:
    query, key, _ = layer.heads_of(*inputs)
    rows = [0] if from_class_token else None
    if cell is not None:
        grid = inputs[0].shape[1:-1]
        if len(grid) != 3 or any(not 0 <= place < cells for place, cells in zip(cell, grid, strict=True)):
            raise InputError(f"cell {cell} is outside the grid {tuple(grid)}")
        rows = [(cell[0] * grid[1] + cell[1]) * grid[2] + cell[2]]
    return attention_received(query, key, rows=rows)


def _on_grid(received: Tensor, kind: str, count: int, grid: Sequence[int]) -> Tensor:
    """``(…, heads, K)`` of a layer's own batch → ``(N, heads, T', H', W')``."""
    steps, height, width = grid
    heads = received.shape[1]
    if kind == "time":
        return received.reshape(count, height, width, heads, steps).permute(0, 3, 4, 1, 2)
    if kind == "space":
        return received[..., -height * width :].reshape(count, steps, heads, height, width).transpose(1, 2)
    return received[..., -steps * height * width :].reshape(count, heads, steps, height, width)
