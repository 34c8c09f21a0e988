"""The temporal battery of a study of altered clips: what probes on their features know of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.inputs.sessions import Session
from analysis.inputs.video.videos import VideoSource
from analysis.measures.common.order import arrow_of_time, held_out_accuracy, order_scores, parse_pairs
from analysis.measures.common.probing import largest_share, mean_of_known
from analysis.studies.common.collecting import groups_of
from fima.data.sampling import clip_indices, uniform_clip_starts
from fima.data.shapes import ShapesRecord

__all__ = ["DRAWN_PAIRS", "battery_levels", "battery_scores"]

Floats = NDArray[np.floating[Any]]

DRAWN_PAIRS = ("clockwise:counter-clockwise",)
"""Of drawn videos, where none are asked for; and approach against recede, from those that loom."""
_LEAST_GROWTH = 0.1  # logarithm of the sizes' ratio over a clip, below which it neither comes nor goes
_FEWEST = 6  # videos of a class, where a pair was not asked for


def battery_scores(
    session: Session, videos: Sequence[VideoSource], features: Mapping[str, Floats]
) -> dict[str, NDArray[np.float64]]:
    """Scores of every video.

    Args:
        session: Gives the pairs that were asked for, and how clips are cut.
        videos: V, all of them labeled.
        features: ``ordered``, ``shuffled``, ``reversed``, ``frozen``: ``(V, C)``.

    Returns:
        Each ``(V,)``: those of `order_scores`; ``arrow_of_time``; ``chirality_<pair>`` of the
        videos of each pair, NaN elsewhere; ``chirality``, their mean over pairs.

    Raises:
        InputError: For classes that are too small, or pairs that are not of the data set.
    """
    labels, groups = np.array([video.label for video in videos], np.int64), groups_of(videos)
    scores = order_scores(features, labels, groups=groups)
    scores["arrow_of_time"] = arrow_of_time(features["ordered"], features["reversed"], groups=groups)
    chiral = {}
    for name, pair in _pairs(session, videos, labels).items():
        chiral[name] = np.full(len(videos), np.nan)
        own = np.isin(labels, pair)
        some = None if groups is None else np.asarray(groups)[own]
        chiral[name][own] = held_out_accuracy(features["ordered"][own], labels[own], some)
    approach = _approach(session, videos, features)
    chiral |= {} if approach is None else {"chirality_approach_vs_recede": approach}
    if chiral:
        scores["chirality"] = mean_of_known(list(chiral.values()))
    return scores | chiral


def battery_levels(scores: Mapping[str, Any], labels: Sequence[int]) -> dict[str, float]:
    """Chance levels of the battery's scores: the largest class, or a half."""
    largest = largest_share(labels)
    gains = dict.fromkeys((name for name in scores if name.endswith("_gain")), 0.0)
    halves = dict.fromkeys((n for n in scores if n.startswith("chirality") or n == "arrow_of_time"), 0.5)
    return {name: largest for name in scores if name.startswith("probe_")} | gains | halves


def _pairs(session: Session, videos: Sequence[VideoSource], labels: NDArray[np.int64]) -> dict[str, tuple[int, int]]:
    names = {v.label: v.record.class_name if v.record and v.record.class_name else str(v.label) for v in videos}
    by_label = [names.get(label, "") for label in range(int(labels.max()) + 1)]
    if session.settings.pairs:
        return parse_pairs(session.settings.pairs, by_label)
    if not all(isinstance(video.record, ShapesRecord) for video in videos):
        return {}
    known = [pair for pair in DRAWN_PAIRS if all(name in by_label for name in pair.split(":"))]
    found = parse_pairs(known, by_label)
    return {name: pair for name, pair in found.items() if min((labels == label).sum() for label in pair) >= _FEWEST}


def _approach(
    session: Session, videos: Sequence[VideoSource], features: Mapping[str, Floats]
) -> NDArray[np.float64] | None:
    """Whether a probe tells drawn clips that come nearer from those that go away, each shown in both directions."""
    if session.settings.pairs or session.settings.clips != 1 or session.settings.start_seconds is not None:
        return None
    growth = np.array([_growth(session, video) for video in videos])
    own = np.flatnonzero(np.abs(growth) >= _LEAST_GROWTH)
    if len(own) < _FEWEST:
        return None
    coming = (growth[own] > 0).astype(np.int64)
    both = np.concatenate([features["ordered"][own], features["reversed"][own]])
    right = held_out_accuracy(both, np.concatenate([coming, 1 - coming]), np.tile(own, 2))
    scores = np.full(len(videos), np.nan)
    scores[own] = right.reshape(2, -1).mean(axis=0)
    return scores


def _growth(session: Session, video: VideoSource) -> float:
    """How much the object of a drawn video grows over its clip, as a logarithm; 0 of other classes and videos."""
    record, spec = video.record, session.spec
    if not isinstance(record, ShapesRecord) or record.class_name != "looming":
        return 0.0
    drawn = record.draw()
    shape = {"num_frames": spec.num_frames, "frame_stride": spec.frame_stride}
    indices = clip_indices(len(drawn), uniform_clip_starts(len(drawn), 1, **shape)[0], **shape)
    size = drawn.layers[-1].path[indices, 3]
    return float(np.log(size[-1] / size[0]))
