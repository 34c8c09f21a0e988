"""Motion energy and map correlation against numpy and by hand."""

import numpy as np
import pytest
import torch

from analysis.measures.common.agreement import map_correlation, motion_energy


def test_motion_energy_is_where_something_moves():
    clip = torch.full((1, 3, 4, 8, 8), 0.25)
    clip[:, :, 1:, :4, :4] = 0.75  # the top-left quarter jumps by 0.5 between frames 0 and 1
    energy = motion_energy(clip, size=(4, 2, 2))
    expected = torch.zeros(1, 4, 2, 2)
    expected[0, 0, 0, 0] = expected[0, 1, 0, 0] = 0.5  # frame 0 repeats frame 1's difference
    torch.testing.assert_close(energy, expected)


def test_motion_energy_of_black_to_white_is_one():
    clip = torch.zeros(1, 3, 2, 4, 4)
    clip[:, :, 1] = 1
    torch.testing.assert_close(motion_energy(clip, size=(2, 1, 1)), torch.ones(1, 2, 1, 1))


def test_correlation_is_numpys():
    first, second = torch.rand(2, 3, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    ours = map_correlation(first, second)
    for i in range(3):
        assert ours[i] == pytest.approx(np.corrcoef(first[i].flatten(), second[i].flatten())[0, 1], abs=1e-6)


def test_a_flat_map_has_no_correlation():
    assert map_correlation(torch.zeros(1, 2, 3, 3), torch.rand(1, 2, 3, 3)).isnan().all()


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        map_correlation(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 4))
