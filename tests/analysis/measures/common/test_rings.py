"""AUROC among pixels equally far from the center: known answers and brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.measures.common.rings import ring_auroc
from analysis.measures.localization import baseline_maps, localization_scores
from fima.errors import InputError


def discs(size=56):
    """A disc beside the center, and one on it."""
    rows, columns = np.mgrid[:size, :size]
    masks = [np.hypot(rows - y, columns - x) < 9 for y, x in ((20, 16), (27.5, 27.5), (30, 40))]
    return torch.from_numpy(np.stack(masks))[:, None]


def test_known_answers():
    mask = discs()[::2]
    assert ring_auroc(mask.double(), mask).tolist() == [1, 1]
    assert ring_auroc(1 - mask.double(), mask).tolist() == [0, 0]
    assert ring_auroc(torch.ones(mask.shape), mask).tolist() == [0.5, 0.5]


def test_a_liking_for_the_center_gains_nothing():
    mask = discs()
    center = baseline_maps(torch.rand(3, 3, 2, 56, 56))["center"][:, :1]
    assert localization_scores(center, mask)["auroc"][1] > 0.99
    np.testing.assert_allclose(ring_auroc(center, mask)[::2], 0.5, atol=0.03)
    scores = ring_auroc(torch.rand(40, 4, 56, 56), discs()[:1].expand(40, 4, -1, -1))
    assert abs(float(scores.mean()) - 0.5) < 0.02


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), levels=st.sampled_from([3, 1000]))
def test_against_brute_force(seed, levels):
    rng = np.random.default_rng(seed)
    values, inside = rng.integers(0, levels, (9, 11)) / levels, rng.random((9, 11)) < 0.3
    rings = {}
    for y in range(9):
        for x in range(11):
            rings.setdefault(int(np.hypot(y - 4, x - 5) / 4.5 * 28), []).append((values[y, x], inside[y, x]))
    total = weights = 0.0
    for pixels in rings.values():
        on, off = ([v for v, own in pixels if own == which] for which in (True, False))
        if on and off:
            wins = np.mean([(a > b) + 0.5 * (a == b) for a in on for b in off])
            total, weights = total + min(len(on), len(off)) * wins, weights + min(len(on), len(off))
    found = ring_auroc(torch.from_numpy(values)[None, None], torch.from_numpy(inside)[None, None])
    np.testing.assert_allclose(float(found[0]), total / weights if weights else np.nan)


def test_frames_that_nobody_annotated_do_not_count():
    mask = torch.cat([discs()[:1], ~discs()[:1]], dim=1)
    values = discs()[:1].double().expand(1, 2, -1, -1).clone()
    assert ring_auroc(values, mask).item() == 0.5
    assert ring_auroc(values, mask, torch.tensor([[True, False]])).item() == 1
    values[0, 0, 0, 0] = float("nan")
    assert ring_auroc(values, mask).isnan().all()
    assert ring_auroc(values[:, 1:], torch.ones(1, 1, 56, 56, dtype=torch.bool)).isnan().all()
    with pytest.raises(InputError, match="mask must be"):
        ring_auroc(values, mask.double())
