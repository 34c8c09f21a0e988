"""Attribution: numbers by hand, and invariances."""

import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import nn

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.backbone.randomized import cascade
from analysis.measures.attribution import (
    BASELINES,
    METHODS,
    attribute,
    baseline_clip,
    cosine_target,
    frame_share,
    logit_target,
    motion_scores,
)
from analysis.measures.temporal import pool_features
from fima.checkpoints import untrained_backbone
from fima.errors import InputError
from fima.transforms.motion import frame_difference

SHAPE = (3, 4, 6, 6)

SLOW_LAST = [*METHODS[:-1], pytest.param(METHODS[-1], marks=pytest.mark.slow)]


def _rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def _linear(weight):
    """Features and target whose product is exactly the sum of weight · clip."""
    positions = weight[0].numel()
    return (lambda clip: clip * weight), (lambda pooled: pooled.sum(dim=1) * positions)


def _attribute(method, clip, weight, baseline, **settings):
    features, target = _linear(weight)
    return attribute(features, clip, [target] * len(clip), baseline, method=method, **settings)


@pytest.fixture(scope="module")
def tiny():
    loaded = untrained_backbone("tiny", seed=0)
    return FeatureExtractor(replace(loaded, input=loaded.input.replace(num_frames=8, size=24)))


def _motion_targets(extractor, clip):
    with torch.no_grad():
        motion = frame_difference(clip, boundary="repeat")
        return [cosine_target(pool_features(extractor.feature_map(one[None]))[0]) for one in motion]


def _of_tiny(tiny, clip, baseline="mean", **settings):
    start = baseline_clip(baseline, clip)
    return attribute(tiny.feature_map, clip, _motion_targets(tiny, clip), start, **settings)


@pytest.mark.parametrize("method", METHODS)
def test_normalized_once_or_at_every_pass_is_the_same(tiny, method):
    clip = _rand(2, 3, 8, 24, 24)
    usual = _of_tiny(tiny, clip, method=method, steps=5)
    calls = []

    def prepare(one):
        calls.append(len(one))
        return tiny.prepare(one)

    start, targets = baseline_clip("mean", clip), _motion_targets(tiny, clip)
    found = attribute(tiny.prepared_map, clip, targets, start, method=method, steps=5, prepare=prepare)
    assert (found.map - usual.map).norm() <= 1e-4 * usual.map.norm()
    assert found.convergence_delta.tolist() == pytest.approx(usual.convergence_delta.tolist(), abs=1e-4, nan_ok=True)
    assert (calls == [1, 1] * 2) == (method == "integrated_gradients")


@pytest.mark.parametrize("steps", [1, 5])
def test_integrated_gradients_of_a_linear_function_are_weight_times_difference(steps):
    clip, weight, baseline = _rand(2, *SHAPE), _rand(*SHAPE, seed=1) - 0.5, _rand(2, *SHAPE, seed=2)
    found = _attribute("integrated_gradients", clip, weight, baseline, steps=steps)
    torch.testing.assert_close(found.map, (weight * (clip - baseline)).sum(dim=1), atol=1e-5, rtol=1e-4)
    assert (found.convergence_delta < 1e-4).all()


def test_gradient_shap_of_a_linear_function_is_weight_times_difference_up_to_its_noise():
    clip, weight = _rand(1, *SHAPE), torch.ones(SHAPE)
    baseline = torch.zeros_like(clip)
    found = _attribute("gradient_shap", clip, weight, baseline, steps=400)
    # Noise of 0.05 averaged over 400 samples and summed over 3 colors: deviation 0.0043.
    torch.testing.assert_close(found.map, clip.sum(dim=1), atol=0.025, rtol=0)
    assert float(found.convergence_delta) < 1e-4


def test_occlusion_of_a_linear_function_is_what_each_window_held():
    clip, weight, baseline = _rand(1, *SHAPE), _rand(*SHAPE, seed=1), _rand(1, *SHAPE, seed=2)
    held = (weight * (clip - baseline)).sum(dim=1)[0]
    # Windows of one pixel, moved by one: every pixel's own share.
    single = _attribute("occlusion", clip, weight, baseline, window=(1, 1), internal_batch_size=16)
    torch.testing.assert_close(single.map[0], held, atol=1e-4, rtol=1e-4)
    # Larger ones by brute force: averaged over all that cover a pixel.
    frames, pixels, total, number = 2, 4, torch.zeros(4, 6, 6), torch.zeros(4, 6, 6)
    for t in range(3):
        for y in (0, 2):
            for x in (0, 2):
                box = (slice(t, t + frames), slice(y, y + pixels), slice(x, x + pixels))
                total[box] += held[box].sum()
                number[box] += 1
    found = _attribute("occlusion", clip, weight, baseline, window=(frames, pixels))
    torch.testing.assert_close(found.map[0], total / number, atol=1e-4, rtol=1e-4)
    assert found.convergence_delta.isnan().all()


def test_grad_cam_of_one_convolution_by_hand():
    conv = nn.Conv3d(3, 5, 3, padding=1)
    clip, reference = _rand(1, *SHAPE), _rand(5, seed=3)
    found = attribute(conv, clip, [cosine_target(reference)], torch.zeros_like(clip), method="grad_cam").map[0]
    feature_map = conv(clip).detach()[0]
    pooled = feature_map.mean(dim=(1, 2, 3))
    unit, aim = pooled / pooled.norm(), reference / reference.norm()
    gradient = (aim - (aim @ unit) * unit) / pooled.norm() / feature_map[0].numel()
    expected = torch.einsum("c,cthw->thw", gradient, feature_map)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)
    assert float(found.sum()) == pytest.approx(0, abs=1e-5)  # a cosine does not care how long features are


def test_grad_cam_is_interpolated_to_the_clip(tiny):
    clip = _rand(2, 3, 8, 24, 24)
    assert _of_tiny(tiny, clip, method="grad_cam").map.shape == (2, 8, 24, 24)


def test_a_class_logit_is_a_target():
    head = nn.Linear(3, 4)
    clip, baseline = _rand(1, *SHAPE), torch.zeros(1, *SHAPE)
    found = attribute(lambda c: c, clip, [logit_target(head, 2)], baseline, steps=3)
    expected = (head.weight[2].detach().view(1, 3, 1, 1, 1) * clip).sum(dim=1) / clip[0, 0].numel()
    torch.testing.assert_close(found.map, expected, atol=1e-6, rtol=1e-4)


@given(st.integers(0, 1000), st.sampled_from([1e-30, 1e-3, 1.0, 1e30]))
def test_cosine_whatever_the_scale(seed, scale):
    first, second = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(seed))
    expected = torch.cosine_similarity(first.double(), second[:1].double()).float()
    torch.testing.assert_close(cosine_target(second[0])(first * scale), expected, atol=1e-5, rtol=0)
    assert cosine_target(second[0])(torch.zeros(2, 7)).tolist() == [0, 0]


@pytest.mark.parametrize("baseline", BASELINES)
def test_integrated_gradients_sum_to_the_difference_of_the_target(tiny, baseline):
    """Through the normalization, which a clip in [0, 1] goes through here as well."""
    clip = _rand(2, 3, 8, 24, 24)
    start = baseline_clip(baseline, clip)
    found = _of_tiny(tiny, clip, baseline, steps=128)
    with torch.no_grad():
        for i, target in enumerate(_motion_targets(tiny, clip)):
            one, other = (target(pool_features(tiny.feature_map(x[i : i + 1]))) for x in (clip, start))
            assert float(found.map[i].double().sum()) == pytest.approx(float(one - other), rel=0.03, abs=1e-3)
            relative = abs(float(found.map[i].double().sum()) / float(one - other) - 1)
            assert float(found.convergence_delta[i]) == pytest.approx(relative, abs=2e-3)


def test_convergence_delta_falls_with_the_steps(tiny):
    clip = _rand(2, 3, 8, 24, 24)
    deltas = [_of_tiny(tiny, clip, steps=steps).convergence_delta.mean() for steps in (2, 16, 128)]
    assert all(more > less for more, less in pairwise(deltas))
    assert deltas[-1] < 0.02


@pytest.mark.parametrize("method", SLOW_LAST)
def test_a_map_depends_neither_on_the_batch_nor_on_how_much_is_computed_at_once(tiny, method):
    clip = _rand(3, 3, 8, 24, 24)
    together = _of_tiny(tiny, clip, method=method, steps=7, internal_batch_size=4)
    assert together.map.std() > 0
    for at_once in (1, 3, 64):
        alone = _of_tiny(tiny, clip[1:2], method=method, steps=7, internal_batch_size=at_once)
        scale = float(together.map[1].abs().max())
        torch.testing.assert_close(alone.map[0], together.map[1], atol=2e-4 * scale, rtol=0)


@pytest.mark.parametrize("method", SLOW_LAST)
@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_clips_are_computed_at_once_than_allowed(tiny, method, at_once):
    clip, seen = _rand(2, 3, 8, 24, 24), []

    def features(given):
        seen.append(len(given))
        return tiny.feature_map(given)

    start = torch.zeros_like(clip)
    attribute(features, clip, _motion_targets(tiny, clip), start, method=method, steps=7, internal_batch_size=at_once)
    assert max(seen) == (1 if method == "grad_cam" else at_once)
    if method == "integrated_gradients":
        assert sum(seen) == 2 * (7 + 2)  # and both ends, for the convergence delta


def test_the_clip_the_backbone_and_the_global_random_numbers_stay_as_they_were(tiny):
    clip = _rand(1, 3, 8, 24, 24)
    before, weights = clip.clone(), {n: w.clone() for n, w in tiny.backbone.state_dict().items()}
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    expected = np.random.rand(), float(torch.rand(()))  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor does anything reach a notebook's stderr
        for method in METHODS:
            _of_tiny(tiny, clip, method=method, steps=3)
        list(cascade(tiny, [20]))
    assert (np.random.rand(), float(torch.rand(()))) == expected  # noqa: NPY002
    assert torch.equal(clip, before)
    assert not clip.requires_grad
    assert all(torch.equal(weight, weights[name]) for name, weight in tiny.backbone.state_dict().items())
    assert all(weight.grad is None for weight in tiny.backbone.parameters())


def test_baselines_by_hand():
    clip = _rand(2, 3, 5, 20, 20)
    mean = baseline_clip("mean", clip)
    for i in range(2):
        for channel in range(3):
            torch.testing.assert_close(mean[i, channel], clip[i, channel].mean().expand(5, 20, 20))
    assert not baseline_clip("black", clip).any()
    assert torch.equal(baseline_clip("frozen", clip), clip[:, :, 2:3].expand_as(clip))
    blurred = baseline_clip("blurred", clip)
    expected = gaussian_filter(clip.double().numpy(), (0, 0, 0, 2, 2), mode="nearest", truncate=3)
    np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-5)


def test_a_frozen_baseline_explains_nothing_that_rests():
    clip = torch.full((1, *SHAPE), 0.5)
    clip[:, :, 3, 2, 2] = 1
    frozen = baseline_clip("frozen", clip)
    found = _attribute("integrated_gradients", clip, _rand(*SHAPE), frozen)
    assert found.map[0].nonzero().tolist() == [[3, 2, 2]]


def test_shares_of_frames_by_hand():
    maps = torch.zeros(2, 3, 2, 2)
    maps[0, 0, 0, 0], maps[0, 2, 1, 1], maps[0, 2, 0, 1] = -1, 2, 1
    share = frame_share(maps)
    assert share[0].tolist() == [0.25, 0, 0.75]
    assert share[1].isnan().all()


def test_attribution_that_is_the_motion_energy_correlates_fully_whatever_its_sign():
    energy = _rand(1, 4, 8, 8)
    sign = torch.where(_rand(1, 4, 8, 8, seed=1) > 0.5, 1.0, -1.0)
    scores = motion_scores(3 * sign * energy, energy, (2, 4, 4))
    assert float(scores["time_correlation"]) == pytest.approx(1)
    assert float(scores["motion_correlation"]) == pytest.approx(1)
    late = torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 8, 8)
    assert float(motion_scores(late, late.flip(1), (4, 2, 2))["time_correlation"]) == pytest.approx(-1)
    assert motion_scores(torch.ones(1, 4, 8, 8), energy, (2, 4, 4))["time_correlation"].isnan().all()


def test_what_does_not_fit_is_refused():
    clip = _rand(1, *SHAPE)
    features, target = _linear(torch.ones(SHAPE))
    for settings, message in (
        ({"method": "saliency"}, "method must be one of integrated_gradients, .*, got 'saliency'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"internal_batch_size": 0}, "internal_batch_size must be at least 1, got 0"),
        ({"method": "occlusion", "window": (5, 2)}, r"window must fit into 4 frames of 6 x 6, got \(5, 2\)"),
    ):
        with pytest.raises(InputError, match=message):
            attribute(features, clip, [target], clip, **settings)
    with pytest.raises(InputError, match="baseline must be"):
        attribute(features, clip, [target], clip[:, :, :2])
    with pytest.raises(InputError, match="2 targets"):
        attribute(features, clip, [target] * 2, clip)
    with pytest.raises(InputError, match="baseline must be one of mean, black, blurred, frozen, got 'white'"):
        baseline_clip("white", clip)
    with pytest.raises(InputError, match=r"clip must be \(N, 3, T, H, W\)"):
        baseline_clip("black", clip[0])
