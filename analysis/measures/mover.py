"""The mover against its still copy: localization that only motion can win.

Energy and AUROC against a mask reward contrast and a liking for the center. So a moving object is compared with the
same object at rest in the same clip: same outline, texture and size, as far from the center. The measure is this
project's.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.errors import InputError

__all__ = ["plain_maps", "prefers_mover"]


def prefers_mover(activation_map: Tensor, mover: Tensor, copy: Tensor) -> Tensor:
    """Probability that a random pixel of the mover is more active than a random one of its copy, ties half.

    Frame by frame, exact by ranks, then averaged; a frame counts as much as the smaller of the two areas in it, so that
    what just leaves the picture hardly counts, and one where either is not seen does not.

    Args:
        activation_map: ``(N, T, H, W)``, floating point; only the order of the values in a frame matters.
        mover: ``(N, T, H, W)`` bool, where the moving object is.
        copy: ``(N, T, H, W)`` bool, where its copy is.

    Returns:
        ``(N,)`` float64 in [0, 1]; 0.5 is chance; NaN for a clip without a frame in which both are seen, or with a map
        that is not finite.

    Raises:
        InputError: if the shapes or types do not fit.
    """
    shape = tuple(activation_map.shape)
    if activation_map.ndim != 4 or not activation_map.is_floating_point():
        raise InputError(f"activation_map must be (N, T, H, W), floating point, got {shape} {activation_map.dtype}")
    for name, mask in (("mover", mover), ("copy", copy)):
        if tuple(mask.shape) != shape or mask.dtype != torch.bool:
            raise InputError(f"{name} must be {shape} bool as activation_map, got {tuple(mask.shape)} {mask.dtype}")
    values = activation_map.detach().to("cpu", torch.float64).numpy()
    clips = zip(values, mover.cpu().numpy(), copy.cpu().numpy(), strict=True)
    return torch.tensor([_clip_score(*clip) for clip in clips], dtype=torch.float64)


def plain_maps(clip: Tensor) -> dict[str, Tensor]:
    """A map without a network that stands beside `analysis.measures.localization.baseline_maps`.

    Args:
        clip: ``(N, 3, T, H, W)`` in [0, 1], floating point.

    Returns:
        ``contrast``: ``(N, T, H, W)``, distance of a pixel's color from the frame's mean, mean over channels.
    """
    return {"contrast": (clip - clip.mean(dim=(3, 4), keepdim=True)).abs().mean(dim=1)}


def _clip_score(values: NDArray[np.float64], mover: NDArray[np.bool_], copy: NDArray[np.bool_]) -> float:
    weights = np.minimum(mover.sum(axis=(1, 2)), copy.sum(axis=(1, 2)))
    if not weights.any() or not np.isfinite(values).all():
        return float("nan")
    seen = np.flatnonzero(weights)
    scores = [_exceeds(values[t][mover[t]], values[t][copy[t]]) for t in seen]
    return float(np.average(scores, weights=weights[seen]))


def _exceeds(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Share of pairs in which the first is larger, ties half."""
    ordered = np.sort(second)
    below = ordered.searchsorted(first, "left") + ordered.searchsorted(first, "right")
    return float(below.mean() / (2 * len(ordered)))
