"""A map of clips by their features, and what is true of the features whatever the map shows. Arrays in, arrays out.

The map (PCA, then t-SNE) is for the eye. The scores never see it: they are computed from the features, by cosine.
Which scores, and their chance levels, is ours (spec analysis.md, "Embedding and retrieval", names the measures).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fima.errors import InputError
from fima.evaluation.neighbors import unit_rows

__all__ = [
    "COMPONENTS",
    "FEWEST",
    "PERPLEXITY",
    "limit_perplexity",
    "match_chance",
    "nearest_label_hits",
    "nearest_of_others",
    "neighbors_of_others",
    "project",
    "shuffled_silhouette",
    "silhouettes",
]

_Floats = NDArray[np.floating[Any]]
_Doubles = NDArray[np.float64]
_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]

COMPONENTS = 50
"""Principal components that t-SNE is given: more are slow and noisy (van der Maaten and Hinton, 2008, took 30)."""
FEWEST = 5
"""Clips that make a map: with fewer, t-SNE has no neighborhoods and every score is an anecdote."""
PERPLEXITY = 30.0
_BLOCK = 1 << 22  # numbers of a block of rows at a time


def project(features: _Floats, *, seed: int = 0, perplexity: float = PERPLEXITY) -> NDArray[np.float32]:
    """Two coordinates for each clip: PCA to 50 components, then t-SNE that starts from the first two.

    Rows are scaled to length 1 first, so that what is near in the map is what the cosine scores call near. One thread:
    the same features and seed give the same bits.

    Args:
        features: ``(N, C)``, N ≥ 5, finite.
        seed: Seed of t-SNE.
        perplexity: About how many neighbors count; lowered to (N − 1) / 3 where there are fewer clips.

    Returns:
        ``(N, 2)`` without a unit; only neighborhoods count. Zeros where all features point the same way.

    Raises:
        InputError: For fewer than 5 clips, or features that are not finite.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows = _unit_rows(features)
    if len(rows) < FEWEST:
        raise InputError(f"a map needs at least {FEWEST} clips, got {len(rows)}")
    if np.ptp(rows, axis=0).max() < 1e-12:
        return np.zeros((len(rows), 2), np.float32)
    perplexity = limit_perplexity(perplexity, len(rows))
    with threadpool_limits(1):
        parts = PCA(min(COMPONENTS, *rows.shape), svd_solver="full").fit_transform(rows)
        if parts.shape[1] == 1:  # features of one channel: t-SNE starts from two columns
            parts = np.column_stack([parts, np.zeros(len(parts))])
        # One scale for all: t-SNE rounds the tiny distances of features that differ little, and knows no scale.
        parts /= parts[:, 0].std()
        found = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(parts)
    return np.asarray(found, np.float32)


def limit_perplexity(perplexity: float, num_clips: int) -> float:
    """``perplexity``, at most (N − 1) / 3: t-SNE looks at three times as many neighbors.

    Raises:
        InputError: If it is not above 0.
    """
    if not perplexity > 0:
        raise InputError(f"perplexity must be above 0, got {perplexity}")
    return min(float(perplexity), (num_clips - 1) / 3)


def nearest_of_others(features: _Floats, groups: ArrayLike) -> _Ints:
    """The nearest clip of another group (video) by cosine similarity, ``(N,)``; of equals the first.

    Args:
        features: ``(N, C)``, finite.
        groups: ``(N,)``, the video of each clip; at least two.

    Raises:
        InputError: If the shapes do not fit, or all clips are of one group.
    """
    return neighbors_of_others(features, groups, 1)[:, 0]


def neighbors_of_others(features: _Floats, groups: ArrayLike, count: int) -> _Ints:
    """The nearest clips of other groups (videos) by cosine similarity, the nearest first; of equals the first.

    Args:
        features: ``(N, C)``, finite.
        groups: ``(N,)``, the video of each clip; at least two.
        count: How many of each, at least 1.

    Returns:
        ``(N, count)``; -1 where there are no more.

    Raises:
        InputError: If the shapes do not fit, or all clips are of one group.
    """
    rows, groups = _unit_rows(features), _one_each(groups, len(features), "groups")
    if len(np.unique(groups)) < 2:
        raise InputError("the nearest of other videos needs clips of at least two videos, got one")
    found = np.full((len(rows), count), -1)
    for part in _blocks(len(rows), len(rows)):
        distance = -(rows[part] @ rows.T)
        distance[groups[part, None] == groups] = np.inf
        at = np.arange(len(distance))
        for k in range(count):
            best = distance.argmin(axis=1)
            found[part, k] = np.where(np.isfinite(distance[at, best]), best, -1)
            distance[at, best] = np.inf
    return found


def nearest_label_hits(features: _Floats, labels: ArrayLike, groups: ArrayLike) -> _Bools:
    """Whether the nearest clip of another video has the same label: leave-one-video-out 1-nearest-neighbor.

    Args:
        features: ``(N, C)``, finite; by cosine.
        labels: ``(N,)``.
        groups: ``(N,)``, the video of each clip; its other clips are no neighbors.

    Returns:
        ``(N,)``; the chance level is ``match_chance``.

    Raises:
        InputError: If the shapes do not fit, or all clips are of one video.
    """
    labels = _one_each(labels, len(features), "labels")
    return np.asarray(labels[nearest_of_others(features, groups)] == labels)


def match_chance(labels: ArrayLike) -> float:
    """Probability that two different videos, drawn at random, have one label.

    It is what ``nearest_label_hits`` gives on average when the labels are shuffled over the videos, exactly, whatever
    the features are. With as many videos in every class it is a little below 1 / classes: a video is not its own
    neighbor.

    Args:
        labels: ``(V,)``, one for each video, V ≥ 2.
    """
    counts = np.unique(np.asarray(labels), return_counts=True)[1].astype(np.float64)
    videos = counts.sum()
    return float((counts * (counts - 1)).sum() / (videos * (videos - 1)))


def silhouettes(features: _Floats, labels: ArrayLike) -> _Doubles:
    """Silhouette of every clip by cosine distance: (b − a) / max(a, b).

    a is the mean distance to the other clips of its label, b that to the clips of the nearest other label. The mean
    cosine distance to a set is one minus the cosine with the set's mean unit vector, so nothing of size N × N is made.

    Args:
        features: ``(N, C)``, finite; a row of zeros has distance 1 to all.
        labels: ``(N,)``, at least two different ones.

    Returns:
        ``(N,)`` in [-1, 1]; 0 for a clip that is alone with its label, and where a = b = 0.

    Raises:
        InputError: If the shapes do not fit, or there are fewer than two labels.

    Source: Rousseeuw, "Silhouettes", 1987; as scikit-learn's ``silhouette_samples(metric="cosine")``.
    """
    rows, labels = _unit_rows(features), _one_each(labels, len(features), "labels")
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise InputError(f"silhouettes need at least two labels, got {len(names)}")
    sums = np.zeros((len(names), rows.shape[1]))
    np.add.at(sums, codes, rows)
    found = np.empty(len(rows))
    for part in _blocks(len(rows), len(names)):
        own, at = codes[part], np.arange(part.stop - part.start)
        total = counts - rows[part] @ sums.T
        itself = 1 - (rows[part] ** 2).sum(axis=1)  # 0 but for a row of zeros
        inside = (total[at, own] - itself) / np.maximum(counts[own] - 1, 1)
        mean = total / counts
        mean[at, own] = np.inf
        outside = mean.min(axis=1)
        larger = np.maximum(inside, outside)
        # Rounding alone: clips that point the same way have distance 0.
        alike = (counts[own] == 1) | (larger < 1e-12)
        found[part] = np.where(alike, 0, np.clip((outside - inside) / np.where(alike, 1, larger), -1, 1))
    return found


def shuffled_silhouette(
    features: _Floats, labels: ArrayLike, groups: ArrayLike, *, shuffles: int = 20, seed: int = 0
) -> float:
    """Mean silhouette when the labels say nothing: they are shuffled over the videos.

    It is not 0. A clip is compared with the nearest of all other labels, so with many labels it is below 0; and clips
    of one video keep one label, so with many clips of a video it is higher.

    Args:
        features: ``(N, C)``.
        labels: ``(N,)``, the same for all clips of a group.
        groups: ``(N,)``, the video of each clip; the clips themselves where the labels are the videos.
        shuffles: How many to average.
        seed: Seed of the shuffling.
    """
    groups = _one_each(groups, len(features), "groups")
    _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    per_group = _one_each(labels, len(features), "labels")[first]
    rng = np.random.default_rng(seed)
    return float(
        np.mean([_video_mean(silhouettes(features, rng.permutation(per_group)[codes]), codes) for _ in range(shuffles)])
    )


def _video_mean(values: _Doubles, codes: _Ints) -> float:
    """Mean over groups of the means over their clips, as a study's scores are averaged."""
    return float(np.mean(np.bincount(codes, values) / np.bincount(codes)))


def _blocks(num_rows: int, width: int) -> Iterator[slice]:
    step = max(_BLOCK // max(width, 1), 1)
    for start in range(0, num_rows, step):
        yield slice(start, min(start + step, num_rows))


def _unit_rows(features: _Floats) -> _Doubles:
    features = np.asarray(features)
    if features.ndim != 2 or 0 in features.shape:
        raise InputError(f"features must be (N, C), got {features.shape}")
    if not np.isfinite(features).all():
        raise InputError("features must be finite; some are not")
    return np.asarray(unit_rows(features.astype(np.float64)), np.float64)


def _one_each(values: ArrayLike, number: int, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != (number,):
        raise InputError(f"{name} must be ({number},), one for each clip, got {array.shape}")
    return array
