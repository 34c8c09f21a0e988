from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.errors import InputError
from fima.methods.activation import activation_boxes, check_feature_maps, class_agnostic_activation_map, foreground_mask


def random_map(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class TestActivationMap:
    def test_agrees_with_the_reference(self, golden, rel_err):
        ours = class_agnostic_activation_map(golden.tensor("caam_in")[:, None])
        assert rel_err(ours, golden.tensor("caam_out")) <= 1e-6

    def test_hand_worked(self):
        # channel means [[2, 4], [6, 10]] at time 0 and [[2, 2], [2, 18]] at time 1
        channels = torch.tensor([[[[1.0, 4], [6, 9]], [[2, 0], [2, 18]]], [[[3.0, 4], [6, 11]], [[2, 4], [2, 18]]]])
        frame = class_agnostic_activation_map(channels[None])
        assert frame.tolist() == [[[[0, 0.25], [0.5, 1]], [[0, 0], [0, 1]]]]
        clip = class_agnostic_activation_map(channels[None], normalize="clip")
        assert clip.tolist() == [[[[0, 0.125], [0.25, 0.5]], [[0, 0], [0, 1]]]]

    @settings(deadline=None)
    @given(seed=st.integers(0, 200), normalize=st.sampled_from(["frame", "clip"]), c=st.sampled_from([1, 2, 7]))
    def test_is_the_min_max_of_the_channel_mean(self, seed, normalize, c):
        feature_map = random_map(2, c, 3, 4, 5, seed=seed) * 10 - 5
        before = feature_map.clone()
        ours = class_agnostic_activation_map(feature_map, normalize=normalize)
        mean = feature_map.double().mean(1)
        for n in range(2):
            for t in range(3):
                span = mean[n, t] if normalize == "frame" else mean[n]
                expected = (mean[n, t] - span.min()) / (span.max() - span.min())
                torch.testing.assert_close(ours[n, t].double(), expected, rtol=0, atol=1e-5)
        assert (ours.amin((2, 3) if normalize == "frame" else (1, 2, 3)) == 0).all()
        assert (ours.amax((2, 3) if normalize == "frame" else (1, 2, 3)) == 1).all()
        assert torch.equal(feature_map, before)

    @settings(deadline=None)
    @given(seed=st.integers(0, 200), scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
    def test_does_not_depend_on_scale_and_offset(self, seed, scale, shift):
        feature_map = random_map(1, 4, 2, 5, 5, seed=seed, dtype=torch.float64)
        torch.testing.assert_close(
            class_agnostic_activation_map(feature_map * scale + shift), class_agnostic_activation_map(feature_map)
        )

    @pytest.mark.parametrize("normalize", ["frame", "clip"])
    @pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
    @pytest.mark.parametrize("channels", [1, 3, 1024])
    def test_flat_response_gives_zeros(self, normalize, layout, channels):
        # Features differ from channel to channel, so that the mean rounds, but not from place to place.
        feature_map = random_map(3, channels, 1, 1, 1).expand(3, channels, 2, 7, 7).contiguous(memory_format=layout)
        assert not class_agnostic_activation_map(feature_map, normalize=normalize, size=(4, 14, 14)).any()

    @pytest.mark.parametrize("channels", [16, 128, 1000])
    def test_a_layer_norm_leaves_nothing_to_see(self, channels):
        """Its mean over channels is 0 but for rounding, which must not become a picture."""
        tokens = torch.nn.LayerNorm(channels)(torch.randn(2, 3, 5, 5, channels) * 3 + 1)
        maps = class_agnostic_activation_map(tokens.movedim(-1, 1))
        assert torch.equal(maps, torch.zeros(2, 3, 5, 5))
        assert not foreground_mask(tokens.movedim(-1, 1), tokens.movedim(-1, 1)).any()

    def test_one_flat_frame_leaves_the_others(self):
        feature_map = random_map(1, 1, 2, 3, 3)
        feature_map[:, :, 0] = 0.3
        ours = class_agnostic_activation_map(feature_map)
        assert not ours[0, 0].any()
        assert ours[0, 1].max() == 1

    def test_single_channel_keeps_the_faintest_contrast(self):
        feature_map = torch.ones(1, 1, 1, 2, 2)
        feature_map[..., 0, 0] = 1 + torch.finfo(torch.float32).eps
        assert class_agnostic_activation_map(feature_map).tolist() == [[[[1, 0], [0, 0]]]]

    def test_interpolates_after_normalizing(self):
        feature_map = random_map(2, 3, 2, 4, 4)
        small = class_agnostic_activation_map(feature_map)
        large = class_agnostic_activation_map(feature_map, size=(8, 16, 12))
        expected = torch.nn.functional.interpolate(
            small[:, None], size=(8, 16, 12), mode="trilinear", align_corners=False
        )
        torch.testing.assert_close(large, expected[:, 0])
        assert large.shape == (2, 8, 16, 12)
        assert large.min() >= 0
        assert large.max() <= 1

    def test_same_size_changes_nothing(self):
        feature_map = random_map(1, 3, 2, 4, 4)
        ours = class_agnostic_activation_map(feature_map, size=(2, 4, 4))
        torch.testing.assert_close(ours, class_agnostic_activation_map(feature_map))

    @pytest.mark.parametrize("normalize", ["frame", "clip"])
    def test_gradient(self, normalize):
        feature_map = random_map(1, 2, 2, 3, 3, dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x: class_agnostic_activation_map(x, size=(4, 5, 5), normalize=normalize), feature_map
        )

    def test_gradient_of_a_flat_map_is_finite(self):
        feature_map = torch.ones(1, 2, 2, 3, 3, requires_grad=True)
        class_agnostic_activation_map(feature_map, size=(4, 6, 6)).sum().backward()
        assert feature_map.grad.isfinite().all()

    @pytest.mark.parametrize(
        ("given", "expected"),
        [(torch.float64, torch.float64), (torch.float32, torch.float32), (torch.bfloat16, torch.float32)],
    )
    def test_dtype(self, given, expected):
        assert class_agnostic_activation_map(random_map(1, 2, 2, 3, 3).to(given), size=(2, 6, 6)).dtype == expected

    @pytest.mark.parametrize(
        ("shape", "kwargs", "message"),
        [
            ((2, 2, 3, 3), {}, r"feature_map must be \(N, C, T', H', W'\), got \(2, 2, 3, 3\); add a batch axis"),
            ((1, 2, 2, 3, 3), {"size": (4, 4)}, r"size must be \(T, H, W\).*got \(4, 4\)"),
            ((1, 2, 2, 3, 3), {"size": (4, 0, 4)}, r"got \(4, 0, 4\)"),
            ((1, 2, 2, 3, 3), {"normalize": "video"}, "frame, clip, got 'video'"),
        ],
    )
    def test_refuses(self, shape, kwargs, message):
        with pytest.raises(InputError, match=message):
            class_agnostic_activation_map(torch.rand(shape), **kwargs)


class TestForegroundMask:
    def test_agrees_with_the_reference(self, golden):
        ours = foreground_mask(golden.tensor("mask_rgb"), golden.tensor("mask_motion"))
        assert ours.dtype == torch.bool
        assert torch.equal(ours, golden.tensor("mask_out").bool())

    @settings(deadline=None)
    @given(seed=st.integers(0, 200), h=st.integers(1, 5), w=st.integers(1, 5), levels=st.sampled_from([2, 5, 1000]))
    def test_is_strictly_above_the_lower_median(self, seed, h, w, levels):
        rgb, motion = ((random_map(3, 2, 2, h, w, seed=seed + i) * levels).floor() for i in (0, 500))
        response = (rgb + motion).mean((1, 2))
        median = response.flatten(1).median(dim=1).values
        mask = foreground_mask(rgb, motion)
        assert torch.equal(mask, response > median[:, None, None])
        assert (mask.sum((1, 2)) <= h * w // 2).all()

    def test_half_of_distinct_responses(self):
        rgb = torch.arange(16.0).view(1, 1, 1, 4, 4)
        mask = foreground_mask(rgb, torch.zeros_like(rgb))
        assert mask.flatten().tolist() == [False] * 8 + [True] * 8

    def test_flat_response_has_no_foreground(self):
        assert not foreground_mask(torch.ones(2, 3, 2, 4, 4), torch.ones(2, 3, 2, 4, 4)).any()

    def test_builds_no_graph(self):
        rgb = random_map(1, 2, 2, 3, 3).requires_grad_()
        assert not foreground_mask(rgb, rgb).requires_grad

    def test_refuses_shapes_that_differ(self):
        with pytest.raises(InputError, match=r"motion must have the shape of rgb, \(1, 2, 2, 3, 3\), got"):
            foreground_mask(torch.rand(1, 2, 2, 3, 3), torch.rand(1, 2, 2, 3, 4))


class TestBoxes:
    def test_hand_worked(self):
        activation_map = torch.zeros(1, 3, 5, 9)
        activation_map[0, 0, 1:3, 2:7] = 0.8
        activation_map[0, 0, 4, 8] = 0.4  # exactly half of the maximum: not above it
        activation_map[0, 1, 4, 0] = 0.1
        boxes = activation_boxes(activation_map)
        assert boxes[0, 0].tolist() == [0.25, 0.25, 0.75, 0.5]
        assert boxes[0, 1].tolist() == [0, 1, 0, 1]
        assert boxes[0, 2].isnan().all()

    @settings(deadline=None)
    @given(
        seed=st.integers(0, 300),
        h=st.integers(1, 6),
        w=st.integers(1, 6),
        threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9]),
    )
    def test_agrees_with_a_search(self, seed, h, w, threshold):
        activation_map = random_map(2, 2, h, w, seed=seed) * (random_map(2, 2, h, w, seed=seed + 1) > 0.4)
        boxes = activation_boxes(activation_map, threshold=threshold)
        for n in range(2):
            for t in range(2):
                frame = activation_map[n, t]
                ys, xs = torch.nonzero(frame > threshold * frame.max(), as_tuple=True)
                if len(ys) == 0:
                    assert boxes[n, t].isnan().all()
                    continue
                corners = [xs.min() / max(w - 1, 1), ys.min() / max(h - 1, 1), xs.max() / max(w - 1, 1)]
                torch.testing.assert_close(boxes[n, t], torch.stack([*corners, ys.max() / max(h - 1, 1)]))

    @pytest.mark.parametrize(
        ("activation_map", "threshold", "message"),
        [
            (torch.rand(2, 5, 5), 0.5, r"\(N, T, H, W\).*got \(2, 5, 5\)"),
            (torch.rand(1, 2, 5, 5), 1.0, r"threshold must be in \[0, 1\), got 1.0"),
            (torch.rand(1, 2, 5, 5), math.nan, "got nan"),
        ],
    )
    def test_refuses(self, activation_map, threshold, message):
        with pytest.raises(InputError, match=message):
            activation_boxes(activation_map, threshold=threshold)


def test_check_names_what_is_wrong():
    check_feature_maps(rgb=torch.rand(1, 2, 2, 3, 3), motion=torch.rand(1, 2, 2, 3, 3))
    with pytest.raises(InputError, match="motion must be floating point, got torch"):
        check_feature_maps(rgb=torch.rand(1, 2, 2, 3, 3), motion=torch.zeros(1, 2, 2, 3, 3, dtype=torch.long))
