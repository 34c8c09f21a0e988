"""Intervals cover the truth as often as they say, for few units, skewed and bounded scores, and groups."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from fima.errors import InputError
from fima.evaluation.intervals import interval, interval_band

WORLDS = {
    "normal": (lambda rng, shape: rng.normal(0.3, 1, shape), 0.3),
    "exponential": (lambda rng, shape: rng.exponential(1, shape), 1.0),
    "lognormal": (lambda rng, shape: rng.lognormal(0, 0.5, shape), math.exp(0.125)),
    "near one": (lambda rng, shape: rng.beta(5, 1, shape), 5 / 6),
    "near zero": (lambda rng, shape: rng.beta(1, 4, shape), 0.2),
}


@pytest.mark.parametrize("units", [3, 5, 8, 12, 20, 60])
@pytest.mark.parametrize("world", list(WORLDS))
def test_covers_as_often_as_it_says(world, units):
    draw, truth = WORLDS[world]
    table = draw(np.random.default_rng(units), (units, 6000))
    low, high = interval_band(table)
    covered = np.mean((low <= truth) & (truth <= high))
    assert (0.9 if units < 8 else 0.93) - 0.007 <= covered <= (0.98 if units < 8 else 0.97) + 0.007


@pytest.mark.parametrize("groups", [3, 5, 12, 40])
def test_covers_where_videos_of_a_group_are_alike(groups):
    rng = np.random.default_rng(groups)
    covered, naive = [], []
    for _ in range(1500):
        place = np.repeat(np.arange(groups), rng.integers(1, 6, groups))
        values = rng.normal(0, 1, groups)[place] + rng.normal(0, 0.3, len(place))
        low, high, units = interval(values, place)
        assert units == groups
        covered.append(low <= 0 <= high)
        low, high, _ = interval(values)
        naive.append(low <= 0 <= high)
    assert (0.88 if groups < 8 else 0.915) <= np.mean(covered) <= 0.98
    assert np.mean(naive) < np.mean(covered) - 0.03


@pytest.mark.parametrize(("share", "count"), [(0.5, 10), (0.8, 20), (0.95, 60), (0.1, 12)])
def test_right_or_wrong_is_covered_on_average(share, count):
    right = np.arange(count + 1)
    chances = scipy.stats.binom.pmf(right, count, share)
    ends = [interval([1.0] * k + [0.0] * (count - k), limits=(0, 1)) for k in right]
    covered = sum(chance for chance, (low, high, _) in zip(chances, ends, strict=True) if low <= share <= high)
    assert 0.9 <= covered <= 0.99
    assert ends[0].low < 1e-12 < ends[0].high < 1


def test_symmetric_values_by_hand():
    # No skewness: Student's t with 2 degrees of freedom, 4.303 standard errors of 1 / sqrt(3).
    low, high, units = interval([1.0, 2.0, 3.0])
    assert (low, high, units) == (pytest.approx(2 - 4.3026527 / 3**0.5), pytest.approx(2 + 4.3026527 / 3**0.5), 3)


def test_a_long_tail_reaches_further():
    low, high, _ = interval(np.random.default_rng(0).exponential(1, 20))
    mean = np.random.default_rng(0).exponential(1, 20).mean()
    assert high - mean > 1.2 * (mean - low)


def test_one_video_in_each_group_is_as_without_groups():
    values = np.random.default_rng(0).normal(size=15)
    assert interval(values, list("abcdefghijklmno")) == pytest.approx(interval(values))


def test_copies_of_a_video_in_one_group_add_no_certainty():
    values = np.random.default_rng(0).normal(size=8)
    copied = interval(np.repeat(values, 6), np.repeat(np.arange(8), 6))
    assert copied == pytest.approx(interval(values))


@pytest.mark.parametrize(("values", "units"), [([], 0), ([0.5], 1), ([0.2, 0.4], 2), ([0.1, 0.2, math.nan], 2)])
def test_fewer_than_three_units_have_no_interval(values, units):
    low, high, counted = interval(values)
    assert math.isnan(low)
    assert math.isnan(high)
    assert counted == units


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30), scale=st.floats(0.1, 10), order=st.randoms())
def test_moves_with_the_values_and_not_with_their_order(values, scale, order):
    low, high, _ = interval(values)
    assert low <= np.mean(values) + 1e-9
    assert high >= np.mean(values) - 1e-9
    shuffled = order.sample(values, len(values))
    moved = interval(scale * np.array(shuffled) + 7)
    assert moved[:2] == pytest.approx((scale * low + 7, scale * high + 7), rel=1e-6, abs=1e-6 * (1 + abs(low) + high))


def test_is_cut_at_the_ends_of_the_range():
    low, high, _ = interval([0.9, 0.99, 0.7, 1.0], limits=(0, 1))
    assert low > 0
    assert high == 1


def test_a_band_is_an_interval_for_each_column():
    table = np.random.default_rng(0).exponential(size=(12, 3))
    table[:5, 1] = math.nan
    table[2:, 2] = math.nan
    low, high = interval_band(table)
    for column in range(2):
        assert (low[column], high[column]) == pytest.approx(interval(table[:, column])[:2])
    assert np.isnan([low[2], high[2]]).all()


@pytest.mark.parametrize(
    ("values", "kwargs", "message"),
    [
        ([[1.0]], {}, r"values must be 1-D, got \(1, 1\)"),
        ([1.0, 2.0], {"level": 1.0}, r"level must be in \(0, 1\)"),
        ([1.0, 2.0], {"groups": [1]}, "one for each of the 2 values, got 1"),
    ],
)
def test_refuses(values, kwargs, message):
    with pytest.raises(InputError, match=message):
        interval(values, **kwargs)
