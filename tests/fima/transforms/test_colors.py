"""Colors against kornia's functions with the same parameters, clip by clip."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from kornia import color, enhance, filters

from fima.errors import InputError
from fima.input_spec import FIMA_112, TCLR
from fima.seeding import SampleKeys
from fima.transforms.colors import ColorAugment, Colors, apply_colors, blur_kernel_size
from fima.transforms.normalize import normalize


def keys(count, seed=0, epoch=0, start=0):
    return SampleKeys(seed, epoch, np.arange(start, start + count))


def random_clip(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def plain(count=1, **changes):
    """Colors that change nothing, but for these."""
    still = {"gray": False, "jitter": False, "brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}
    still |= {"blur": False, "sigma": 1.0} | changes
    order = still.pop("order", (0, 1, 2, 3))
    return Colors(order=np.tile(order, (count, 1)), **{k: np.array([v] * count) for k, v in still.items()})


def with_kornia(clip, colors, i):
    """One clip (3, T, H, W), its frames as kornia's batch."""
    frames = clip.transpose(0, 1).double()
    if colors.gray[i]:
        frames = color.rgb_to_grayscale(frames).repeat(1, 3, 1, 1)
    if colors.jitter[i]:
        steps = (
            lambda x: enhance.adjust_brightness_accumulative(x, float(colors.brightness[i])),
            lambda x: enhance.adjust_contrast_with_mean_subtraction(x, float(colors.contrast[i])),
            lambda x: enhance.adjust_saturation_with_gray_subtraction(x, float(colors.saturation[i])),
            lambda x: enhance.adjust_hue(x, 2 * math.pi * float(colors.hue[i])),
        )
        for step in colors.order[i]:
            frames = steps[step](frames)
    if colors.blur[i]:
        taps = blur_kernel_size(min(frames.shape[-2:]))
        frames = filters.gaussian_blur2d(frames, (taps, taps), (float(colors.sigma[i]),) * 2)
    return frames.transpose(0, 1)


def test_drawn_colors_agree_with_kornia():
    clip = random_clip(60, 3, 2, 40, 44)
    colors = ColorAugment().draw(keys(60), "x")
    ours = apply_colors(clip, colors)
    for i in range(len(clip)):
        torch.testing.assert_close(ours[i].double(), with_kornia(clip[i], colors, i), rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_every_order_of_strong_changes_agrees_with_kornia(order):
    clip = random_clip(2, 3, 2, 16, 16)
    changes = {"brightness": 1.7, "contrast": 1.9, "saturation": 2.0, "hue": 0.45}
    for sign in (1, -1):
        strong = {name: value * sign if name == "hue" else 1 + sign * (value - 1) for name, value in changes.items()}
        colors = plain(2, jitter=True, order=order, **strong)
        ours = apply_colors(clip, colors)
        torch.testing.assert_close(ours[0].double(), with_kornia(clip[0], colors, 0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("hue", [-0.5, -0.31, -0.1, 0.0, 1e-4, 0.1, 1 / 6, 0.25, 0.5])
def test_hue_of_every_kind_of_color(hue):
    """Pure, mixed, gray, black, white, equal pairs, and colors a rounding error away from gray."""
    levels = torch.tensor([0.0, 1e-7, 0.25, 0.25 + 3e-8, 0.5, 0.999999, 1.0])
    palette = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 1, 49, 7)
    ours = apply_colors(palette, plain(jitter=True, hue=hue))
    expected = with_kornia(palette[0], plain(jitter=True, hue=hue), 0)
    torch.testing.assert_close(ours[0].double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
@pytest.mark.parametrize("size", [(19, 30), (20, 24), (60, 41)], ids=str)
def test_blur_agrees_with_kornia(sigma, size):
    clip = random_clip(1, 3, 3, *size)
    colors = plain(blur=True, sigma=sigma)
    torch.testing.assert_close(
        apply_colors(clip, colors)[0].double(), with_kornia(clip[0], colors, 0), rtol=0, atol=1e-5
    )


def test_the_blur_has_the_reference_size():
    assert [blur_kernel_size(size) for size in (56, 112, 128, 224, 8)] == [5, 11, 13, 23, 1]


def test_clips_in_a_group_come_out_as_alone(monkeypatch):
    """A device that takes many clips at once gets the same pictures as a processor that takes one at a time."""
    import fima.transforms.colors as module

    clip = random_clip(40, 3, 2, 24, 24)
    colors = ColorAugment(blur_probability=0.7).draw(keys(40), "x")
    alone = apply_colors(clip, colors)
    honest = module._alike
    monkeypatch.setattr(module, "_alike", lambda colors, alone: honest(colors, alone=False))
    assert max(map(len, module._alike(colors, True))) > 3
    torch.testing.assert_close(apply_colors(clip, colors), alone, rtol=0, atol=1e-6)


def test_a_clip_has_the_same_colors_in_any_batch():
    augment, clip = ColorAugment(), random_clip(6, 3, 2, 24, 24)
    whole = augment(clip, keys(6), "x", FIMA_112)
    alone = torch.cat([augment(clip[i : i + 1], keys(1, start=i), "x", FIMA_112) for i in range(6)])
    assert torch.equal(whole, alone)
    order = np.array([4, 0, 5])
    assert torch.equal(augment(clip[order], SampleKeys(0, 0, order), "x", FIMA_112), whole[order])


def test_all_frames_change_alike():
    """Blur and the other changes see one frame at a time, so equal frames stay equal."""
    frame = random_clip(30, 3, 1, 24, 24)
    out = ColorAugment()(frame.expand(-1, -1, 4, -1, -1), keys(30), "x")
    assert torch.equal(out, out[:, :, :1].expand_as(out))
    assert not torch.equal(out[:, :, :1], frame)


@pytest.mark.parametrize("spec", [FIMA_112, TCLR], ids=["rgb", "bgr"])
def test_normalizes_as_normalize_does_and_lays_channels_last(spec):
    clip = random_clip(8, 3, 2, 24, 24)
    before = clip.clone()
    colors = ColorAugment().draw(keys(8), "x")
    assert colors.gray.any()
    ours = apply_colors(clip, colors, spec)
    torch.testing.assert_close(ours, normalize(apply_colors(clip, colors), spec), rtol=1e-5, atol=1e-5)
    assert ours.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(clip, before)


def test_half_precision_is_only_in_the_result():
    clip = random_clip(6, 3, 2, 32, 32)
    colors = ColorAugment(blur_probability=1).draw(keys(6), "x")
    expected = apply_colors(clip, colors, FIMA_112)
    with torch.autocast("cpu", torch.bfloat16):
        half = apply_colors(clip, colors, FIMA_112, dtype=torch.bfloat16)
    assert torch.equal(half, expected.bfloat16())
    assert apply_colors(clip.bfloat16(), colors).dtype == torch.bfloat16


def test_reads_any_layout():
    clip = random_clip(5, 3, 2, 24, 24)
    colors = ColorAugment().draw(keys(5), "x")
    last = clip.contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(apply_colors(last, colors), apply_colors(clip, colors), rtol=0, atol=1e-6)


def test_draws_have_their_distributions():
    count = 40_000
    colors = ColorAugment().draw(keys(count), "x")
    for name, expected in (("gray", 0.2), ("jitter", 0.8), ("blur", 0.5)):
        assert getattr(colors, name).mean() == pytest.approx(expected, abs=0.01)
    for name, low, high in (
        ("brightness", 0.6, 1.4),
        ("contrast", 0.6, 1.4),
        ("saturation", 0.6, 1.4),
        ("hue", -0.1, 0.1),
        ("sigma", 0.1, 2.0),
    ):
        shares = np.histogram(getattr(colors, name), 10, (low, high))[0] / count
        np.testing.assert_allclose(shares, 0.1, atol=0.01, err_msg=name)
    orders, counts = np.unique(colors.order, axis=0, return_counts=True)
    assert len(orders) == 24
    np.testing.assert_allclose(counts / count, 1 / 24, atol=0.005)
    flags = np.corrcoef([colors.gray, colors.jitter, colors.blur, colors.brightness])
    assert np.abs(flags[np.triu_indices(4, 1)]).max() < 0.02


def test_rgb_and_motion_are_drawn_apart_and_epochs_too():
    augment = ColorAugment()
    rgb, motion = augment.draw(keys(200), "rgb 0"), augment.draw(keys(200), "motion 0")
    later = augment.draw(keys(200, epoch=1), "rgb 0")
    assert not np.array_equal(rgb.gray, motion.gray)
    assert (rgb.hue != motion.hue).all()
    assert (rgb.hue != later.hue).all()
    np.testing.assert_array_equal(rgb.hue, augment.draw(keys(200), "rgb 0").hue)


def test_nothing_drawn_changes_nothing():
    clip = random_clip(2, 3, 2, 16, 16)
    assert torch.equal(apply_colors(clip, plain(2)), clip)
    off = ColorAugment(gray_probability=0, jitter_probability=0, blur_probability=0)
    assert torch.equal(off(clip, keys(2), "x"), clip)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"gray_probability": 1.1}, r"gray_probability must be in \[0, 1\], got 1\.1"),
        ({"brightness": -0.1}, "brightness must be in"),
        ({"hue": 0.6}, r"hue must be in \[0, 0\.5\] turns, got 0\.6"),
        ({"sigma": (0.0, 2.0)}, r"sigma must be an ascending range of positive numbers, got \(0\.0, 2\.0\)"),
    ],
    ids=["probability", "factor", "hue", "sigma"],
)
def test_refuses_settings(setting, message):
    with pytest.raises(InputError, match=message):
        replace(ColorAugment(), **setting)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (torch.rand(3, 2, 8, 8), r"clip must be \(N, 3, T, H, W\) floating point, got \(3, 2, 8, 8\)"),
        (torch.zeros(1, 3, 2, 8, 8, dtype=torch.uint8), "floating point.*uint8"),
        (torch.rand(2, 3, 2, 8, 8), "colors must be of 2 clips, got those of 1"),
    ],
    ids=["axes", "8 bit", "count"],
)
def test_refuses_clips(clip, message):
    with pytest.raises(InputError, match=message):
        apply_colors(clip, plain())
