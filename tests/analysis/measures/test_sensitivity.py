"""Alterations of clips and distances of features: by hand, properties, features whose nature is known."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.sensitivity import (
    ALTERATIONS,
    APPEARANCE_CHANGES,
    MOTION_CHANGES,
    change_speed,
    color_jitter,
    cosine_distance,
    frozen,
    grayscale,
    replace_background,
    sensitivity_scores,
    shuffled,
    time_reversed,
)
from fima.errors import InputError
from fima.transforms.motion import frame_difference

LENGTHS = st.integers(2, 20)

SEEDS = st.integers(0, 2**32)


def _numbered(length, n=1):
    """Clips whose frame t is t / 100 everywhere."""
    return (torch.arange(length) / 100).view(1, 1, -1, 1, 1).expand(n, 3, length, 2, 2).clone()


def _order(clip):
    return (clip[0, 0, :, 0, 0] * 100).round().int().tolist()


def _square(place, color=(1.0, 0.2, 0.2), background=0.3, length=8, size=16):
    """A square of 4 pixels that goes one pixel a frame, and its mask."""
    clip = torch.full((1, 3, length, size, size), float(background))
    mask = torch.zeros(1, length, size, size, dtype=torch.bool)
    for t in range(length):
        mask[:, t, place : place + 4, t : t + 4] = True
    return torch.where(mask[:, None], torch.tensor(color).view(1, 3, 1, 1, 1), clip), mask


@pytest.mark.parametrize(
    ("altered", "order"),
    [
        (frozen(_numbered(8)), [4] * 8),
        (frozen(_numbered(5)), [2] * 5),
        (time_reversed(_numbered(4)), [3, 2, 1, 0]),
        (change_speed(_numbered(8), 0.5), [2, 2, 3, 3, 4, 4, 5, 5]),
        (change_speed(_numbered(16), 0.5), [f for f in range(4, 12) for _ in range(2)]),
        (change_speed(_numbered(8), 2), [1, 3, 5, 7, 6, 4, 2, 0]),
        (change_speed(_numbered(5), 2), [1, 3, 4, 2, 0]),
        (change_speed(_numbered(4), 4), [2, 1, 2, 1]),
        (change_speed(_numbered(6), 1), [0, 1, 2, 3, 4, 5]),
        (change_speed(_numbered(1), 0.5), [0]),
    ],
)
def test_frames_by_hand(altered, order):
    assert _order(altered) == order


@given(LENGTHS, SEEDS)
def test_shuffling_keeps_the_frames_and_changes_their_order_by_the_seed_alone(length, seed):
    order = _order(shuffled(_numbered(length), seed))
    assert sorted(order) == list(range(length))
    assert order != list(range(length))
    batch = shuffled(_numbered(length, n=3), seed)
    assert all(_order(batch[i : i + 1]) == order for i in range(3))


def test_seeds_shuffle_differently():
    assert len({tuple(_order(shuffled(_numbered(16), seed))) for seed in range(20)}) == 20


@given(LENGTHS)
def test_reversing_twice_changes_nothing(length):
    clip = torch.rand(2, 3, length, 3, 3)
    assert torch.equal(time_reversed(time_reversed(clip)), clip)


@given(LENGTHS, st.floats(0.05, 9))
def test_no_speed_shows_a_frame_that_is_not_there_or_jumps_further_than_its_factor(length, factor):
    order = np.array(_order(change_speed(_numbered(length), factor)))
    assert len(order) == length
    assert order.min() >= 0
    assert order.max() < length
    assert np.abs(np.diff(order)).max() <= np.ceil(factor)


@given(st.integers(1, 10))
def test_double_speed_shows_every_frame_once(half):
    assert sorted(_order(change_speed(_numbered(2 * half), 2))) == list(range(2 * half))


def test_grayscale_is_luma_in_all_channels():
    clip = torch.rand(2, 3, 3, 4, 5)
    luma = (clip * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1, 1)).sum(dim=1, keepdim=True)
    torch.testing.assert_close(grayscale(clip), luma.expand(-1, 3, -1, -1, -1))


@given(SEEDS)
def test_jitter_is_alike_in_all_frames_and_clips_and_keeps_resting_pixels_at_rest(seed):
    picture = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(0))
    clip = picture[None, :, None].repeat(2, 1, 4, 1, 1)
    changed = color_jitter(clip, seed)
    assert torch.equal(changed, changed[:1, :, :1].expand_as(changed))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert changed.mean() < clip.mean()
    assert (changed - clip).abs().mean() > 0.05


def test_jitter_of_a_gray_picture_by_hand():
    # Darker by 0.6; contrast, saturation and hue leave a picture of one gray as it is.
    torch.testing.assert_close(color_jitter(torch.full((1, 3, 2, 4, 4), 0.5), 3), torch.full((1, 3, 2, 4, 4), 0.3))


def test_the_object_stays_and_the_background_is_the_other():
    clip, mask = _square(4)
    moving = torch.rand(1, 3, 8, 16, 16)
    still = moving[:, :, :1]
    for background in (moving, still):
        changed = replace_background(clip, mask, background)
        inside = mask[:, None].expand_as(clip)
        assert torch.equal(changed[inside], clip[inside])
        assert torch.equal(changed[~inside], background.expand_as(clip)[~inside])


@pytest.mark.parametrize("name", list(ALTERATIONS))
def test_alterations_leave_the_clip_as_it_was(name):
    clip = torch.rand(2, 3, 6, 8, 8)
    before = clip.clone()
    changed = ALTERATIONS[name](clip, 1)
    assert changed.shape == clip.shape
    changed.mul_(0)
    assert torch.equal(clip, before)


@pytest.mark.parametrize("name", list(ALTERATIONS))
def test_an_alteration_does_not_depend_on_the_batch(name):
    clips = torch.rand(3, 3, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    together = ALTERATIONS[name](clips, 5)
    for i in range(3):
        assert torch.equal(ALTERATIONS[name](clips[i : i + 1], 5)[0], together[i])


def test_every_alteration_is_of_motion_or_of_appearance():
    assert {*MOTION_CHANGES, *APPEARANCE_CHANGES} == {*ALTERATIONS, "background_replaced"}


def test_distances_by_hand():
    features = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, 0.0], [1.0, 1.0]])
    other = torch.tensor([[5.0, 0.0], [0.0, 4.0], [0.0, -1.0], [1.0, 0.0], [0.0, 0.0]])
    expected = torch.tensor([0, 1, 2, torch.nan, torch.nan], dtype=torch.float64)
    torch.testing.assert_close(cosine_distance(features, other), expected, equal_nan=True)


def test_motion_share_by_hand():
    features = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
    right, here, away = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])
    altered = {
        "frozen": torch.stack([right, right, here, here]),
        "background_replaced": torch.stack([right, away, right, here]),
    }
    share = sensitivity_scores(features, altered)["motion_share"]
    expected = torch.tensor([1 / 2, 1 / 3, 0, torch.nan], dtype=torch.float64)
    torch.testing.assert_close(share, expected, equal_nan=True)
    assert set(sensitivity_scores(features, {"frozen": altered["frozen"]})) == {"frozen"}


@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_distances_are_in_range_and_know_no_length(seed, scale):
    first, second = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(seed))
    distance = cosine_distance(first, second)
    assert ((distance >= 0) & (distance <= 2)).all()
    torch.testing.assert_close(cosine_distance(first, second * scale), distance, atol=1e-6, rtol=0)
    assert (cosine_distance(first, first) == 0).all()
    torch.testing.assert_close(cosine_distance(second, first), distance)


def mean_color(clip):
    """Appearance alone: ``(N, 3)``."""
    return clip.double().mean(dim=(2, 3, 4))


def motion_energy(clip):
    """Motion alone: how much every row and column changes, ``(N, H + W)``, and a constant so that none is zero."""
    change = (frame_difference(clip.double(), "repeat") - 0.5).abs().mean(dim=1)[:, 1:].sum(dim=1)
    return torch.cat([change.sum(dim=1), change.sum(dim=2), torch.full((len(clip), 1), 0.1)], dim=1)


def directed_motion(clip):
    """Where the brightest column is and where it goes: tells forwards from backwards."""
    column = clip.double().mean(dim=(1, 3)).argmax(dim=2).double()
    steps = column[:, 1:] - column[:, :-1]
    return torch.cat([steps.clamp_min(0).sum(dim=1)[:, None], (-steps).clamp_min(0).sum(dim=1)[:, None]], dim=1)


def _scores_of(backbone):
    clip, mask = _square(4)
    background = torch.tensor([0.0, 0.2, 0.9]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 16, 16)
    altered = {name: backbone(alter(clip, 0)) for name, alter in ALTERATIONS.items()}
    altered["background_replaced"] = backbone(replace_background(clip, mask, background))
    return {name: float(value[0]) for name, value in sensitivity_scores(backbone(clip), altered).items()}


def test_mean_color_knows_no_time_and_its_motion_share_is_0():
    scores = _scores_of(mean_color)
    for name in MOTION_CHANGES:  # the square is wholly inside in every frame
        assert scores[name] == pytest.approx(0, abs=1e-9), name
    assert scores["grayscale"] > 0.001
    assert scores["background_replaced"] > 0.1
    assert scores["motion_share"] == pytest.approx(0, abs=1e-6)


def test_motion_energy_knows_no_color_and_its_motion_share_is_near_1():
    scores = _scores_of(motion_energy)
    assert scores["frozen"] > 0.5
    assert scores["reversed"] == pytest.approx(0, abs=0.05)
    for name in APPEARANCE_CHANGES:
        assert scores[name] < 0.05, name
    assert scores["motion_share"] > 0.9


def test_only_a_feature_of_direction_sees_that_a_clip_is_reversed():
    clip, _ = _square(4, color=(1.0, 1.0, 1.0))
    forwards, backwards = directed_motion(clip), directed_motion(time_reversed(clip))
    assert float(cosine_distance(forwards, backwards)) == pytest.approx(1)


@pytest.mark.parametrize(
    "alter", [frozen, shuffled, time_reversed, lambda c: change_speed(c, 2), grayscale, color_jitter]
)
@pytest.mark.parametrize("clip", [torch.rand(3, 4, 8, 8), torch.rand(1, 1, 4, 8, 8), torch.zeros(1, 3, 4, 8, 8).byte()])
def test_what_is_no_clip_is_refused(alter, clip):
    with pytest.raises(InputError, match=r"clip must be \(N, 3, T, H, W\)"):
        alter(clip)


@pytest.mark.parametrize("factor", [0, -1.0, float("nan")])
def test_speeds_are_above_0(factor):
    with pytest.raises(InputError, match="factor must be above 0"):
        change_speed(_numbered(4), factor)


def test_masks_backgrounds_and_features_must_fit():
    clip, mask = _square(2)
    with pytest.raises(InputError, match=r"mask must be \(1, 8, 16, 16\) bool, got .* torch.float32"):
        replace_background(clip, mask.float(), clip)
    with pytest.raises(InputError, match=r"mask must be"):
        replace_background(clip, mask[:, :4], clip)
    with pytest.raises(InputError, match=r"background must be .*, got \(1, 3, 2, 16, 16\)"):
        replace_background(clip, mask, clip[:, :, :2])
    with pytest.raises(InputError, match=r"features must be \(N, C\)"):
        cosine_distance(torch.zeros(2, 3), torch.zeros(2, 4))
