"""What nearest neighbors say, as scores with intervals and as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.groups import source_groups
from fima.evaluation.feature_store import FeatureSet
from fima.evaluation.metrics import accuracy_score
from fima.evaluation.neighbor_sets import Sets
from fima.evaluation.neighbors import (
    TEMPERATURE,
    centered,
    chance_of_vote,
    chance_recall,
    hits,
    nearest,
    recall,
    vote,
)
from fima.presets.retrieval import RetrievalPreset

__all__ = ["Neighbors", "about", "find_neighbors", "knn_scores", "neighbor_rows", "recall_scores", "score_lines"]

Scores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Neighbors:
    """The nearest training videos of every test video.

    Attributes:
        train: the gallery.
        test: the queries.
        order: ``(Q, count)`` places in the gallery, the nearest first.
        similarity: ``(Q, count)`` cosines.
    """

    train: FeatureSet
    test: FeatureSet
    order: NDArray[np.int64]
    similarity: NDArray[np.floating[Any]]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """``(Q, count)``: whether a neighbor has its query's label."""
        return hits(self.order, self.test.labels, self.train.labels)


def find_neighbors(train: FeatureSet, test: FeatureSet, count: int, *, center: str) -> Neighbors:
    """The nearest by cosine similarity, after centering (`fima.evaluation.neighbors.centered`)."""
    queries, gallery = centered(test.vectors, train.vectors, center)
    return Neighbors(train, test, *nearest(queries, gallery, count))


def recall_scores(found: Neighbors, ranks: Sequence[int]) -> tuple[Scores, NDArray[np.bool_]]:
    """``recall@k``: value, 95 % interval over test videos and chance; and ``(Q, ranks)``, right or wrong."""
    right = recall(found.hits, ranks)
    measures = {f"recall@{rank}": (right[rank], False) for rank in ranks}
    chance = {f"recall@{rank}": chance_recall(found.test.labels, found.train.labels, rank) for rank in ranks}
    return _scores(measures, found.test, chance), np.stack(list(right.values()), axis=1)


def knn_scores(
    found: Neighbors, counts: Sequence[int], *, temperature: float = TEMPERATURE, seed: int = 0
) -> tuple[Scores, dict[str, NDArray[np.int64]]]:
    """Accuracies of votes, and their predictions.

    Args:
        found: with as many neighbors as the largest of ``counts``.
        counts: neighbors that vote.
        temperature: of the weighted votes.
        seed: of the chance levels.

    Returns:
        ``weighted@k``, ``majority@k`` and their means over classes (``…-mean-class``), each with value, 95 % interval
        and chance (`fima.evaluation.neighbors.chance_of_vote`); and name → predicted labels ``(Q,)``.
    """
    classes = len(found.train.class_names)
    measures: dict[str, tuple[NDArray[np.bool_], bool]] = {}
    chance: dict[str, float] = {}
    predictions: dict[str, NDArray[np.int64]] = {}
    for k in counts:
        for name, heat in ((f"weighted@{k}", temperature), (f"majority@{k}", None)):
            votes = vote(found.order, found.similarity, found.train.labels, k=k, classes=classes, temperature=heat)
            predictions[name] = np.asarray(votes.argmax(axis=1), np.int64)
            right = predictions[name] == found.test.labels
            measures[name], measures[f"{name}-mean-class"] = (right, False), (right, True)
            chance[name] = chance_of_vote(
                found.order, found.similarity, found.test.labels, found.train.labels, k=k, temperature=heat, seed=seed
            )
    return _scores(measures, found.test, chance), predictions


def neighbor_rows(found: Neighbors, shown: str) -> Iterator[tuple[object, ...]]:
    """Rows (query, rank, neighbor, similarity, hit, shown)."""
    for query, places, similarity, hit in zip(
        found.test.video_ids, found.order.tolist(), found.similarity.tolist(), found.hits.tolist(), strict=True
    ):
        for rank, place in enumerate(places):
            name = found.train.video_ids[place]
            yield query, rank + 1, name, f"{similarity[rank]:.6f}", int(hit[rank]), shown


def about(sets: Sets, chosen: RetrievalPreset, *, seed: int, command: Sequence[str]) -> dict[str, Any]:
    """What scores were made from and how."""
    train, test = (next(iter(part.values())) for part in (sets.train, sets.test))
    return {
        **{key: test.metadata.get(key) for key in ("checkpoint", "sha256", "arch", "settings", "input", "layer")},
        "preset": chosen.name,
        "notes": list(chosen.notes),
        "protocol": test.metadata.get("protocol"),
        "clips": sorted({int(count) for count in np.concatenate([train.clips, test.clips])}),
        "crops": (test.metadata.get("protocol") or {}).get("crops"),
        "center": chosen.center,
        "unit_clips": chosen.unit_clips,
        "seed": seed,
        "classes": len(test.class_names),
        "class_names": list(test.class_names),
        "train": {**(train.metadata.get("data") or {}), "used": len(train)},
        "test": {**(test.metadata.get("data") or {}), "used": len(test)},
        "skipped": len(sets.skipped),
        "duplicates": len(sets.duplicates),
        "versions": test.metadata.get("versions"),
        "command": list(command),
    }


def score_lines(scores: Mapping[str, Scores]) -> Iterator[str]:
    """Scores for reading, a line each."""
    for shown, values in scores.items():
        for name, score in values.items():
            chance = f", chance {score['chance']:.1%}" if "chance" in score else ""
            ends = f" [{score['low']:.1%}, {score['high']:.1%}]" if math.isfinite(score["low"]) else ""
            yield f"{shown:6} {name:24} {score['value']:6.1%}{ends}{chance}"


def _scores(
    measures: Mapping[str, tuple[NDArray[np.bool_], bool]], test: FeatureSet, chance: Mapping[str, float]
) -> Scores:
    folder = (test.metadata.get("data") or {}).get("path")
    groups = source_groups(Path(folder), test.video_ids) if folder else None
    scores: Scores = {}
    for name, (right, by_class) in measures.items():
        scores[name] = accuracy_score(right, test.labels, groups, by_class=by_class)
        if name in chance:
            scores[name]["chance"] = chance[name]
    return scores
