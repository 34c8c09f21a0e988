"""Worlds of moving shapes: what they say is true of their frames, and nothing gives the class away."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.data.datasets import open_dataset
from fima.data.readers.open import open_video
from fima.data.shapes import MOTIONS, PATTERNS, REGIMES, ShapesWorld, draw_video
from fima.data.shapes.render import label_and_pattern
from fima.errors import InputError
from tests.worlds import carried_back, check_masks_follow_flow, grown, single_frame_score

EVERY = np.arange(64)


@pytest.mark.parametrize("seed", range(4))
def test_without_a_camera_nothing_but_the_object_changes(seed):
    video = draw_video(REGIMES["easy"], seed)
    frames, masks = video.frames(EVERY).astype(int), video.masks(EVERY)
    background = video.background(EVERY).astype(int)
    assert (background == background[0]).all()
    assert (frames == background)[~grown(masks)].all()
    assert (np.abs(frames - background).sum(-1) > 0)[masks].mean() > 0.95
    assert masks.reshape(64, -1).any(axis=1).all()


@pytest.mark.parametrize("regime", ["camera", "clutter"])
def test_in_hard_regimes_most_change_is_not_the_objects(regime):
    shares = []
    for seed in range(8):
        video = draw_video(REGIMES[regime], seed)
        change = np.abs(np.diff(video.frames(EVERY).astype(int), axis=0)).sum(-1)
        shares.append(change[video.masks(EVERY)[1:]].sum() / change.sum())
    easy = []
    for seed in range(8):
        video = draw_video(REGIMES["easy"], seed)
        change = np.abs(np.diff(video.frames(EVERY).astype(int), axis=0)).sum(-1)
        easy.append(change[grown(video.masks(EVERY))[1:]].sum() / change.sum())
    assert np.mean(shares) < 0.4 < 0.5 < np.mean(easy)


@pytest.mark.parametrize("label", range(len(MOTIONS)))
def test_every_class_moves_as_its_name_says(label):
    """Measured on masks alone, as a viewer would."""
    video = next(v for v in (draw_video(REGIMES["easy"], 9, i) for i in range(300)) if v.label == label)
    masks = video.masks(EVERY)
    rows, columns = np.mgrid[:64, :64]
    x, y = (np.array([(m * axis).sum() / m.sum() for m in masks]) for axis in (columns, rows))
    area = masks.sum((1, 2))
    spread_x, spread_y, growth = np.ptp(x), np.ptp(y), area.max() / area.min()
    # The center's turning: positive where it goes from right (x) to below (y).
    turning = np.sum((x[:-1] - x.mean()) * np.diff(y) - (y[:-1] - y.mean()) * np.diff(x))
    name = MOTIONS[label]
    if name in ("horizontal", "vertical"):
        along, across = (spread_x, spread_y) if name == "horizontal" else (spread_y, spread_x)
        assert along > 8
        assert across < 2.5
    elif "diagonal" in name:
        assert np.corrcoef(x, y)[0, 1] * (1 if name == "falling diagonal" else -1) > 0.95
    elif "clockwise" in name:
        assert turning * (1 if name == "clockwise" else -1) > 100
    elif name == "looming":
        assert growth > 1.8
    elif name == "figure eight":
        assert min(spread_x, spread_y) > 8
        assert abs(turning) < 100
    elif name == "zig-zag":
        assert min(spread_x, spread_y) > 6
    else:
        assert max(spread_x, spread_y) < 6
    if name != "looming":
        assert growth < 1.3


def test_one_frame_does_not_tell_the_class():
    """A forest that is told position and size exactly, which no network could read better, stays at chance (0.1)."""
    from sklearn.ensemble import RandomForestClassifier

    places, labels = [], []
    for seed in range(3000):
        video = draw_video(REGIMES["easy"], 5, seed)
        mover = video.layers[-1]
        places.append([*mover.path[31, :2], mover.path[31, 3] * mover.sprite.radius])
        labels.append(video.label)
    forest = RandomForestClassifier(100, min_samples_leaf=20, random_state=0).fit(places[:2000], labels[:2000])
    assert forest.score(places[2000:], labels[2000:]) < 0.14  # chance and three standard errors


def test_a_probe_on_single_frames_is_at_chance():
    assert single_frame_score(replace(REGIMES["easy"], size=32)) < 0.15


def test_classes_and_backgrounds_are_even_and_independent():
    pairs = np.array([label_and_pattern(np.random.default_rng((0, i)), ShapesWorld()) for i in range(4000)])
    for column in pairs.T:
        assert np.bincount(column, minlength=10).min() > 330
    assert Counter(map(tuple, pairs)).most_common(1)[0][1] < 75  # 40 expected


def test_correlated_and_swapped_backgrounds():
    def shares(world):
        pairs = [label_and_pattern(np.random.default_rng((1, i)), world) for i in range(2000)]
        same = np.mean([label == pattern for label, pattern in pairs])
        following = np.mean([(label + 1) % len(PATTERNS) == pattern for label, pattern in pairs])
        return same, following

    same, following = shares(ShapesWorld(correlation=0.8))
    assert abs(same - 0.82) < 0.03  # 0.8, and a tenth of the rest by chance
    assert following < 0.05
    same, following = shares(ShapesWorld(correlation=0.8, swapped=True))
    assert abs(following - 0.82) < 0.03
    assert same < 0.05
    assert shares(ShapesWorld(correlation=1.0)) == (1.0, 0.0)
    # The same video otherwise: only the background differs.
    plain, swapped = (draw_video(ShapesWorld(correlation=1.0, swapped=s), 3) for s in (False, True))
    np.testing.assert_array_equal(plain.layers[-1].path.shape, swapped.layers[-1].path.shape)
    assert plain.label == swapped.label
    assert plain.pattern != swapped.pattern


@pytest.mark.parametrize("seed", range(6))
def test_changing_motions(seed):
    video = draw_video(REGIMES["changing"], seed)
    counts = np.bincount(video.motions, minlength=len(MOTIONS))
    assert np.argmax(counts) == video.label
    assert counts.max() > 1.2 * np.sort(counts)[-2] > 0
    assert len(video.sequence) == 2
    steps = np.linalg.norm(np.diff(video.layers[-1].path[:, :2], axis=0), axis=1)
    assert steps.max() < 0.15  # it goes on from where it is


@pytest.mark.parametrize("regime", [regime for regime in REGIMES if regime != "noise"])
def test_flow_carries_the_object_and_the_background(regime):
    """Pixels looked up where the flow says that they came to are the same colors."""
    video = draw_video(replace(REGIMES[regime], size=96), 11)
    frames, flow, masks = video.frames(EVERY).astype(np.float32), video.flow(EVERY), video.masks(EVERY)
    assert flow.shape == (64, 2, 96, 96)
    errors, still = [], []
    for t in range(0, 60, 7):
        there, seen = carried_back(frames, flow, t)
        inside = masks[t] & seen
        errors.append(np.abs(there - frames[t])[inside].mean())
        still.append(np.abs(frames[t + 1] - frames[t])[inside].mean())
    assert np.mean(errors) < 0.5 * np.mean(still)
    np.testing.assert_array_equal(flow[-1], flow[-2])


@pytest.mark.parametrize("regime", list(REGIMES))
def test_flow_moves_masks_onto_masks(regime):
    for seed in range(3):
        check_masks_follow_flow(draw_video(replace(REGIMES[regime], size=96), 12, seed), range(0, 60, 7))


def test_flow_of_hand_worked_paths():
    """A horizontal mover without a camera: no vertical flow, and the sideways flow is the path's own step."""
    video = next(v for v in (draw_video(REGIMES["easy"], 9, i) for i in range(100)) if MOTIONS[v.label] == "horizontal")
    flow, masks = video.flow(EVERY), video.masks(EVERY)
    steps = 64 * np.diff(video.layers[-1].path[:, 0])
    for t in (0, 20, 50):
        np.testing.assert_allclose(flow[t, 0][masks[t]], steps[t], atol=1e-3)
        np.testing.assert_allclose(flow[t, 1][masks[t]], 0, atol=1e-3)
        assert not flow[t][:, ~masks[t]].any()


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(16, 80),
    frames=st.integers(1, 40),
    movers=st.sampled_from([1, 2]),
    noise=st.sampled_from([0.0, 0.1]),
    segments=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_any_knobs_draw_any_frames(size, frames, movers, noise, segments, seed):
    world = ShapesWorld(
        num_frames=frames, size=size, movers=movers, noise=noise, segments=segments, static_distractors=2, shake=0.05,
        distractors=1,
    )  # fmt: skip
    video = draw_video(world, seed)
    whole = video.frames(np.arange(frames))
    assert whole.shape == (frames, size, size, 3)
    some = np.array([frames - 1, 0, frames // 2])
    # A frame is the same whichever others are drawn with it, but for the last bit: sizes of arrays round differently.
    assert np.abs(video.frames(some).astype(int) - whole[some]).max() <= 1
    np.testing.assert_array_equal(draw_video(world, seed).frames(some), video.frames(some))


def test_as_a_data_set():
    data = open_dataset("shapes:camera,videos=30,seed=4,shake=0.05,radius=0.1-0.15", split="test")
    assert (len(data), data.class_names, data.layout) == (30, MOTIONS, "shapes")
    world = data[0].world
    assert (world.shake, world.radius, world.pan) == (0.05, (0.1, 0.15), REGIMES["camera"].pan)
    record = data[7]
    assert record.video_id == "test/00007"
    drawn = draw_video(world, *record.seed)
    assert (drawn.label, drawn.pattern) == (record.label, record.pattern)
    with open_video(record) as reader:
        assert (len(reader), reader.height, reader.width, reader.fps) == (64, 64, 64, 25.0)
        frames = reader.frames([5, 3, 5])
        small = reader.frames([5], short_side=32)
    np.testing.assert_array_equal(frames.permute(0, 2, 3, 1).numpy(), drawn.frames(EVERY)[[5, 3, 5]])
    assert small.shape == (1, 3, 32, 32)
    means = [float(f.float().mean()) for f in (small, frames[:1])]
    assert abs(means[0] - means[1]) < 1.5
    with open_video(record) as reader, pytest.raises(IndexError, match="frame 64 is outside this video of 64 frames"):
        reader.frames([64])
    splits = [open_dataset("shapes:easy,videos=5", split=s) for s in ("train", "val", "test")]
    firsts = [open_video(s[0]).frames([0]).numpy() for s in splits]
    assert not (firsts[0] == firsts[1]).all()
    assert not (firsts[1] == firsts[2]).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shapes:hard", f"the regime must be one of {', '.join(REGIMES)}, got 'hard'"),
        ("shapes:easy,color=3", "'color' is no knob"),
        ("shapes:easy,shake", "expected KNOB=VALUE after the comma, got 'shake'"),
        ("shapes:easy,videos=0", "videos must be a whole number of at least 1, got '0'"),
        ("shapes:easy,size=many", "size must be a whole number, got 'many'"),
        ("shapes:easy,radius=3", "radius must be LOW-HIGH, got '3'"),
        ("shapes:easy,shake=2", "shake must be in [0, 1], got 2.0"),
        ("shapes:natural,zoom=1", "a background for num_frames 64, size 112, pan 0.012"),
        ("shapes:outdoors,num_frames=1000", "would fit no memory; lower one of them"),
        ("shapes:natural,tilt=2.5", "tilt must be in [0, 2], got 2.5"),
        ("shapes:natural,parallax=-1", "parallax must be in [0, 2], got -1.0"),
        ("shapes:camera,ripple=0.2", "ripple must be in [0, 0.12], got 0.2"),
        ("shapes:easy,bend=1", "bend must be in [0, 0.12], got 1.0"),
        ("shapes:noise,tilt=1,bend=0.1", "look=noise goes without tilt, bend: they would show in a single frame"),
        ("shapes:easy,swapped=maybe", "swapped must be true or false, got 'maybe'"),
        ("shapes:noise,blur=0.5", "look=noise goes without blur: they would show in a single frame"),
        ("shapes:easy,movers=3", "movers must be 1 or 2, got 3"),
    ],
)
def test_bad_texts(text, words):
    with pytest.raises(InputError) as error:
        open_dataset(text)
    assert words in str(error.value)
    with pytest.raises(InputError, match="the split must be one of train, val, test, got 'dev'"):
        open_dataset("shapes:easy", split="dev")
