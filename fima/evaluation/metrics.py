"""Scores of a classifier: numpy arrays in, numbers out. Every number comes with what it is a share of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError

__all__ = [
    "average_logits",
    "bootstrap_intervals",
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


def bootstrap_intervals(
    measures: dict[str, tuple[NDArray[np.bool_], bool]],
    labels: _Ints,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of accuracies, over videos drawn anew with replacement.

    Args:
        measures: name → whether each video is right ``(V,)``, and whether its mean is taken over classes first. All
            measures see the same draws.
        labels: ``(V,)``.
        resamples: number of draws.
        level: share of them that lies inside.
        seed: of the draws.

    Returns:
        Name → (low, high). A class that a draw leaves out is left out of that draw's mean.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3 (percentile intervals).
    """
    videos = len(labels)
    if not videos:
        return {name: (float("nan"), float("nan")) for name in measures}
    rng = np.random.default_rng(seed)
    present, place = np.unique(labels, return_inverse=True)
    member = np.zeros((videos, len(present)))
    member[np.arange(videos), place] = 1
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in measures}
    for start in range(0, resamples, 250):  # in parts, so that memory stays small
        weights = rng.multinomial(videos, np.full(videos, 1 / videos), size=min(250, resamples - start))
        counts = weights @ member
        for name, (correct, by_class) in measures.items():
            if by_class:
                shares = np.divide(
                    weights @ (member * correct[:, None]), counts, out=np.zeros_like(counts), where=counts > 0
                )
                drawn[name].append(shares.sum(axis=1) / (counts > 0).sum(axis=1))
            else:
                drawn[name].append(weights @ correct / videos)
    tail = 50 * (1 - level)
    return {
        name: (float(low), float(high))
        for name, parts in drawn.items()
        for low, high in [np.percentile(np.concatenate(parts), [tail, 100 - tail])]
    }


def scores_of(scores: _Floats, labels: _Ints, *, seed: int = 0, resamples: int = 2000) -> dict[str, dict[str, float]]:
    """Top-1, top-5 and mean class accuracy with 95 % intervals.

    Args:
        scores: ``(V, classes)``.
        labels: ``(V,)``.
        seed: of the bootstrap.
        resamples: of the bootstrap.

    Returns:
        "top1", "top5" (with fewer classes: as many as there are) and "mean_class", each with value, low, high.
    """
    classes = scores.shape[1]
    first, fifth = top_k_correct(scores, labels, 1), top_k_correct(scores, labels, min(5, classes))
    values = {
        "top1": float(first.mean()),
        "top5": float(fifth.mean()),
        "mean_class": mean_class_accuracy(first, labels, classes),
    }
    measures = {"top1": (first, False), "top5": (fifth, False), "mean_class": (first, True)}
    intervals = bootstrap_intervals(measures, labels, seed=seed, resamples=resamples)
    return {
        name: {"value": value, "low": intervals[name][0], "high": intervals[name][1]} for name, value in values.items()
    }


def _check(scores: _Floats, labels: _Ints) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise InputError(f"scores must be (V, classes) with (V,) labels, got {scores.shape} and {labels.shape}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise InputError(f"labels must be in [0, {scores.shape[1]}), got {labels.min()} to {labels.max()}")
