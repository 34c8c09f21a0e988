"""Localization in which a liking for the center gains nothing: pixels are compared only with those as far from it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.errors import InputError

__all__ = ["center_distance", "ring_auroc"]

_RINGS = 28  # from the center to the nearer edge; activation maps are no finer than half of that


def ring_auroc(activation_map: Tensor, mask: Tensor, known: Tensor | None = None) -> Tensor:
    """Probability that a pixel of the object exceeds another pixel equally far from the picture's center, ties half.

    Within rings around the center, each counting as much as the fewer of its pixels on and off the object; mean over
    the frames. A map that depends on the distance from the center alone scores 0.5 up to the width of a ring.

    Args:
        activation_map: ``(N, T, H, W)``, floating point; only the order of values in a frame matters.
        mask: ``(N, T, H, W)`` bool, true on the object.
        known: ``(N, T)`` bool, frames whose mask is annotated; by default all.

    Returns:
        ``(N,)`` float64 in [0, 1]; NaN for a clip in which no ring has both, or whose map is not finite.

    Raises:
        InputError: if a shape or type does not fit.
    """
    shape = tuple(activation_map.shape)
    if activation_map.ndim != 4 or not activation_map.is_floating_point():
        raise InputError(f"activation_map must be (N, T, H, W), floating point, got {shape} {activation_map.dtype}")
    if tuple(mask.shape) != shape or mask.dtype != torch.bool:
        raise InputError(f"mask must be {shape} bool as activation_map, got {tuple(mask.shape)} {mask.dtype}")
    height, width = shape[2:]
    step = max(1, min(height, width) // (2 * _RINGS))  # maps are smooth at the scale of pixels
    rings = (center_distance(height, width, step) / (min(height, width) / 2) * _RINGS).astype(int).ravel()
    values = activation_map.detach().to("cpu", torch.float64)[:, :, ::step, ::step].flatten(2).numpy()
    inside = mask.cpu()[:, :, ::step, ::step].flatten(2).numpy()
    frames = np.ones(shape[:2], bool) if known is None else known.cpu().numpy()
    scores = [
        [_frame_score(values[n, t], inside[n, t], rings) for t in np.flatnonzero(frames[n])] for n in range(shape[0])
    ]
    return torch.tensor([_mean(clip) for clip in scores], dtype=torch.float64)


def center_distance(height: int, width: int, step: int = 1) -> NDArray[np.float64]:
    """How far every pixel's center is from the picture's, in pixels.

    Args:
        height: of the picture.
        width: of it.
        step: of pixels, only every so many along each side.
    """
    rows, columns = np.mgrid[:height:step, :width:step]
    return np.asarray(np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2))


def _frame_score(values: NDArray[np.float64], inside: NDArray[np.bool_], rings: NDArray[np.int_]) -> float:
    if not np.isfinite(values).all():
        return float("inf")
    order = np.lexsort((values, rings))
    ring, value, on = rings[order], values[order], inside[order]
    # Equal values of a ring are one level; pixels off the object below a level, and half of those at it, are exceeded.
    level = np.concatenate([[0], np.cumsum((np.diff(ring) != 0) | (np.diff(value) != 0))])
    at_level = np.bincount(level, ~on)
    below = np.cumsum(at_level) - at_level
    num_on, num_off = np.bincount(ring, on), np.bincount(ring, ~on)
    before_ring = np.cumsum(num_off) - num_off
    exceeded = (below[level] + at_level[level] / 2 - before_ring[ring]) * on
    pairs = num_on * num_off
    used = pairs > 0
    if not used.any():
        return float("nan")
    return float(np.average(np.bincount(ring, exceeded)[used] / pairs[used], weights=np.minimum(num_on, num_off)[used]))


def _mean(scores: list[float]) -> float:
    """Over the frames that have a score; one that is not finite spoils the clip."""
    present = [score for score in scores if not np.isnan(score)]
    return float(np.mean(present)) if present and np.isfinite(present).all() else float("nan")
