"""Does a map of a clip tell the truth? Its cells are taken away, or put back, in the order in which it ranks them.

Source: Petsiuk, Das, Saenko, "RISE", BMVC 2018, section 4.3 (deletion and insertion); cells of space and time, and the
cosine of features instead of a class score, are ours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fima.errors import InputError

__all__ = [
    "area",
    "cell_order",
    "center_map",
    "deletion_curve",
    "first_cells",
    "insertion_curve",
    "with_cells_replaced",
]

Pooled = Callable[[Tensor], Tensor]
"""Clips ``(K, 3, T, H, W)`` → pooled features ``(K, C)``."""


def cell_order(activation_map: Tensor, *, seed: int = 0) -> Tensor:
    """Cells of a map from the strongest to the weakest; equal ones in random order, so that a flat map has no order.

    Args:
        activation_map: ``(T', H', W')``.
        seed: Of the order of equal cells.

    Returns:
        ``(T' · H' · W',)`` places in the flattened map.
    """
    values = activation_map.detach().flatten().cpu()
    shuffled = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    return shuffled[values[shuffled].argsort(descending=True, stable=True)]


def center_map(grid: tuple[int, int, int]) -> Tensor:
    """The map ``(T', H', W')`` that is strongest in the middle of the picture, at all times."""
    rows, columns = (((torch.arange(n) + 0.5) / n - 0.5) ** 2 for n in grid[1:])
    return (1 - rows[:, None] - columns).expand(grid)


def first_cells(order: Tensor, grid: tuple[int, int, int], steps: int) -> Tensor:
    """The first cells of an order, more and more, without the two ends (none of them, and all).

    Args:
        order: ``(T' · H' · W',)``, of `cell_order`.
        grid: ``(T', H', W')``.
        steps: Into how many steps the way from none to all is divided.

    Returns:
        ``(steps − 1, T', H', W')`` bool.
    """
    counts = torch.linspace(0, len(order), steps + 1, dtype=torch.float64)[1:-1].round()
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order))
    return (ranks < counts[:, None]).reshape(-1, *grid)


def with_cells_replaced(clip: Tensor, other: Tensor, replaced: Tensor) -> Tensor:
    """A clip with another one in some cells.

    Args:
        clip: ``(1, 3, T, H, W)``.
        other: Of that shape: what stands for "nothing there", such as the clip blurred.
        replaced: ``(K, T', H', W')`` bool, cells in which the other one is shown.

    Returns:
        ``(K, 3, T, H, W)``.

    Raises:
        InputError: If the two clips differ in shape, or are not one clip each.
    """
    if clip.shape != other.shape or clip.ndim != 5 or len(clip) != 1:
        raise InputError(f"clip and other must both be (1, 3, T, H, W), got {tuple(clip.shape)}, {tuple(other.shape)}")
    mask = F.interpolate(replaced[:, None].to(clip), size=clip.shape[2:], mode="nearest").bool()
    return torch.where(mask, other, clip)


def deletion_curve(pooled: Pooled, clip: Tensor, other: Tensor, order: Tensor, grid: tuple[int, int, int],
                   *, steps: int = 10) -> NDArray[np.float64]:  # fmt: skip
    """Cosine with the intact clip's feature while more and more cells are taken away.

    Args:
        pooled: Gives the feature.
        clip: ``(1, 3, T, H, W)``.
        other: What is shown in cells that were taken away.
        order: In which they are taken.
        grid: ``(T', H', W')``, of the cells.
        steps: Of the way from none to all.

    Returns:
        ``(steps + 1,)``; the first is 1.
    """
    return _curve(pooled, clip, other, first_cells(order, grid, steps), ends=(1.0, None))


def insertion_curve(pooled: Pooled, clip: Tensor, other: Tensor, order: Tensor, grid: tuple[int, int, int],
                    *, steps: int = 10) -> NDArray[np.float64]:  # fmt: skip
    """The same while cells are put back, one after the other, into what is shown where nothing is left.

    Args:
        pooled: As of `deletion_curve`, as the others.
        clip: The intact clip.
        other: What is shown at first.
        order: In which cells are put back.
        grid: Of the cells.
        steps: Of the way from none to all.

    Returns:
        ``(steps + 1,)``; the last is 1.
    """
    return _curve(pooled, clip, other, ~first_cells(order, grid, steps), ends=(None, 1.0))


def area(curve: NDArray[np.float64]) -> float:
    """Area under a curve over the share of cells from 0 to 1, by trapezoids."""
    return float((curve[1:] + curve[:-1]).mean() / 2)


def _curve(
    pooled: Pooled, clip: Tensor, other: Tensor, replaced: Tensor, ends: tuple[float | None, float | None]
) -> NDArray[np.float64]:
    changed = with_cells_replaced(clip, other, replaced)
    features = pooled(torch.cat([clip, other, changed]))
    cosines = F.cosine_similarity(features[1:].double(), features[:1].double()).cpu().numpy()
    first, last = (cosines[0] if end is None else end for end in ends)
    return np.concatenate([[first], cosines[1:], [last]])
