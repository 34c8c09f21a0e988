"""Held-out probes: they know what there is to know, and never the video or the recording they are asked about."""

import numpy as np
import pytest

from analysis.measures.common.probing import cut_folds, largest_share, mean_of_known, predict_held_out, smallest_class
from fima.errors import InputError

LABELS = np.arange(60) % 3


def test_features_that_are_the_class_are_told_and_those_that_are_not_are_chance():
    features = np.eye(3)[LABELS]
    noise = np.random.default_rng(0).standard_normal((60, 4))
    found = predict_held_out(features, LABELS, {"same": features, "other": np.eye(3)[(LABELS + 1) % 3]})
    assert (found["same"] == LABELS).all()
    assert (found["other"] == (LABELS + 1) % 3).all()
    assert (predict_held_out(noise, LABELS, {"same": noise})["same"] == LABELS).mean() < 0.55


def test_a_recording_is_never_on_both_sides():
    groups = np.repeat(np.arange(20), 3)
    rng = np.random.default_rng(1)
    labels = rng.permutation(LABELS)
    known = np.eye(20)[groups] * 5  # tells the recording, whose videos have their classes by chance
    by_group = np.repeat(rng.integers(0, 2, 20), 3)
    assert (predict_held_out(known, by_group, {"x": known}, groups=list(groups))["x"] == by_group).mean() < 0.8
    assert (predict_held_out(known, by_group, {"x": known})["x"] == by_group).mean() > 0.95
    for part in cut_folds(labels, groups, 4):
        assert not set(groups[part]) & set(np.delete(groups, part))


def test_the_largest_class_and_means_over_what_is_known():
    assert largest_share([7, 7, 3, 7, 0]) == 0.6
    nothing = np.nan
    found = mean_of_known([np.array([1, nothing, nothing]), np.array([0, 1, nothing])])
    np.testing.assert_array_equal(found, [0.5, 1, nothing])


def test_rows_that_are_not_there_are_not_asked_about():
    features = np.eye(3)[LABELS]
    altered = features.copy()
    altered[5] = np.nan
    found = predict_held_out(features, LABELS, {"x": altered})["x"]
    assert found[5] == -1
    assert (np.delete(found, 5) == np.delete(LABELS, 5)).all()


def test_training_videos_of_their_own():
    train = np.eye(3)[LABELS], LABELS
    tested = np.eye(3)[[0, 2]]
    found = predict_held_out(tested, np.array([0, 0]), {"x": tested}, train=train)
    assert found["x"].tolist() == [0, 2]


def test_classes_that_are_too_small_are_refused():
    assert smallest_class([0, 0, 1, 1, 1], [1, 1, 2, 3, 4]) == 1
    with pytest.raises(InputError, match="at least 3 videos of every class, the smallest has 2"):
        predict_held_out(np.eye(5), np.array([0, 0, 0, 1, 1]), {})
    with pytest.raises(InputError, match="two classes"):
        predict_held_out(np.eye(5), np.zeros(5, np.int64), {})
