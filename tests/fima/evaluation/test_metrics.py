"""Every measure against scikit-learn or a brute-force twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from fima.errors import InputError
from fima.evaluation.metrics import (
    accuracy_interval,
    average_logits,
    confusion_matrix,
    mean_class_accuracy,
    per_class_accuracy,
    scores_of,
    top_k_correct,
)


def example(videos=60, classes=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(videos, classes)), rng.integers(0, classes, videos)


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_top_k_is_scikit_learns(k):
    scores, labels = example()
    expected = 1.0 if k == 7 else top_k_accuracy_score(labels, scores, k=k, labels=range(7))
    assert top_k_correct(scores, labels, k).mean() == pytest.approx(expected)


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_top_k_with_ties_is_a_stable_sort(seed, k):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 3, (11, 6)).astype(float), rng.integers(0, 6, 11)
    for row, label, right in zip(scores, labels, top_k_correct(scores, labels, k), strict=True):
        assert right == (label in sorted(range(6), key=lambda c: (-row[c], c))[:k])


def test_top_1_agrees_with_argmax_also_in_ties():
    scores = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    labels = np.array([0, 2])
    assert top_k_correct(scores, labels, 1).tolist() == (scores.argmax(1) == labels).tolist() == [True, False]


def test_confusion_and_mean_class_are_scikit_learns():
    scores, labels = example()
    guess = scores.argmax(axis=1)
    assert (confusion_matrix(labels, guess, 7) == sklearn_confusion(labels, guess, labels=range(7))).all()
    assert mean_class_accuracy(guess == labels, labels, 7) == pytest.approx(balanced_accuracy_score(labels, guess))


def test_a_class_without_videos_has_no_accuracy_and_does_not_count():
    correct, labels = np.array([True, False, True]), np.array([0, 0, 2])
    assert per_class_accuracy(correct, labels, 4)[[0, 2]].tolist() == [0.5, 1.0]
    assert np.isnan(per_class_accuracy(correct, labels, 4)[[1, 3]]).all()
    assert mean_class_accuracy(correct, labels, 4) == 0.75


def test_averages_by_hand():
    logits = np.array([[[2.0, 0.0, -1.0], [0.0, 3.0, 0.0]]])
    assert average_logits(logits, "logits") == pytest.approx(np.array([[1.0, 1.5, -0.5]]))
    assert average_logits(logits, "softmax") == pytest.approx(softmax(logits, axis=-1).mean(axis=1))
    assert average_logits(logits, "log_softmax") == pytest.approx(log_softmax(logits, axis=-1).mean(axis=1))
    assert average_logits(logits, "softmax").sum() == pytest.approx(1)


def test_averages_can_disagree():
    """One sure clip outvotes two doubting ones in logits, and not in probabilities."""
    logits = np.array([[9.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    assert average_logits(logits, "logits").argmax() == 0
    assert average_logits(logits, "softmax").argmax() == 1


def test_large_logits_do_not_overflow():
    assert np.isfinite(average_logits(np.array([[1e4, -1e4]]), "log_softmax")).all()


def test_wrong_averages_and_shapes_are_refused():
    with pytest.raises(InputError, match="average must be"):
        average_logits(np.zeros((1, 2)), "median")
    with pytest.raises(InputError, match="K at least 1"):
        average_logits(np.zeros((0, 2)))
    with pytest.raises(InputError, match=r"labels must be in \[0, 2\)"):
        top_k_correct(np.zeros((1, 2)), np.array([2]))


def test_an_accuracy_over_videos_has_wilsons_interval():
    right = np.arange(400) % 4 != 0
    low, high, units = accuracy_interval(right, np.zeros(400, int))
    middle, z = (0.75 + 1.96**2 / 800) / (1 + 1.96**2 / 400), 1.96
    half = z * np.sqrt(0.75 * 0.25 / 400 + z**2 / (4 * 400**2)) / (1 + z**2 / 400)
    assert (low, high, units) == (pytest.approx(middle - half, abs=1e-4), pytest.approx(middle + half, abs=1e-4), 400)


def test_recordings_are_the_units_where_they_are_known():
    right, groups = np.repeat([True, False, True, True], 25), np.repeat(range(4), 25)
    alone, grouped = accuracy_interval(right, np.zeros(100, int)), accuracy_interval(right, np.zeros(100, int), groups)
    assert grouped.units == 4
    assert grouped.low < alone.low < 0.75 < alone.high < grouped.high


def test_the_mean_over_classes_varies_as_draws_within_classes_do():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [80, 20, 40])
    chances, means, covered = np.array([0.9, 0.5, 0.7]), [], 0
    for _ in range(400):
        right = rng.random(len(labels)) < chances[labels]
        low, high, _ = accuracy_interval(right, labels, by_class=True)
        means.append(mean_class_accuracy(right, labels, 3))
        assert low <= means[-1] <= high
        covered += low <= chances.mean() <= high
    assert 0.91 <= covered / 400 <= 0.98


def test_scores_hold_their_intervals_and_repeat():
    scores, labels = example(80, 3)
    found = scores_of(scores, labels)
    assert found["top5"] == {
        "value": 1.0,
        "low": pytest.approx(0.954, abs=1e-3),
        "high": 1.0,
        "units": 80,
    }  # three classes: as many as there are
    for numbers in found.values():
        assert numbers["low"] <= numbers["value"] <= numbers["high"]
