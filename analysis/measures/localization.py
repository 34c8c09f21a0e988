"""Localization: does a backbone respond where the object is? An activation map against a mask of the object.

The measures are this project's (spec, "Localization"); energy and pointing follow Wang et al., "Score-CAM", CVPRW 2020,
section 4.3, and Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016, section 4.1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.errors import InputError
from fima.transforms.motion import frame_difference

__all__ = ["SCORES", "baseline_maps", "chance_levels", "localization_scores"]

SCORES = ("energy", "pointing", "iou", "best_iou", "auroc")

CENTER_SIGMA = 0.25
"""Standard deviation of the centered baseline, as a share of the frame's short side."""

Array = NDArray[np.float64]
_BITS = {np.dtype(np.float32): np.uint32, np.dtype(np.float64): np.uint64}


def localization_scores(activation_map: Tensor, mask: Tensor, known: Tensor | None = None) -> dict[str, Tensor]:
    """How far an activation map picks out a mask: frame by frame, then averaged over the frames of a clip.

    A frame counts where it is known and its mask neither empty nor full. Everything is exact, by sorting; equal
    values count by their expectation, so that a uniform frame, be it of zeros, scores what ``chance_levels`` says.

    Args:
        activation_map: ``(N, T, H, W)``, at least 0, floating point, in any unit: no score depends on its scale.
        mask: ``(N, T, H, W)`` bool, true on the object.
        known: ``(N, T)`` bool, frames whose mask is annotated; by default all.

    Returns:
        Each ``(N,)`` float64 on the CPU, in [0, 1], 1 for a map that is the mask itself; NaN for a clip without a
        frame that counts, or with a NaN or an infinity in one that does (``chance_levels`` has the chance levels):

        - ``energy``: share of the activation that is inside the mask.
        - ``pointing``: whether the maximum is inside; of k equal maxima, the share that is.
        - ``iou``: intersection over union of the mask and the positions strictly above half of the frame's maximum.
        - ``best_iou``: the highest that any threshold reaches, on each frame its own; it knows the mask.
        - ``auroc``: probability that a position inside exceeds one outside, ties half.

    Raises:
        InputError: If a shape or dtype does not fit, or the map is negative somewhere.
    """
    _check_map(activation_map)
    _check_mask(mask, known)
    if mask.shape != activation_map.shape:
        raise InputError(f"mask must be {tuple(activation_map.shape)} as activation_map, got {tuple(mask.shape)}")
    num_inside, counted = _counted_frames(mask, known)
    full_precision = torch.promote_types(activation_map.dtype, torch.float32)
    values = activation_map.detach().to("cpu", full_precision).flatten(2).contiguous().numpy()
    inside = _flat(mask)
    scores = np.zeros((*counted.shape, len(SCORES)))
    for n, t in np.argwhere(counted):
        scores[n, t] = _frame_scores(values[n, t], inside[n, t], int(num_inside[n, t]))
    return {name: _mean_over_frames(scores[..., i], counted) for i, name in enumerate(SCORES)}


def chance_levels(mask: Tensor, known: Tensor | None = None) -> dict[str, Tensor]:
    """What ``localization_scores`` gives to a uniform map: 0.5 for ``auroc``, the mask's share of the frame else.

    Args:
        mask: ``(N, T, H, W)`` bool.
        known: ``(N, T)`` bool, frames whose mask is annotated; by default all.

    Returns:
        The keys of ``localization_scores``, ``(N,)`` float64 each; NaN for a clip without a frame that counts.

    Raises:
        InputError: If a shape or dtype does not fit.
    """
    _check_mask(mask, known)
    num_inside, counted = _counted_frames(mask, known)
    share = _mean_over_frames(num_inside / max(mask.shape[2] * mask.shape[3], 1), counted)
    half = _mean_over_frames(np.full(counted.shape, 0.5), counted)
    return {name: half.clone() if name == "auroc" else share.clone() for name in SCORES}


def baseline_maps(clip: Tensor, *, sigma: float = CENTER_SIGMA) -> dict[str, Tensor]:
    """Maps that need no backbone, to stand beside every activation map.

    Args:
        clip: ``(N, 3, T, H, W)`` in [0, 1], floating point, T ≥ 2.
        sigma: Standard deviation of the Gaussian, as a share of the frame's short side; above 0.

    Returns:
        Each ``(N, T, H, W)`` in [0, 1], on the clip's device and of its dtype (float32 for half precision):

        - ``uniform``: 1 everywhere.
        - ``center``: round Gaussian around the frame's center, with 1 there.
        - ``motion``: absolute difference to the frame before, mean over channels; frame 0 takes that of frame 1.

    Raises:
        InputError: If the clip is not such a tensor or ``sigma`` is not above 0.
    """
    if clip.ndim != 5 or clip.shape[1] != 3 or not clip.is_floating_point():
        raise InputError(f"clip must be (N, 3, T, H, W), floating point, got {tuple(clip.shape)} {clip.dtype}")
    if not sigma > 0:
        raise InputError(f"sigma must be above 0, got {sigma}")
    clip = clip.detach().to(torch.promote_types(clip.dtype, torch.float32))
    moved = frame_difference(clip, boundary="repeat")  # 0.5 where nothing moves
    motion = moved.mul_(2).sub_(1).abs_().mean(dim=1)
    return {"uniform": torch.ones_like(motion), "center": _centered_gaussian(motion, sigma), "motion": motion}


def _frame_scores(values: NDArray[np.floating], inside: NDArray[np.bool_], num_inside: int) -> tuple[float, ...]:
    """The scores of one frame, in the order of ``SCORES``.

    Floating point numbers that are not negative have the order of their bits. Moved up by one, which drops the sign,
    these leave room for the mask: a single sort of integers puts all positions in order, and, of equal values, those
    inside before those outside.

    Args:
        values: ``(P,)``, at least 0.
        inside: ``(P,)``; some are true, some are not.
        num_inside: How many are.
    """
    size = len(values)
    maximum = values.max()
    if not np.isfinite(maximum):
        return (np.nan,) * len(SCORES)
    if maximum == 0:
        return tuple(0.5 if name == "auroc" else num_inside / size for name in SCORES)
    energy = values[inside].sum(dtype=np.float64) / values.sum(dtype=np.float64)

    bits = _BITS[values.dtype]
    ordered = values.view(bits) << bits(1)
    ordered |= ~inside
    ordered.sort()
    places = np.flatnonzero((ordered & bits(1)) == 0)  # of the positions inside, in ascending order
    below = places - np.arange(num_inside)  # for each of them, how many positions outside have less

    def from_key(key: np.unsignedinteger) -> tuple[int, int]:
        """Positions from a key upwards: those inside, all."""
        start = int(ordered.searchsorted(key))
        return num_inside - int(places.searchsorted(start)), size - start

    inside_at_maximum, at_maximum = from_key(maximum.view(bits) << bits(1))
    hits, above_half = from_key((maximum / 2).view(bits) + bits(1) << bits(1))
    # A threshold is best at a value inside: any lower one, down to the next value inside, only adds positions outside.
    overlaps = np.arange(num_inside, 0, -1.0) / (size - below)
    return (
        min(float(energy), 1.0),  # may end above in the last digit: the two sums round in their own order
        inside_at_maximum / at_maximum,
        hits / (num_inside + above_half - hits),
        float(overlaps.max()),
        (2 * int(below.sum()) + _equal_pairs(ordered)) / (2 * num_inside * (size - num_inside)),
    )


def _equal_pairs(ordered: NDArray[np.unsignedinteger]) -> int:
    """Pairs of a position inside and one outside that have the same value, from the sorted keys."""
    last_inside = np.flatnonzero((ordered[1:] ^ ordered[:-1]) == 1)  # the next one is outside, of the same value
    start, end = ordered.searchsorted(ordered[last_inside]), last_inside + 1
    num_outside = ordered.searchsorted(ordered[end], side="right") - end
    return int(((end - start) * num_outside).sum())


def _counted_frames(mask: Tensor, known: Tensor | None) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Positions inside the mask, and whether a frame counts: ``(N, T)`` each."""
    flat = _flat(mask)
    num_inside = np.array([[np.count_nonzero(frame) for frame in clip] for clip in flat], dtype=np.intp)
    num_inside = num_inside.reshape(flat.shape[:2])
    counted = (num_inside > 0) & (num_inside < flat.shape[2])
    return num_inside, counted if known is None else counted & known.cpu().numpy()


def _mean_over_frames(values: Array, counted: NDArray[np.bool_]) -> Tensor:
    """``(N, T)`` to ``(N,)``; 0 / 0 = NaN for a clip without a frame that counts."""
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(np.where(counted, values, 0).sum(axis=1) / counted.sum(axis=1))


def _flat(mask: Tensor) -> NDArray[np.bool_]:
    """``(N, T, H·W)``."""
    flat: NDArray[np.bool_] = mask.cpu().flatten(2).contiguous().numpy()
    return flat


def _centered_gaussian(like: Tensor, sigma: float) -> Tensor:
    height, width = like.shape[2:]
    y, x = (torch.arange(length, dtype=like.dtype, device=like.device) - (length - 1) / 2 for length in (height, width))
    squared = (y[:, None] ** 2 + x**2) / (sigma * min(height, width)) ** 2
    return torch.exp(-squared / 2).expand_as(like).clone()


def _check_map(activation_map: Tensor) -> None:
    if activation_map.ndim != 4 or not activation_map.is_floating_point():
        raise InputError(
            f"activation_map must be (N, T, H, W), floating point, got {tuple(activation_map.shape)} "
            f"{activation_map.dtype}"
        )
    lowest = float(activation_map.detach().min()) if activation_map.numel() else 0.0
    if math.isnan(lowest):  # minimum first: it is six times as fast, but hides what is negative behind a NaN
        lowest = float(activation_map.detach().nan_to_num(nan=0.0).min())
    if lowest < 0:
        raise InputError(f"activation_map must be at least 0, got {lowest:g}")


def _check_mask(mask: Tensor, known: Tensor | None) -> None:
    if mask.ndim != 4 or mask.dtype != torch.bool:
        raise InputError(f"mask must be (N, T, H, W) bool, got {tuple(mask.shape)} {mask.dtype}")
    if known is not None and (known.shape != mask.shape[:2] or known.dtype != torch.bool):
        expected = tuple(mask.shape[:2])
        raise InputError(f"known must be {expected} bool, a value per frame, got {tuple(known.shape)} {known.dtype}")
