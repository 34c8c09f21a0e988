import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.errors import InputError
from fima.tasks.detect.frame_map import LabeledBoxes, average_precision, box_iou, frame_map, keep_best

UNIT = [0.0, 0.0, 0.4, 0.4]


def boxes(*rows):
    """Rows of (keyframe, box, label[, score])."""
    rows = [(*row, 1.0)[:4] for row in rows]
    return LabeledBoxes(*(np.array([row[i] for row in rows]) for i in range(4)))


def shifted(by):
    return [by, 0.0, 0.4 + by, 0.4]


def test_iou_by_hand():
    a, b = np.array(UNIT), np.array(shifted(0.2))
    assert box_iou(a, b) == pytest.approx(0.08 / 0.24)
    assert box_iou(a, a) == 1
    assert box_iou(a, np.array([0.4, 0.0, 0.8, 0.4])) == 0
    assert box_iou(np.zeros(4), np.zeros(4)) == 0


@pytest.mark.parametrize(
    ("right", "positives", "expected"),
    [
        ([1], 1, 1.0),
        ([0, 1], 1, 0.5),
        ([1, 0, 1], 2, (1 + 2 / 3) / 2),
        ([0, 1, 1], 2, (2 / 3 + 2 / 3) / 2),  # the envelope: precision 1/2 at the first hit is raised to 2/3
        ([1], 4, 0.25),
        ([0, 0], 3, 0.0),
        ([], 2, 0.0),
    ],
)
def test_average_precision_by_hand(right, positives, expected):
    assert average_precision(np.array(right, bool), positives) == pytest.approx(expected)


def test_without_truth_a_class_is_left_out_of_the_mean():
    truth = boxes((0, UNIT, 1))
    found = boxes((0, UNIT, 1, 0.5), (0, UNIT, 2, 0.9))
    result = frame_map(truth, found, [1, 2])
    assert result.per_class[1] == 1
    assert math.isnan(result.per_class[2])
    assert result.mean == 1
    assert math.isnan(frame_map(truth, found, [2]).mean)


def test_a_class_that_is_not_evaluated_does_not_count():
    truth = boxes((0, UNIT, 1), (0, UNIT, 7))
    assert frame_map(truth, boxes((0, UNIT, 1, 0.5)), [1]).mean == 1


def test_one_true_box_is_found_once_and_by_the_highest_score():
    truth = boxes((0, UNIT, 1))
    better_later = boxes((0, shifted(0.1), 1, 0.9), (0, UNIT, 1, 0.8))
    result = frame_map(truth, better_later, [1])
    assert result.per_class[1] == 1  # the first found it, the second is a false positive after full recall
    truth2 = boxes((0, UNIT, 1), (1, UNIT, 1))
    with_double = boxes((0, UNIT, 1, 0.9), (0, UNIT, 1, 0.8), (1, UNIT, 1, 0.7))
    assert frame_map(truth2, with_double, [1]).per_class[1] == pytest.approx((1 + 2 / 3) / 2)


def test_a_detection_is_held_against_the_box_it_overlaps_most_alone():
    near, far = [0.0, 0.0, 0.4, 0.4], [0.05, 0.0, 0.45, 0.4]
    truth = boxes((0, near, 1), (0, far, 1))
    # Both overlap both by more than a half, and both overlap `near` most: the second is wrong, as in AVA's code.
    found = boxes((0, near, 1, 0.9), (0, [0.01, 0.0, 0.41, 0.4], 1, 0.8))
    assert frame_map(truth, found, [1]).per_class[1] == pytest.approx(0.5)


def test_half_overlap_counts_and_less_does_not():
    truth = boxes((0, [0, 0, 0.5, 1], 1))
    assert frame_map(truth, boxes((0, [0, 0, 1, 1], 1, 0.9)), [1]).mean == 1
    assert frame_map(truth, boxes((0, [0, 0, 1, 1], 1, 0.9)), [1], min_iou=0.51).mean == 0


def test_other_keyframes_and_boxes_without_area():
    truth = boxes((0, UNIT, 1))
    assert frame_map(truth, boxes((1, UNIT, 1, 0.9)), [1]).mean == 0
    assert frame_map(truth, boxes((1, UNIT, 1, 0.9), (0, UNIT, 1, 0.1)), [1]).mean == 0.5
    assert frame_map(truth, boxes((0, [0.1, 0.1, 0.1, 0.2], 1, 0.9), (0, UNIT, 1, 0.1)), [1]).mean == 1


def test_nothing_detected_and_nothing_there():
    nothing = LabeledBoxes(*(np.array([]) for _ in range(4)))
    assert frame_map(boxes((0, UNIT, 1)), nothing, [1]).mean == 0
    assert math.isnan(frame_map(nothing, nothing, [1]).mean)


def test_the_best_of_a_keyframe_stay():
    found = boxes((0, UNIT, 1, 0.1), (0, UNIT, 2, 0.9), (1, UNIT, 1, 0.2), (0, UNIT, 3, 0.5))
    kept = keep_best(found, 2)
    assert sorted(zip(kept.keyframe.tolist(), kept.label.tolist(), strict=True)) == [(0, 2), (0, 3), (1, 1)]


@pytest.mark.parametrize(
    "bad",
    [
        lambda: frame_map(boxes((0, UNIT, 1)), boxes((0, UNIT, 1)), [1], min_iou=0),
        lambda: LabeledBoxes(np.zeros(2), np.zeros((1, 4)), np.zeros(2), np.zeros(2)),
        lambda: boxes((0, UNIT, 1, float("nan"))),
        lambda: keep_best(boxes((0, UNIT, 1)), 0),
    ],
)
def test_bad_input_is_refused(bad):
    with pytest.raises(InputError):
        bad()


def brute_force(truth, found, label, min_iou):
    """AVA's evaluation as it is told in words, one detection at a time."""

    def iou(a, b):
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        shared = max(width, 0) * max(height, 0)
        union = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - shared
        return shared / union if union > 0 else 0

    wanted = [i for i in range(len(truth)) if truth.label[i] == label]
    judged = [i for i in range(len(found)) if found.label[i] == label]
    judged = sorted(judged, key=lambda i: -found.score[i])
    taken, hits, curve = set(), 0, []
    for count, i in enumerate(judged, 1):
        beside = [j for j in wanted if truth.keyframe[j] == found.keyframe[i]]
        if beside:
            best = max(beside, key=lambda j: iou(found.box[i], truth.box[j]))
            if iou(found.box[i], truth.box[best]) >= min_iou and best not in taken:
                taken.add(best)
                hits += 1
        curve.append((hits / len(wanted) if wanted else 0, hits / count))
    if not wanted:
        return float("nan")
    area, before = 0.0, 0.0
    for recall, _ in curve:
        area += (recall - before) * max(p for r, p in curve if r >= recall)
        before = recall
    return area


def random_boxes(rng, count, *, scores):
    corner, size = rng.uniform(0, 0.5, (count, 2)), rng.uniform(0.2, 0.5, (count, 2))
    return LabeledBoxes(
        rng.integers(0, 4, count), np.hstack([corner, corner + size]), rng.integers(1, 4, count), scores
    )


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(0, 12))
    truth = random_boxes(rng, count, scores=np.ones(count))
    count = draw(st.integers(0, 25))
    found = random_boxes(rng, count, scores=rng.permutation(np.linspace(0, 1, count)))
    for i in range(min(len(found), len(truth))):  # half of them lie near a true box
        if rng.random() < 0.5:
            found.box[i] = truth.box[i] + rng.normal(0, 0.03, 4)
            found.keyframe[i], found.label[i] = truth.keyframe[i], truth.label[i]
    return truth, found, rng


@settings(max_examples=150, deadline=None)
@given(cases(), st.sampled_from([0.3, 0.5, 0.75]))
def test_as_the_brute_force_twin(case, min_iou):
    truth, found, _ = case
    result = frame_map(truth, found, [1, 2, 3], min_iou=min_iou)
    for label in (1, 2, 3):
        assert result.per_class[label] == pytest.approx(brute_force(truth, found, label, min_iou), nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_order_of_rows_does_not_matter_even_with_equal_scores(case):
    truth, found, rng = case
    found.score[:] = np.round(found.score * 3) / 3
    mixed = frame_map(truth.take(rng.permutation(len(truth))), found.take(rng.permutation(len(found))), [1, 2, 3])
    assert mixed.per_class == pytest.approx(frame_map(truth, found, [1, 2, 3]).per_class, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_the_truth_itself_is_perfect(case):
    truth, _, rng = case
    # True boxes of one class that are equal are found once, so they are made different.
    truth.box[:, 2:] += np.linspace(0, 0.2, len(truth))[:, None]
    found = LabeledBoxes(truth.keyframe, truth.box, truth.label, rng.random(len(truth)))
    result = frame_map(truth, found, [1, 2, 3])
    assert all(math.isnan(value) or value == 1 for value in result.per_class.values())


@settings(max_examples=60, deadline=None)
@given(cases())
def test_a_detection_made_twice_never_helps_and_is_counted(case):
    truth, found, _ = case
    twice = LabeledBoxes(*(np.concatenate([c, c]) for c in (found.keyframe, found.box, found.label, found.score)))
    once, both = (frame_map(truth, f, [1, 2, 3]) for f in (found, twice))
    for label in (1, 2, 3):
        assert both.detections[label] == 2 * once.detections[label]
        if not math.isnan(once.per_class[label]):
            assert both.per_class[label] <= once.per_class[label] + 1e-12
