"""How sure is a mean? One interval for every score: units are source recordings where they are known, else videos.

Nothing is resampled, so the same values give the same bits. Numpy and scipy only.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from fima.errors import InputError

__all__ = ["FEWEST_UNITS", "Interval", "interval", "interval_band"]

Array = NDArray[np.float64]

FEWEST_UNITS = 3
"""With fewer units than this a mean has no interval."""


class Interval(NamedTuple):
    """Where a mean may lie.

    Attributes:
        low, high: Ends; NaN for fewer than `FEWEST_UNITS` units.
        units: Independent units behind it: groups that have a value, or videos where no groups are given.
    """

    low: float
    high: float
    units: int


def interval(
    values: ArrayLike,
    groups: Sequence[Hashable] | NDArray[np.generic] | None = None,
    *,
    limits: tuple[float, float] | None = None,
    level: float = 0.95,
) -> Interval:
    """Confidence interval of the mean over videos, of which those of one group are not independent.

    The mean is studentized by its standard error over units, corrected for the skewness of the units by Hall's monotone
    transformation, and referred to Student's t with one degree of freedom less than there are units. Right or wrong
    (limits 0 and 1, no other value, every video its own unit) gets Wilson's interval. A test simulates the coverage.

    Args:
        values: ``(V,)``, one for each video; NaNs are dropped.
        groups: ``(V,)``, the source recording (or person) of each video; None: every video is its own.
        limits: Ends of the score's range, at which the interval is cut.
        level: Confidence level, in (0, 1).

    Raises:
        InputError: If the values are not 1-D, the groups are not as many, or the level is not in (0, 1).

    Source: P. Hall, "On the removal of skewness by transformation", J. R. Stat. Soc. B 54 (1992); for groups, the
    linearized ratio estimator, as in W. G. Cochran, "Sampling Techniques", 3rd ed., section 6.4; E. B. Wilson,
    "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise InputError(f"values must be 1-D, got {vector.shape}")
    if groups is not None and len(groups) != len(vector):
        raise InputError(f"groups must be one for each of the {len(vector)} values, got {len(groups)}")
    known = ~np.isnan(vector)
    sums, counts = _unit_sums(vector[known], None if groups is None else np.asarray(groups)[known])
    low, high = _ends(sums[:, None], counts[:, None], level)
    binary = limits is not None and tuple(limits) == (0.0, 1.0)
    if binary and groups is None and len(sums) >= FEWEST_UNITS and bool(np.isin(sums, (0, 1)).all()):
        low, high = _wilson(float(sums.mean()), len(sums), level)
    floor, ceiling = (-math.inf, math.inf) if limits is None else limits
    return Interval(float(np.clip(low.item(), floor, ceiling)), float(np.clip(high.item(), floor, ceiling)), len(sums))


def interval_band(values: ArrayLike, *, level: float = 0.95) -> tuple[Array, Array]:
    """`interval` of every column of a table whose rows are independent videos.

    Args:
        values: ``(V, D)``; NaN where a video has no value: it is left out of the column's mean.
        level: Confidence level, in (0, 1).

    Returns:
        Low and high, ``(D,)`` each; NaN for a column with fewer than `FEWEST_UNITS` values.

    Raises:
        InputError: If the values are not 2-D, or the level is not in (0, 1).
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise InputError(f"values must be (V, D), got {table.shape}")
    return _ends(np.nan_to_num(table), (~np.isnan(table)).astype(np.float64), level)


def _unit_sums(values: Array, groups: NDArray[np.generic] | None) -> tuple[Array, Array]:
    """Sum and number of the values of every unit."""
    if groups is None:
        return values, np.ones(len(values))
    _, place = np.unique(groups, return_inverse=True)
    sums: Array = np.bincount(place, weights=values).astype(np.float64)
    return sums, np.bincount(place).astype(np.float64)


def _ends(sums: Array, counts: Array, level: float) -> tuple[Array, Array]:
    """Ends for ``sum(sums) / sum(counts)`` of each column; rows are units, which are absent where the count is 0."""
    if not 0 < level < 1:
        raise InputError(f"level must be in (0, 1), got {level}")
    units: Array = (counts > 0).sum(axis=0).astype(np.float64)
    enough = units >= FEWEST_UNITS
    size = np.where(enough, units, FEWEST_UNITS)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(axis=0) / counts.sum(axis=0)
        residuals = sums - mean * counts
        second = (residuals**2).sum(axis=0) / size
        error = np.sqrt(second * size**2 / (size - 1)) / counts.sum(axis=0)
        skewness = np.nan_to_num((residuals**3).sum(axis=0) / size / second**1.5)
    quantile = stdtrit(size - 1, (1 + level) / 2)
    low, high = (mean - error * _unskewed(sign * quantile, skewness, size) for sign in (1, -1))
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _unskewed(quantile: Array, skewness: Array, size: Array) -> Array:
    """The studentized mean whose transformed value is ``quantile``: the inverse of Hall's cubic."""
    shift = skewness / (6 * size)
    root = np.sqrt(size)
    flat = np.abs(skewness) < 1e-6
    slope = np.where(flat, 1.0, skewness)
    curved = root * 3 / slope * (np.cbrt(1 + slope * (quantile / root - shift)) - 1)
    return np.where(flat, quantile, curved)


def _wilson(share: float, count: int, level: float) -> tuple[Array, Array]:
    quantile = float(stdtrit(1e9, (1 + level) / 2))
    spread = quantile * math.sqrt(share * (1 - share) / count + quantile**2 / (4 * count**2))
    middle, scale = share + quantile**2 / (2 * count), 1 + quantile**2 / count
    return np.array((middle - spread) / scale), np.array((middle + spread) / scale)
