"""Measures of attention: even and one-sided attention, worked by hand and in plain loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.attention import attention_rows, attention_spread, received_attention, time_reach
from fima.errors import InputError


def weights(n=2, heads=3, steps=4, height=2, width=3, seed=0):
    """Attention whose maps sum to 1, less a class token's share."""
    drawn = torch.rand(n, heads, steps, steps, height, width, generator=torch.Generator().manual_seed(seed))
    return 0.9 * drawn / drawn.sum(dim=(3, 4, 5), keepdim=True)


def test_even_attention():
    even = torch.full((1, 2, 4, 4, 2, 3), 1 / 24)
    torch.testing.assert_close(received_attention(even), torch.ones(1, 2, 4, 2, 3))
    torch.testing.assert_close(attention_spread(even), torch.ones(1))
    torch.testing.assert_close(time_reach(even), torch.ones(1))


def test_everything_looks_at_one_cell():
    one = torch.zeros(1, 1, 4, 4, 2, 3)
    one[..., 0, 1, 2] = 1
    assert received_attention(one).max() == 24
    assert attention_spread(one) == pytest.approx(1 / 24)
    assert time_reach(one) == pytest.approx((0 + 1 + 2 + 3) / 4 / (20 / 16))


@pytest.mark.parametrize("seed", range(3))
def test_twins_in_plain_loops(seed):
    given = weights(seed=seed)
    n, heads, steps, _, height, width = given.shape
    for i in range(n):
        spread, reach = 0.0, 0.0
        for h in range(heads):
            received = [
                sum(float(given[i, h, s, t, y, x]) for s in range(steps))
                for t in range(steps) for y in range(height) for x in range(width)
            ]  # fmt: skip
            shares = [value / sum(received) for value in received]
            spread += math.exp(-sum(share * math.log(share) for share in shares)) / len(shares) / heads
            paid = [[float(given[i, h, s, t].sum()) for t in range(steps)] for s in range(steps)]
            mean = sum(paid[s][t] * abs(s - t) for s in range(steps) for t in range(steps)) / sum(map(sum, paid))
            even = sum(abs(s - t) for s in range(steps) for t in range(steps)) / steps**2
            reach += mean / even / heads
        assert float(attention_spread(given)[i]) == pytest.approx(spread, rel=1e-5)
        assert float(time_reach(given)[i]) == pytest.approx(reach, rel=1e-5)


@given(
    shape=st.tuples(*[st.integers(1, 3)] * 2, *[st.integers(2, 4)] * 3),
    factor=st.floats(0.01, 100),
    seed=st.integers(0, 99),
)
def test_scale_does_not_matter_and_ranges_hold(shape, factor, seed):
    given = weights(*shape, seed=seed)
    shares, spread = received_attention(given), attention_spread(given)
    torch.testing.assert_close(shares.mean(dim=(2, 3, 4)), torch.ones(shares.shape[:2]))
    assert ((spread > 0) & (spread <= 1 + 1e-5)).all()
    for function in (received_attention, attention_spread, time_reach):
        torch.testing.assert_close(function(given * factor), function(given), rtol=1e-4, atol=1e-5)


def test_reach_is_nearly_the_same_on_a_grid_twice_as_fine():
    """Attention of a width in time, on 8 and on 16 slices of the same clip."""

    def reach(steps):
        at = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
        paid = torch.exp(-(((at[:, None] - at) / 0.2) ** 2))
        return float(time_reach((paid / paid.sum(dim=1, keepdim=True))[None, None, :, :, None, None]))

    assert reach(8) == pytest.approx(reach(16), abs=0.03)


@pytest.mark.parametrize(
    "given", [torch.ones(2, 3), torch.ones(1, 1, 1, 1, 1, 1, dtype=torch.int64)], ids=["2-D", "int"]
)
def test_refused(given):
    with pytest.raises(InputError, match=r"attention must be \(N, heads, S, T', H', W'\)"):
        time_reach(given)


@pytest.mark.parametrize("seed", range(2))
def test_rows_in_plain_loops(seed):
    steps, places = 3, 4
    given = torch.rand(2, steps, places, steps, places, generator=torch.Generator().manual_seed(seed))
    found = attention_rows(given)
    assert found.shape == (2, 1 + steps, places, places)
    torch.testing.assert_close(found.mean(dim=3), torch.ones(2, 1 + steps, places))
    for p in range(places):
        over_time = [
            sum(float(given[0, s, p, t, q]) for s in range(steps) for t in range(steps)) for q in range(places)
        ]
        expected = torch.tensor(over_time) * places / sum(over_time)
        torch.testing.assert_close(found[0, 0, p], expected)
        own = given[0, 1, p, 1]
        torch.testing.assert_close(found[0, 2, p], own / own.mean())


def test_rows_that_look_elsewhere_are_no_numbers_that_are_none():
    given = torch.zeros(1, 2, 2, 2, 2)
    given[0, 0, :, 1, 1] = given[0, 1, :, 1, 1] = 1  # the first slice looks at the second alone
    found = attention_rows(given)
    assert found[0, 0].tolist() == [[0, 2]] * 2
    assert found[0, 1].abs().max() == 0
    with pytest.raises(InputError, match="attention between cells must be"):
        attention_rows(given[0])
