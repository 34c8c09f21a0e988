"""The mover against its still copy: known answers, brute force, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.measures.mover import plain_maps, prefers_mover
from fima.errors import InputError


def regions(seed=0, clips=2, frames=3, height=7, width=9):
    """Two disjoint regions of each frame."""
    owner = torch.from_numpy(np.random.default_rng(seed).integers(0, 3, (clips, frames, height, width)))
    return owner == 1, owner == 2


def test_known_answers():
    mover, copy = regions()
    assert prefers_mover(mover.double(), mover, copy).tolist() == [1, 1]
    assert prefers_mover(copy.double(), mover, copy).tolist() == [0, 0]
    assert prefers_mover(torch.full(mover.shape, 0.3), mover, copy).tolist() == [0.5, 0.5]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), levels=st.sampled_from([3, 1000]))
def test_against_brute_force(seed, levels):
    mover, copy = regions(seed, clips=1)
    values = torch.from_numpy(np.random.default_rng(seed).integers(0, levels, mover.shape) / levels)
    total, weights = 0.0, 0
    for t in range(mover.shape[1]):
        first, second = values[0, t][mover[0, t]], values[0, t][copy[0, t]]
        wins = sum(float(a > b) + 0.5 * float(a == b) for a in first for b in second)
        weight = min(len(first), len(second))
        if weight:
            total += weight * wins / (len(first) * len(second))
            weights += weight
    assert float(prefers_mover(values, mover, copy)[0]) == pytest.approx(total / weights)


def test_only_order_within_a_frame_and_frames_with_both_count():
    mover, copy = regions(3)
    values = torch.rand(mover.shape, generator=torch.Generator().manual_seed(0))
    scores = prefers_mover(values, mover, copy)
    rescaled = values.double() ** 3 * torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(prefers_mover(rescaled, mover, copy), scores)
    torch.testing.assert_close(1 - prefers_mover(values, copy, mover), scores)
    copy[0, 1] = False
    expected = prefers_mover(values[:1, [0, 2]], mover[:1, [0, 2]], copy[:1, [0, 2]])
    torch.testing.assert_close(prefers_mover(values[:1], mover[:1], copy[:1]), expected)
    assert prefers_mover(values, mover, torch.zeros_like(copy)).isnan().all()
    values[1, 0, 0, 0] = float("nan")
    assert prefers_mover(values, mover, copy).isnan().tolist() == [False, True]


def test_chance_is_a_half_for_noise():
    mover, copy = regions(4, clips=40, frames=8, height=20, width=20)
    scores = prefers_mover(torch.rand(mover.shape, generator=torch.Generator().manual_seed(1)), mover, copy)
    assert abs(float(scores.mean()) - 0.5) < 0.01


def test_contrast_is_the_distance_from_the_mean_color():
    clip = torch.zeros(1, 3, 2, 2, 2)
    clip[:, 0, 0, 0, 0] = 1
    contrast = plain_maps(clip)["contrast"]
    torch.testing.assert_close(contrast[0, 0], torch.tensor([[0.25, 1 / 12], [1 / 12, 1 / 12]]))
    assert not contrast[0, 1].any()


def test_what_does_not_fit_is_refused():
    mover, copy = regions()
    with pytest.raises(InputError, match="activation_map must be"):
        prefers_mover(mover, mover, copy)
    with pytest.raises(InputError, match="copy must be"):
        prefers_mover(mover.double(), mover, copy[:1])
