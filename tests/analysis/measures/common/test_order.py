"""The temporal battery: features whose answers are known, ratios by hand, pairs as they are typed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.measures.common.order import arrow_of_time, held_out_accuracy, order_scores, parse_pairs
from analysis.measures.common.statistics import relative_gain
from fima.errors import InputError

LABELS = np.arange(40) % 4
RNG = np.random.default_rng(0)
KNOWS = np.eye(4)[LABELS]


def noise():
    return RNG.standard_normal((40, 4))


def test_each_order_has_a_probe_of_its_own():
    features = {"ordered": KNOWS, "shuffled": KNOWS[:, ::-1], "reversed": noise(), "frozen": noise() * 0}
    found = order_scores(features, LABELS)
    assert found["probe_ordered"].mean() == found["probe_shuffled"].mean() == 1  # not the same features: another probe
    assert found["probe_reversed"].mean() < 0.6
    assert found["probe_frozen"].mean() <= 0.3
    assert found["order_gain"].mean() == pytest.approx(0)
    assert found["frames_gain"].mean() == pytest.approx(1 / found["probe_frozen"].mean() - 1)


def test_the_arrow_of_time_is_told_where_features_change_sign_and_not_where_they_are_the_same():
    forward = np.abs(noise()) + 0.1
    assert arrow_of_time(forward, -forward).mean() == 1
    assert arrow_of_time(forward, forward).mean() == 0.5
    assert abs(arrow_of_time(noise(), noise()).mean() - 0.5) < 0.2


def test_pairs_and_their_probe():
    pairs = parse_pairs(["Opening box:Closing box"], ["Closing box", "walk", "Opening box"])
    assert pairs == {"chirality_opening_box_vs_closing_box": (2, 0)}
    for text in ("walk", "walk:walk", "walk:run", "a:b:c"):
        with pytest.raises(InputError, match=r"--pairs .*expected CLASS:CLASS"):
            parse_pairs([text], ["walk", "Opening box"])
    assert held_out_accuracy(KNOWS[:20], LABELS[:20]).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30))
def test_the_mean_of_a_gain_is_the_ratio_of_the_means(pairs):
    first, second = np.array(pairs, float).T
    found = relative_gain(first, second)
    if second.any():
        assert found.mean() == pytest.approx(first.mean() / second.mean() - 1)
    else:
        assert np.isnan(found).all()
