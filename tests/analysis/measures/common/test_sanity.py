"""The sanity check of attribution: rank correlation, and which positions count."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from analysis.measures.common.sanity import can_differ, rank_correlation

SHAPE = (3, 4, 6, 6)


def _rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 1000))
def test_rank_correlation_is_spearmans_of_absolute_maps(seed):
    draw = torch.Generator().manual_seed(seed)
    first, second = torch.randint(-4, 5, (2, 2, 3, 4, 4), generator=draw).float()
    inside = torch.rand(2, 3, 4, 4, generator=draw) > 0.3
    for i, found in enumerate(rank_correlation(first, second, inside)):
        a, b = (x[i][inside[i]].abs().numpy() for x in (first, second))
        assert float(found) == pytest.approx(spearmanr(a, b).statistic)
    torch.testing.assert_close(rank_correlation(first, -(first**3)), torch.ones(2, dtype=torch.float64))
    assert rank_correlation(torch.ones_like(first), second).isnan().all()


def test_what_equals_its_baseline_does_not_count():
    clip = _rand(1, *SHAPE)
    baseline = clip.clone()
    baseline[0, 1, 2, 3, 3] += 0.5
    assert can_differ(clip, baseline, "integrated_gradients").nonzero().tolist() == [[0, 2, 3, 3]]
    assert can_differ(clip, baseline, "grad_cam").all()
