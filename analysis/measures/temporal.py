"""Temporal similarity: does a moment's appearance look like the motion of that moment, and of no other?

Slices: the T' steps inside one clip (paper: FIMA, Figure 5b). Offsets: windows along a whole video, RGB at time t
against motion at t + Δ; what is read from their similarities is in ``analysis.measures.common.offsets``, whose names
are here too. The scores are this project's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from analysis.measures.affinity import cosine_matrix, diagonal_agreement, diagonal_contrast, mean_in_double
from analysis.measures.common.offset_summary import Histogram, OffsetResult, OffsetSummary
from analysis.measures.common.offsets import OFFSET_CHANCE, OffsetStatistics, default_hop, offset_statistics
from fima.errors import InputError
from fima.methods.activation import check_feature_maps

__all__ = [
    "OFFSET_CHANCE",
    "Histogram",
    "OffsetResult",
    "OffsetStatistics",
    "OffsetSummary",
    "default_hop",
    "offset_similarity",
    "offset_statistics",
    "pool_features",
    "similarity_chance",
    "similarity_scores",
    "temporal_similarity",
]


def temporal_similarity(rgb: Tensor, motion: Tensor, mask: Tensor | None = None) -> Tensor:
    """Cosine of every RGB slice with every motion slice of the same clips, features averaged over positions.

    Args:
        rgb: Feature map ``(N, C, T', H', W')`` of the clips, floating point; gradients flow to it.
        motion: Feature map of their motion input, of the same shape.
        mask: ``(N, H', W')`` bool: average over these positions only; NaN for a sample without any.

    Returns:
        ``(N, T', T')`` in [-1, 1]; row = RGB slice, column = motion slice.

    Raises:
        InputError: If the two shapes differ or are not 5-D, or the mask does not fit.
    """
    check_feature_maps(rgb=rgb, motion=motion)
    return cosine_matrix(*(_pool(feature_map, mask, (3, 4)).mT for feature_map in (rgb, motion)))


def similarity_scores(similarity: Tensor) -> dict[str, Tensor]:
    """How far a temporal similarity is concentrated on its diagonal.

    Args:
        similarity: ``(N, T', T')``, row = RGB slice, column = motion slice.

    Returns:
        Each ``(N,)``, NaN for a sample with NaN (``similarity_chance`` has the chance levels):

        - ``contrast``: mean diagonal − mean off-diagonal, in [-2, 2]; NaN for a single slice; differentiable.
        - ``top1_agreement``: share of RGB slices whose most similar motion slice is their own; k equal ones 1 / k each.

    Raises:
        InputError: If the shape does not fit.
    """
    shape = tuple(similarity.shape)
    if len(shape) != 3 or shape[1] != shape[2] or not similarity.is_floating_point():
        raise InputError(f"similarity must be (N, T', T'), floating point, got {shape} {similarity.dtype}")
    rows = torch.ones(shape[:2], dtype=torch.bool, device=similarity.device)
    return {
        "contrast": diagonal_contrast(similarity, rows),
        "top1_agreement": diagonal_agreement(similarity, rows),
    }


def similarity_chance(num_slices: int) -> dict[str, float]:
    """What ``similarity_scores`` gives when features say nothing about time, for T' slices."""
    return {"contrast": 0.0, "top1_agreement": 1 / num_slices}


def pool_features(feature_map: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of a feature map over time and positions.

    Args:
        feature_map: ``(N, C, T', H', W')``, floating point; gradients flow to it.
        mask: ``(N, H', W')`` bool: average over these positions only; NaN for a sample without any.

    Returns:
        ``(N, C)``, of the map's dtype (float32 for half precision).

    Raises:
        InputError: If the shape is not 5-D, or the mask does not fit.
    """
    check_feature_maps(feature_map=feature_map)
    return _pool(feature_map, mask, (2, 3, 4))


def offset_similarity(rgb: Tensor, motion: Tensor) -> Tensor:
    """Cosine of every RGB window of a video with every motion window of it.

    Args:
        rgb: ``(W, C)`` pooled features of the windows.
        motion: ``(W, C)`` pooled features of the windows' motion input.

    Returns:
        ``(W, W)`` in [-1, 1]; row = RGB window, column = motion window.

    Raises:
        InputError: If the two shapes differ or are not 2-D.
    """
    if rgb.ndim != 2 or rgb.shape != motion.shape:
        raise InputError(f"rgb and motion must both be (W, C), got {tuple(rgb.shape)} and {tuple(motion.shape)}")
    return cosine_matrix(rgb, motion)


def _pool(feature_map: Tensor, mask: Tensor | None, dim: tuple[int, ...]) -> Tensor:
    """Mean over ``dim``, which ends with H' and W'; of these, only positions in the mask count."""
    if mask is None:
        return mean_in_double(feature_map, dim)
    n, *_, h, w = feature_map.shape
    if mask.dtype != torch.bool or tuple(mask.shape) != (n, h, w):
        raise InputError(f"mask must be (N, H', W') = {(n, h, w)} bool, got {tuple(mask.shape)} {mask.dtype}")
    inside = mean_in_double(feature_map.masked_fill(~mask[:, None, None], 0), dim)
    share = mask.flatten(1).to(inside.dtype).mean(dim=1)
    return inside / share.view(n, *[1] * (inside.ndim - 1))
