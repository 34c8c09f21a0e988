"""Worlds in real looks: what holds for drawn worlds holds for them, whatever pictures they are cut from."""

from __future__ import annotations

import os
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fima.commands import shapes as command
from fima.data.datasets import open_dataset
from fima.data.shapes import MOTIONS, REGIMES, ShapesWorld, draw_video, open_shapes
from fima.data.shapes.pool import open_pool
from fima.data.transcode.encode import write_video
from fima.errors import InputError
from tests.worlds import carried_back, check_masks_follow_flow, grown, single_frame_score

EVERY = np.arange(64)
PLAIN = replace(REGIMES["natural"], size=64, blur=0.0, shadow=0.0)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two pictures and a video."""
    folder = tmp_path_factory.mktemp("looks")
    rng = np.random.default_rng(0)
    for name in ("b.png", "a.jpg"):
        noise = cv2.GaussianBlur(rng.integers(0, 256, (90, 120, 3)).astype(np.uint8), (0, 0), 3)
        cv2.imwrite(str(folder / name), noise)
    write_video(folder / "c.mp4", rng.integers(0, 256, (12, 64, 80, 3)).astype(np.uint8), fps=25, crf=12)
    return folder


@pytest.mark.parametrize("seed", range(4))
def test_frames_are_the_background_but_where_the_object_is(seed):
    """Exactly so beyond its soft edge, and another picture inside."""
    video = draw_video(PLAIN, seed)
    frames, masks = video.frames(EVERY).astype(int), video.masks(EVERY)
    change = np.abs(frames - video.background(EVERY)).sum(-1)
    for t in (0, 20, 63):
        assert not change[t][~grown(masks[t], 3)].any()
    assert (change > 0)[masks].mean() > 0.9


def test_the_camera_moves_the_background_as_its_flow_says():
    """With pan, shake and zoom: a corner of the background is found where the flow takes it."""
    video = draw_video(replace(PLAIN, size=96, pan=0.03, zoom=0.01), 4)
    background, flow = video.background(EVERY).astype(np.float32), video.flow(EVERY)
    free = ~grown(video.masks(EVERY)[30], 4)
    there, seen = carried_back(background, flow, 30)
    inside = free & seen
    assert np.abs(there - background[30])[inside].mean() < 0.2 * np.abs(background[31] - background[30])[inside].mean()
    assert np.ptp(flow[30, 0][free]) > 0.3  # it does grow or shrink


@pytest.mark.parametrize("slowest", [0.0, 0.5, 1.0])
def test_cameras_pan_at_least_as_fast_as_the_slowest(slowest):
    """A steady pan alone: over many videos, the background moves between slowest · pan and pan a frame."""
    world = ShapesWorld(pan=0.05, slowest=slowest, num_frames=8, size=16)
    steps = [np.diff(draw_video(world, 1, seed).backdrop.view.camera[:, :2], axis=0) for seed in range(60)]
    speeds = np.array([np.hypot(*step[0]) for step in steps]) / 0.05
    assert all(np.allclose(step, step[0]) for step in steps)
    assert speeds.min() >= slowest - 1e-9
    assert speeds.max() <= 1 + 1e-9
    assert slowest == 1 or speeds.min() < slowest + 0.1 * (1 - slowest)


def test_a_share_of_the_cameras_rests():
    """There, what is behind the mover stays as it is to the bit, and the rest moves as it does where none rests."""
    world = replace(PLAIN, size=32, tilt=1.0, resting=0.4)
    videos = [draw_video(world, 1, seed) for seed in range(120)]
    rests = np.array([not np.ptp(video.backdrop.view.camera, axis=0).any() for video in videos])
    assert 0.3 < rests.mean() < 0.5
    for video in (videos[number] for number in np.flatnonzero(rests)[:4]):
        background, flow, masks = video.background(EVERY), video.flow(EVERY), video.masks(EVERY)
        assert (background == background[0]).all()
        assert not flow.transpose(0, 2, 3, 1)[~grown(masks)].any()
        check_masks_follow_flow(video, (10, 40))
    moving = [np.ptp(video.backdrop.view.camera[:, :2], axis=0).max() for video in videos]
    assert min(np.array(moving)[~rests]) > 0.02  # it trembles at least
    assert not np.ptp(draw_video(replace(world, resting=1.0), 1, 7).backdrop.view.camera, axis=0).any()
    with pytest.raises(InputError, match=r"resting must be in \[0, 1\], got 1.5"):
        replace(world, resting=1.5)


def test_a_probe_on_single_frames_is_at_chance():
    assert single_frame_score(replace(PLAIN, size=32)) < 0.15


def test_seed_and_pictures_decide_all(pictures):
    world = replace(REGIMES["natural"], size=48, textures=str(pictures))
    first = draw_video(world, 1, 2, 3)
    frames = first.frames(EVERY)
    open_pool.__globals__["_opened"].cache_clear()
    np.testing.assert_array_equal(draw_video(world, 1, 2, 3).frames(EVERY), frames)
    np.testing.assert_array_equal(first.frames(np.array([40, 7])), frames[[40, 7]])
    assert not (draw_video(replace(world, textures=""), 1, 2, 3).frames(EVERY) == frames).all()
    # The motion does not depend on the looks.
    np.testing.assert_array_equal(draw_video(world, 1, 2, 3).motions, first.motions)


def test_scenes_follow_each_other_and_the_object_goes_on():
    video = draw_video(replace(PLAIN, scenes=2, pan=0.0, shake=0.0, zoom=0.0), 3)
    background, masks = video.background(EVERY).astype(int), video.masks(EVERY)
    assert (background[:32] == background[0]).all()
    assert (background[32:] == background[32]).all()
    assert np.abs(background[32] - background[31]).mean() > 10
    assert (masks[31] & masks[32]).sum() > 0.5 * masks[31].sum()
    inside = masks[31] & masks[32]
    frames = video.frames(EVERY).astype(int)
    assert np.abs(frames[32] - frames[31])[inside].mean() < np.abs(background[32] - background[31])[inside].mean()


@pytest.mark.parametrize("where", ["picture", "world"])
def test_the_copy_is_the_object_at_rest(where):
    seen = 0
    for seed in range(6):
        video = draw_video(replace(PLAIN, still_copies=1, still_in=where, shake=0.0, zoom=0.0), 8, seed)
        copy, masks = video.copy_masks(EVERY), video.masks(EVERY)
        assert not (copy & masks).any()
        if not copy[30].any():
            continue
        seen += 1
        flow = video.flow(EVERY)[30]
        expected = (
            0 if where == "picture" else 64 * (video.backdrop.view.camera[31, :2] - video.backdrop.view.camera[30, :2])
        )
        np.testing.assert_allclose(flow[:, copy[30]].T, np.broadcast_to(expected, (copy[30].sum(), 2)), atol=1e-3)
        own = video.layers[-1].path
        assert video.copy.sprite is video.layers[-1].sprite
        assert own[:, 3].min() <= video.copy.path[0, 3] <= own[:, 3].max()
    assert seen >= 3


@pytest.mark.parametrize(("share", "fewest", "most"), [(0.0, 0, 0), (0.2, 1, 14), (0.5, 10, 30), (1.0, 40, 40)])
def test_either_is_the_one_or_the_other(share, fewest, most):
    world = replace(PLAIN, still_copies=1, still_in="either", picture_share=share, shake=0.0, zoom=0.0)
    ways = [draw_video(world, 8, seed).copy.path[:, :2] for seed in range(40)]
    assert fewest <= sum(bool(np.ptp(way, axis=0).max() < 1e-9) for way in ways) <= most


def test_cutouts_and_masked_videos_as_objects(tmp_path, pictures):
    disc = np.zeros((40, 60, 4), np.uint8)
    cv2.circle(disc, (30, 20), 15, (0, 0, 255, 255), -1)
    (tmp_path / "png").mkdir()
    cv2.imwrite(str(tmp_path / "png" / "disc.png"), disc)
    video = draw_video(replace(PLAIN, objects=str(tmp_path / "png"), static_distractors=0), 1)
    mask, frame = video.masks(EVERY)[10], video.frames(EVERY)[10]
    mover = video.layers[-1]
    area = np.pi * (64 * mover.sprite.radius * mover.path[10, 3]) ** 2
    assert mask.sum() == pytest.approx(area, rel=0.12) or mask[[0, -1]].any() or mask[:, [0, -1]].any()
    assert frame[mask].mean(0)[0] > 200  # red, as it was painted
    command_line(tmp_path / "drawn", "--videos", "2", "--set", "num_frames=8", "size=48")
    video = draw_video(replace(PLAIN, objects=str(tmp_path / "drawn"), textures=str(pictures)), 1)
    assert video.masks(EVERY).any(axis=(1, 2)).all()
    with pytest.raises(InputError, match="nothing with a mask there"):
        open_pool(str(pictures), str(pictures))


def command_line(folder, *flags):
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(folder), *flags]))


def test_the_command_writes_a_benchmark_from_unlabelled_footage(tmp_path, pictures, capsys):
    flags = ["--regime", "natural", "--textures", str(pictures / "c.mp4"), str(pictures / "a.jpg"), "--videos", "2"]
    flags += ["--truth", "masks", "copies", "flow", "--set", "size=48", "num_frames=12", "still_copies=1"]
    assert command_line(tmp_path / "out", *flags) == 0
    data = open_dataset(tmp_path / "out" / "train.csv")
    assert len(data) == 2
    text = f"shapes:natural,seed=0,textures={os.pathsep.join(flags[3:5])},size=48,num_frames=12,still_copies=1,videos=2"
    drawn = open_shapes(text).records[1].draw()
    stored = np.load(tmp_path / "out" / "copies" / "train-00001.npz")
    copies = np.unpackbits(stored["masks_packed"], axis=-1, count=48).astype(bool)
    np.testing.assert_array_equal(copies, drawn.copy_masks(np.arange(12)))
    assert command_line(tmp_path / "out", *flags) == 0  # goes on, with nothing to do
    other = [*flags[:3], str(pictures / "b.png"), *flags[5:]]
    with pytest.raises(InputError, match="holds another world's videos"):
        command_line(tmp_path / "out", *other)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("shapes:natural,textures=/nowhere", FileNotFoundError, "/nowhere: no such file or folder"),
        ("shapes:natural,look=painted", InputError, "look must be drawn or natural or noise, got painted"),
        ("shapes:natural,still_in=air", InputError, "still_in must be picture or world or either, got air"),
        ("shapes:natural,feather=60", InputError, "feather must be in [0, size / 8], got 60.0"),
        ("shapes:natural,scenes=0", InputError, "scenes must be at least 1, got 0"),
    ],
)
def test_bad_texts(text, error, words):
    with pytest.raises(error) as raised:
        open_dataset(text)
    assert words in str(raised.value)


def test_all_classes_and_files_of_no_use(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match="no pictures or videos there"):
        open_dataset(f"shapes:natural,textures={tmp_path}")
    (tmp_path / "broken.png").write_bytes(b"none")
    with pytest.raises(InputError, match="is no picture of 8 bits"):
        open_dataset(f"shapes:natural,textures={tmp_path}")
    assert open_dataset("shapes:natural,videos=3").class_names == MOTIONS
