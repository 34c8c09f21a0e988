"""Units of motion and appearance: channels whose kind is known, sums by hand, intervals that cover."""

import numpy as np
import pytest

from analysis.measures.units import channel_correlation, share_ends, unit_shares
from fima.errors import InputError

RNG = np.random.default_rng(0)
MOTION, LOOK, NOISE = (RNG.standard_normal((200, 1)) for _ in range(3))
OTHER, NOISES = RNG.standard_normal((200, 1)), RNG.standard_normal((2, 200, 1))


def test_each_kind_of_channel_is_told():
    features = np.concatenate([MOTION, LOOK, MOTION + LOOK, NOISE], axis=1)
    same_motion = np.concatenate([MOTION, OTHER, MOTION * 1.5 + OTHER * 0.5, NOISES[0]], axis=1)
    same_look = np.concatenate([OTHER, LOOK, LOOK * 1.5 + OTHER * 0.5, NOISES[1]], axis=1)
    found = unit_shares(features, same_motion, same_look)
    assert [found[name] for name in ("motion_only", "appearance_only", "both", "neither")] == [0.25] * 4
    assert found["softmax_motion"] == pytest.approx(found["softmax_appearance"], abs=0.02)


def test_extremes_of_the_published_estimate():
    same, other = unit_shares(MOTION, MOTION, LOOK), unit_shares(MOTION, -MOTION, -MOTION)
    ends = np.exp([1.0, 0.0, -1.0])
    assert same["softmax_motion"] == pytest.approx(ends[0] / (2 * ends[0] + ends[1]), abs=0.03)
    assert other["softmax_motion"] == pytest.approx(ends[2] / (ends[0] + 2 * ends[2]), abs=0.01)


def test_the_correlation_is_that_of_both_halves_together():
    first, second = np.array([[1.0], [2.0], [4.0]]), np.array([[2.0], [2.0], [7.0]])
    both = np.concatenate([first, second])
    by_hand = np.mean((first - both.mean()) * (second - both.mean())) / both.var()
    assert channel_correlation(first, second)[0] == pytest.approx(by_hand)
    assert channel_correlation(first, first)[0] == pytest.approx(1)
    assert channel_correlation(np.ones((3, 1)), np.ones((3, 1)))[0] == 0
    with pytest.raises(InputError, match="one shape"):
        channel_correlation(first, second[:2])


def test_intervals_cover_the_mean_and_draw_whole_recordings():
    covered, rng = [], np.random.default_rng(1)
    for trial in range(60):
        values = rng.random(40)
        low, high = share_ends(40, lambda places, v=values: {"x": v[places].mean()}, seed=trial)["x"]
        covered.append(low <= 0.5 <= high)
    assert np.mean(covered) > 0.85
    values = np.repeat([0.0, 0.5, 1.0, 0.2], 25)
    ends = [share_ends(100, lambda p: {"x": values[p].mean()}, groups)["x"] for groups in (None, list(values))]
    assert ends[1][1] - ends[1][0] > 2 * (ends[0][1] - ends[0][0])
    assert np.isnan(share_ends(4, lambda p: {"x": 1.0}, [0, 0, 1, 1])["x"]).all()
