"""What attends to what in a video transformer: maps over its grid, head by head, in blocks of queries.

The weights of all queries at once would take gigabytes (8,192 tokens in V-JEPA 2: 4.3 GB a layer), so they are summed
block by block inside a hook, from the layer's own queries and keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fima.errors import InputError
from fima.models.capture import capture

__all__ = [
    "attention_between_slices", "attention_layers", "attention_received", "attention_rollout", "layers_of_block",
    "query_and_key", "read_attention", "through_time",
]  # fmt: skip

_MOST_WEIGHTS = 2**23
"""Softmax weights at a time: 34 MB."""

Cell = tuple[int, int, int]


def attention_received(
    query: Tensor, key: Tensor, *, rows: Sequence[int] | None = None, block: int | None = None
) -> Tensor:
    """How much attention each key gets, the mean over queries of the softmax weights.

    Args:
        query: ``(N, heads, Q, D)``.
        key: ``(N, heads, K, D)``.
        rows: of these queries only; None: of all.
        block: queries at a time; None: as many as fit into 34 MB.

    Returns:
        ``(N, heads, K)``, not negative, summing to 1.

    Examples:
        >>> attention_received(torch.zeros(1, 1, 4, 2), torch.zeros(1, 1, 5, 2))
        tensor([[[0.2000, 0.2000, 0.2000, 0.2000, 0.2000]]])
    """
    query = query if rows is None else query[:, :, list(rows)]
    even = torch.full_like(query[:, 0, :, 0], 1 / max(query.shape[2], 1), dtype=torch.float32)
    return _paid(query, key, even, block)


def _paid(query: Tensor, key: Tensor, weights: Tensor, block: int | None = None) -> Tensor:
    """``(N, heads, K)``: the softmax weights of the queries, summed with their ``weights`` ``(N, Q)``."""
    total, columns = torch.zeros_like(key[..., 0], dtype=torch.float32), key.float().mT
    block = block or max(1, _MOST_WEIGHTS // max(1, total.numel()))
    for start in range(0, query.shape[2], block):
        part = query[:, :, start : start + block].float() * query.shape[-1] ** -0.5
        rows = (part @ columns).softmax(dim=-1)
        total += (weights[:, None, None, start : start + block] @ rows)[:, :, 0]
    return total


def attention_layers(backbone: nn.Module) -> dict[str, str]:
    """Attention layers that `read_attention` takes, in their order → ``cells``, ``space`` or ``time``.

    ``cells``: every cell sees every other one. ``space``: those of its own frame; ``time``: those of its own place.
    """
    found: dict[str, str] = {}
    for name, module in backbone.named_modules():
        if not callable(getattr(module, "heads_of", None)) or getattr(module, "window", None) is not None:
            continue
        within_frames = getattr(backbone, "attention", "joint") in ("divided", "space")
        found[name] = "time" if name.endswith("temporal_attn") else "space" if within_frames else "cells"
    return found


def read_attention(
    backbone: nn.Module,
    clip: Tensor,
    layers: Sequence[str] | None = None,
    *,
    cell: Cell | None = None,
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


def _received(layer: Any, inputs: tuple[Any, ...], output: Any, *, cell: Cell | None, from_class_token: bool) -> Tensor:
    query, key = query_and_key(layer, inputs, output)
    rows = [0] if from_class_token else None
    if cell is not None:
        grid = inputs[0].shape[1:-1]
        _check_cell(cell, grid)
        rows = [(cell[0] * grid[1] + cell[1]) * grid[2] + cell[2]]
    return attention_received(query, key, rows=rows)


def _check_cell(cell: Cell, grid: Sequence[int]) -> None:
    if len(cell) != len(grid) or any(not 0 <= place < cells for place, cells in zip(cell, grid, strict=True)):
        raise InputError(f"cell {cell} is outside the grid {tuple(grid)}")


def _on_grid(received: Tensor, kind: str, count: int, grid: Sequence[int]) -> Tensor:
    """``(…, heads, K)`` of a layer's own batch → ``(N, heads, T', H', W')``."""
    steps, height, width = grid
    heads = received.shape[1]
    if kind == "time":
        return received.reshape(count, height, width, heads, steps).permute(0, 3, 4, 1, 2)
    if kind == "space":
        return received[..., -height * width :].reshape(count, steps, heads, height, width).transpose(1, 2)
    return received[..., -steps * height * width :].reshape(count, heads, steps, height, width)


@torch.no_grad()
def attention_between_slices(
    backbone: nn.Module, clip: Tensor, layer: str | None = None, *, cell: Cell | None = None
) -> Tensor:
    """What the cells of each slice pay to every cell, head by head; of one cell alone where it is given.

    Where time and space are divided, a cell attends to its frame, each place of which was mixed from all frames before:
    the weight of (cell i, frame j) ← (cell p, frame q) is the product of both, the temporal one averaged over heads.

    Args:
        backbone: one of ours that has attention.
        clip: normalized, ``(N, 3, T, H, W)``.
        layer: a block or an attention layer of `attention_layers`; None: the last block.
        cell: ``(t, y, x)`` of the grid.

    Returns:
        ``(N, heads, S, T', H', W')``: mean over the queries of a slice; S is T', and 1 for a cell. Each map sums to 1,
        less what a class token gets; their mean over S is the attention received.

    Raises:
        InputError: if there is no such attention, or the cell is outside the grid.
    """
    kinds = attention_layers(backbone)
    names = layers_of_block(backbone, kinds, layer)
    with capture(backbone, names, query_and_key) as seen:
        count, _, *grid = backbone(clip).shape
    if cell is not None:
        _check_cell(cell, grid)
    heads = {kinds[name]: seen[name][0] for name in names}
    if "cells" in heads:
        return _between_all(heads["cells"][0], heads["cells"][1], grid, cell)
    steps, height, width = grid
    slices = range(steps) if cell is None else [cell[0]]
    identity = torch.eye(steps, device=clip.device)[None, None, :, :, None, None].expand(
        count, 1, -1, -1, height, width
    )
    space = torch.full((count, 1, steps, height, width), 1 / (height * width), device=clip.device)
    if cell is not None:
        space = torch.zeros_like(space)
        space[:, :, :, cell[1], cell[2]] = 1
    if "space" in heads:
        query, key = heads["space"]
        rows = None if cell is None else [query.shape[2] - height * width + cell[1] * width + cell[2]]
        space = _on_grid(_within_frames(query, key, height * width, rows), "space", count, grid)
    time = identity if "time" not in heads else through_time(heads["time"][0], heads["time"][1], count, grid)
    if "space" in heads:
        time = time.mean(dim=1, keepdim=True)
    return (space[:, :, :, None] * time)[:, :, list(slices)]


@torch.no_grad()
def attention_rollout(backbone: nn.Module, clip: Tensor, *, cell: Cell | None = None) -> Tensor:
    """Attention followed through all layers, half of each layer's weight staying where it is (its residual branch).

    Only a row of the product of all layers is asked for, so that it is a vector carried from the last layer to the
    first: the tokens' matrix never exists.

    Args:
        backbone: one of ours all of whose layers keep the same cells.
        clip: normalized, ``(N, 3, T, H, W)``.
        cell: whose attention is followed, ``(t, y, x)``; None: the mean over all cells.

    Returns:
        ``(N, T', H', W')``, summing to 1, less what a class token gets.

    Raises:
        InputError: if the backbone has no such attention, or the cell is outside its grid.

    Source: Abnar and Zuidema, "Quantifying attention flow in transformers", ACL 2020, section 3; heads are averaged.
    """
    kinds = attention_layers(backbone)
    blocks = range(len(getattr(backbone, "blocks", ())))
    if not kinds or not blocks or any(f"blocks.{number}.attn" not in kinds for number in blocks):
        raise InputError(f"{type(backbone).__name__}: its attention cannot be followed from layer to layer")
    with capture(backbone, kinds, lambda layer, inputs, _: inputs) as seen:
        count, _, *grid = backbone(clip).shape
    start = torch.full((count, *grid), 1 / math.prod(grid), device=clip.device)
    if cell is not None:
        _check_cell(cell, grid)
        start = torch.zeros_like(start)
        start[:, cell[0], cell[1], cell[2]] = 1
    modules = dict(backbone.named_modules())
    frames = grid[0] if "space" in kinds.values() else 1
    flow = torch.cat((start.new_zeros(count, frames), start.flatten(1)), dim=1)
    for name in reversed(kinds):
        layer: Any = modules[name]
        query, key = query_and_key(layer, seen[name][0], None)
        flow = (flow + _step_back(flow, query, key, kinds[name], grid, frames)) / 2
        if getattr(backbone, "attention", "") == "divided":  # one class token that all frames share
            flow[:, :frames] = flow[:, :frames].mean(dim=1, keepdim=True)
    return flow[:, frames:].reshape(count, *grid)


def _step_back(flow: Tensor, query: Tensor, key: Tensor, kind: str, grid: Sequence[int], frames: int) -> Tensor:
    """Where the attention of one layer comes from; ``flow`` is ``(N, class tokens + cells)``."""
    steps, height, width = grid
    count, places = len(flow), height * width
    first, cells = flow[:, :frames], flow[:, frames:]
    if kind == "time":
        weights = cells.reshape(count, steps, places).mT.reshape(-1, steps)
        back = _paid(query, key, weights).mean(dim=1)
        return torch.cat((first, back.reshape(count, places, steps).mT.flatten(1)), dim=1)
    if kind == "space":
        weights = torch.cat((first[..., None], cells.reshape(count, steps, places)), dim=2).flatten(0, 1)
        back = _paid(query, key, weights).mean(dim=1).reshape(count, steps, 1 + places)
        return torch.cat((back[..., 0], back[..., 1:].flatten(1)), dim=1)
    prefix = query.shape[2] - steps * places
    back = _paid(query, key, flow[:, frames - prefix :]).mean(dim=1)
    return torch.cat((flow[:, : frames - prefix], back), dim=1)


def query_and_key(layer: Any, inputs: tuple[Any, ...], output: Any) -> tuple[Tensor, Tensor]:
    """What `capture` keeps of an attention layer: queries and keys ``(batch, heads, tokens, D)``.

    Args:
        layer: An attention layer of `attention_layers`.
        inputs: What it was called with.
        output: What it gave; not used.
    """
    own = getattr(layer, "queries_and_keys", None)  # without the values, a third of the work
    query, key = own(*inputs) if callable(own) else layer.heads_of(*inputs)[:2]
    return query, key


def layers_of_block(backbone: nn.Module, kinds: dict[str, str], layer: str | None) -> list[str]:
    """The attention layers of a block: one, or that of time and that of space.

    Args:
        backbone: Whose layers they are.
        kinds: Its `attention_layers`.
        layer: A block or an attention layer; None: the last block.

    Raises:
        InputError: If there is no such attention.
    """
    if not kinds:
        raise InputError(f"{type(backbone).__name__} has no attention over its cells")
    last = list(kinds)[-1]
    block = (last.rpartition(".")[0] or last) if layer is None else layer
    names = [name for name in kinds if name == block or name.startswith(f"{block}.")]
    if not names or len({kinds[name] for name in names}) < len(names):
        raise InputError(f"no one attention in layer {block}; there is {', '.join(kinds)}")
    return names


def _between_all(query: Tensor, key: Tensor, grid: Sequence[int], cell: Cell | None) -> Tensor:
    steps, height, width = grid
    cells = height * width
    first = query.shape[2] - steps * cells
    if cell is None:
        ranges: list[Sequence[int]] = [range(first + t * cells, first + (t + 1) * cells) for t in range(steps)]
    else:
        ranges = [[first + (cell[0] * height + cell[1]) * width + cell[2]]]
    each = [_on_grid(attention_received(query, key, rows=rows), "cells", len(query), grid) for rows in ranges]
    return torch.stack(each, dim=2)


def _within_frames(query: Tensor, key: Tensor, cells: int, rows: Sequence[int] | None) -> Tensor:
    """What the patches of a frame pay inside it, without the class token's own queries."""
    return attention_received(query, key, rows=range(query.shape[2] - cells, query.shape[2]) if rows is None else rows)


def through_time(query: Tensor, key: Tensor, count: int, grid: Sequence[int]) -> Tensor:
    """The weights between the frames of each place, ``(N, heads, T' of queries, T', H', W')``.

    Args:
        query: Of a layer of kind ``time``, ``(N · H' · W', heads, T', D)``.
        key: Of the same shape.
        count: N.
        grid: ``(T', H', W')``.
    """
    steps, height, width = grid
    weights = (query.float() @ key.float().mT * query.shape[-1] ** -0.5).softmax(dim=-1)
    grouped: Tensor = weights.reshape(count, height, width, -1, steps, steps).permute(0, 3, 4, 5, 1, 2)
    return grouped
