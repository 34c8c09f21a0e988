"""What tests of drawn worlds ask of any of them."""

from __future__ import annotations

import cv2
import numpy as np

from fima.data.shapes import draw_video


def grown(masks, pixels=2):
    """A mask ``(H, W)``, or several, with a margin of some pixels."""
    if masks.ndim == 3:
        return np.array([grown(mask, pixels) for mask in masks])
    return cv2.dilate(masks.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)).astype(bool)


def carried_back(frames, flow, t):
    """Frame t + 1 looked up where the flow of frame t says that its pixels came to, and which of them are inside."""
    height, width = frames.shape[1:3]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = columns + flow[t, 0], rows + flow[t, 1]
    there = cv2.remap(frames[t + 1], x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return there, (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)


def check_masks_follow_flow(video, times):
    """Pixels of the mask, carried along, are pixels of the next mask, but for those at its edge."""
    every = np.arange(len(video))
    flow, masks = video.flow(every), video.masks(every)
    for t in times:
        rows, columns = np.nonzero(masks[t])
        to = np.rint([rows + flow[t, 1, rows, columns], columns + flow[t, 0, rows, columns]]).astype(int)
        inside = ((to >= 0) & (to < video.world.size)).all(axis=0)
        assert grown(masks[t + 1], 1)[tuple(to[:, inside])].all()


def single_frame_score(world, videos=1500):
    """Accuracy of a linear probe of the class on the pixels of a middle frame; two thirds of the videos train it."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression

    middle, train = np.array([(world.num_frames - 1) // 2]), 2 * videos // 3
    drawn = [draw_video(world, 6, seed) for seed in range(videos)]
    labels = [video.label for video in drawn]
    frames = np.array([video.frames(middle)[0].reshape(-1) / 255 for video in drawn])
    inputs = PCA(60, random_state=0, svd_solver="randomized").fit_transform(frames)
    probe = LogisticRegression(C=0.1, max_iter=500).fit(inputs[:train], labels[:train])
    return probe.score(inputs[train:], labels[train:])
