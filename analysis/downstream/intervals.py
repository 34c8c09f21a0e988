"""Intervals that draw whole source recordings, not videos: videos cut from one recording are alike."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fima.errors import InputError

__all__ = ["source_interval"]


def source_interval(
    values: ArrayLike, groups: NDArray[np.int64], *, level: float = 0.95, samples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over videos, recordings drawn with replacement.

    Args:
        values: ``(V,)``, one for each video; NaNs are dropped.
        groups: ``(V,)`` recording of each video.
        level: confidence level, in (0, 1).
        samples: number of resamples.
        seed: of the resampling.

    Returns:
        ``(low, high)``; NaN for fewer than 2 recordings. With one video in each recording it is, but for the draws,
        `analysis.measures.statistics.bootstrap_interval`.

    Raises:
        InputError: if the two are not 1-D and of one length.

    Source: the cluster bootstrap; Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 1 or table.shape != groups.shape:
        raise InputError(f"values and groups must be 1-D and of one length, got {table.shape} and {groups.shape}")
    known = ~np.isnan(table)
    _, place = np.unique(groups[known], return_inverse=True)
    counts = np.bincount(place).astype(np.float64)
    if len(counts) < 2:
        return math.nan, math.nan
    sums = np.bincount(place, weights=table[known])
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=samples)
    tail = (1 - level) / 2
    low, high = np.quantile((times @ sums) / (times @ counts), [tail, 1 - tail])
    return float(low), float(high)
