"""Motion variables of paths worked by hand, and ridge probes whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.measures.probe import circular_error, motion_variables, predict_ridge, probe_scores
from fima.errors import InputError


def path(x=0.5, y=0.5, angle=0.0, scale=1.0):
    return np.stack([np.broadcast_to(np.asarray(v, float), (5,)) for v in (x, y, angle, scale)], axis=1)


def test_a_straight_way():
    found = motion_variables(path(y=0.2 + 0.01 * np.arange(5)), stride=2, side=100)
    assert found["direction"] == pytest.approx(90)  # down
    assert found["speed"] == pytest.approx(0.5)  # a pixel in two frames
    assert found["acceleration"] == pytest.approx(0)
    assert found["scale_change"] == found["rotation"] == 0


def test_faster_larger_turning():
    found = motion_variables(path(x=np.cumsum([0, 0.01, 0.01, 0.03, 0.03]), angle=np.radians([0, 5, 10, 15, 20]),
                                  scale=np.geomspace(1, 2, 5)), stride=1, side=100)  # fmt: skip
    assert found["direction"] == pytest.approx(0)
    assert found["speed"] == pytest.approx(2)
    assert found["acceleration"] == pytest.approx(1)  # from 1 to 3 pixels a frame in two frames
    assert found["scale_change"] == pytest.approx(np.log(2))
    assert found["rotation"] == pytest.approx(5)


def test_what_comes_back_or_rests_has_no_direction():
    for x in (0.5, np.array([0.5, 0.55, 0.6, 0.55, 0.5])):
        assert np.isnan(motion_variables(path(x=x), stride=1, side=100)["direction"])
    with pytest.raises(InputError, match=r"\(T, 4\)"):
        motion_variables(np.zeros((2, 4)), stride=1, side=8)


@settings(max_examples=30, deadline=None)
@given(st.floats(-180, 180), st.floats(-180, 180))
def test_the_circular_error_is_the_angle_between(first, second):
    a, b = np.radians(first), np.radians(second)
    between = np.degrees(np.arccos(np.clip(np.cos(a - b), -1, 1)))
    assert circular_error(np.array([first]), np.array([second]))[0] == pytest.approx(between, abs=1e-4)


RNG = np.random.default_rng(0)
TRUTH = {
    "direction": RNG.uniform(-180, 180, 200), "speed": RNG.uniform(0, 2, 200), "acceleration": RNG.normal(size=200),
    "scale_change": RNG.normal(size=200), "rotation": np.zeros(200),
}  # fmt: skip


def test_features_that_hold_the_motion_give_it_and_noise_gives_chance():
    angle = np.radians(TRUTH["direction"])
    exact = np.stack([np.sin(angle), np.cos(angle), TRUTH["speed"], TRUTH["acceleration"], TRUTH["scale_change"]], 1)
    found, predicted = probe_scores(exact @ np.linalg.qr(RNG.standard_normal((5, 5)))[0], TRUTH, np.arange(200))
    assert np.mean(found["direction_error"]) < 2
    assert circular_error(predicted, TRUTH["direction"]).max() < 20
    assert all(found[f"{name}_r2"].mean() > 0.98 for name in ("speed", "acceleration", "scale_change"))
    assert np.isnan(found["rotation_r2"]).all()  # nothing turns: there is nothing to read
    found, _ = probe_scores(RNG.standard_normal((200, 5)), TRUTH, np.arange(200))
    assert np.mean(found["direction_error"]) == pytest.approx(90, abs=12)
    assert found["speed_r2"].mean() < 0.05


def test_the_mean_of_the_shares_is_scikit_learns_r2():
    from sklearn.metrics import r2_score

    features, groups = TRUTH["speed"][:, None] + RNG.normal(size=(200, 1)), np.arange(200) // 4
    said = predict_ridge(features, TRUTH["speed"][:, None], groups)[:, 0]
    found, _ = probe_scores(features, TRUTH, groups)
    assert found["speed_r2"].mean() == pytest.approx(r2_score(TRUTH["speed"], said), abs=0.01)


def test_a_group_is_held_out_whole():
    groups = np.repeat(np.arange(10), 20)
    target = np.repeat(RNG.normal(size=10), 20)[:, None]
    known = np.eye(10)[groups]  # tells the group, and nothing of others
    assert np.corrcoef(predict_ridge(known, target, np.arange(200))[:, 0], target[:, 0])[0, 1] > 0.99
    assert np.corrcoef(predict_ridge(known, target, groups)[:, 0], target[:, 0])[0, 1] < 0.5
    with pytest.raises(InputError, match="two groups"):
        predict_ridge(known, target, np.zeros(200))
    with pytest.raises(InputError, match="finite"):
        predict_ridge(known * np.nan, target, groups)
