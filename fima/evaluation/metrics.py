"""Scores of a classifier: numpy arrays in, numbers out. Every number comes with what it is a share of."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError
from fima.evaluation.intervals import Interval, interval

__all__ = [
    "accuracy_interval",
    "accuracy_score",
    "average_logits",
    "confusion_matrix",
    "mean_class_accuracy",
    "per_class_accuracy",
    "scores_of",
    "top_k_correct",
]

_Floats = NDArray[np.floating[Any]]
_Ints = NDArray[np.int64]
_Counts = NDArray[np.int64]


def average_logits(logits: _Floats, how: str = "softmax") -> NDArray[np.float64]:
    """One row of scores from the rows of a video's clips.

    Args:
        logits: ``(..., K, classes)``, of the K clips and crops of a video.
        how: the mean of "softmax" (probabilities), of "log_softmax" (their logarithms), or of the "logits".

    Returns:
        ``(..., classes)``.

    Raises:
        InputError: if ``how`` is none of the three, or there is no clip.
    """
    logits = np.asarray(logits, np.float64)
    if logits.ndim < 2 or not logits.shape[-2]:
        raise InputError(f"logits must be (..., K, classes) with K at least 1, got {logits.shape}")
    if how == "logits":
        return np.asarray(logits.mean(axis=-2))
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_shares = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    if how == "log_softmax":
        return np.asarray(log_shares.mean(axis=-2))
    if how == "softmax":
        return np.asarray(np.exp(log_shares).mean(axis=-2))
    raise InputError(f"average must be softmax, log_softmax or logits, got {how!r}")


def top_k_correct(scores: _Floats, labels: _Ints, k: int = 1) -> NDArray[np.bool_]:
    """Whether the label is among the k highest scores: ``(V,)``; of equal scores the lower class is higher.

    Args:
        scores: ``(V, classes)``.
        labels: ``(V,)`` in ``[0, classes)``.
        k: at least 1; with as many as there are classes, or more, every label is among them.
    """
    _check(scores, labels)
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    earlier = np.arange(scores.shape[1])[None] < labels[:, None]
    before = (scores > own).sum(axis=1) + ((scores == own) & earlier).sum(axis=1)
    return np.asarray(before < k)


def confusion_matrix(labels: _Ints, predictions: _Ints, classes: int) -> _Counts:
    """``(classes, classes)`` counts: rows are labels, columns predictions."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix


def per_class_accuracy(correct: NDArray[np.bool_], labels: _Ints, classes: int) -> NDArray[np.float64]:
    """``(classes,)`` shares of right videos; NaN for a class that has none."""
    count = np.bincount(labels, minlength=classes)
    right = np.bincount(labels, weights=correct, minlength=classes)
    return np.asarray(np.divide(right, count, out=np.full(classes, np.nan), where=count > 0))


def mean_class_accuracy(correct: NDArray[np.bool_], labels: _Ints, classes: int) -> float:
    """The mean of `per_class_accuracy` over the classes that have videos."""
    shares = per_class_accuracy(correct, labels, classes)
    return float(np.nanmean(shares)) if len(labels) else float("nan")


def accuracy_interval(
    correct: NDArray[np.bool_], labels: _Ints, groups: Sequence[Hashable] | None = None, *, by_class: bool = False
) -> Interval:
    """The 95 % interval of an accuracy over videos (`fima.evaluation.intervals.interval`).

    Args:
        correct: ``(V,)``.
        labels: ``(V,)``, looked at only where the mean is taken over classes first.
        groups: ``(V,)`` source recordings; None: every video is its own.
        by_class: Of the mean over classes, whose error is that of the videos around their own class's accuracy: a class
            of one video adds none.
    """
    if not by_class:
        return interval(correct.astype(np.float64), groups, limits=(0.0, 1.0))
    classes, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shares = np.bincount(place, weights=correct) / counts
    weighted = (correct - shares[place]) * len(labels) / (len(classes) * counts[place])
    return interval(shares.mean() + weighted, groups, limits=(0.0, 1.0))


def scores_of(scores: _Floats, labels: _Ints, groups: Sequence[Hashable] | None = None) -> dict[str, dict[str, float]]:
    """Top-1, top-5 and mean class accuracy with 95 % intervals.

    Args:
        scores: ``(V, classes)``.
        labels: ``(V,)``.
        groups: ``(V,)`` source recordings; None: every video is its own.

    Returns:
        "top1", "top5" (with fewer classes: as many as there are) and "mean_class", each with value, low, high, units.
    """
    first, fifth = top_k_correct(scores, labels, 1), top_k_correct(scores, labels, min(5, scores.shape[1]))
    return {
        "top1": accuracy_score(first, labels, groups),
        "top5": accuracy_score(fifth, labels, groups),
        "mean_class": accuracy_score(first, labels, groups, by_class=True),
    }


def accuracy_score(
    correct: NDArray[np.bool_], labels: _Ints, groups: Sequence[Hashable] | None = None, *, by_class: bool = False
) -> dict[str, float]:
    """An accuracy as result files hold it: ``value``, ``low`` and ``high`` (NaN for few units), ``units``.

    Args:
        correct: As of `accuracy_interval`.
        labels: Likewise.
        groups: Likewise.
        by_class: Likewise.
    """
    classes = int(labels.max(initial=0)) + 1
    value = mean_class_accuracy(correct, labels, classes) if by_class else float(correct.mean())
    return {"value": value, **accuracy_interval(correct, labels, groups, by_class=by_class)._asdict()}


def _check(scores: _Floats, labels: _Ints) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise InputError(f"scores must be (V, classes) with (V,) labels, got {scores.shape} and {labels.shape}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise InputError(f"labels must be in [0, {scores.shape[1]}), got {labels.min()} to {labels.max()}")
