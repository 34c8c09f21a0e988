"""Worlds with a ground in depth, things before it, water and bodies that bend: what moves there is known as exactly."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.data.shapes import REGIMES, draw_video
from fima.data.shapes.backdrop import View
from fima.data.shapes.pool import Pool
from fima.data.shapes.waves import STEEPEST, Waves
from tests.worlds import carried_back, check_masks_follow_flow, single_frame_score

EVERY = np.arange(24)
PLAIN = replace(REGIMES["natural"], size=96, num_frames=24, blur=0.0, shadow=0.0, pan=0.03, shake=0.0, zoom=0.0)
ALL = {"tilt": 1.5, "parallax": 1.0, "ripple": STEEPEST, "bend": STEEPEST}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), steepness=st.floats(0, STEEPEST), time=st.floats(0, 500), shore=st.booleans())
def test_every_point_of_a_wavy_surface_is_found_again(seed, steepness, time, shore):
    rng = np.random.default_rng(seed)
    waves = Waves.draw(rng, steepness, (0.08, 0.4), (8, 40), shore=shore)
    x, y = rng.uniform(-0.5, 0.5, (2, 40, 40)).astype(np.float32)
    right, down = waves.displacement(x, y, time)
    assert np.hypot(right, down).max() <= waves.greatest + 1e-6
    at_x, at_y = waves.origin(x + right, y + down, time)
    assert np.hypot(at_x - x, at_y - y).max() <= 2e-3 * waves.greatest + 1e-6


def test_a_wave_of_a_hand_worked_length():
    """One that goes right, lifts down by 0.1 and takes 8 frames to pass: a quarter of a length on, two frames later."""
    one = np.array([[0, 0.1]], np.float32), np.array([[2 * np.pi / 0.4, 0]], np.float32)
    wave = Waves(*one, speed=np.array([2 * np.pi / 8]), phase=np.zeros(1))
    places = np.array([0.0, 0.1, 0.2, 0.3], np.float32)
    np.testing.assert_allclose(wave.displacement(places, np.float32(0), 0)[1], [0, 0.1, 0, -0.1], atol=1e-6)
    np.testing.assert_allclose(wave.displacement(places, np.float32(0), 2)[1], [-0.1, 0, 0.1, 0], atol=1e-6)
    assert not wave.displacement(places, np.float32(0), 2)[0].any()


def test_a_tilted_ground_passes_more_quickly_where_it_is_near():
    """The camera's way is 0.2; with a tilt of 1 the bottom edge, half a side lower, moves 1.5 times as far."""
    view = View(np.array([[0.2, 0, 1]]), np.array([[0.2, 0]]), np.array([0.0, 1.0]))
    places = np.array([[[0.1, -0.5], [0.1, 0.0], [0.1, 0.5]]])
    np.testing.assert_allclose(view.seen(places)[0], [[0.2, -0.5], [0.3, 0], [0.4, 0.5]])
    path = np.array([[0.6, 1.0, 0.3, 1.0]])
    np.testing.assert_allclose(view.carried(path), [[0.9, 1.0, 0.3, 1.0]])
    np.testing.assert_allclose(view.carried(path, nearer=0.5), [[1.0, 1.0, 0.3, 1.0]])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_is_seen_of_a_plane_is_found_on_it(seed):
    rng = np.random.default_rng(seed)
    pan = rng.uniform(-1, 1, 2)
    travel = np.outer(rng.uniform(-1, 1, 5), pan)
    camera = np.column_stack([travel + rng.uniform(-0.1, 0.1, (5, 2)), rng.uniform(0.7, 1.4, 5)])
    view = View(camera, travel, rng.uniform(-2, 2) * np.array([-pan[1], pan[0]]) / np.hypot(*pan))
    places = rng.uniform(-2, 2, (5, 6, 7, 2))
    np.testing.assert_allclose(view.behind(view.seen(places)), places, atol=1e-9)


def without(video, knob):
    """The same video for whose flow an effect is not there."""
    backdrop, layers = video.backdrop, video.layers
    if knob == "tilt":
        backdrop = replace(backdrop, view=replace(backdrop.view, tilt=np.zeros(2)))
    if knob == "ripple":
        backdrop = replace(backdrop, waves=None)
    if knob == "bend":
        layers = tuple(replace(layer, waves=None) for layer in layers)
    return replace(video, backdrop=backdrop, layers=layers, standing=() if knob == "parallax" else video.standing)


@pytest.mark.parametrize("knob", list(ALL))
@pytest.mark.parametrize("look", ["natural", "drawn"])
def test_each_effect_is_in_the_flow(knob, look):
    """Where the flow says something else with it than without it, pixels are found where it says with it."""
    world = replace(PLAIN, look=look, feather=0.0, pan=0.0 if knob == "ripple" else 0.03, **{knob: ALL[knob]})
    found, missed = [], []
    for seed in range(8):
        video = draw_video(world, 31, seed)
        frames, flow = video.frames(EVERY).astype(np.float32), video.flow(EVERY)
        other = without(video, knob).flow(EVERY)
        for t in range(0, 23, 5):
            there, inside = carried_back(frames, flow, t)
            wrong, too = carried_back(frames, other, t)
            # Not where something comes into sight or goes out of it: there the flow jumps.
            steady = inside & too & (np.hypot(*np.gradient(flow[t, 0])) + np.hypot(*np.gradient(flow[t, 1])) < 0.4)
            told = steady & (np.hypot(*(flow[t] - other[t])) > 0.3)
            found.append(np.abs(there - frames[t])[told])
            missed.append(np.abs(wrong - frames[t])[told])
    assert sum(map(len, found)) > 500
    assert np.concatenate(found).mean() < 0.6 * np.concatenate(missed).mean()


@pytest.mark.parametrize("look", ["natural", "drawn"])
def test_flow_carries_the_mask_with_all_of_it(look):
    for seed in range(4):
        video = draw_video(replace(PLAIN, look=look, feather=0.0, shake=0.01, zoom=0.005, **ALL), 31, seed)
        check_masks_follow_flow(video, range(0, 23, 5))


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(16, 60),
    frames=st.integers(1, 20),
    movers=st.sampled_from([1, 2]),
    scenes=st.integers(1, 3),
    still_in=st.sampled_from(["picture", "world"]),
    seed=st.integers(0, 10**6),
)
def test_any_knobs_draw_any_frames_and_their_truth(size, frames, movers, scenes, still_in, seed):
    world = replace(
        REGIMES["outdoors"], size=size, num_frames=frames, movers=movers, scenes=scenes, distractors=1, feather=0.5,
        still_copies=1, still_in=still_in, **ALL,
    )  # fmt: skip
    video, every = draw_video(world, seed), np.arange(frames)
    whole = video.frames(every)
    assert whole.shape == (frames, size, size, 3)
    some = np.array([frames - 1, 0])
    np.testing.assert_array_equal(draw_video(world, seed).frames(some), whole[some])
    flow, copy = video.flow(every), video.copy_masks(every)
    assert np.isfinite(flow).all()
    assert not (copy & video.masks(every)).any()
    # What rests goes along with the picture or the world, whatever bends and flows.
    for t in range(frames - 1):
        step = size * np.diff(video.copy.path[t : t + 2, :2], axis=0)[0]
        growth = abs(video.copy.path[t + 1, 3] / video.copy.path[t, 3] - 1)
        away = np.abs(flow[t][:, copy[t]] - step[:, None])
        assert not away.size or away.max() <= 1e-2 + growth * size


@pytest.mark.parametrize("seed", range(3))
def test_the_canvas_reaches_as_far_as_the_camera(seed):
    """A canvas of one color that ends in another: the other is never seen."""
    world = replace(REGIMES["outdoors"], size=48, num_frames=48, zoom=0.01, shake=0.02, tilt=2.0, ripple=STEEPEST)
    video = draw_video(world, 2, seed)
    canvas = np.ones_like(video.backdrop.scenes[0])
    canvas[[0, -1]] = canvas[:, [0, -1]] = 0
    times = np.linspace(0, 47, 150)
    shown = replace(video.backdrop, scenes=(canvas,)).picture(times, np.zeros(150, int), 48)
    assert shown.min() > 0.99


def test_cutouts_bend_as_their_masks(tmp_path):
    """A white disc before black: what is seen of it is its mask."""
    disc = np.zeros((60, 60, 4), np.uint8)
    cv2.circle(disc, (30, 30), 20, (255, 255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "disc.png"), disc)
    cv2.imwrite(str(tmp_path / "black.jpg"), np.zeros((80, 80, 3), np.uint8))
    knobs = {"textures": str(tmp_path / "black.jpg"), "objects": str(tmp_path), "static_distractors": 0}
    video = draw_video(replace(PLAIN, feather=0.0, bend=STEEPEST, radius=(0.25, 0.25), **knobs), 3)
    frames, masks = video.frames(EVERY)[..., 0], video.masks(EVERY)
    assert ((frames > 127) ^ masks).mean() < 0.01
    assert (masks[5] != masks[15]).any()


def test_water_flows_while_camera_and_object_rest():
    """In some videos, in a part of the picture; in the others nothing does. The flow says where."""
    flowing = calm = 0
    for seed in range(12):
        video = draw_video(replace(PLAIN, pan=0.0, ripple=0.1, num_frames=24), 5, seed)
        background = video.background(EVERY).astype(np.float32)
        if video.backdrop.waves is None:
            assert (background == background[0]).all()
            continue
        flowing += 1
        speed = np.linalg.norm(video.backdrop.flow(EVERY[:-1], EVERY[1:], 96), axis=-1).mean(axis=0)
        moves = background.std(axis=0).mean(axis=-1)
        fast, slow = speed > np.quantile(speed, 0.8), speed < 0.02 * speed.max()
        calm += bool(slow.any())
        assert not slow.any() or moves[slow].mean() < 0.2 * moves[fast].mean()
        assert moves[fast].mean() > 0.5
    assert 3 <= flowing <= 9
    assert calm


@pytest.mark.parametrize("look", ["natural", "drawn"])
def test_the_object_bends_and_its_copy_keeps_one_shape(look):
    """At rest in the picture: the copy's mask stays, and is one that the object has had at the same place and size."""
    world = replace(PLAIN, look=look, feather=0.0, pan=0.0, still_copies=1, bend=STEEPEST, static_distractors=0)
    changes = []
    for seed in range(6):
        video = draw_video(world, 77, seed)
        copy, mover = video.copy, video.layers[-1]
        own = copy.cover(EVERY, 96)
        assert (own == own[0]).all()
        there = np.repeat(copy.path[:1], 24, axis=0)
        bending = replace(mover, path=there).cover(EVERY, 96)
        np.testing.assert_array_equal(bending[copy.frozen], own[0])
        changes.append((bending ^ bending[0]).sum() / max(1, bending[0].sum()))
        stiff = replace(mover, path=there, waves=None).cover(EVERY, 96)
        assert (stiff == stiff[0]).all()
    assert np.median(changes) > 1  # over 23 frames, of its area


def test_what_stands_before_the_background_passes_it():
    """Up to twice as quickly, each in sight at some time; all belong to the background that the battery shows."""
    for seed in range(5):
        fast = draw_video(replace(PLAIN, pan=0.08, slowest=1.0, parallax=1.0, num_frames=48), 1, seed)
        assert all(one.cover(np.arange(48), 96).any() for one in fast.standing)
    video = draw_video(replace(PLAIN, parallax=1.0), 8)
    pan = np.diff(video.backdrop.view.camera[:, :2], axis=0)
    ratios = [np.diff(one.path[:, :2], axis=0) @ pan[0] / (pan[0] @ pan[0]) for one in video.standing]
    assert len(ratios) == PLAIN.static_distractors
    assert all(np.allclose(ratio, ratio[0]) and 1 <= ratio[0] <= 2 for ratio in ratios)
    assert [float(ratio[0]) for ratio in ratios] == sorted(float(ratio[0]) for ratio in ratios)
    stands = np.any([one.cover(EVERY, 96) for one in video.standing], axis=0)
    alone = replace(video, standing=()).background(EVERY).astype(int)
    differs = np.abs(video.background(EVERY).astype(int) - alone).sum(-1) > 0
    assert stands.any()
    assert differs[stands].mean() > 0.9
    assert not draw_video(PLAIN, 8).standing


def test_one_frame_still_tells_no_class():
    assert single_frame_score(replace(PLAIN, size=32, feather=0.0, num_frames=32, **ALL), 1200) < 0.16


def test_a_tiled_background_is_as_sharp_as_its_picture():
    """A patch of twice the picture's size: enlarged, fine detail is gone; tiled, it goes on mirrored."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    pool = Pool((picture,), ())

    def detail(patch):
        return np.abs(np.diff(patch, axis=1)).mean() / patch.std()

    large = [pool.patch(np.random.default_rng(k), 80, 100, tiled=tiled) for k in range(5) for tiled in (False, True)]
    assert {patch.shape for patch in large} == {(80, 100, 3)}
    assert min(map(detail, large[1::2])) > 1.3 * max(map(detail, large[::2]))
    assert min(map(detail, large[1::2])) > 0.95 * detail(picture / 255)
    small = [pool.patch(np.random.default_rng(3), 20, 20, tiled=tiled) for tiled in (False, True)]
    np.testing.assert_array_equal(*small)
