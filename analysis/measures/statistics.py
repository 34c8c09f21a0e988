"""Statistics over a data set, where the unit is the video: clips of one video are not independent.

Numpy only. Streaming: what is kept grows with the number of videos (a few numbers each), not with that of clips. The
same values in the same order with the same seed give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fima.errors import InputError

__all__ = [
    "PairedDifference",
    "StreamingMean",
    "Summary",
    "VideoScores",
    "auroc",
    "bootstrap_band",
    "bootstrap_interval",
    "d_prime",
    "paired_difference",
    "summarize",
]

Array = NDArray[np.float64]

_DRAWS_AT_ONCE = 2_000_000
"""Bound on the memory of a bootstrap, in drawn indices."""


@dataclass(frozen=True)
class Summary:
    """A score over the videos of a data set.

    Attributes:
        mean: Over videos; NaN without any.
        std: Standard deviation over videos (N − 1); NaN for fewer than 2.
        low: Lower end of the 95 % bootstrap interval of the mean; NaN for fewer than 2 videos.
        high: Upper end.
        num_videos: Videos that have the score.
        chance: Chance level, where there is one.
        num_missing: Videos left out because their score is NaN.
    """

    mean: float
    std: float
    low: float
    high: float
    num_videos: int
    chance: float | None = None
    num_missing: int = 0


@dataclass(frozen=True)
class PairedDifference:
    """Second minus first of two checkpoints' scores on the same videos.

    Attributes:
        mean: Of the difference over videos.
        low: Lower end of the 95 % bootstrap interval of the mean, videos drawn in pairs; NaN for fewer than 2.
        high: Upper end.
        share_higher: Share of videos on which the second is higher, equal ones half, in [0, 1]; chance 0.5.
        num_videos: Videos that have both scores.
    """

    mean: float
    low: float
    high: float
    share_higher: float
    num_videos: int


def bootstrap_interval(
    values: ArrayLike, *, level: float = 0.95, samples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over videos.

    Args:
        values: ``(V,)``, one for each video; NaNs are dropped.
        level: Confidence level, in (0, 1).
        samples: Number of resamples.
        seed: Of the resampling.

    Returns:
        ``(low, high)``; NaN for fewer than 2 videos.

    Raises:
        InputError: If the values are not 1-D, or ``level`` or ``samples`` cannot be used.
    """
    values = _vector(values, "values")
    values = values[~np.isnan(values)]
    low, high = bootstrap_band(values[:, None], level=level, samples=samples, seed=seed)
    return float(low[0]), float(high[0])


def bootstrap_band(
    values: ArrayLike, *, level: float = 0.95, samples: int = 2000, seed: int = 0
) -> tuple[Array, Array]:
    """``bootstrap_interval`` of every column of a table, all columns resampled with the same videos.

    Args:
        values: ``(V, D)``, a row for each video; NaN where a video has no value, left out of the column's mean.
        level: Confidence level, in (0, 1).
        samples: Number of resamples.
        seed: Of the resampling.

    Returns:
        Low and high, ``(D,)`` each; NaN for a column with fewer than 2 values.

    Raises:
        InputError: If the values are not 2-D, or ``level`` or ``samples`` cannot be used.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise InputError(f"values must be (V, D), got {table.shape}")
    if not 0 < level < 1 or samples < 1:
        raise InputError(f"level must be in (0, 1) and samples at least 1, got {level} and {samples}")
    interval = np.full((2, table.shape[1]), np.nan)
    known = (~np.isnan(table)).sum(axis=0) >= 2
    if known.any():
        means = _resampled_means(table[:, known], samples, seed)
        tail = (1 - level) / 2
        interval[:, known] = np.nanquantile(means, [tail, 1 - tail], axis=0)
    return interval[0], interval[1]


def _resampled_means(table: Array, samples: int, seed: int) -> Array:
    """Means of the columns over videos drawn with replacement, ``(samples, D)``; memory is bounded."""
    rng = np.random.default_rng(seed)
    num_videos = len(table)
    present = (~np.isnan(table)).astype(np.float64)
    filled = np.nan_to_num(table)
    means = np.empty((samples, table.shape[1]))
    block = max(1, _DRAWS_AT_ONCE // num_videos)
    for start in range(0, samples, block):
        size = min(block, samples - start)
        drawn = rng.integers(num_videos, size=(size, num_videos)) + num_videos * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * num_videos).reshape(size, num_videos).astype(np.float64)
        with np.errstate(invalid="ignore"):  # a resample may miss all the videos that have a value: NaN
            means[start : start + size] = (times @ filled) / (times @ present)
    return means


def summarize(values: ArrayLike, *, chance: float | None = None, seed: int = 0) -> Summary:
    """Mean, standard deviation and 95 % bootstrap interval over videos.

    Args:
        values: ``(V,)``, one for each video; NaNs are dropped and counted.
        chance: Chance level to keep beside the score.
        seed: Of the bootstrap.

    Raises:
        InputError: If the values are not 1-D.
    """
    values = _vector(values, "values")
    present = values[~np.isnan(values)]
    low, high = bootstrap_interval(present, seed=seed)
    return Summary(
        mean=float(present.mean()) if len(present) else math.nan,
        std=float(present.std(ddof=1)) if len(present) > 1 else math.nan,
        low=low,
        high=high,
        num_videos=len(present),
        chance=chance,
        num_missing=len(values) - len(present),
    )


def paired_difference(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> PairedDifference:
    """Compare two checkpoints on the same videos: second minus first.

    Args:
        first: ``(V,)`` scores of one checkpoint, one for each video.
        second: ``(V,)`` scores of the other, the same videos in the same order. A video with a NaN is left out.
        seed: Of the bootstrap.

    Raises:
        InputError: If the two are not 1-D and of one length.
    """
    first, second = _vector(first, "first"), _vector(second, "second")
    if len(first) != len(second):
        raise InputError(f"first and second must have the same videos, got {len(first)} and {len(second)}")
    difference = second - first
    difference = difference[~np.isnan(difference)]
    low, high = bootstrap_interval(difference, seed=seed)
    some = len(difference) > 0
    return PairedDifference(
        mean=float(difference.mean()) if some else math.nan,
        low=low,
        high=high,
        share_higher=float((np.sign(difference) / 2 + 0.5).mean()) if some else math.nan,
        num_videos=len(difference),
    )


def auroc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Probability that a positive exceeds a negative, ties half: area under the ROC curve.

    Args:
        positives: 1-D, without NaN.
        negatives: 1-D, without NaN.

    Returns:
        In [0, 1], exact; chance 0.5; NaN if either is empty.
    """
    positives, negatives = _vector(positives, "positives"), _vector(negatives, "negatives")
    if not len(positives) or not len(negatives):
        return math.nan
    ordered = np.sort(positives)
    lost = np.searchsorted(ordered, negatives, "left").sum() + np.searchsorted(ordered, negatives, "right").sum()
    return 1 - float(lost) / (2 * len(positives) * len(negatives))


def d_prime(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Distance of two means in units of the pooled standard deviation: ``Δmean / sqrt((var₊ + var₋) / 2)``.

    Args:
        positives: 1-D, without NaN.
        negatives: 1-D, without NaN.

    Returns:
        Unbounded; chance 0; NaN for fewer than 2 values of either, or where neither varies. Variances are over N − 1.
    """
    positives, negatives = _vector(positives, "positives"), _vector(negatives, "negatives")
    if min(len(positives), len(negatives)) < 2 or np.ptp(positives) == np.ptp(negatives) == 0:
        return math.nan
    variance = (positives.var(ddof=1) + negatives.var(ddof=1)) / 2
    return float((positives.mean() - negatives.mean()) / np.sqrt(variance))


class VideoScores:
    """Scores of videos from those of their clips, one clip at a time.

    A video's score is the mean over its clips that have it (NaN clips do not count). The order of the clips does not
    matter, up to rounding; videos keep the order in which they first came.
    """

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, tuple[float, int]]] = {}
        self._names: dict[str, None] = {}

    def add(self, video_id: str, scores: Mapping[str, Any]) -> None:
        """Add the scores of one clip: name → number (or an array or tensor of one number)."""
        sums = self._sums.setdefault(video_id, {})
        for name, score in scores.items():
            self._names.setdefault(name)
            value = float(score)
            if not math.isnan(value):
                total, count = sums.get(name, (0.0, 0))
                sums[name] = (total + value, count + 1)

    @property
    def video_ids(self) -> list[str]:
        """Videos in the order in which they first came."""
        return list(self._sums)

    def per_video(self) -> dict[str, Array]:
        """Name → ``(V,)``, in the order of ``video_ids``; NaN where no clip of a video has the score."""
        return {name: np.array([self._mean(video, name) for video in self._sums]) for name in self._names}

    def _mean(self, video_id: str, name: str) -> float:
        total, count = self._sums[video_id].get(name, (math.nan, 1))
        return total / count

    def summaries(self, chance: Mapping[str, float] | None = None, *, seed: int = 0) -> dict[str, Summary]:
        """Name → summary over videos, with the chance levels given by name."""
        return {
            name: summarize(values, chance=(chance or {}).get(name), seed=seed)
            for name, values in self.per_video().items()
        }


class StreamingMean:
    """Mean of arrays of one shape, one at a time, in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: Array | None = None

    def add(self, array: ArrayLike) -> None:
        """Add an array.

        Raises:
            InputError: If its shape is not that of the first.
        """
        values = np.asarray(array, dtype=np.float64)
        if self._sum is None:
            self._sum = np.zeros(values.shape)
        if values.shape != self._sum.shape:
            raise InputError(f"array must have the shape of the first, {self._sum.shape}, got {values.shape}")
        self._sum += values
        self.count += 1

    @property
    def mean(self) -> Array:
        """Mean of what was added.

        Raises:
            InputError: If nothing was.
        """
        if self._sum is None:
            raise InputError("a mean needs at least one array, got none")
        return self._sum / self.count


def _vector(values: ArrayLike, name: str) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"{name} must be 1-D, got {array.shape}")
    return array
