"""Spatial affinity: does an RGB position look like the motion at the same position, and at no other?

Paper: FIMA, Figure 5a. ``P = H'·W'``, positions row by row. The scores are this project's.
"""

from __future__ import annotations

import math
from typing import overload

import torch
from torch import Tensor
from torch.nn import functional as F

from fima.errors import InputError
from fima.methods.activation import check_feature_maps

__all__ = [
    "affinity_chance",
    "affinity_scores",
    "cosine_matrix",
    "diagonal_agreement",
    "diagonal_contrast",
    "mean_in_double",
    "spatial_affinity",
    "spatial_affinity_slices",
]

TEMPERATURE = 0.1
"""Of the softmax that weighs the columns for the displacement."""


def spatial_affinity(rgb: Tensor, motion: Tensor) -> Tensor:
    """Cosine of every RGB position with every motion position of the same clips, features averaged over time.

    Args:
        rgb: Feature map ``(N, C, T', H', W')`` of the clips, floating point; gradients flow to it.
        motion: Feature map of their motion input, of the same shape.

    Returns:
        ``(N, P, P)`` in [-1, 1]; row = RGB position, column = motion position. A position without any feature
        (all zero) gives 0.

    Raises:
        InputError: If the two shapes differ or are not 5-D, or the dtype is not floating point.
    """
    check_feature_maps(rgb=rgb, motion=motion)
    columns = (mean_in_double(feature_map, dim=2).flatten(2).mT for feature_map in (rgb, motion))
    return cosine_matrix(*columns)


def spatial_affinity_slices(rgb: Tensor, motion: Tensor) -> Tensor:
    """``spatial_affinity`` of each slice on its own.

    Args:
        rgb: Feature map ``(N, C, T', H', W')`` of the clips, floating point; gradients flow to it.
        motion: Feature map of their motion input, of the same shape.

    Returns:
        ``(N, T', P, P)`` in [-1, 1]; row = RGB position, column = motion position.

    Raises:
        InputError: If the two shapes differ or are not 5-D, or the dtype is not floating point.
    """
    check_feature_maps(rgb=rgb, motion=motion)
    return cosine_matrix(*(feature_map.flatten(3).permute(0, 2, 3, 1) for feature_map in (rgb, motion)))


def affinity_scores(
    affinity: Tensor, mask: Tensor | None = None, *, grid: tuple[int, int] | None = None
) -> dict[str, Tensor]:
    """How far an affinity is concentrated on its diagonal; all rows, or those of the foreground.

    Args:
        affinity: ``(N, P, P)``, row = RGB position, column = motion position.
        mask: ``(N, H', W')`` or ``(N, P)`` bool; only rows that are true count (with all their columns).
        grid: ``(H', W')``; by default that of a 3-D mask, else a square.

    Returns:
        Each ``(N,)``; NaN for a sample without rows (``affinity_chance`` has the chance levels):

        - ``contrast``: mean diagonal − mean off-diagonal, in [-2, 2]; chance 0; differentiable.
        - ``top1_agreement``: share of rows whose maximum is on the diagonal, in [0, 1]; equal maxima share the row;
          chance 1 / P.
        - ``displacement``: distance in cells from a row's own position to its columns, weighted by the row's softmax
          at temperature 0.1, mean over rows; ideal 0; differentiable.
        - ``auroc``: probability that a diagonal entry exceeds an off-diagonal one, ties half; chance 0.5.

    Raises:
        InputError: If a shape does not fit, the mask is not bool, or P is not a square and no grid is given.
    """
    affinity = _check_affinity(affinity)
    num_positions = affinity.shape[1]
    grid = _check_grid(grid, mask, num_positions)
    rows = _rows(mask, affinity.shape[0], num_positions, affinity.device)
    weights = (affinity / TEMPERATURE).softmax(dim=2)
    displacement = (weights * _distances(grid, affinity)).sum(dim=2)
    return {
        "contrast": diagonal_contrast(affinity, rows),
        "top1_agreement": diagonal_agreement(affinity, rows),
        "displacement": _mean_over_rows(displacement, rows),
        "auroc": _diagonal_auroc(affinity.detach(), rows),
    }


@overload
def affinity_chance(grid: tuple[int, int], mask: None = None) -> dict[str, float]: ...


@overload
def affinity_chance(grid: tuple[int, int], mask: Tensor) -> dict[str, Tensor]: ...


def affinity_chance(grid: tuple[int, int], mask: Tensor | None = None) -> dict[str, float] | dict[str, Tensor]:
    """What ``affinity_scores`` gives when features say nothing about position.

    Args:
        grid: ``(H', W')``.
        mask: ``(N, H', W')`` or ``(N, P)`` bool: chance of the scores over its rows. Only the displacement, which is
            that of a uniform row, depends on it.

    Returns:
        The keys of ``affinity_scores``; numbers, or with a mask ``(N,)`` float64 each, NaN for a sample without rows.

    Raises:
        InputError: If the mask is not bool or does not fit the grid.
    """
    num_positions = grid[0] * grid[1]
    _check_grid(grid, mask, num_positions)
    uniform = _distances(grid, torch.zeros((), dtype=torch.float64)).mean(dim=1)
    constant = {"contrast": 0.0, "top1_agreement": 1 / num_positions, "auroc": 0.5}
    if mask is None:
        return {**constant, "displacement": float(uniform.mean())}
    rows = _rows(mask, mask.shape[0], num_positions, mask.device).cpu()
    displacement = _mean_over_rows(uniform.expand(len(rows), -1), rows)
    empty = displacement.isnan()
    chance = {
        name: torch.full_like(displacement, level).masked_fill(empty, math.nan) for name, level in constant.items()
    }
    return {**chance, "displacement": displacement}


def cosine_matrix(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of every vector of one set with every vector of another.

    Computed in double precision and settled on a fine grid (2⁻⁴⁰), so that cosines that are equal in exact arithmetic
    are equal numbers whatever the order of summation: scores that count ties depend on it.

    Args:
        first: ``(..., A, C)``, floating point.
        second: ``(..., B, C)``.

    Returns:
        ``(..., A, B)`` in [-1, 1], of the dtype of ``first`` (float32 for half precision); 0 for a vector of length 0.
    """
    wide, grid = _widest(first)
    unit_first, unit_second = (F.normalize(vectors.to(wide), dim=-1) for vectors in (first, second))
    cosine = (unit_first @ unit_second.mT).clamp(-1, 1)
    settled = cosine + ((cosine * grid).round() / grid - cosine).detach()  # exact, with the gradient of the cosine
    return settled.to(torch.promote_types(first.dtype, torch.float32))


def mean_in_double(feature_map: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Mean that does not depend on the order of summation: taken in double precision, then rounded.

    Args:
        feature_map: Floating point.
        dim: Averaged away.

    Returns:
        Of the map's dtype (float32 for half precision).
    """
    mean = feature_map.mean(dim=dim, dtype=_widest(feature_map)[0])
    return mean.to(torch.promote_types(feature_map.dtype, torch.float32))


def diagonal_contrast(matrix: Tensor, rows: Tensor) -> Tensor:
    """Mean diagonal − mean off-diagonal of the rows that count.

    Args:
        matrix: ``(N, P, P)``.
        rows: ``(N, P)`` bool.

    Returns:
        ``(N,)``; NaN where no row counts or P = 1.
    """
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    # Differences first: a constant matrix gives exactly 0.
    contrast = (diagonal[:, :, None] - matrix).sum(dim=2) / (matrix.shape[1] - 1)
    return _mean_over_rows(contrast, rows)


def diagonal_agreement(matrix: Tensor, rows: Tensor) -> Tensor:
    """Share of the rows that count whose maximum is on the diagonal; k equal maxima count 1 / k each.

    Args:
        matrix: ``(N, P, P)``.
        rows: ``(N, P)`` bool.

    Returns:
        ``(N,)`` in [0, 1]; NaN where no row counts.
    """
    matrix = matrix.detach()
    at_maximum = (matrix == matrix.amax(dim=2, keepdim=True)).to(matrix.dtype)
    credit = at_maximum.diagonal(dim1=1, dim2=2) / at_maximum.sum(dim=2)  # 0 / 0 for a row with NaN
    return _mean_over_rows(credit, rows)


def _diagonal_auroc(affinity: Tensor, rows: Tensor) -> Tensor:
    """Rank-based: every off-diagonal entry finds its place among the sorted diagonal entries."""
    num_positions = affinity.shape[1]
    positives = affinity.diagonal(dim1=1, dim2=2).masked_fill(~rows, math.inf).sort(dim=1).values.contiguous()
    entries = affinity.flatten(1).contiguous()
    below = torch.searchsorted(positives, entries, out_int32=True)
    not_above = torch.searchsorted(positives, entries, out_int32=True, right=True)
    counted = rows[:, :, None] & ~torch.eye(num_positions, dtype=torch.bool, device=affinity.device)
    lost = ((below + not_above).view_as(counted) * counted).sum(dim=(1, 2))  # pairs lost, twice; ties once
    num_rows = rows.sum(dim=1)
    pairs = num_rows * num_rows * (num_positions - 1)
    score = 1 - lost.to(affinity.dtype) / (2 * pairs).to(affinity.dtype)
    return score.masked_fill(entries.isnan().any(dim=1), math.nan)


def _mean_over_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Mean of ``(N, P)`` over the rows that count; 0 / 0 = NaN where there are none."""
    return values.masked_fill(~rows, 0).sum(dim=1) / rows.sum(dim=1)


def _distances(grid: tuple[int, int], like: Tensor) -> Tensor:
    """Distance in cells between all positions of a grid, ``(P, P)``."""
    y, x = (torch.arange(length, dtype=like.dtype, device=like.device) for length in grid)
    cells = torch.cartesian_prod(y, x).reshape(-1, 2)
    offset = cells[:, None] - cells[None]
    return torch.hypot(offset[..., 0], offset[..., 1])


def _widest(tensor: Tensor) -> tuple[torch.dtype, float]:
    """The widest floating point type of the tensor's device, and the grid that rounding in it stays below."""
    return (torch.float32, 2.0**20) if tensor.device.type == "mps" else (torch.float64, 2.0**40)


def _check_affinity(affinity: Tensor) -> Tensor:
    shape = tuple(affinity.shape)
    if len(shape) != 3 or shape[1] != shape[2] or not affinity.is_floating_point():
        hint = "; take slices one by one, or flatten them into N" if len(shape) == 4 else ""
        raise InputError(f"affinity must be (N, P, P), floating point, got {shape} {affinity.dtype}{hint}")
    return affinity.to(torch.promote_types(affinity.dtype, torch.float32))


def _check_grid(grid: tuple[int, int] | None, mask: Tensor | None, num_positions: int) -> tuple[int, int]:
    if grid is None and mask is not None and mask.ndim == 3:
        grid = (mask.shape[1], mask.shape[2])
    if grid is None:
        side = math.isqrt(num_positions)
        if side * side != num_positions:
            raise InputError(f"grid must be given as (H', W') where it is no square, got {num_positions} positions")
        return side, side
    if len(grid) != 2 or grid[0] * grid[1] != num_positions or min(grid) < 1:
        raise InputError(f"grid must be (H', W') with {num_positions} positions, got {tuple(grid)}")
    if mask is not None and mask.ndim == 3 and tuple(mask.shape[1:]) != tuple(grid):
        raise InputError(f"mask must be (N, {grid[0]}, {grid[1]}) as the grid, got {tuple(mask.shape)}")
    return grid


def _rows(mask: Tensor | None, num_samples: int, num_positions: int, device: torch.device) -> Tensor:
    """Rows that count, ``(N, P)`` bool."""
    if mask is None:
        return torch.ones(num_samples, num_positions, dtype=torch.bool, device=device)
    if mask.dtype != torch.bool:
        raise InputError(f"mask must be bool, got {mask.dtype}")
    if mask.ndim not in (2, 3) or tuple(mask.flatten(1).shape) != (num_samples, num_positions):
        raise InputError(
            f"mask must be (N, H', W') or (N, P) with N = {num_samples} and {num_positions} positions, "
            f"got {tuple(mask.shape)}"
        )
    return mask.flatten(1)
