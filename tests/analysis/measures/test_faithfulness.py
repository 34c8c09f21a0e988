"""Deletion and insertion: a network that looks at one cell only, random order, and a loop over cells."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.faithfulness import (
    area,
    cell_order,
    center_map,
    deletion_curve,
    first_cells,
    insertion_curve,
    with_cells_replaced,
)
from fima.errors import InputError

GRID = (2, 3, 4)
CLIP = torch.rand(1, 3, 4, 6, 8, generator=torch.Generator().manual_seed(0)) / 2 + 0.5
BLACK = torch.zeros_like(CLIP)
CELL = (1, 1, 2)


def _sees_one_cell(clips):
    """``(K, 2)``: one feature where the cell is intact, another one where it is not."""
    t, y, x = CELL
    there = clips[:, :, 2 * t : 2 * t + 2, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean(dim=(1, 2, 3, 4)) > 0.25
    return torch.stack([there, ~there], dim=1).float()


def _ranked(first):
    values = torch.rand(GRID, generator=torch.Generator().manual_seed(1))
    values[CELL] = 2 if first else -1
    return cell_order(values)


def test_the_map_that_knows_the_one_cell_is_perfect_and_the_one_that_ranks_it_last_is_worst():
    for first, deleted, inserted in ((True, 0.0, 1.0), (False, 1.0, 0.0)):
        order = _ranked(first)
        deletion = deletion_curve(_sees_one_cell, CLIP, BLACK, order, GRID, steps=24)
        insertion = insertion_curve(_sees_one_cell, CLIP, BLACK, order, GRID, steps=24)
        assert deletion.tolist() == [1] + [deleted] * 23 + [0]
        assert insertion.tolist() == [0] + [inserted] * 23 + [1]
    assert area(np.array([1.0] + [0.0] * 24)) == pytest.approx(1 / 48)


def test_random_order_is_at_chance():
    areas = [
        [area(curve(_sees_one_cell, CLIP, BLACK, cell_order(torch.zeros(GRID), seed=seed), GRID, steps=24))
         for curve in (deletion_curve, insertion_curve)]
        for seed in range(120)
    ]  # fmt: skip
    np.testing.assert_allclose(np.mean(areas, axis=0), 0.5, atol=0.07)


@given(steps=st.integers(2, 30), seed=st.integers(0, 9))
def test_cells_go_in_their_order_and_evenly(steps, seed):
    order = cell_order(torch.rand(GRID, generator=torch.Generator().manual_seed(seed)))
    gone = first_cells(order, GRID, steps).flatten(1)
    assert gone.shape == (steps - 1, 24)
    for i, row in enumerate(gone):
        count = round((i + 1) * 24 / steps)
        assert set(row.nonzero().flatten().tolist()) == set(order[: int(row.sum())].tolist())
        assert abs(int(row.sum()) - count) <= 1


@given(seed=st.integers(0, 9))
def test_replaced_cells_are_what_a_loop_over_pixels_gives(seed):
    mask = torch.rand(2, *GRID, generator=torch.Generator().manual_seed(seed)) > 0.5
    found = with_cells_replaced(CLIP, BLACK, mask)
    for k, t, y, x in np.ndindex(2, 4, 6, 8):
        expected = BLACK if mask[k, t // 2, y // 2, x // 2] else CLIP
        assert torch.equal(found[k, :, t, y, x], expected[0, :, t, y, x])


def test_equal_cells_have_no_order_of_their_own():
    orders = {tuple(cell_order(torch.ones(GRID), seed=seed).tolist()) for seed in range(5)}
    assert len(orders) == 5
    assert cell_order(torch.tensor([[[1.0, 3.0, 2.0]]])).tolist() == [1, 2, 0]


def test_the_centered_map_is_strongest_in_the_middle():
    values = center_map((2, 5, 5))
    assert values.shape == (2, 5, 5)
    assert (values == values.amax()).nonzero()[:, 1:].unique().tolist() == [2]


def test_two_clips_are_refused():
    with pytest.raises(InputError, match=r"must both be \(1, 3, T, H, W\)"):
        with_cells_replaced(CLIP.expand(2, -1, -1, -1, -1), BLACK, torch.zeros(1, *GRID, dtype=torch.bool))
