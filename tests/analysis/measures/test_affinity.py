from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.measures.affinity import (
    affinity_chance,
    affinity_scores,
    cosine_matrix,
    spatial_affinity,
    spatial_affinity_slices,
)
from analysis.measures.common.statistics import auroc
from fima.errors import InputError


def random_map(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def brute_force(affinity, rows, width):
    """All scores of one sample, entry by entry."""
    affinity, size = affinity.double().tolist(), len(affinity)
    diagonal, others, agreement, displacement = [], [], [], []
    for i in rows:
        row = affinity[i]
        diagonal.append(row[i])
        others += [row[j] for j in range(size) if j != i]
        best = [j for j in range(size) if row[j] == max(row)]
        agreement.append((i in best) / len(best))
        weights = [math.exp(value / 0.1) for value in row]
        far = [math.dist(divmod(i, width), divmod(j, width)) for j in range(size)]
        displacement.append(sum(w * d for w, d in zip(weights, far, strict=True)) / sum(weights))
    wins = [(a > b) + (a == b) / 2 for a in diagonal for b in others]
    return {
        "contrast": np.mean(diagonal) - np.mean(others),
        "top1_agreement": np.mean(agreement),
        "displacement": np.mean(displacement),
        "auroc": np.mean(wins),
    }


class TestSpatialAffinity:
    def test_is_the_cosine_of_time_averages(self):
        rgb, motion = random_map(2, 5, 3, 2, 4), random_map(2, 5, 3, 2, 4, seed=1)
        before = rgb.clone(), motion.clone()
        affinity = spatial_affinity(rgb, motion)
        assert affinity.shape == (2, 8, 8)
        for row in range(8):
            for column in range(8):
                one = rgb[:, :, :, row // 4, row % 4].mean(2)
                other = motion[:, :, :, column // 4, column % 4].mean(2)
                expected = torch.cosine_similarity(one, other)
                torch.testing.assert_close(affinity[:, row, column], expected, rtol=0, atol=1e-6)
        assert torch.equal(rgb, before[0])
        assert torch.equal(motion, before[1])

    def test_slices_are_affinities_of_their_own(self):
        rgb, motion = random_map(2, 5, 3, 2, 4), random_map(2, 5, 3, 2, 4, seed=1)
        slices = spatial_affinity_slices(rgb, motion)
        assert slices.shape == (2, 3, 8, 8)
        for t in range(3):
            torch.testing.assert_close(slices[:, t], spatial_affinity(rgb[:, :, t : t + 1], motion[:, :, t : t + 1]))

    def test_swapping_the_sides_transposes(self):
        rgb, motion = random_map(2, 5, 2, 3, 3), random_map(2, 5, 2, 3, 3, seed=1)
        torch.testing.assert_close(spatial_affinity(motion, rgb), spatial_affinity(rgb, motion).mT)

    def test_permuting_motion_permutes_columns(self):
        rgb, motion = random_map(1, 5, 2, 3, 3), random_map(1, 5, 2, 3, 3, seed=1)
        order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
        moved = motion.flatten(3)[..., order].view_as(motion)
        assert torch.equal(spatial_affinity(rgb, moved), spatial_affinity(rgb, motion)[:, :, order])

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_range_and_dtype(self, dtype):
        rgb = random_map(2, 3, 2, 7, 7, dtype=dtype)
        affinity = spatial_affinity(rgb, rgb)
        assert affinity.dtype == dtype
        assert affinity.abs().max() <= 1
        assert torch.equal(affinity.diagonal(dim1=1, dim2=2), torch.ones(2, 49, dtype=dtype))

    def test_half_precision_is_compared_in_single(self):
        rgb = random_map(1, 3, 2, 4, 4).bfloat16()
        assert spatial_affinity(rgb, rgb).dtype == torch.float32

    def test_no_features_no_similarity(self):
        rgb = random_map(1, 3, 2, 2, 2)
        assert not spatial_affinity(rgb, torch.zeros_like(rgb)).any()

    @pytest.mark.parametrize("function", [spatial_affinity, spatial_affinity_slices])
    def test_gradient(self, function):
        maps = [random_map(1, 3, 2, 2, 2, seed=seed, dtype=torch.float64).requires_grad_() for seed in (0, 1)]
        assert torch.autograd.gradcheck(function, maps, eps=1e-4, atol=1e-5)

    def test_batch_and_single_samples_agree(self):
        rgb, motion = random_map(3, 64, 2, 7, 7), random_map(3, 64, 2, 7, 7, seed=1)
        whole = spatial_affinity(rgb, motion)
        assert torch.equal(whole, torch.cat([spatial_affinity(rgb[i : i + 1], motion[i : i + 1]) for i in range(3)]))

    @pytest.mark.parametrize("function", [spatial_affinity, spatial_affinity_slices])
    def test_refuses_shapes_that_differ(self, function):
        with pytest.raises(InputError, match=r"motion must have the shape of rgb, \(1, 3, 2, 2, 2\), got"):
            function(torch.rand(1, 3, 2, 2, 2), torch.rand(1, 3, 1, 2, 2))


class TestScores:
    def test_hand_worked_grid(self):
        # 2 x 2 cells; neighbors at distance 1, the diagonal ones at sqrt(2)
        affinity = torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 0.2, 0.1, 0.0], [0.0] * 3 + [0.4]])
        scores = affinity_scores(affinity[None].double())
        diagonal, others = (0.9 + 0.5 + 0.1 + 0.4) / 4, (0.1 + 0.5 + 0.2) / 12
        assert scores["contrast"].item() == pytest.approx(diagonal - others)
        assert scores["top1_agreement"].item() == pytest.approx((1 + 0.5 + 0 + 1) / 4)
        # pairs lost: 0.5 ties with 0.5; 0.4 loses to 0.5; 0.1 ties with 0.1 and loses to 0.5 and 0.2
        assert scores["auroc"].item() == pytest.approx(1 - (0.5 + 1 + 2.5) / 48)
        weights = [math.exp(9), math.exp(1), 1, 1]
        first = (weights[1] + weights[2] + weights[3] * math.sqrt(2)) / sum(weights)
        one_row = affinity_scores(affinity[None].double(), torch.tensor([[True, False, False, False]]))
        assert one_row["displacement"].item() == pytest.approx(first)
        assert one_row["top1_agreement"].item() == 1

    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        grid=st.sampled_from([(1, 2), (2, 2), (2, 3), (3, 4)]),
        levels=st.sampled_from([3, 10, 10**9]),
        share=st.sampled_from([0.0, 0.3, 0.6, 1.0]),
    )
    def test_agrees_with_brute_force(self, seed, grid, levels, share):
        size = grid[0] * grid[1]
        generator = torch.Generator().manual_seed(seed)
        affinity = (torch.rand(3, size, size, generator=generator, dtype=torch.float64) * levels).round() / levels
        mask = torch.rand(3, *grid, generator=generator) < share
        scores = affinity_scores(affinity, mask)
        for n in range(3):
            rows = mask[n].flatten().nonzero().flatten().tolist()
            if not rows:
                assert all(values[n].isnan() for values in scores.values())
                continue
            for name, expected in brute_force(affinity[n], rows, grid[1]).items():
                assert scores[name][n].item() == pytest.approx(expected, abs=1e-9), name

    def test_auroc_agrees_with_numpy(self):
        affinity = spatial_affinity(random_map(2, 8, 2, 7, 7), random_map(2, 8, 2, 7, 7, seed=1))
        scores = affinity_scores(affinity)["auroc"]
        off = ~torch.eye(49, dtype=torch.bool)
        for n in range(2):
            assert scores[n].item() == pytest.approx(auroc(affinity[n].diagonal(), affinity[n][off]), abs=1e-6)

    def test_identical_features_are_perfect(self):
        rgb = random_map(4, 256, 2, 7, 7)
        scores = affinity_scores(spatial_affinity(rgb, rgb))
        assert torch.equal(scores["top1_agreement"], torch.ones(4))
        assert torch.equal(scores["auroc"], torch.ones(4))
        assert scores["displacement"].max() < 0.05
        assert scores["contrast"].min() > 0.9

    def test_shuffled_features_are_at_chance(self):
        rgb = random_map(400, 16, 1, 4, 4)
        generator = torch.Generator().manual_seed(1)
        orders = torch.stack([torch.randperm(16, generator=generator) for _ in range(400)])
        motion = rgb.flatten(2).gather(2, orders[:, None].expand(-1, 16, -1)).view_as(rgb)
        scores, chance = affinity_scores(spatial_affinity(rgb, motion)), affinity_chance((4, 4))
        for name, values in scores.items():
            error = values.std() / len(values) ** 0.5
            assert abs(values.mean() - chance[name]) < 4 * error, name

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("masked", [False, True])
    def test_constant_features_are_exactly_at_chance(self, dtype, masked):
        rgb, motion = (
            random_map(3, 1024, 1, 1, 1, seed=s, dtype=dtype).expand(3, 1024, 5, 7, 7).clone() for s in (0, 1)
        )
        mask = random_map(3, 7, 7) > 0 if masked else None
        scores = affinity_scores(spatial_affinity(rgb, motion), mask)
        chance = affinity_chance((7, 7)) if mask is None else affinity_chance((7, 7), mask)
        assert not scores["contrast"].any()
        assert torch.equal(scores["auroc"], torch.full((3,), 0.5, dtype=dtype))
        for name, values in scores.items():
            expected = torch.as_tensor(chance[name], dtype=dtype).expand(3)
            torch.testing.assert_close(values, expected, rtol=1e-6, atol=0)

    def test_relabeling_positions_changes_no_score_without_distance(self):
        affinity = random_map(2, 9, 9)
        order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
        scores, moved = affinity_scores(affinity), affinity_scores(affinity[:, order][:, :, order])
        for name in ("contrast", "top1_agreement", "auroc"):
            torch.testing.assert_close(scores[name], moved[name])

    def test_mirrored_grid_changes_no_score(self):
        affinity = random_map(2, 12, 12)
        order = torch.arange(12).view(3, 4).flip(1).flatten()
        scores = affinity_scores(affinity, grid=(3, 4))
        for name, values in affinity_scores(affinity[:, order][:, :, order], grid=(3, 4)).items():
            torch.testing.assert_close(scores[name], values)

    def test_flat_and_grid_masks_agree(self):
        affinity, mask = random_map(2, 9, 9), random_map(2, 3, 3) > 0
        flat = affinity_scores(affinity, mask.flatten(1))
        for name, values in affinity_scores(affinity, mask).items():
            assert torch.equal(values, flat[name])

    def test_full_mask_is_no_mask(self):
        affinity = random_map(2, 9, 9)
        full = affinity_scores(affinity, torch.ones(2, 9, dtype=torch.bool))
        for name, values in affinity_scores(affinity).items():
            assert torch.equal(values, full[name])

    def test_single_position_has_no_contrast(self):
        scores = affinity_scores(torch.ones(1, 1, 1))
        assert scores["contrast"].isnan()
        assert scores["auroc"].isnan()
        assert scores["top1_agreement"] == 1
        assert scores["displacement"] == 0

    def test_not_a_number_stays_visible(self):
        affinity = random_map(2, 4, 4)
        affinity[0, 1, 2] = math.nan
        for values in affinity_scores(affinity).values():
            assert values.isnan().tolist() == [True, False]

    @pytest.mark.parametrize("name", ["contrast", "displacement"])
    def test_gradient(self, name):
        affinity = random_map(2, 4, 4, dtype=torch.float64).requires_grad_()
        mask = torch.tensor([[True, False, True, True], [True] * 4])
        assert torch.autograd.gradcheck(lambda a: affinity_scores(a, mask)[name], affinity)

    @pytest.mark.parametrize(
        ("shape", "mask", "grid", "message"),
        [
            ((4, 4), None, None, r"affinity must be \(N, P, P\).*got \(4, 4\)"),
            ((1, 2, 4, 4), None, None, "flatten them into N"),
            ((1, 4, 5), None, None, r"got \(1, 4, 5\)"),
            ((1, 6, 6), None, None, r"grid must be given as \(H', W'\) where it is no square, got 6 positions"),
            ((1, 6, 6), None, (2, 2), r"with 6 positions, got \(2, 2\)"),
            ((1, 4, 4), torch.ones(1, 2, 2), None, "mask must be bool, got torch.float32"),
            ((1, 4, 4), torch.ones(2, 4, dtype=torch.bool), None, r"N = 1 and 4 positions, got \(2, 4\)"),
            ((1, 4, 4), torch.ones(1, 4, 1, dtype=torch.bool), (2, 2), r"mask must be \(N, 2, 2\).*got \(1, 4, 1\)"),
        ],
    )
    def test_refuses(self, shape, mask, grid, message):
        with pytest.raises(InputError, match=message):
            affinity_scores(torch.rand(shape), mask, grid=grid)


class TestChance:
    def test_two_cells(self):
        assert affinity_chance((1, 2)) == {
            "contrast": 0.0,
            "top1_agreement": 0.5,
            "displacement": 0.5,
            "auroc": 0.5,
        }

    def test_depends_on_the_foreground_through_the_displacement_only(self):
        mask = torch.zeros(3, 3, 3, dtype=torch.bool)
        mask[0, 1, 1] = mask[1, 0, 0] = True
        chance = affinity_chance((3, 3), mask)
        center, corner = (4 + 4 * math.sqrt(2)) / 9, (1 + 2 + math.sqrt(2) * 3 + 1 + 2 + 2 * math.sqrt(5)) / 9
        assert chance["displacement"][0].item() == pytest.approx(center)
        assert chance["displacement"][1].item() == pytest.approx(corner)
        assert chance["top1_agreement"][:2].tolist() == pytest.approx([1 / 9, 1 / 9])
        assert all(values[2].isnan() for values in chance.values())


@settings(deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-6, 1e6))
def test_cosine_does_not_depend_on_length(seed, scale):
    first, second = (
        random_map(4, 6, seed=seed, dtype=torch.float64),
        random_map(3, 6, seed=seed + 1, dtype=torch.float64),
    )
    cosine = cosine_matrix(first, second)
    assert cosine.shape == (4, 3)
    torch.testing.assert_close(cosine_matrix(first * scale, second), cosine, rtol=0, atol=1e-11)
