"""Copies pasted into clips: where they are, how they move, and that nothing else changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from analysis.inputs.video.stickers import KINDS, background_motion, paste_copy
from analysis.measures.localization import baseline_maps
from analysis.measures.mover import prefers_mover
from fima.errors import InputError

HEIGHT, WIDTH, FRAMES = 96, 160, 9


def clip(pan=0.0, step=2.0, radius=10, seed=0):
    """A disc with a texture of its own that moves to the right over a background that pans; frames and masks."""
    rng = np.random.default_rng(seed)
    canvas = cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, 3 * WIDTH, 3)).astype(np.uint8), (0, 0), 2)
    canvas = cv2.normalize(canvas, None, 0, 255, cv2.NORM_MINMAX)
    paint = cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8), (0, 0), 1)
    frames, masks = [], []
    for t in range(FRAMES):
        left = round(WIDTH + pan * (t - FRAMES // 2))
        frame = canvas[:, left : left + WIDTH].copy()
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        center = (round(45 + step * (t - FRAMES // 2)), 50)
        cv2.circle(mask, center, radius, 1, -1)
        shifted = np.roll(paint, center[0], axis=1)
        frame[mask > 0] = shifted[mask > 0]
        frames.append(frame)
        masks.append(mask.astype(bool))
    return np.stack(frames), np.stack(masks)


def centers(masks):
    return np.array([np.mean(np.nonzero(mask)[1]) for mask in masks])


@pytest.mark.parametrize("kind", KINDS)
def test_the_copy_has_the_objects_size_and_lies_across(kind):
    frames, masks = clip(pan=3.0)
    pasted = paste_copy(frames, masks, kind)
    assert pasted.frames.dtype == np.uint8
    assert not (pasted.mover & pasted.copy).any()
    middle = FRAMES // 2
    assert pasted.copy[middle].sum() == pytest.approx(masks[middle].sum(), rel=0.03)
    width = pasted.frames.shape[2]
    assert centers(pasted.mover)[middle] + centers(pasted.copy)[middle] == pytest.approx(width - 1, abs=1.5)
    assert pasted.covered == 0


@pytest.mark.parametrize(("kind", "pan", "step"), [("world", 8.0, 0.0), ("world", 3.0, 6.0), ("picture", 3.0, 6.0)])
def test_a_liking_for_the_center_gains_nothing_over_the_clip(kind, pan, step):
    """Where a camera follows the object, its copy goes by, farther from the center in most frames, unless placed so."""
    frames, masks = (np.roll(part, 30, axis=2) for part in clip(pan=pan, step=step, radius=8))  # near the middle
    pasted = paste_copy(frames, masks, kind)
    mover, copy = (torch.from_numpy(mask.copy())[None] for mask in (pasted.mover, pasted.copy))
    nearness = baseline_maps(torch.zeros(1, 3, *pasted.mover.shape))["center"]
    assert float(prefers_mover(nearness, mover, copy)) == pytest.approx(0.5, abs=0.07)


def test_nothing_else_changes():
    frames, masks = clip()
    pasted = paste_copy(frames, masks)
    assert pasted.frames.shape == frames.shape
    far = ~np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) > 0 for mask in pasted.copy])
    np.testing.assert_array_equal(pasted.frames[far], frames[far])
    inside = np.stack([cv2.erode(mask.astype(np.uint8), np.ones((7, 7))) > 0 for mask in pasted.copy])
    assert np.abs(pasted.frames[inside].astype(int) - frames[inside]).mean() > 10


@pytest.mark.parametrize(("kind", "speed"), [("picture", 0.0), ("world", -3.0), ("control", 2.0), ("seam", 0.0)])
def test_it_moves_as_its_kind_says(kind, speed):
    """Also its pixels: the copy of one frame, moved so far, is the copy of the next."""
    frames, masks = clip(pan=3.0)
    pasted = paste_copy(frames, masks, kind)
    way = np.diff(centers(pasted.copy))
    np.testing.assert_allclose(way, speed, atol=0.6)
    assert abs(way.mean() - speed) < 0.1
    for t in (1, 5):
        inside = cv2.erode(pasted.copy[t].astype(np.uint8), np.ones((7, 7))) > 0
        back = np.roll(pasted.frames[t + 1], -round(speed), axis=1)
        assert np.abs(back.astype(int) - pasted.frames[t])[inside].mean() < 6
    if kind == "seam":
        assert (pasted.frames == pasted.frames[0]).all()


def test_the_background_is_followed_past_the_object():
    frames, masks = clip(pan=3.0, step=6.0, radius=20)
    motion = background_motion(frames, masks)
    for t, way in enumerate(motion):
        place = way @ np.array([80.0, 20.0, 1.0])
        np.testing.assert_allclose(place[:2] / place[2], [80 - 3 * (t - FRAMES // 2), 20], atol=0.5)


def test_what_cannot_be_done_is_said():
    frames, masks = clip(radius=110)
    assert paste_copy(frames, masks) is None  # it fills the picture
    assert paste_copy(frames, np.zeros_like(masks)) is None
    flat = np.full_like(frames, 90)
    assert paste_copy(flat, clip()[1], "world") is None  # nothing to follow
    with pytest.raises(InputError, match="the kind of a copy must be one of picture, world, control, seam"):
        paste_copy(frames, masks, "air")
    with pytest.raises(InputError, match="frames must be"):
        paste_copy(frames, masks[:3])


def test_where_the_place_across_is_taken_both_are_as_far_from_the_center():
    frames, masks = clip()
    masks = np.roll(masks, 30, axis=2)  # near the middle: its mirror image would lie on it
    frames = np.roll(frames, 30, axis=2)
    pasted = paste_copy(frames, masks)
    middle = FRAMES // 2
    places = [np.mean(np.nonzero(mask[middle]), axis=1) for mask in (pasted.mover, pasted.copy)]
    center = (np.array(pasted.frames.shape[1:3]) - 1) / 2
    distances = [np.linalg.norm(place - center) for place in places]
    assert distances[0] == pytest.approx(distances[1], abs=1.5)
    assert pasted.covered < 0.35
