"""Motion sensitivity: alterations frame by frame, features whose nature is known, the study's videos and batches."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from matplotlib.text import Text

from analysis.inputs.clips import ClipTruth, read_clip
from analysis.inputs.sessions import Session, open_session
from analysis.inputs.videos import VideoSource
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
from analysis.plotting.sensitivity import draw_distances
from analysis.plotting.style import new_figure
from analysis.settings import Settings
from analysis.studies.sensitivity import run
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


# Frame by frame


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


# Distances


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


# Features whose nature is known


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


# What cannot be used


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


# The study


class SessionWithTruth(Session):
    """Masks are the left half of the picture; videos in ``unknown`` lack them in one frame."""

    unknown = ()
    clean = False

    def stream(self, place=None, *, truth=False):
        stream, spec = super().stream(place), self.spec
        plain = stream._decode

        def masked():
            for clip in plain():
                mask = torch.zeros(spec.num_frames, spec.size, spec.size, dtype=torch.bool)
                mask[:, :, : spec.size // 2] = True
                known = torch.ones(spec.num_frames, dtype=torch.bool)
                known[0] = clip.video.video_id not in self.unknown
                background = torch.full((3, spec.size, spec.size), 51, dtype=torch.uint8) if self.clean else None
                yield replace(clip, truth=ClipTruth(mask, known, background))

        stream._decode = masked
        return stream


def _session(videos=3, kind=Session, **settings):
    opened = open_session(Settings(**({"num_frames": 8, "size": 32} | settings)))
    sources = [VideoSource(f"shape {i}", None, seed=i) for i in range(videos)]
    return kind(opened.settings, opened.loaded, opened.extractor, sources)


def _pooled(session, clip):
    with torch.no_grad():
        return session.extractor.feature_map(clip).mean(dim=(2, 3, 4))


def _clips(session):
    clips = []
    for video in session.videos:
        with video.open() as reader:
            start = (len(reader) - (session.spec.num_frames - 1) * session.spec.frame_stride - 1) // 2
            clips.append(read_clip(reader, start, session.spec).movedim(1, 0)[None].float() / 255)
    return clips


def test_the_built_in_video_has_all_that_needs_no_other_and_no_mask():
    study = run(open_session(Settings(ckpt="random")))
    assert set(study.scores) == set(ALTERATIONS)
    assert all(0 < summary.mean < 2 and summary.chance is None for summary in study.scores.values())
    assert study.arrays["example_name"].tolist() == ["original", *ALTERATIONS]
    figure = study.figure()
    assert "UNTRAINED" in figure.get_suptitle()
    assert any("no motion share" in text.get_text() for text in figure.findobj(Text))


def test_equal_runs_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        run(_session(kind=SessionWithTruth, seed=3)).save(tmp_path / name)
    for kind in ("npz", "png"):
        one, two = ((tmp_path / name / f"sensitivity.{kind}").read_bytes() for name in ("one", "two"))
        assert one == two


def test_scores_are_the_distances_of_the_features_of_each_video():
    session = _session()
    study = run(session)
    clips = _clips(session)
    for i, clip in enumerate(clips):
        for name, alter in ALTERATIONS.items():
            expected = cosine_distance(_pooled(session, clip), _pooled(session, alter(clip, 0)))
            assert study.video_scores[name][i] == pytest.approx(float(expected), abs=1e-6), name
    others = [float(cosine_distance(_pooled(session, a), _pooled(session, b))) for a, b in pairwise(clips)]
    assert np.isnan(study.video_scores["other_video"][0])
    np.testing.assert_allclose(study.video_scores["other_video"][1:], others, atol=1e-6)


@pytest.mark.parametrize("clean", [False, True])
def test_the_background_is_that_of_the_video_before(clean):
    kind = type("Kind", (SessionWithTruth,), {"clean": clean})
    session = _session(kind=kind)
    study = run(session)
    clips = _clips(session)
    mask = torch.zeros(1, 8, 32, 32, dtype=torch.bool)
    mask[..., :16] = True
    for i in (1, 2):
        background = torch.full((1, 3, 1, 32, 32), 0.2) if clean else clips[i - 1][:, :, 4:5]
        changed = replace_background(clips[i], mask, background)
        expected = float(cosine_distance(_pooled(session, clips[i]), _pooled(session, changed)))
        assert study.video_scores["background_replaced"][i] == pytest.approx(expected, abs=1e-6)
        share = study.video_scores["frozen"][i] / (study.video_scores["frozen"][i] + expected)
        assert study.video_scores["motion_share"][i] == pytest.approx(share, abs=1e-3)
    assert np.isnan(study.video_scores["background_replaced"][0])
    assert study.scores["motion_share"].chance == 0.5
    assert study.arrays["example_video_id"] == "shape 1"  # the first that has all alterations
    assert study.arrays["example_name"][-1] == "background_replaced"


def test_nothing_depends_on_the_size_of_the_batches():
    one, many = (run(_session(4, SessionWithTruth, clips=2, batch_size=size)) for size in (1, 5))
    assert set(one.video_scores) == set(many.video_scores)
    for name in set(one.video_scores) - {"video_id", "motion_share"}:
        np.testing.assert_allclose(one.video_scores[name], many.video_scores[name], atol=1e-6)
    assert np.array_equal(one.arrays["example_frames"], many.arrays["example_frames"])


def test_a_mask_that_is_unknown_in_a_frame_is_not_used():
    study = run(_session(kind=type("Kind", (SessionWithTruth,), {"unknown": ("shape 1",)})))
    assert np.isnan(study.video_scores["motion_share"]).tolist() == [True, True, False]
    assert study.scores["motion_share"].num_videos == 1
    assert study.arrays["example_video_id"] == "shape 2"


def test_a_broken_video_gives_no_other_video(tmp_path, clips_dir):
    for name in ("dog", "bear", "cars"):
        (tmp_path / f"{name}.mp4").write_bytes((clips_dir / f"{name}.mp4").read_bytes())
    small = {"data": str(tmp_path), "num_frames": 8, "size": 32}
    whole = run(open_session(Settings(**small)))
    (tmp_path / "bearded.mp4").write_bytes(b"not a video")
    broken = run(open_session(Settings(**small)))
    assert list(broken.skipped) == ["bearded"]
    np.testing.assert_allclose(whole.video_scores["other_video"], broken.video_scores["other_video"], atol=1e-6)


def test_the_figure_draws_the_saved_numbers():
    study = run(_session(4, SessionWithTruth))
    ax = draw_distances(study.arrays, ax=new_figure(3).subplots())
    rows = study.arrays["example_name"].tolist()
    means = {
        rows[round(float(y))]: float(x)
        for points in ax.collections
        if isinstance(points, PathCollection) and len(points.get_offsets()) == 1
        for x, y in points.get_offsets()
    }
    assert means == {name: study.arrays[f"summary_{name}"][0] for name in rows[1:]}
    share = study.scores["motion_share"]
    assert ax.get_title().startswith(f"motion share {share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]")


def test_a_motion_share_of_nothing_says_so():
    study = run(_session(2, SessionWithTruth))
    arrays = study.arrays | {"summary_motion_share": np.array([np.nan, np.nan, np.nan, 0.5])}
    assert "neither" in replace(study, arrays=arrays).figure().axes[-1].get_title()
