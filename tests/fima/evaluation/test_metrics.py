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
    average_logits,
    bootstrap_intervals,
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


def test_bootstrap_is_a_loop_over_resamples():
    scores, labels = example(25, 4)
    right = scores.argmax(axis=1) == labels
    found = bootstrap_intervals({"micro": (right, False), "macro": (right, True)}, labels, resamples=300, seed=3)
    rng = np.random.default_rng(3)
    micro, macro = [], []
    for size in (250, 50):
        for weights in rng.multinomial(25, np.full(25, 1 / 25), size=size):
            drawn = np.repeat(np.arange(25), weights)
            micro.append(right[drawn].mean())
            macro.append(np.mean([right[drawn][labels[drawn] == c].mean() for c in np.unique(labels[drawn])]))
    assert found["micro"] == pytest.approx(np.percentile(micro, [2.5, 97.5]))
    assert found["macro"] == pytest.approx(np.percentile(macro, [2.5, 97.5]))


def test_bootstrap_is_near_the_binomials_error():
    right = np.arange(400) % 4 != 0
    low, high = bootstrap_intervals({"x": (right, False)}, np.zeros(400, int))["x"]
    error = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - error, 0.75 + error), abs=0.012)


def test_scores_hold_their_intervals_and_repeat():
    scores, labels = example(80, 3)
    found = scores_of(scores, labels, seed=1)
    assert found == scores_of(scores, labels, seed=1)
    assert found["top5"] == {"value": 1.0, "low": 1.0, "high": 1.0}  # three classes: as many as there are
    for numbers in found.values():
        assert numbers["low"] <= numbers["value"] <= numbers["high"]
