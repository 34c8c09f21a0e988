"""AVA's metric: mean average precision over classes, of boxes at keyframes that overlap the truth by a half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError

__all__ = ["FrameMap", "LabeledBoxes", "average_precision", "box_iou", "frame_map", "keep_best"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class LabeledBoxes:
    """Boxes of one class each, at keyframes; a person who does two things is here twice.

    Attributes:
        keyframe: ``(D,)`` int64, any numbering that truth and detections share.
        box: ``(D, 4)``: x1, y1, x2, y2 in any unit that they share.
        label: ``(D,)`` int64, ids of classes.
        score: ``(D,)``; of the truth not used.

    Raises:
        InputError: if the shapes do not fit or a score is not a number.
    """

    keyframe: _Ints
    box: _Floats
    label: _Ints
    score: _Floats

    def __post_init__(self) -> None:
        for name, kind in (("keyframe", np.int64), ("box", np.float64), ("label", np.int64), ("score", np.float64)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        count = len(self.keyframe)
        object.__setattr__(self, "box", self.box.reshape(-1, 4) if self.box.size == 0 else self.box)
        shapes = [value.shape for value in (self.keyframe, self.box, self.label, self.score)]
        if shapes != [(count,), (count, 4), (count,), (count,)]:
            raise InputError(f"labeled boxes must be (D,), (D, 4), (D,) and (D,), got {', '.join(map(str, shapes))}")
        if np.isnan(self.score).any():
            raise InputError("scores of detections must be numbers, got NaN")

    def __len__(self) -> int:
        return len(self.keyframe)

    def take(self, which: _Bools | _Ints) -> LabeledBoxes:
        """Some of them."""
        return LabeledBoxes(self.keyframe[which], self.box[which], self.label[which], self.score[which])


@dataclass(frozen=True)
class FrameMap:
    """What detections are worth.

    Attributes:
        per_class: class id → average precision in [0, 1]; NaN for a class without truth.
        truth: class id → boxes to be found.
        detections: class id → boxes that were judged.
    """

    per_class: dict[int, float]
    truth: dict[int, int]
    detections: dict[int, int]

    @property
    def mean(self) -> float:
        """Over the classes that have truth; NaN if none has."""
        values = [value for value in self.per_class.values() if not np.isnan(value)]
        return float(np.mean(values)) if values else float("nan")


def frame_map(
    truth: LabeledBoxes, detections: LabeledBoxes, classes: Sequence[int], *, min_iou: float = 0.5
) -> FrameMap:
    """Average precision of every class, and with it their mean.

    By falling score, a detection is right if the true box of its class at its keyframe that it overlaps most overlaps
    it by at least ``min_iou`` and has not been found before; all other detections are wrong, those at keyframes
    without truth too. A detection without area is not judged. Of equal scores, the order is one of keyframes and
    coordinates, so the result does not depend on the order of rows (in the official code it does).

    Args:
        truth: what there is.
        detections: what was found.
        classes: ids of the evaluated classes; truth and detections of others are left out.
        min_iou: least intersection over union, in (0, 1].

    Raises:
        InputError: if ``min_iou`` is out of its range.

    Source: AVA's evaluation (activitynet/ActivityNet ``Evaluation/ava``, `PascalDetectionEvaluator`, IoU 0.5).
    """
    if not 0 < min_iou <= 1:
        raise InputError(f"min_iou must be in (0, 1], got {min_iou}")
    size = detections.box[:, 2:] - detections.box[:, :2]
    judged = detections.take(np.asarray(size.min(axis=1) > 0, bool) if len(size) else np.zeros(0, bool))
    found: dict[int, float] = {}
    counts: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for label in map(int, classes):
        ours, theirs = _sorted(judged, label), _sorted(truth, label)
        counts[0][label], counts[1][label] = len(theirs), len(ours)
        right = _right(ours, theirs, min_iou)
        found[label] = average_precision(right, len(theirs))
    return FrameMap(found, *counts)


def average_precision(right: _Bools, positives: int) -> float:
    """Area under the precision envelope.

    Args:
        right: ``(D,)``: whether each detection is right, by falling score.
        positives: how many there are to be found.

    Returns:
        ``Σ (rᵢ − rᵢ₋₁) · max_{j ≥ i} pⱼ`` over recalls rᵢ and precisions pᵢ after each detection; NaN without
        positives.

    Source: PASCAL VOC from 2010 on, at every recall.
    """
    if positives == 0:
        return float("nan")
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * right).sum() / positives)


def box_iou(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> _Floats:
    """Intersection over union of pairs of boxes ``(…, 4)``; 0 where the union has no area."""
    corner = np.maximum(a[..., :2], b[..., :2])
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - corner, 0, None)
    shared = sides.prod(axis=-1)
    union = _area(a) + _area(b) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float64)


def keep_best(detections: LabeledBoxes, count: int) -> LabeledBoxes:
    """The detections with the highest scores at each keyframe, over all classes together.

    Args:
        detections: any.
        count: that stay of a keyframe, at least 1.

    Source: the challenge's script keeps 50 (``get_ava_performance.py``, ``capacity``); PySlowFast's keeps all.
    """
    if count < 1:
        raise InputError(f"count must be at least 1, got {count}")
    order = np.lexsort((detections.label, *detections.box.T, -detections.score, detections.keyframe))
    keyframes = detections.keyframe[order]
    rank = np.arange(len(order)) - np.searchsorted(keyframes, keyframes)
    return detections.take(order[rank < count])


def _sorted(boxes: LabeledBoxes, label: int) -> LabeledBoxes:
    """Those of a class, by falling score, then by what they are."""
    own = np.flatnonzero(boxes.label == label)
    return boxes.take(own[np.lexsort((*boxes.box[own].T, boxes.keyframe[own], -boxes.score[own]))])


def _right(detections: LabeledBoxes, truth: LabeledBoxes, min_iou: float) -> _Bools:
    """Whether each detection, of one class and in the order given, finds a true box first."""
    truth = truth.take(np.lexsort((*truth.box.T, truth.keyframe)))
    first = np.searchsorted(truth.keyframe, detections.keyframe, "left")
    count = np.searchsorted(truth.keyframe, detections.keyframe, "right") - first
    # Every detection beside every true box of its keyframe, as two long columns.
    who = np.repeat(np.arange(len(detections)), count)
    which = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    overlap = box_iou(detections.box[who], truth.box[which])
    best_first = np.lexsort((which, -overlap, who))
    who, which, overlap = who[best_first], which[best_first], overlap[best_first]
    best = np.r_[True, who[1:] != who[:-1]] if len(who) else np.zeros(0, bool)
    hit = best & (overlap >= min_iou)
    _, finders = np.unique(which[hit], return_index=True)  # the first, which has the highest score
    right = np.zeros(len(detections), bool)
    right[who[hit][finders]] = True
    return right


def _area(box: NDArray[np.floating[Any]]) -> _Floats:
    sides = np.clip(box[..., 2:] - box[..., :2], 0, None)
    return np.asarray(sides.prod(axis=-1), np.float64)
