"""Similarity of appearance and motion as a function of the time between them: one video, then many.

Numpy only; the similarities come from ``analysis.measures.temporal.offset_similarity``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.measures.statistics import auroc, d_prime
from fima.errors import InputError
from fima.evaluation.intervals import interval_band

__all__ = [
    "OFFSET_CHANCE",
    "Histogram",
    "OffsetResult",
    "OffsetStatistics",
    "OffsetSummary",
    "default_hop",
    "offset_statistics",
    "pooled_auroc",
]

Array = NDArray[np.float64]

OFFSET_CHANCE = {"auroc": 0.5, "d_prime": 0.0, "auroc_disjoint": 0.5}
"""Chance levels of the offset scores that have one."""

_KINDS = ("aligned", "misaligned", "disjoint")
_LONE = "aligned alone"


def default_hop(span: int) -> int:
    """Frames from one window's start to the next: a quarter of a window of ``span`` frames, at least 1."""
    return max(1, span // 4)


@dataclass(frozen=True, eq=False)
class OffsetStatistics:
    """Similarity as a function of the offset Δ = motion start − RGB start, in one video.

    Attributes:
        span: Frames from a window's first to one past its last.
        fps: Frames per second of the video.
        offsets_frames: ``(D,)`` the offsets that occur, ascending.
        mean: ``(D,)`` mean similarity over the window pairs at that offset, in [-1, 1].
        std: ``(D,)`` standard deviation over the pairs (N − 1); NaN for one pair.
        count: ``(D,)`` number of pairs.
        aligned: Similarities at Δ = 0.
        misaligned: Similarities at |Δ| ≥ half a window.
        disjoint: Similarities at |Δ| ≥ a window: the two share no frame. May be empty.
        auroc: AUROC of aligned against misaligned pairs, in [0, 1]; chance 0.5; NaN if either is empty.
        d_prime: Distance of aligned against misaligned pairs; chance 0; see ``analysis.measures.statistics.d_prime``.
        auroc_disjoint: AUROC of aligned against disjoint pairs; NaN if there are none.
        half_width_frames: The |Δ| at which the curve, averaged over ±Δ, first falls half way from its value at 0 to
            the mean of the misaligned pairs, by linear interpolation; NaN if it never does, or if it starts no higher.
    """

    span: int
    fps: float
    offsets_frames: NDArray[np.int64]
    mean: Array
    std: Array
    count: NDArray[np.int64]
    aligned: Array
    misaligned: Array
    disjoint: Array
    auroc: float
    d_prime: float
    auroc_disjoint: float
    half_width_frames: float

    @property
    def offsets_seconds(self) -> Array:
        """``(D,)``."""
        return self.offsets_frames / self.fps

    @property
    def half_width_seconds(self) -> float:
        """In this video's own seconds."""
        return self.half_width_frames / self.fps

    def scores(self) -> dict[str, float]:
        """The scores by name (``OFFSET_CHANCE`` has the chance levels)."""
        names = ("auroc", "d_prime", "auroc_disjoint", "half_width_frames", "half_width_seconds")
        return {name: getattr(self, name) for name in names}


def offset_statistics(similarity: Any, starts: ArrayLike, *, span: int, fps: float) -> OffsetStatistics:
    """Read a video's window-by-window similarity as a function of the offset.

    Args:
        similarity: ``(W, W)`` array or CPU tensor; row = RGB window, column = motion window. NaN pairs are left out.
        starts: ``(W,)`` first frame of each window, whole numbers.
        span: Frames from a window's first to one past its last.
        fps: Frames per second of the video.

    Raises:
        InputError: If the shapes do not fit, starts are not whole numbers, or ``span`` or ``fps`` is not positive.
    """
    values, first = np.asarray(similarity, dtype=np.float64), np.asarray(starts)
    if first.ndim != 1 or values.shape != (len(first), len(first)) or not np.issubdtype(first.dtype, np.integer):
        raise InputError(
            f"similarity must be (W, W) and starts (W,) whole numbers, "
            f"got {values.shape} and {first.shape} {first.dtype}"
        )
    if span < 1 or not fps > 0:
        raise InputError(f"span must be at least 1 frame and fps above 0, got {span} and {fps}")
    offsets = (first[None, :] - first[:, None]).astype(np.int64)
    known = ~np.isnan(values)
    offsets, values = offsets[known], values[known]
    distance = np.abs(offsets)
    groups = {"aligned": offsets == 0, "misaligned": distance >= span / 2, "disjoint": distance >= span}
    aligned, misaligned, disjoint = (values[groups[kind]] for kind in _KINDS)
    distinct, count, mean, std = _curve(offsets, values)
    return OffsetStatistics(
        span=span,
        fps=float(fps),
        offsets_frames=distinct,
        mean=mean,
        std=std,
        count=count,
        aligned=aligned,
        misaligned=misaligned,
        disjoint=disjoint,
        auroc=auroc(aligned, misaligned),
        d_prime=d_prime(aligned, misaligned),
        auroc_disjoint=auroc(aligned, disjoint),
        half_width_frames=_half_width(distance, values, misaligned),
    )


def _curve(offsets: NDArray[np.int64], values: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Distinct offsets, ascending, with number, mean and standard deviation of the values at each."""
    distinct, where = np.unique(offsets, return_inverse=True)
    count = np.bincount(where, minlength=len(distinct))
    mean = np.bincount(where, weights=values, minlength=len(distinct)) / count
    squares = np.bincount(where, weights=(values - mean[where]) ** 2, minlength=len(distinct))
    std = np.sqrt(np.divide(squares, count - 1, out=np.full(len(distinct), np.nan), where=count > 1))
    return distinct, count, mean, std


def _half_width(distance: NDArray[np.int64], values: Array, misaligned: Array) -> float:
    steps, _, curve, _ = _curve(distance, values)
    if not len(misaligned) or not len(steps) or steps[0] != 0:
        return math.nan
    floor = misaligned.mean()
    half = (curve[0] + floor) / 2
    fallen = np.flatnonzero(curve <= half)
    if curve[0] <= floor or not len(fallen):
        return math.nan
    after = fallen[0]
    share = (curve[after - 1] - half) / (curve[after - 1] - curve[after])
    return float(steps[after - 1] + share * (steps[after] - steps[after - 1]))


def pooled_auroc(aligned: Array, misaligned: Array) -> float:
    """AUROC of two distributions as they are drawn, all videos together.

    Lower than the mean of the videos' own AUROCs where videos differ in their level more than along themselves.

    Args:
        aligned: ``(B,)``, share or density in bins of one width; NaN without videos.
        misaligned: ``(B,)``, in the same bins.

    Returns:
        In [0, 1], pairs in one bin counting half; NaN if either is empty.
    """
    first, second = (np.asarray(one, dtype=np.float64) for one in (aligned, misaligned))
    if not (np.nansum(first) > 0 and np.nansum(second) > 0):
        return math.nan
    first, second = first / first.sum(), second / second.sum()
    return float((first * (np.cumsum(second) - second / 2)).sum())


@dataclass(frozen=True, eq=False)
class Histogram:
    """Distribution of similarities; each video weighs the same, however many window pairs it has.

    Attributes:
        edges: ``(B + 1,)`` over [-1, 1].
        density: ``(B,)``, of integral 1; NaN without videos.
        num_videos: Videos that have such pairs.
    """

    edges: Array
    density: Array
    num_videos: int


@dataclass(frozen=True, eq=False)
class OffsetResult:
    """Similarity as a function of the offset over videos.

    Attributes:
        unit: What the band is over: ``video``, or ``window pair`` where there is one video only.
        num_videos: Videos.
        fps: Frames per second; NaN where videos differ, as then an offset in frames is no one time.
        offsets_frames: ``(D,)`` every offset that occurs, ascending.
        mean: ``(D,)`` mean over the videos that have the offset, each weighing the same.
        low: ``(D,)`` lower end of the 95 % band of the mean: over videos, or for one video mean ± 1.96
            standard errors over its window pairs, which overlap and so make the band too narrow. NaN for fewer than 2.
        high: ``(D,)`` upper end.
        change: ``(D,)`` mean over the same videos of the video's similarity at the offset minus its similarity at 0.
            This is the curve to look at: long videos alone have large offsets, and videos differ more in their level
            than along their curve, so ``mean`` may rise or fall only because other videos enter it.
        change_low: ``(D,)`` lower end of the 95 % band of ``change``, as for ``low``.
        change_high: ``(D,)`` upper end.
        videos_per_offset: ``(D,)`` number of videos that have the offset.
        histograms: ``aligned``, ``misaligned`` and ``disjoint``. The first two are of the same videos, those long
            enough to have misaligned pairs; where there is none, ``aligned`` is of all.
        video_ids: In the order of the scores.
        scores: Name → ``(V,)``, the scores of ``OffsetStatistics``, widths in seconds being each video's own.
    """

    unit: str
    num_videos: int
    fps: float
    offsets_frames: NDArray[np.int64]
    mean: Array
    low: Array
    high: Array
    change: Array
    change_low: Array
    change_high: Array
    videos_per_offset: NDArray[np.int64]
    histograms: dict[str, Histogram]
    video_ids: list[str]
    scores: dict[str, Array]

    @property
    def offsets_seconds(self) -> Array:
        """``(D,)``; NaN where videos differ in frames per second."""
        return self.offsets_frames / self.fps


class OffsetSummary:
    """Offset statistics of many videos, one at a time. Keeps a curve and five scores per video, and no pairs.

    Offsets are matched in frames, the unit in which windows are cut, whatever the videos' frames per second.

    Args:
        num_bins: Bins of the histograms over [-1, 1].
    """

    def __init__(self, *, num_bins: int = 200) -> None:
        self._edges = np.linspace(-1, 1, num_bins + 1)
        self._density = {kind: np.zeros(num_bins) for kind in (*_KINDS, _LONE)}
        self._num_videos = dict.fromkeys((*_KINDS, _LONE), 0)
        self._curves: dict[str, tuple[NDArray[np.int64], Array]] = {}
        self._scores: dict[str, dict[str, float]] = {}
        self._span = 0
        self._fps = math.nan
        self._pair_band = (np.empty(0), np.empty(0))

    def add(self, video_id: str, statistics: OffsetStatistics) -> None:
        """Add a video.

        Raises:
            InputError: If the video was added before, or its windows are not as long as those of the first.
        """
        if video_id in self._curves:
            raise InputError(f"video {video_id!r} was added before; a video counts once")
        if not self._curves:
            self._span, self._fps = statistics.span, statistics.fps
            self._pair_band = _pair_band(statistics)
        if statistics.span != self._span:
            raise InputError(
                f"video {video_id!r} must have windows of {self._span} frames as the first, got {statistics.span}"
            )
        if not math.isclose(statistics.fps, self._fps):
            self._fps = math.nan
        self._curves[video_id] = (statistics.offsets_frames, statistics.mean)
        self._scores[video_id] = statistics.scores()
        if len(statistics.misaligned):
            for kind in _KINDS:
                self._count(kind, getattr(statistics, kind))
        else:
            self._count(_LONE, statistics.aligned)

    def _count(self, kind: str, values: Array) -> None:
        if len(values):
            self._density[kind] += np.histogram(values.clip(-1, 1), bins=self._edges, density=True)[0]
            self._num_videos[kind] += 1

    def result(self, *, seed: int = 0) -> OffsetResult:
        """Everything over the videos so far.

        Args:
            seed: Unused: nothing is drawn.

        Raises:
            InputError: If no video was added.
        """
        if not self._curves:
            raise InputError("offsets need at least one video, got none")
        offsets, table = self._table()
        one = len(table) == 1
        low, high = self._pair_band if one else interval_band(table)
        aligned = table[:, np.flatnonzero(offsets == 0)]  # every video has it: a window is aligned with itself
        change = table - aligned
        band = (low - aligned[0], high - aligned[0]) if one else interval_band(change)
        names = next(iter(self._scores.values()))
        return OffsetResult(
            unit="window pair" if one else "video",
            num_videos=len(table),
            fps=self._fps,
            offsets_frames=offsets,
            mean=np.nanmean(table, axis=0),
            low=low,
            high=high,
            change=np.nanmean(change, axis=0),
            change_low=band[0],
            change_high=band[1],
            videos_per_offset=(~np.isnan(table)).sum(axis=0),
            histograms={kind: self._histogram(kind) for kind in _KINDS},
            video_ids=list(self._curves),
            scores={name: np.array([scores[name] for scores in self._scores.values()]) for name in names},
        )

    def _table(self) -> tuple[NDArray[np.int64], Array]:
        """All offsets, and ``(V, D)`` means of the videos at them, NaN where a video lacks one."""
        offsets = np.unique(np.concatenate([offsets for offsets, _ in self._curves.values()]))
        table = np.full((len(self._curves), len(offsets)), np.nan)
        for row, (own, mean) in zip(table, self._curves.values(), strict=True):
            row[np.searchsorted(offsets, own)] = mean
        return offsets, table

    def _histogram(self, kind: str) -> Histogram:
        if kind == "aligned" and not self._num_videos[kind]:
            kind = _LONE
        count = self._num_videos[kind]
        density = self._density[kind] / count if count else np.full_like(self._density[kind], np.nan)
        return Histogram(self._edges, density, count)


def _pair_band(statistics: OffsetStatistics) -> tuple[Array, Array]:
    margin = 1.96 * statistics.std / np.sqrt(statistics.count)
    return statistics.mean - margin, statistics.mean + margin
