"""Worlds of noise: a single frame tells nothing at all, and motion tells where the object is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fima.data.shapes import REGIMES, draw_video

EVERY = np.arange(64)
WORLD = REGIMES["noise"]


def patches(frame, rows, columns):
    """``(N, 75)``: the 5 × 5 pixels around places."""
    span = np.arange(-2, 3)
    return frame[rows[:, None, None] + span[:, None], columns[:, None, None] + span].reshape(len(rows), -1)


def test_a_probe_on_single_frames_finds_no_object():
    """Patches around pixels of the object, its edge and the background: no forest tells them apart."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    rng, inputs, labels = np.random.default_rng(0), [], []
    for seed in range(150):
        video = draw_video(WORLD, 1, seed)
        frame, mask = video.frames(EVERY[31:32])[0] / 255.0, video.masks(EVERY[31:32])[0]
        for inside in (True, False):
            rows, columns = np.nonzero(mask[2:-2, 2:-2] == inside)
            chosen = rng.integers(len(rows), size=20)
            x = patches(frame, rows[chosen] + 2, columns[chosen] + 2)
            inputs.append(np.concatenate([x, x**2, x.std(axis=1, keepdims=True)], axis=1))
            labels += [inside] * 20
    inputs, labels = np.concatenate(inputs), np.array(labels)
    forest = RandomForestClassifier(60, min_samples_leaf=20, random_state=0).fit(inputs[:4000], labels[:4000])
    assert abs(roc_auc_score(labels[4000:], forest.predict_proba(inputs[4000:])[:, 1]) - 0.5) < 0.04  # three errors


def test_every_frame_is_even_independent_noise():
    """Also where points crowd, spread and turn: mean, variance and likeness of neighbors, inside and out."""
    inside, beside = [], []
    for seed in range(60):
        video = draw_video(WORLD, 2, seed)
        frames, masks = video.frames(EVERY[::9]) / 255.0, video.masks(EVERY[::9])
        inside.append(frames[masks])
        pairs = masks[:, :, 1:] & masks[:, :, :-1]
        beside.append((frames[:, :, 1:][pairs] - 0.5) * (frames[:, :, :-1][pairs] - 0.5))
    values, products = np.concatenate(inside), np.concatenate(beside)
    assert abs(values.mean() - 0.5) < 4 * np.sqrt(1 / 12 / values.size)
    assert abs(values.var() - 1 / 12) < 0.0012
    assert abs(products.mean()) < 4 * products.std() / np.sqrt(products.size)


def test_motion_shows_it():
    """Looked up where the flow leads, the background is the same exactly, and most of the object is."""
    shares, wrong = [], []
    for seed in range(10):
        video = draw_video(WORLD, 3, seed)
        frames, flow, masks = video.frames(EVERY), video.flow(EVERY), video.masks(EVERY)
        for t in (10, 40):
            rows, columns = np.mgrid[:64, :64]
            x, y = (np.rint(axis + flow[t, i]).astype(int) for i, axis in enumerate((columns, rows)))
            valid = (x >= 0) & (x < 64) & (y >= 0) & (y < 64)
            x, y = x.clip(0, 63), y.clip(0, 63)
            same = (frames[t + 1, y, x] == frames[t]).all(axis=-1)
            free = valid & ~masks[t] & ~masks[t + 1, y, x]
            assert same[free].all()
            shares.append(same[valid & masks[t]].mean())
            wrong.append((frames[t + 1] == frames[t]).all(axis=-1)[masks[t]].mean())
    assert np.mean(shares) > 0.4
    assert np.mean(wrong) < 0.35 * np.mean(shares)


def test_the_class_is_told_by_no_frame_and_all_is_drawn_again_alike():
    video = draw_video(WORLD, 4)
    frames = video.frames(EVERY)
    np.testing.assert_array_equal(draw_video(WORLD, 4).frames(EVERY[[5, 60]]), frames[[5, 60]])
    copy = draw_video(replace(WORLD, still_copies=1, distractors=1), 4)
    assert copy.copy_masks(EVERY).any(axis=(1, 2)).mean() > 0.5
    assert copy.frames(EVERY).shape == frames.shape
