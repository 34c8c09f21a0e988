"""What the gallery says, as arrays and numbers: neighbors in, scores and lists out. Nothing is read or drawn here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.evaluation.metrics import accuracy_score
from fima.evaluation.neighbor_report import Neighbors, recall_scores
from fima.evaluation.neighbors import chance_recall, hits

__all__ = ["PER_INPUT", "Backgrounds", "bias_scores", "listed_queries", "same_nearest", "shared_background"]

Score = dict[str, float]

PER_INPUT = {"rgb": 5, "static": 3, "motion": 3}
"""Neighbors that the page shows of each input. RGB's are also seen alone; side by side there is room for three."""


@dataclass(frozen=True)
class Backgrounds:
    """Ids of backgrounds, where they are known.

    Attributes:
        test: ``(Q,)`` int64, of the queries.
        train: ``(G,)`` int64, of the gallery.
        names: by id.
    """

    test: NDArray[np.int64]
    train: NDArray[np.int64]
    names: tuple[str, ...]


def same_nearest(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
    """``(Q,)``: whether two searches found the same nearest video.

    Args:
        first: ``(Q, count)`` places in the gallery, the nearest first.
        second: likewise, of the same queries and gallery.
    """
    return np.asarray(first[:, 0] == second[:, 0])


def shared_background(order: NDArray[np.int64], known: Backgrounds) -> NDArray[np.bool_]:
    """``(Q,)``: whether the nearest video has the query's background."""
    return np.asarray(hits(order[:, :1], known.test, known.train)[:, 0])


def bias_scores(
    found: Mapping[str, Neighbors], ranks: Sequence[int], known: Backgrounds | None
) -> dict[str, dict[str, Score]]:
    """How the three inputs compare, all with the same backbone, queries and gallery.

    Args:
        found: input → its neighbors; "rgb" among them.
        ranks: of the recall.
        known: backgrounds; None where they are not known.

    Returns:
        Input → measure → value, low and high (95 %), and chance. Measures: ``recall@k``; ``same_nearest``, the share of
        queries whose nearest video is the one that RGB features find (chance: one of the gallery); and, where
        backgrounds are known, ``same_background``, the share whose nearest video has the query's background (chance:
        a video drawn from the gallery).

    Source: ours; that static frames find the same videos is how appearance-driven features show.
    """
    scores = {}
    for shown, one in found.items():
        scores[shown] = recall_scores(one, ranks)[0]
        if shown != "rgb":
            agree = same_nearest(found["rgb"].order, one.order)
            scores[shown]["same_nearest"] = _share(agree, 1 / len(one.train))
        if known is not None:
            chance = chance_recall(known.test, known.train, 1)
            scores[shown]["same_background"] = _share(shared_background(one.order, known), chance)
    return scores


def listed_queries(found: Mapping[str, Neighbors], queries: Sequence[int]) -> list[dict[str, Any]]:
    """What the page shows of some queries.

    Args:
        found: input → its neighbors; "rgb" among them.
        queries: places among the test videos.

    Returns:
        For each its ``place``; ``first``: the rank of the first RGB neighbor of its class, None if none of those that
        were looked for is; and ``near``: input → ``[place in the gallery, cosine distance in [0, 2], hit]`` of the
        nearest, as many as `PER_INPUT` says.
    """
    hit = {shown: one.hits for shown, one in found.items()}
    listed = []
    for place in queries:
        ranks = np.flatnonzero(hit["rgb"][place])
        near = {
            shown: [
                [int(one.order[place, rank]), float(1 - one.similarity[place, rank]), bool(hit[shown][place, rank])]
                for rank in range(min(PER_INPUT[shown], one.order.shape[1]))
            ]
            for shown, one in found.items()
        }
        listed.append({"place": int(place), "first": int(ranks[0]) + 1 if len(ranks) else None, "near": near})
    return listed


def _share(right: NDArray[np.bool_], chance: float) -> Score:
    return accuracy_score(right, np.zeros(len(right), np.int64)) | {"chance": chance}
