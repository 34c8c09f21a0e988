"""Linear probes that never see the video, nor the recording, that they are asked about. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fima.errors import InputError
from fima.evaluation.probes import LinearProbe, fit_linear_probe

__all__ = [
    "FEWEST",
    "FOLDS",
    "cut_folds",
    "largest_share",
    "mean_of_known",
    "predict_held_out",
    "smallest_class",
]

_Floats = NDArray[np.floating[Any]]
_Ints = NDArray[np.int64]

FOLDS = 5
FEWEST = 3
"""Videos, or recordings, of every class: one to test on, one to choose the regularization on, one to train on."""


def smallest_class(labels: ArrayLike, groups: ArrayLike | None = None) -> int:
    """Videos of the smallest class, or its recordings where they are given.

    Args:
        labels: ``(V,)``.
        groups: ``(V,)`` recordings; None: every video is one of its own.
    """
    labels = np.asarray(labels)
    own = np.arange(len(labels)) if groups is None else np.asarray(groups)
    return min(len(np.unique(own[labels == label])) for label in np.unique(labels))


def largest_share(labels: ArrayLike) -> float:
    """Share of the largest class: how often one who always says that class is right.

    Args:
        labels: ``(V,)``, at least one.
    """
    counts = np.unique(np.asarray(labels), return_counts=True)[1]
    return float(counts.max() / counts.sum())


def mean_of_known(columns: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean over columns, row by row, of the values that are there.

    Args:
        columns: ``(V,)`` each, NaN where there is no value.

    Returns:
        ``(V,)``; NaN where no column has a value.
    """
    stacked = np.stack(columns)
    count = (~np.isnan(stacked)).sum(axis=0)
    return np.where(count > 0, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.nan)


def cut_folds(labels: _Ints, groups: ArrayLike | None, folds: int, *, seed: int = 0) -> list[_Ints]:
    """K parts, each class spread over them as evenly as whole recordings allow.

    Args:
        labels: ``(V,)``.
        groups: ``(V,)`` recordings, which are not torn; None: every video is one of its own.
        folds: K, at least 2 and at most as many as the smallest class has recordings.
        seed: Seed of the shuffling.

    Returns:
        K ascending arrays of places that together hold each video once.

    Source: scikit-learn's StratifiedGroupKFold and StratifiedKFold.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_splits=folds, shuffle=True, random_state=seed)
    nothing = np.zeros((len(labels), 1))
    return [np.asarray(np.sort(test), np.int64) for _, test in splitter.split(nothing, labels, groups)]


def predict_held_out(
    features: _Floats,
    labels: _Ints,
    altered: Mapping[str, _Floats],
    *,
    groups: Sequence[Any] | None = None,
    train: tuple[_Floats, _Ints] | None = None,
) -> dict[str, _Ints]:
    """What linear probes that were trained on unaltered videos say of altered ones, none of them a video of training.

    Without training videos the tested ones are cut into up to five folds, recordings kept whole; each is asked of the
    probe that saw neither it nor the next fold, on which the regularization was chosen.

    Args:
        features: ``(V, C)`` of the tested videos, unaltered.
        labels: ``(V,)``.
        altered: Name → ``(V, C)``; rows of NaN are not asked about. The unaltered ones too, if they are to be.
        groups: ``(V,)`` source recordings; None: every video is its own.
        train: Features and labels of the training videos, where the data set has some; a part of them chooses the
            regularization.

    Returns:
        Name → ``(V,)`` predicted labels; -1 where nothing was asked.

    Raises:
        InputError: If a class has fewer than ``FEWEST`` videos or recordings (of training videos: two).
    """
    answers = {name: np.full(len(labels), -1, np.int64) for name in altered}
    for test, probe in _probes(features, labels, groups, train):
        for name, rows in altered.items():
            asked = test[np.isfinite(rows[test]).all(axis=1)]
            if len(asked):
                answers[name][asked] = probe.predict(rows[asked])
    return answers


def _probes(
    features: _Floats, labels: _Ints, groups: Sequence[Any] | None, train: tuple[_Floats, _Ints] | None
) -> list[tuple[_Ints, LinearProbe]]:
    """Places of tested videos, and the probe that has not seen them."""
    if train is not None:
        _check(train[1], None, 2)
        val, *rest = cut_folds(train[1], None, min(FOLDS, smallest_class(train[1])))
        learned = np.concatenate(rest)
        probe = fit_linear_probe(train[0][learned], train[1][learned], train[0][val], train[1][val])
        return [(np.arange(len(labels)), probe)]
    folds = cut_folds(labels, groups, min(FOLDS, _check(labels, groups, FEWEST)))
    found = []
    for number, test in enumerate(folds):
        val = folds[(number + 1) % len(folds)]
        learned = np.setdiff1d(np.arange(len(labels)), np.concatenate([test, val]))
        found.append((test, fit_linear_probe(features[learned], labels[learned], features[val], labels[val])))
    return found


def _check(labels: _Ints, groups: Sequence[Any] | None, fewest: int) -> int:
    if len(np.unique(labels)) < 2:
        raise InputError("a probe needs videos of at least two classes")
    if (least := smallest_class(labels, groups)) < fewest:
        what = "videos" if groups is None else "source recordings"
        raise InputError(f"a probe needs at least {fewest} {what} of every class, the smallest has {least}")
    return least
