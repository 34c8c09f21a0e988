"""Nearest neighbors by cosine similarity, and what they are worth: retrieval and votes. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from fima.errors import InputError

__all__ = [
    "RANKS",
    "TEMPERATURE",
    "centered",
    "chance_of_vote",
    "chance_recall",
    "hits",
    "nearest",
    "recall",
    "unit_rows",
    "vote",
]

_Floats = NDArray[np.floating[Any]]
_Ints = NDArray[np.int64]

RANKS = (1, 5, 10, 20, 50)
"""Of the recall that FAME, CoCLR and MSCL publish."""

TEMPERATURE = 0.07
"""Of weighted votes (Wu et al., "Unsupervised feature learning via non-parametric instance discrimination", 2018)."""

_BLOCK = 1 << 22  # similarities at a time: few enough to stay near the processor, enough for a fast product
_GROUPS_PER_NEIGHBOR = 8


def unit_rows(features: _Floats) -> _Floats:
    """Rows scaled to length 1; a row of zeros stays."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(length > 0, length, 1))


def centered(queries: _Floats, gallery: _Floats, center: str) -> tuple[_Floats, _Floats]:
    """Queries and gallery with a mean subtracted.

    Args:
        queries: ``(Q, C)``, of the test.
        gallery: ``(G, C)``, of the training.
        center: ``none``; ``train``: the gallery's mean from both; ``each``: from either its own, which needs all
            queries at once (`fima.presets.retrieval`).

    Raises:
        InputError: for another word.
    """
    if center == "none":
        return queries, gallery
    middle = gallery.mean(axis=0, dtype=np.float64).astype(gallery.dtype)
    if center == "train":
        return queries - middle, gallery - middle
    if center == "each":
        return queries - queries.mean(axis=0, dtype=np.float64).astype(queries.dtype), gallery - middle
    raise InputError(f"center must be none, train or each, got {center!r}")


def nearest(queries: _Floats, gallery: _Floats, count: int) -> tuple[_Ints, _Floats]:
    """The nearest of a gallery by cosine similarity, in float32 (float64 where both are).

    Args:
        queries: ``(Q, C)``, finite.
        gallery: ``(G, C)``, finite.
        count: at least 1; at most G are given.

    Returns:
        Indices and similarities ``(Q, count)``, the nearest first; of equals the one with the lower index.

    Raises:
        InputError: if the shapes do not fit, the gallery is empty or a number is not finite.
    """
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise InputError(f"features must be (Q, C) and (G, C), got {queries.shape} and {gallery.shape}")
    if not len(gallery) or count < 1:
        raise InputError(f"neighbors need a gallery and a count of at least 1, got {len(gallery)} and {count}")
    kind = np.float64 if queries.dtype == gallery.dtype == np.float64 else np.float32
    rows, columns = (unit_rows(part.astype(kind, copy=False)) for part in (queries, gallery))
    if not (np.isfinite(rows.sum()) and np.isfinite(columns.sum())):
        raise InputError("features must be finite; some are not")
    count = min(count, len(gallery))
    order = np.empty((len(rows), count), np.int64)
    similarity = np.empty((len(rows), count), kind)
    step = max(_BLOCK // len(gallery), 1)
    buffer = np.empty((min(step, len(rows)), len(gallery)), kind)
    for start in range(0, len(rows), step):
        block = np.matmul(rows[start : start + step], columns.T, out=buffer[: len(rows) - start])
        order[start : start + step], similarity[start : start + step] = _largest(block, count)
    return order, similarity


def hits(order: _Ints, query_labels: _Ints, gallery_labels: _Ints) -> NDArray[np.bool_]:
    """``(Q, count)``: whether each neighbor has its query's label."""
    return np.asarray(gallery_labels[order] == query_labels[:, None])


def recall(hit: NDArray[np.bool_], ranks: Sequence[int] = RANKS) -> dict[int, NDArray[np.bool_]]:
    """Whether one of the nearest is a hit, for each number of nearest: rank → ``(Q,)``."""
    return {rank: np.asarray(hit[:, :rank].any(axis=1)) for rank in ranks}


def chance_recall(query_labels: _Ints, gallery_labels: _Ints, rank: int) -> float:
    """Mean recall at a rank of a gallery in random order: 1 - C(G - n, rank) / C(G, rank), n of the query's class."""
    size = len(gallery_labels)
    same = np.array([(gallery_labels == label).sum() for label in np.unique(query_labels)], np.float64)
    weight = np.unique(query_labels, return_counts=True)[1]
    others = size - same
    can_miss = others >= rank
    left = np.where(can_miss, others - rank, 0)
    log_miss = gammaln(others + 1) - gammaln(left + 1) + gammaln(size - rank + 1) - gammaln(size + 1)
    miss = np.where(can_miss, np.exp(np.minimum(log_miss, 0)), 0)
    return float(np.average(1 - miss, weights=weight))


def vote(
    order: _Ints,
    similarity: _Floats,
    gallery_labels: _Ints,
    *,
    k: int,
    classes: int | None = None,
    temperature: float | None = TEMPERATURE,
) -> NDArray[np.float64]:
    """Votes of the k nearest for each class.

    Args:
        order: of `nearest`, at least k.
        similarity: of `nearest`.
        gallery_labels: ``(G,)``, at least 0.
        k: neighbors.
        classes: None: as many as the gallery's labels need.
        temperature: a neighbor counts exp(similarity / temperature); None: every neighbor counts 1, and between
            classes with as many votes the nearer in sum is first.

    Returns:
        ``(Q, classes)``; the largest is the prediction, of equals the lower class.
    """
    labels, near = gallery_labels[order[:, :k]], similarity[:, :k].astype(np.float64)
    votes = np.zeros((len(order), int(gallery_labels.max()) + 1 if classes is None else classes))
    # Less than one vote in all where only votes count: k neighbors of similarity + 1 ≤ 2.
    weight = 1 + (near + 1) / (2 * k + 1) if temperature is None else np.exp((near - 1) / temperature)
    np.add.at(votes, (np.arange(len(order))[:, None], labels), weight)
    return votes


def chance_of_vote(
    order: _Ints,
    similarity: _Floats,
    query_labels: _Ints,
    gallery_labels: _Ints,
    *,
    k: int,
    temperature: float | None = TEMPERATURE,
    shuffles: int = 20,
    seed: int = 0,
) -> float:
    """Accuracy of the same votes with the gallery's labels shuffled, the mean over several shuffles."""
    rng = np.random.default_rng(seed)
    right = [
        vote(order, similarity, rng.permutation(gallery_labels), k=k, temperature=temperature).argmax(axis=1)
        == query_labels
        for _ in range(shuffles)
    ]
    return float(np.mean(right))


def _largest(values: _Floats, count: int) -> tuple[_Ints, _Floats]:
    """The largest of each row, in descending order, of equals the one with the lower index first.

    The largest of each of many groups of columns bound what can be among them from below; few columns are left.
    """
    rows, columns = values.shape
    groups = _GROUPS_PER_NEIGHBOR * count
    if columns >= 2 * groups:
        depth = columns // groups
        # Groups of columns far apart: neighbors in the gallery are often of one class.
        largest = values[:, : depth * groups].reshape(rows, depth, groups).max(axis=1)
        bound = np.partition(largest, groups - count, axis=1)[:, groups - count]
        row, column = np.nonzero(values >= bound[:, None])
    else:
        row, column = (index.ravel() for index in np.indices(values.shape))
    found = values[row, column]
    rank = np.lexsort((column, -found, row))
    first = np.searchsorted(row, np.arange(rows))  # row is ascending, also after the sort
    chosen = rank[first[:, None] + np.arange(count)]
    return column[chosen], found[chosen]
