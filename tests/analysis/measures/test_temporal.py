from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.measures.temporal import (
    offset_similarity,
    offset_statistics,
    pool_features,
    similarity_chance,
    similarity_scores,
    temporal_similarity,
)
from fima.errors import InputError


def random_map(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class TestSimilarity:
    @pytest.mark.parametrize("masked", [False, True])
    def test_is_the_cosine_of_slice_averages(self, masked):
        rgb, motion = random_map(2, 5, 3, 4, 4), random_map(2, 5, 3, 4, 4, seed=1)
        mask = random_map(2, 4, 4, seed=2) > 0 if masked else None
        similarity = temporal_similarity(rgb, motion, mask)
        for n in range(2):
            inside = mask[n] if masked else torch.ones(4, 4, dtype=torch.bool)
            for row in range(3):
                for column in range(3):
                    one, other = rgb[n, :, row][:, inside].mean(1), motion[n, :, column][:, inside].mean(1)
                    expected = torch.cosine_similarity(one, other, dim=0)
                    torch.testing.assert_close(similarity[n, row, column], expected, rtol=0, atol=1e-6)

    def test_identical_maps_have_a_unit_diagonal(self):
        rgb = random_map(2, 64, 4, 7, 7)
        similarity = temporal_similarity(rgb, rgb)
        assert torch.equal(similarity.diagonal(dim1=1, dim2=2), torch.ones(2, 4))
        assert torch.equal(similarity, similarity.mT)
        scores = similarity_scores(similarity)
        assert torch.equal(scores["top1_agreement"], torch.ones(2))
        assert (scores["contrast"] > 0).all()

    def test_shifted_motion_moves_the_ridge(self):
        rgb = random_map(1, 64, 4, 3, 3)
        similarity = temporal_similarity(rgb, rgb.roll(1, dims=2))
        assert similarity[0].argmax(1).tolist() == [1, 2, 3, 0]
        assert similarity_scores(similarity)["top1_agreement"] == 0

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("masked", [False, True])
    def test_still_features_are_exactly_at_chance(self, dtype, masked):
        rgb, motion = (random_map(2, 512, 1, 7, 7, seed=s, dtype=dtype).repeat(1, 1, 4, 1, 1) for s in (0, 1))
        mask = random_map(2, 7, 7) > 0 if masked else None
        scores, chance = similarity_scores(temporal_similarity(rgb, motion, mask)), similarity_chance(4)
        for name, values in scores.items():
            assert values.tolist() == [chance[name]] * 2, name

    def test_sample_without_foreground_is_nan(self):
        rgb = random_map(2, 5, 2, 3, 3)
        mask = torch.zeros(2, 3, 3, dtype=torch.bool)
        mask[0, 1, 1] = True
        similarity = temporal_similarity(rgb, rgb, mask)
        assert similarity[0].isfinite().all()
        assert similarity[1].isnan().all()
        for values in similarity_scores(similarity).values():
            assert values.isnan().tolist() == [False, True]

    def test_what_lies_outside_the_mask_does_not_matter(self):
        rgb, mask = random_map(1, 5, 2, 3, 3), torch.eye(3, dtype=torch.bool)[None]
        spoilt = rgb.masked_fill(~mask[:, None, None], math.nan)
        assert torch.equal(temporal_similarity(rgb, rgb, mask), temporal_similarity(spoilt, spoilt, mask))

    def test_hand_worked_scores(self):
        similarity = torch.tensor([[[0.9, 0.1], [0.5, 0.5]], [[0.0, 1.0], [1.0, 0.0]]], dtype=torch.float64)
        scores = similarity_scores(similarity)
        assert scores["contrast"].tolist() == pytest.approx([0.4, -1])
        assert scores["top1_agreement"].tolist() == [0.75, 0]

    def test_single_slice_has_no_contrast(self):
        scores = similarity_scores(torch.ones(1, 1, 1))
        assert scores["contrast"].isnan()
        assert scores["top1_agreement"] == 1

    def test_gradient(self):
        maps = [random_map(1, 3, 2, 2, 2, seed=seed, dtype=torch.float64).requires_grad_() for seed in (0, 1)]
        mask = torch.tensor([[[True, False], [True, True]]])
        assert torch.autograd.gradcheck(lambda *m: temporal_similarity(*m, mask), maps, eps=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        ("mask", "message"),
        [
            (torch.ones(2, 3, 3), "bool, got.*float32"),
            (torch.ones(1, 3, 3, dtype=torch.bool), r"\(2, 3, 3\) bool, got \(1, 3, 3\)"),
        ],
    )
    def test_refuses_masks(self, mask, message):
        with pytest.raises(InputError, match=message):
            temporal_similarity(torch.rand(2, 4, 2, 3, 3), torch.rand(2, 4, 2, 3, 3), mask)

    def test_refuses_shapes(self):
        with pytest.raises(InputError, match="motion must have the shape of rgb"):
            temporal_similarity(torch.rand(2, 4, 2, 3, 3), torch.rand(2, 4, 3, 3, 3))
        with pytest.raises(InputError, match=r"\(N, T', T'\).*got \(2, 2\)"):
            similarity_scores(torch.rand(2, 2))


class TestPooling:
    @settings(deadline=None)
    @given(seed=st.integers(0, 100))
    def test_is_the_mean_over_foreground(self, seed):
        feature_map, mask = random_map(2, 3, 2, 4, 3, seed=seed), random_map(2, 4, 3, seed=seed + 1) > 0
        torch.testing.assert_close(pool_features(feature_map), feature_map.mean((2, 3, 4)))
        pooled = pool_features(feature_map, mask)
        for n in range(2):
            torch.testing.assert_close(pooled[n], feature_map[n][:, :, mask[n]].mean((1, 2)), equal_nan=True)

    def test_dtype(self):
        assert pool_features(random_map(1, 2, 2, 3, 3, dtype=torch.float64)).dtype == torch.float64
        assert pool_features(random_map(1, 2, 2, 3, 3).half()).dtype == torch.float32


class TestOffsets:
    def test_similarity_is_the_cosine(self):
        rgb, motion = random_map(4, 6), random_map(4, 6, seed=1)
        expected = torch.cosine_similarity(rgb[:, None], motion[None], dim=2)
        torch.testing.assert_close(offset_similarity(rgb, motion), expected, rtol=0, atol=1e-6)

    def test_features_that_drift_peak_at_zero(self):
        # Features on a circle: the cosine depends on the offset alone.
        angle = torch.arange(12, dtype=torch.float64) * 0.2
        features = torch.stack((angle.cos(), angle.sin()), dim=1)
        similarity = offset_similarity(features, features)
        curve = offset_statistics(similarity, torch.arange(12) * 4, span=16, fps=25)
        assert curve.mean.tolist() == pytest.approx([math.cos(0.2 * k) for k in range(-11, 12)])
        assert curve.auroc == curve.auroc_disjoint == 1

    def test_motion_that_lags_peaks_at_the_lag(self):
        features = random_map(12, 64)
        similarity = offset_similarity(features[2:], features[:-2])  # motion shows two windows later what RGB shows
        curve = offset_statistics(similarity, torch.arange(10) * 8, span=16, fps=25)
        assert curve.offsets_frames[curve.mean.argmax()] == 16

    def test_refuses_shapes(self):
        with pytest.raises(InputError, match=r"\(W, C\), got \(4, 3\) and \(5, 3\)"):
            offset_similarity(torch.rand(4, 3), torch.rand(5, 3))
