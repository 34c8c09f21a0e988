"""Which channels follow motion, which appearance, which both and which neither. Features in, shares out.

Source: Kowal et al., "A Deeper Dive Into What Deep Spatiotemporal Networks Encode", CVPR 2022, after Esser et al., "A
Disentangling Invertible Interpretation Network", CVPR 2020: correlation of each channel over pairs that share a factor;
the softmax estimate. The thresholded count with its interval stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError

__all__ = ["SHARES", "THRESHOLD", "Ends", "channel_correlation", "share_ends", "unit_shares"]

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]
Ends = Mapping[str, tuple[float, float]]

THRESHOLD = 0.5
"""Correlation above which a channel follows a factor."""
SHARES = ("motion_only", "appearance_only", "both", "neither", "softmax_motion", "softmax_appearance")
_DRAWS = 400
_FEWEST = 3


def channel_correlation(first: Floats, second: Floats) -> Doubles:
    """Correlation of each channel over pairs, as the source has it: of both halves' common mean and variance.

    Args:
        first: ``(V, C)`` features of one half of each pair.
        second: ``(V, C)`` of the other.

    Returns:
        ``(C,)`` in [-1, 1]; 0 of a channel that does not vary.

    Raises:
        InputError: If the shapes differ.
    """
    return _correlation(*_moments(first, second))


def unit_shares(features: Floats, same_motion: Floats, same_look: Floats) -> dict[str, float]:
    """Shares of the channels, from clips and their partners.

    Args:
        features: ``(V, C)`` of the clips.
        same_motion: ``(V, C)`` of the same motions in another look.
        same_look: ``(V, C)`` of the same looks with shuffled frames.

    Returns:
        ``SHARES``, each in [0, 1]. The first four add up to 1; the softmax estimates are over motion, appearance and a
        residual of score 1, where a factor's score is the sum of its channels' covariances over that of the variances,
        so that they lie between 0.11 and 0.58.

    Raises:
        InputError: If the shapes differ.
    """
    moments = [_moments(features, other) for other in (same_motion, same_look)]
    motion, look = (_correlation(*both) > THRESHOLD for both in moments)
    counts = {
        "motion_only": motion & ~look, "appearance_only": look & ~motion, "both": motion & look,
        "neither": ~motion & ~look,
    }  # fmt: skip
    scores = np.array([*(_score(*both) for both in moments), 1.0])
    estimate = np.exp(scores) / np.exp(scores).sum()
    return {name: float(found.mean()) for name, found in counts.items()} | {
        "softmax_motion": float(estimate[0]), "softmax_appearance": float(estimate[1]),
    }  # fmt: skip


def share_ends(
    count: int,
    measure: Callable[[NDArray[np.int64]], Mapping[str, float]],
    groups: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> Ends:
    """95 % intervals of numbers that are no means: videos, or whole recordings, are drawn again with repetition.

    Args:
        count: Videos.
        measure: Places of videos → numbers by name.
        groups: Source recording of each; None: every video is its own.
        seed: Seed of the draws.

    Returns:
        Name → low and high, percentiles about the measured value turned around it (the basic bootstrap); NaN for fewer
        than three recordings.
    """
    own = np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    units = [np.flatnonzero(own == unit) for unit in range(own.max() + 1)]
    whole = measure(np.arange(count))
    if len(units) < _FEWEST:
        return dict.fromkeys(whole, (np.nan, np.nan))
    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(units), size=len(units)) for _ in range(_DRAWS))
    drawn = [measure(np.concatenate([units[unit] for unit in draw])) for draw in draws]
    ends = {}
    for name, value in whole.items():
        low, high = np.quantile([found[name] for found in drawn], [0.025, 0.975])
        ends[name] = (float(np.clip(2 * value - high, 0, 1)), float(np.clip(2 * value - low, 0, 1)))
    return ends


def _correlation(covariance: Doubles, variance: Doubles) -> Doubles:
    return np.asarray(np.where(variance > 0, covariance / np.where(variance > 0, variance, 1), 0))


def _score(covariance: Doubles, variance: Doubles) -> float:
    return float(covariance.sum() / variance.sum()) if variance.sum() > 0 else 0.0


def _moments(first: Floats, second: Floats) -> tuple[Doubles, Doubles]:
    """Covariance and variance of each channel over pairs, about the mean of both halves."""
    if first.ndim != 2 or first.shape != second.shape or not len(first):
        raise InputError(f"features must be (V, C), of one shape, got {first.shape} and {second.shape}")
    both = np.stack([first, second]).astype(np.float64)
    away = both - both.mean(axis=(0, 1))
    return np.asarray((away[0] * away[1]).mean(axis=0)), np.asarray((away**2).mean(axis=(0, 1)))
