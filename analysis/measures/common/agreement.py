"""Label-free scores of an activation map: does it lie where things move?"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fima.transforms.motion import frame_difference

__all__ = ["map_correlation", "motion_energy"]


def motion_energy(clip: Tensor, *, size: tuple[int, int, int], boundary: str = "repeat") -> Tensor:
    """Size of the frame difference, averaged over colors and to a coarser grid.

    Args:
        clip: ``(N, 3, T, H, W)`` in [0, 1].
        size: ``(T', H', W')`` of the result.
        boundary: See ``fima.transforms.motion.frame_difference``.

    Returns:
        ``(N, T', H', W')`` in [0, 1]: 0 where nothing changes, 1 for black to white.
    """
    change = (frame_difference(clip, boundary=boundary) - 0.5).abs().mul(2).mean(dim=1)
    return F.adaptive_avg_pool3d(change, size)


def map_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson correlation of two maps over all their positions.

    Args:
        first: ``(N, T, H, W)``.
        second: The same shape.

    Returns:
        ``(N,)`` in [-1, 1], 0 by chance; NaN where one map is flat.

    Raises:
        ValueError: If the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"maps must have one shape, got {tuple(first.shape)} and {tuple(second.shape)}")
    a, b = (x.flatten(1) - x.flatten(1).mean(dim=1, keepdim=True) for x in (first.double(), second.double()))
    norms = a.norm(dim=1) * b.norm(dim=1)
    return torch.where(norms > 0, (a * b).sum(dim=1) / norms, torch.nan)
