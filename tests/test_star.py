"""The procedural clip: its truth is true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.star import moving_shape
from fima.errors import InputError


@pytest.mark.parametrize("seed", range(4))
def test_only_the_object_moves(seed):
    frames, masks = moving_shape(seed, num_frames=24)
    assert frames.shape == (24, 3, 112, 112)
    assert (frames.dtype, masks.dtype) == (np.uint8, np.bool_)
    changed = (np.diff(frames.astype(int), axis=0) != 0).any(1)
    near = masks.copy()  # the soft edge reaches one pixel beyond the mask
    for axis in (1, 2):
        for shift in (-1, 1):
            near |= np.roll(masks, shift, axis)
    near |= np.roll(np.roll(near, 1, 1), 1, 2) | np.roll(np.roll(near, -1, 1), -1, 2)
    assert not (changed & ~(near[1:] | near[:-1])).any()
    assert changed[masks[1:] | masks[:-1]].mean() > 0.5


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.tuples(st.integers(32, 150), st.integers(32, 150)))
def test_the_object_is_one_piece_inside_the_picture(seed, size):
    masks = moving_shape(seed, num_frames=6, height=size[0], width=size[1]).masks
    area = masks.mean((1, 2)) * size[0] * size[1] / min(size) ** 2
    assert np.all((area > 0.05) & (area < 0.2))
    assert not masks[:, [0, -1]].any()
    assert not masks[:, :, [0, -1]].any()


@pytest.mark.parametrize("seed", range(6))
def test_its_speed_varies_and_its_way_is_smooth(seed):
    masks = moving_shape(seed).masks
    rows, columns = np.arange(112)[:, None], np.arange(112)[None]
    centers = np.array([[(m * rows).sum() / m.sum(), (m * columns).sum() / m.sum()] for m in masks])
    speed = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    assert speed.max() > 2.5 * speed.min()
    assert speed.max() < 12
    assert np.ptp(centers, axis=0).min() > 20  # it goes places


@pytest.mark.parametrize("seed", range(8))
def test_the_object_stands_out(seed):
    frames, masks = moving_shape(seed, num_frames=2)
    inside, outside = (frames[0][:, m].mean(1) for m in (masks[0], ~masks[0]))
    assert np.abs(inside - outside).max() > 60


def test_the_seed_is_all_that_matters():
    first, second, other = (moving_shape(seed, num_frames=5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.frames, second.frames)
    assert (first.frames != other.frames).mean() > 0.5
    assert moving_shape(0, num_frames=1, height=16, width=16).frames.shape == (1, 3, 16, 16)


@pytest.mark.parametrize("name", ["num_frames", "height", "width"])
def test_bad_values(name):
    with pytest.raises(InputError, match=f"{name} must be at least"):
        moving_shape(**{name: 0})
    with pytest.raises(InputError, match="seed must be at least 0, got -1"):
        moving_shape(-1)
