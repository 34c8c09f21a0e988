"""Similarity over offsets of many videos: each video's own curve, their mean with its band, and their histograms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.measures.common.offsets import OffsetStatistics
from fima.errors import InputError
from fima.evaluation.intervals import interval_band

__all__ = ["Histogram", "OffsetResult", "OffsetSummary"]

Array = NDArray[np.float64]

_KINDS = ("aligned", "misaligned", "disjoint")
_LONE = "aligned alone"


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

    def result(self) -> OffsetResult:
        """Everything over the videos so far.

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
