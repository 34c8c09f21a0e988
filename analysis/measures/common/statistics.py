"""Statistics over a data set, where the unit is the video: clips of one video are not independent.

Numpy only. Streaming: what is kept grows with the number of videos (a few numbers each), not with that of clips. The
same values in the same order with the same seed give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fima.errors import InputError
from fima.evaluation.intervals import interval

__all__ = [
    "PairedDifference",
    "StreamingMean",
    "Summary",
    "VideoScores",
    "auroc",
    "d_prime",
    "paired_difference",
    "relative_gain",
    "summarize",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Summary:
    """A score over the videos of a data set.

    Attributes:
        mean: Over videos; NaN without any.
        std: Standard deviation over videos (N − 1); NaN for fewer than 2.
        low: Lower end of the 95 % interval of the mean (`fima.evaluation.intervals.interval`); NaN for few units.
        high: Upper end.
        num_videos: Videos that have the score.
        chance: Chance level, where there is one.
        num_missing: Videos left out because their score is NaN.
        num_units: Independent units behind the interval: source recordings where they are known, else the videos.
        twin_mean: Mean of an untrained backbone of the same architecture on the same clips; None: not asked for.
        twin_low: Lower end of its interval.
        twin_high: Upper end.
    """

    mean: float
    std: float
    low: float
    high: float
    num_videos: int
    chance: float | None = None
    num_missing: int = 0
    num_units: int | None = None
    twin_mean: float | None = None
    twin_low: float | None = None
    twin_high: float | None = None

    @property
    def row(self) -> Array:
        """``(mean, low, high, chance)``, and mean, low and high of a twin that was asked for: what figures draw.

        NaN where there is none.
        """
        numbers = [self.mean, self.low, self.high, self.chance]
        if self.twin_mean is not None:
            numbers += [self.twin_mean, self.twin_low, self.twin_high]
        return np.array([np.nan if number is None else number for number in numbers], dtype=np.float64)


@dataclass(frozen=True)
class PairedDifference:
    """Second minus first of two checkpoints' scores on the same videos.

    Attributes:
        mean: Of the difference over videos.
        low: Lower end of the 95 % interval of the mean difference; NaN for fewer than 3 units.
        high: Upper end.
        share_higher: Share of videos on which the second is higher, equal ones half, in [0, 1]; chance 0.5.
        num_videos: Videos that have both scores.
        num_units: Independent units behind the interval, as in `Summary`.
    """

    mean: float
    low: float
    high: float
    share_higher: float
    num_videos: int
    num_units: int | None = None


def summarize(
    values: ArrayLike,
    *,
    chance: float | None = None,
    groups: Sequence[Hashable] | None = None,
    limits: tuple[float, float] | None = None,
) -> Summary:
    """Mean, standard deviation and 95 % interval over videos.

    Args:
        values: ``(V,)``, one for each video; NaNs are dropped and counted.
        chance: Chance level to keep beside the score.
        groups: ``(V,)``, the source recording of each video; None: every video is its own.
        limits: Ends of the score's range.

    Raises:
        InputError: If the values are not 1-D, or the groups are not as many.
    """
    values = _vector(values, "values")
    present = values[~np.isnan(values)]
    low, high, units = interval(values, groups, limits=limits)
    return Summary(
        mean=float(present.mean()) if len(present) else math.nan,
        std=float(present.std(ddof=1)) if len(present) > 1 else math.nan,
        low=low,
        high=high,
        num_videos=len(present),
        chance=chance,
        num_missing=len(values) - len(present),
        num_units=units,
    )


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> PairedDifference:
    """Compare two checkpoints on the same videos: second minus first.

    Args:
        first: ``(V,)`` scores of one checkpoint, one for each video.
        second: ``(V,)`` scores of the other, the same videos in the same order. A video with a NaN is left out.
        groups: ``(V,)``, the source recording of each video; None: every video is its own.
        limits: Ends of the scores' range; no difference is larger than it.

    Raises:
        InputError: If the two are not 1-D and of one length.
    """
    first, second = _vector(first, "first"), _vector(second, "second")
    if len(first) != len(second):
        raise InputError(f"first and second must have the same videos, got {len(first)} and {len(second)}")
    most = limits[1] - limits[0]
    low, high, units = interval(second - first, groups, limits=(-most, most))
    difference = (second - first)[~np.isnan(second - first)]
    some = len(difference) > 0
    return PairedDifference(
        mean=float(difference.mean()) if some else math.nan,
        low=low,
        high=high,
        share_higher=float((np.sign(difference) / 2 + 0.5).mean()) if some else math.nan,
        num_videos=len(difference),
        num_units=units,
    )


def relative_gain(first: Array, second: Array) -> Array:
    """Share of each video in ``mean(first) / mean(second) − 1``, which is the mean over videos.

    Args:
        first: ``(V,)``.
        second: ``(V,)``, of the same videos.

    Returns:
        ``(V,)``, the ratio estimator's linear form, so that intervals over videos hold; NaN where the second is 0.
    """
    base = second.mean()
    if base == 0:
        return np.full(len(first), np.nan)
    ratio = first.mean() / base
    return np.asarray(ratio - 1 + (first - ratio * second) / base)


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

    def summaries(self, chance: Mapping[str, float] | None = None) -> dict[str, Summary]:
        """Name → summary over videos, with the chance levels given by name."""
        levels = chance or {}
        return {name: summarize(values, chance=levels.get(name)) for name, values in self.per_video().items()}


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
