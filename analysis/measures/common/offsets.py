"""Similarity of appearance and motion as a function of the time between them, in one video.

Numpy only; the similarities come from ``analysis.measures.temporal.offset_similarity``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.measures.common.statistics import auroc, d_prime
from fima.errors import InputError

__all__ = [
    "OFFSET_CHANCE",
    "OffsetStatistics",
    "default_hop",
    "offset_statistics",
    "pooled_auroc",
]

Array = NDArray[np.float64]

OFFSET_CHANCE = {"auroc": 0.5, "d_prime": 0.0, "auroc_disjoint": 0.5}
"""Chance levels of the offset scores that have one."""


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
        d_prime: Distance of aligned against misaligned pairs; chance 0; see `d_prime`.
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
    aligned, misaligned, disjoint = (values[group] for group in groups.values())
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
