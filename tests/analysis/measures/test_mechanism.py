"""Geometry and scores of two views: against loops over cells, and by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.mechanism import (
    Trace,
    both_ways,
    box_overlap,
    foreground_overlap,
    matching_cells,
    mean_where,
    mechanism_scores,
    positive_pairs,
    prediction_cosine,
    rank_one,
    share_on,
)
from fima.errors import InputError
from fima.methods.losses import pixel_contrastive_loss, unit


@st.composite
def _geometry(draw):
    """Boxes of both views, either of which may be flipped, and masks of a small grid."""
    corner, side = st.floats(0, 0.6), st.floats(0.2, 0.4)
    boxes = []
    for _ in range(2):
        x, y, w, h = draw(corner), draw(corner), draw(side), draw(side)
        boxes.append([x + w, y, x, y + h] if draw(st.booleans()) else [x, y, x + w, y + h])
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    bits = draw(st.lists(st.booleans(), min_size=2 * height * width, max_size=2 * height * width))
    return (
        torch.tensor(boxes)[:, None],
        torch.tensor(bits).view(2, 1, height, width),
        draw(st.sampled_from([0.5, 0.7, 2])),
    )


@given(_geometry())
def test_positives_are_those_of_a_loop_over_cells(geometry):
    boxes, masks, radius = geometry
    height, width = masks.shape[2:]
    (m, n), found = boxes[:, 0].tolist(), positive_pairs(boxes, masks, radius=radius)[0]

    def center(box, row, column):
        x1, y1, x2, y2 = box  # x2 < x1 in a flipped view: its first column lies right
        return x1 + (column + 0.5) / width * (x2 - x1), y1 + (row + 0.5) / height * (y2 - y1)

    diagonal = max(math.hypot((b[2] - b[0]) / width, (b[3] - b[1]) / height) for b in (m, n))
    for p in range(height * width):
        for q in range(height * width):
            distance = math.dist(center(m, *divmod(p, width)), center(n, *divmod(q, width))) / diagonal
            if abs(distance - radius) < 1e-4:
                continue  # rounding decides
            expected = distance < radius and masks[0, 0].flatten()[p] and masks[1, 0].flatten()[q]
            assert bool(found[p, q]) == bool(expected)


@given(_geometry(), st.integers(0, 99))
def test_the_pixel_loss_learns_from_the_cells_that_have_a_positive(geometry, seed):
    boxes, masks, radius = geometry
    draw = torch.Generator().manual_seed(seed)
    query, key = (unit(torch.randn(1, 8, *masks.shape[2:], generator=draw), dim=1) for _ in range(2))
    query.requires_grad_(True)
    loss = pixel_contrastive_loss(
        query, key, unit(torch.randn(1, 8, 5, generator=draw), dim=1), *boxes, *masks, radius=radius
    )
    loss.backward()
    learns = query.grad.abs().sum(dim=1).flatten(1) > 0
    assert torch.equal(learns, positive_pairs(boxes, masks, radius=radius).any(dim=2))


def test_a_flipped_view_matches_mirrored_cells():
    boxes = torch.tensor([[[0.0, 0, 1, 1]], [[1.0, 0, 0, 1]]])
    found = matching_cells(boxes, (2, 3), radius=0.5)[0]
    assert torch.argwhere(found).tolist() == [[0, 2], [1, 1], [2, 0], [3, 5], [4, 4], [5, 3]]
    assert torch.equal(both_ways(found[None])[1, 0, 0], found.T)


def test_the_overlap_of_boxes_by_hand():
    m = torch.tensor([[0.1, 0.2, 0.6, 0.8], [0.6, 0.2, 0.1, 0.8], [0.0, 0.0, 0.3, 0.3]])
    n = torch.tensor([[0.9, 0.0, 0.4, 0.5], [0.4, 0.0, 0.9, 0.5], [0.3, 0.3, 0.9, 0.9]])
    found = box_overlap(torch.stack([m, n]))
    np.testing.assert_allclose(found[:2], [[0.4, 0.2, 0.6, 0.5]] * 2)
    assert found[2].isnan().all()


def test_the_overlap_of_foregrounds_by_hand():
    boxes = torch.tensor([[[0.0, 0, 1, 1]]] * 2)
    masks = torch.tensor([[[[1, 1], [0, 0]]], [[[1, 0], [1, 0]]]]).bool()
    matching = matching_cells(boxes, (2, 2), radius=0.5)
    overlap, chance = foreground_overlap(matching, masks)
    # One of three foreground places is both's; two of four places each: one would be by chance.
    assert (float(overlap), float(chance)) == pytest.approx((1 / 3, 1 / 3))
    apart = torch.tensor([[[0.0, 0, 0.2, 0.2]], [[0.7, 0.7, 1, 1]]])
    assert foreground_overlap(matching_cells(apart, (2, 2), radius=0.7), masks)[0].isnan().all()


def test_means_ranks_and_shares_by_hand():
    similarity = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.4, 0.5], [0.0, 1.0, 0.0]])
    positives = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]]).bool()
    np.testing.assert_allclose(mean_where(similarity, positives), [0.5, 0.3, np.nan], rtol=1e-6)
    hit, chance = rank_one(similarity, positives)  # the first cell's best is a positive, the second's is not
    assert (float(hit), float(chance)) == pytest.approx((1 / 2, (2 / 3 + 1 / 3) / 2))
    assert share_on(torch.tensor([0.5, 0.2, 0.3]), torch.tensor([True, False, True])).item() == pytest.approx(0.8)


def _exact(grid=3, slices=2, dim=8, token=True):
    """A prediction that is right at every place, of views that show the same, one of them flipped."""
    draw = torch.Generator().manual_seed(0)
    cells = grid * grid
    mirrored = torch.arange(cells).view(grid, grid).flip(1).flatten()
    keys = unit(torch.randn(2, slices, 1, cells, dim, generator=draw))
    predicted = keys.flip(0)[..., mirrored, :]
    boxes = torch.tensor([[[0.0, 0, 1, 1]], [[1.0, 0, 0, 1]]])
    mask = torch.rand(grid, grid, generator=draw) > 0.5
    masks = torch.stack([mask, mask.flip(1)])[:, None]
    attention = torch.full((2, slices, 1, 2, 4, cells + token, cells), 1 / cells)
    return Trace(boxes, masks, predicted, keys, attention)


def test_exact_predictions_have_cosine_1_and_always_the_first_rank():
    trace = _exact()
    scores, chance = mechanism_scores(trace, radius=0.7)
    foreground = trace.masks[0].float().mean().item()
    assert scores["prediction_cosine"].item() == pytest.approx(1, abs=1e-6)
    assert prediction_cosine(trace, -trace.keys, radius=0.7).item() == pytest.approx(-1, abs=1e-6)
    assert scores["rank_one"].item() == 1
    assert chance["rank_one"].item() == pytest.approx(1 / 9)
    assert scores["foreground_overlap"].item() == 1
    assert scores["positive_pairs"].item() == trace.masks[0].sum().item()
    assert scores["elsewhere_cosine"].item() < 0.5
    # Even attention is at its chance levels.
    for name in ("attention_on_foreground", "token_on_foreground", "attention_on_match"):
        assert scores[name].item() == pytest.approx(chance[name].item(), abs=1e-6), name
    assert chance["token_on_foreground"].item() == pytest.approx(foreground)
    assert chance["attention_on_match"].item() == pytest.approx(1 / 9)


def test_equally_similar_cells_share_the_first_place():
    positives = torch.tensor([[True, False, False, True], [False, True, False, False]])
    constant = torch.zeros(2, 4)  # every cell ties: what a random one would give
    share, chance = rank_one(constant, positives)
    assert share == pytest.approx(float(chance)) == pytest.approx((2 / 4 + 1 / 4) / 2)
    pair = torch.tensor([[0.9, 0.9, 0.1, 0.0], [0.1, 0.9, 0.2, 0.0]])  # half of a hit, a whole one
    assert rank_one(pair, positives)[0] == pytest.approx(0.75)


def test_attention_is_looked_for_in_the_other_view():
    trace = _exact(token=False)
    attention = torch.zeros_like(trace.attention)
    seen = trace.masks.flatten(2).flip(0)  # all of m's attention on n's foreground, and of n's on m's
    attention += (seen / seen.sum(dim=-1, keepdim=True))[:, None, :, None, None, None]
    scores, _ = mechanism_scores(Trace(trace.boxes, trace.masks, trace.predicted, trace.keys, attention), radius=0.7)
    assert scores["attention_on_foreground"].item() == pytest.approx(1)
    assert "token_on_foreground" not in scores


def test_views_that_have_nothing_in_common_have_no_score():
    trace = _exact()
    boxes = torch.tensor([[[0.0, 0, 0.2, 0.2]], [[0.7, 0.7, 1, 1]]])
    scores, chance = mechanism_scores(Trace(boxes, trace.masks, trace.predicted, trace.keys, None), radius=0.7)
    assert scores["positive_pairs"].item() == 0
    assert all(scores[name].isnan().all() for name in set(scores) - {"positive_pairs"})
    assert all(level.isnan().all() for level in chance.values())


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"boxes must be \(2, N, 4\), got \(1, 4\)"):
        matching_cells(torch.zeros(1, 4), (2, 2), radius=0.7)
    with pytest.raises(InputError, match="radius must be above 0, got 0"):
        matching_cells(torch.zeros(2, 1, 4), (2, 2), radius=0)
    with pytest.raises(InputError, match=r"masks must be .* bool .*, got \(2, 1, 2, 2\) torch.float32"):
        positive_pairs(torch.zeros(2, 1, 4), torch.zeros(2, 1, 2, 2), radius=0.7)
