from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.measures.common.statistics import auroc
from analysis.measures.localization import SCORES, baseline_maps, chance_levels, localization_scores
from fima.errors import InputError


def draw(seed, *, n=2, frames=3, grid=(4, 5), levels=10**9, share=0.3, dtype=torch.float64):
    """A map of values k / levels, and a mask."""
    generator = torch.Generator().manual_seed(seed)
    shape = (n, frames, *grid)
    activation_map = (torch.rand(shape, generator=generator, dtype=torch.float64) * levels).round() / levels
    return activation_map.to(dtype), torch.rand(shape, generator=generator) < share


def random_scores(seed=0, **options):
    return localization_scores(*draw(seed, **options))


def brute_force(values, inside):
    """All scores of one frame, position by position."""
    values, inside = values.double().flatten().tolist(), inside.flatten().tolist()
    positives = [v for v, i in zip(values, inside, strict=True) if i]
    negatives = [v for v, i in zip(values, inside, strict=True) if not i]
    share = len(positives) / len(values)
    if max(values) == 0:
        return dict.fromkeys(SCORES, share) | {"auroc": 0.5}

    def overlap(chosen):
        both = sum(c and i for c, i in zip(chosen, inside, strict=True))
        return both / sum(c or i for c, i in zip(chosen, inside, strict=True))

    best = [i for v, i in zip(values, inside, strict=True) if v == max(values)]
    return {
        "energy": sum(positives) / sum(values),
        "pointing": sum(best) / len(best),
        "iou": overlap([v > max(values) / 2 for v in values]),
        "best_iou": max(overlap([v >= threshold for v in values]) for threshold in set(values)),
        "auroc": sum((p > q) + (p == q) / 2 for p in positives for q in negatives) / len(positives) / len(negatives),
    }


def brute_force_clip(activation_map, mask, known):
    frames = [t for t in range(len(mask)) if known[t] and 0 < mask[t].sum() < mask[t].numel()]
    scores = [brute_force(activation_map[t], mask[t]) for t in frames]
    return {name: sum(s[name] for s in scores) / len(scores) if scores else math.nan for name in SCORES}


def assert_same(scores, expected, names=SCORES, tolerance=1e-12):
    for name in names:
        torch.testing.assert_close(scores[name], expected[name], rtol=0, atol=tolerance, equal_nan=True, msg=name)


class TestScores:
    def test_hand_worked(self):
        activation_map = torch.tensor([[[[8.0, 4.0, 3.0], [8.0, 5.0, 0.0]]]])
        mask = torch.tensor([[[[True, True, False], [False, True, False]]]])
        scores = {name: values.item() for name, values in localization_scores(activation_map, mask).items()}
        assert scores == {
            "energy": pytest.approx(17 / 28),
            "pointing": 0.5,  # one of the two eights
            "iou": 0.5,  # {8, 8, 5}, as 4 is not strictly above half of 8, with {8, 5, 4}
            "best_iou": 0.75,  # from 4 upwards
            "auroc": pytest.approx((2.5 + 2 + 2) / 9),
        }

    @settings(max_examples=60, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        grid=st.sampled_from([(1, 1), (1, 2), (2, 3), (5, 4)]),
        levels=st.sampled_from([1, 2, 5, 30, 10**9]),
        share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
        dtype=st.sampled_from([torch.float32, torch.float64]),
    )
    def test_agrees_with_brute_force(self, seed, grid, levels, share, dtype):
        activation_map, mask = draw(seed, n=3, grid=grid, levels=levels, share=share, dtype=dtype)
        activation_map[0, 1] = 0
        known = torch.rand(3, 3, generator=torch.Generator().manual_seed(seed)) < 0.8
        scores = localization_scores(activation_map, mask, known)
        assert tuple(scores) == SCORES
        for n in range(3):
            expected = brute_force_clip(activation_map[n], mask[n], known[n])
            for name in SCORES:
                assert scores[name][n].item() == pytest.approx(expected[name], abs=1e-12, nan_ok=True), name

    @pytest.mark.parametrize("levels", [1, 255, 10**9])
    def test_large_frames_agree_with_independent_ways(self, levels):
        activation_map, mask = draw(1, n=1, frames=1, grid=(56, 60), levels=levels, dtype=torch.float32)
        scores, values, inside = localization_scores(activation_map, mask), activation_map[0, 0], mask[0, 0]
        assert scores["auroc"].item() == pytest.approx(auroc(values[inside], values[~inside]), abs=1e-12)
        assert scores["energy"].item() == pytest.approx((values[inside].double().sum() / values.double().sum()).item())
        overlaps = [(inside & (values >= v)).sum() / (inside | (values >= v)).sum() for v in values.unique()]
        assert scores["best_iou"].item() == pytest.approx(max(overlaps).item(), abs=1e-6)

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 10_000), scale=st.floats(1e-30, 1e30), dtype=st.sampled_from(["float32", "float64"]))
    def test_the_mask_itself_is_perfect(self, seed, scale, dtype):
        _, mask = draw(seed, grid=(7, 6))
        mask[:, :, 0, 0], mask[:, :, 0, 1] = True, False
        ones = dict.fromkeys(SCORES, torch.ones(2, dtype=torch.float64))
        assert_same(localization_scores(mask.to(getattr(torch, dtype)), mask), ones, tolerance=0)
        assert_same(localization_scores(mask.to(getattr(torch, dtype)) * scale, mask), ones)

    @pytest.mark.parametrize("level", [0.0, 1.0, 0.3, 1e-40])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_a_uniform_map_is_at_chance(self, level, share):
        _, mask = draw(3, frames=5, grid=(9, 8), share=share)
        mask[1, :4] = False
        known = torch.tensor([[True, True, False, True, True], [True] * 5])
        scores = localization_scores(torch.full(mask.shape, level), mask, known)
        assert_same(scores, chance_levels(mask, known))

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10_000), levels=st.sampled_from([3, 100]))
    def test_only_the_order_counts(self, seed, levels):
        activation_map, mask = draw(seed, levels=levels)
        transformed = (activation_map * 4).exp() + 3
        scores = localization_scores(activation_map, mask)
        assert_same(localization_scores(transformed, mask), scores, ("pointing", "best_iou", "auroc"))

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10_000), power=st.integers(-60, 60))
    def test_scale_does_not_count(self, seed, power):
        activation_map, mask = draw(seed, levels=50, dtype=torch.float32)
        assert_same(localization_scores(activation_map * 2.0**power, mask), localization_scores(activation_map, mask))

    def test_energy_and_iou_are_not_of_the_order_alone(self):
        activation_map, mask = draw(0)
        scores, squared = localization_scores(activation_map, mask), localization_scores(activation_map**2, mask)
        assert not torch.equal(scores["energy"], squared["energy"])
        assert not torch.equal(scores["iou"], squared["iou"])

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10_000), levels=st.sampled_from([2, 8, 10**9]))
    def test_bounds(self, seed, levels):
        activation_map, mask = draw(seed, levels=levels)
        scores, chance = localization_scores(activation_map, mask), chance_levels(mask)
        for values in scores.values():
            assert ((values >= 0) & (values <= 1) | values.isnan()).all()
        # The lowest threshold keeps all positions, and half of the maximum is a threshold as any other.
        assert (scores["best_iou"] >= torch.maximum(scores["iou"], chance["best_iou"]) - 1e-12).all()

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 10_000), levels=st.sampled_from([4, 10**9]))
    def test_the_mask_turned_round_turns_scores_round(self, seed, levels):
        activation_map, mask = draw(seed, levels=levels)
        scores, turned = localization_scores(activation_map, mask), localization_scores(activation_map, ~mask)
        for name in ("energy", "pointing", "auroc"):
            torch.testing.assert_close(turned[name], 1 - scores[name], equal_nan=True)

    def test_positions_in_another_order_change_nothing(self):
        activation_map, mask = draw(0, levels=6)
        order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
        moved = [tensor.flatten(2)[..., order].view_as(tensor) for tensor in (activation_map, mask)]
        assert_same(localization_scores(*moved), localization_scores(activation_map, mask))

    def test_noise_is_at_chance(self):
        mask = torch.zeros(400, 1, 8, 8, dtype=torch.bool)
        mask[..., :4, :3] = True
        activation_map = torch.rand(mask.shape, generator=torch.Generator().manual_seed(0))
        scores, chance = localization_scores(activation_map, mask), chance_levels(mask)
        for name in ("energy", "pointing", "auroc"):
            error = scores[name].std() / 20
            assert abs(scores[name].mean() - chance[name][0]) < 4 * error, name

    def test_half_precision_is_compared_as_it_is(self):
        activation_map, mask = draw(0, dtype=torch.bfloat16)
        assert_same(localization_scores(activation_map, mask), localization_scores(activation_map.double(), mask))

    def test_small_numbers_and_both_zeros(self):
        activation_map = torch.tensor([[[[1e-45, -0.0, 0.0, 3e-45]]]])
        mask = torch.tensor([[[[False, True, False, True]]]])
        scores = localization_scores(activation_map, mask)
        for name, expected in brute_force(activation_map, mask).items():
            assert scores[name].item() == pytest.approx(expected), name

    def test_inputs_are_left_alone_and_need_not_be_contiguous(self):
        activation_map, mask = draw(0, grid=(4, 4))
        before = activation_map.clone(), mask.clone()
        strided = localization_scores(activation_map.mT, mask.mT)
        assert_same(localization_scores(activation_map.requires_grad_(), mask), strided)
        assert torch.equal(activation_map, before[0])
        assert torch.equal(mask, before[1])


class TestFrames:
    def test_average_of_the_frames_that_count(self):
        activation_map, mask = draw(0, n=1, frames=5)
        mask[0, 1], mask[0, 3] = False, True
        known = torch.tensor([[True, True, False, True, True]])
        scores = localization_scores(activation_map, mask, known)
        single = [localization_scores(activation_map[:, [t]], mask[:, [t]]) for t in (0, 4)]
        assert_same(scores, {name: (single[0][name] + single[1][name]) / 2 for name in SCORES})

    @pytest.mark.parametrize("case", ["empty", "full", "unknown"])
    def test_clip_without_a_frame_that_counts(self, case):
        activation_map, mask = draw(0)
        known = torch.ones(2, 3, dtype=torch.bool)
        if case == "unknown":
            known[0] = False
        else:
            mask[0] = case == "full"
        for scores in (localization_scores(activation_map, mask, known), chance_levels(mask, known)):
            for values in scores.values():
                assert values.isnan().tolist() == [True, False]

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_not_a_number_stays_visible_where_it_counts(self, value):
        activation_map, mask = draw(0)
        known = torch.tensor([[True, True, True], [False, True, True]])
        activation_map[:, 0, 1, 1] = value
        for values in localization_scores(activation_map, mask, known).values():
            assert values.isnan().tolist() == [True, False]

    def test_no_clips(self):
        empty = torch.zeros(0, 3, 4, 4)
        for scores in (localization_scores(empty, empty.bool()), chance_levels(empty.bool())):
            assert all(values.shape == (0,) for values in scores.values())

    def test_chance_hand_worked(self):
        mask = torch.zeros(1, 3, 2, 2, dtype=torch.bool)
        mask[0, 0, 0], mask[0, 1, 0, 0] = True, True
        chance = {name: values.tolist() for name, values in chance_levels(mask).items()}
        assert chance == {name: [0.375] for name in SCORES} | {"auroc": [0.5]}

    @pytest.mark.parametrize(
        ("activation_map", "mask", "known", "message"),
        [
            (torch.rand(2, 4, 4), None, None, r"activation_map must be \(N, T, H, W\).*got \(2, 4, 4\)"),
            (torch.ones(1, 2, 4, 4).long(), None, None, "floating point, got .* torch.int64"),
            (torch.full((1, 2, 4, 4), -0.5), None, None, "activation_map must be at least 0, got -0.5"),
            (torch.tensor([math.nan, -2.0]).view(1, 1, 1, 2), None, None, "at least 0, got -2"),
            (torch.rand(1, 2, 4, 4), torch.ones(1, 2, 4, 4), None, "mask must be .* bool, got .* torch.float32"),
            (torch.rand(1, 2, 4, 4), torch.ones(1, 2, 4, 3).bool(), None, r"mask must be \(1, 2, 4, 4\) as activation"),
            (torch.rand(1, 2, 4, 4), None, torch.ones(2).bool(), r"known must be \(1, 2\) bool.*got \(2,\)"),
            (torch.rand(1, 2, 4, 4), None, torch.ones(1, 2), r"known must be .* got \(1, 2\) torch.float32"),
        ],
    )
    def test_refuses(self, activation_map, mask, known, message):
        mask = torch.ones(activation_map.shape, dtype=torch.bool) if mask is None else mask
        with pytest.raises(InputError, match=message):
            localization_scores(activation_map, mask, known)


class TestBaselines:
    def test_motion_is_the_difference_to_the_frame_before(self):
        clip = torch.rand(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
        before, motion = clip.clone(), baseline_maps(clip)["motion"]
        assert torch.equal(clip, before)
        expected = (clip[:, :, 1:] - clip[:, :, :-1]).abs().mean(dim=1)
        torch.testing.assert_close(motion[:, 1:], expected, rtol=0, atol=1e-6)
        assert torch.equal(motion[:, 0], motion[:, 1])

    def test_nothing_moves(self):
        still = torch.rand(1, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0)).expand(1, 3, 4, 4, 4)
        assert not baseline_maps(still)["motion"].any()

    def test_motion_points_at_what_moves(self):
        clip = torch.zeros(1, 3, 3, 8, 8)
        mask = torch.zeros(1, 3, 8, 8, dtype=torch.bool)
        for t in range(3):
            clip[0, :, t, 2:4, 2 * t : 2 * t + 2] = 1
            mask[0, t, 2:4, 2 * t : 2 * t + 2] = True
        scores = localization_scores(baseline_maps(clip)["motion"], mask)
        # Half of the difference is where the square was (frame 0: where it will be).
        assert scores["energy"].item() == scores["pointing"].item() == scores["iou"].item() == 0.5

    def test_center(self):
        center = baseline_maps(torch.zeros(2, 3, 2, 9, 17))["center"]
        assert center.shape == (2, 2, 9, 17)
        assert center[1, 1, 4, 8] == 1
        assert center[0, 0, 4, 8 + 3].item() == pytest.approx(math.exp(-((3 / (9 / 4)) ** 2) / 2))
        torch.testing.assert_close(center, center.flip(2, 3))
        wide = baseline_maps(torch.zeros(2, 3, 2, 9, 17), sigma=0.5)["center"]
        assert wide[0, 0, 4, 8 + 3].item() == pytest.approx(math.exp(-((3 / 4.5) ** 2) / 2))

    def test_uniform_scores_are_chance(self):
        _, mask = draw(0)
        assert_same(localization_scores(baseline_maps(torch.rand(2, 3, 3, 4, 5))["uniform"], mask), chance_levels(mask))

    @pytest.mark.parametrize(
        ("dtype", "result"), [("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")]
    )
    def test_range_and_dtype(self, dtype, result):
        for name, values in baseline_maps(torch.rand(1, 3, 2, 6, 6).to(getattr(torch, dtype))).items():
            assert values.dtype == getattr(torch, result), name
            assert values.shape == (1, 2, 6, 6)
            assert values.min() >= 0
            assert values.max() <= 1

    @pytest.mark.parametrize(
        ("shape", "sigma", "message"),
        [
            ((3, 4, 4, 4), 0.25, r"clip must be \(N, 3, T, H, W\).*got \(3, 4, 4, 4\)"),
            ((1, 1, 4, 4, 4), 0.25, r"got \(1, 1, 4, 4, 4\)"),
            ((1, 3, 1, 4, 4), 0.25, "at least 2 frames, got 1"),
            ((1, 3, 2, 4, 4), 0.0, "sigma must be above 0, got 0.0"),
        ],
    )
    def test_refuses(self, shape, sigma, message):
        with pytest.raises(InputError, match=message):
            baseline_maps(torch.rand(shape), sigma=sigma)
