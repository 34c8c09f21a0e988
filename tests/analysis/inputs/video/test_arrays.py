"""Frames in memory: every layout is the same video; what cannot be understood is said."""

import re

import numpy as np
import pytest
import torch

from analysis.inputs.video.arrays import array_videos, frames_of
from fima.errors import InputError

FRAMES = np.random.default_rng(0).integers(0, 256, (8, 20, 30, 3), dtype=np.uint8)
TENSOR = torch.from_numpy(FRAMES.copy())

SAME = {
    "THWC": FRAMES,
    "CTHW": np.moveaxis(FRAMES, -1, 0),
    "TCHW": np.moveaxis(FRAMES, -1, 1),
    "batch": FRAMES[None],
    "tensor": TENSOR,
    "tensor, not contiguous": TENSOR.permute(3, 0, 1, 2),
    "tensor with gradient": (TENSOR.permute(0, 3, 1, 2) / 255).requires_grad_(),
    "float64": FRAMES / 255,
    "every second of twice as many": np.repeat(FRAMES, 2, axis=0)[::2],
    "a list of frames": list(FRAMES),
    "a list of tensors": list(TENSOR.permute(0, 3, 1, 2)),
}


@pytest.mark.parametrize("name", SAME)
def test_layouts(name):
    assert np.array_equal(frames_of(SAME[name]), FRAMES[None])


def test_half_precision_within_its_rounding():
    found = frames_of((TENSOR / 255).bfloat16())
    assert np.abs(found[0].astype(int) - FRAMES).max() <= 1


def test_three_frames_are_told_apart_by_layout():
    clip = np.zeros((3, 3, 20, 30), np.uint8)
    clip[0, 1] = 7
    with pytest.raises(InputError, match="several axes of size 3: say layout=CTHW or TCHW"):
        frames_of(clip)
    assert (frames_of(clip, layout="CTHW")[0, 1, ..., 0] == 7).all()
    assert (frames_of(clip, layout="TCHW")[0, 0, ..., 1] == 7).all()


WRONG = {
    "gray": (np.zeros((8, 20, 30, 1), np.uint8), "has no axis of 3 colors"),
    "a picture": (np.zeros((20, 30, 3), np.uint8), "clip must have 4 axes"),
    "normalized": (np.full((8, 20, 30, 3), -2.0), "must be in [0, 1], got values from -2 to -2"),
    "not numbers": (np.full((8, 20, 30, 3), np.nan), "must be in [0, 1], got values from nan"),
    "integers": (np.zeros((8, 20, 30, 3), np.int64), "must be uint8, or floating point in [0, 1], got int64"),
    "empty": (np.zeros((0, 20, 30, 3), np.uint8), "clip has no pixels"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name):
    clip, message = WRONG[name]
    with pytest.raises(InputError, match=re.escape(message)):
        frames_of(clip)


def test_a_batch_is_several_videos():
    videos = array_videos(np.stack([FRAMES, FRAMES[::-1]]), fps=10).videos
    assert [video.video_id for video in videos] == ["clip 0", "clip 1"]
    assert not any(video.drawn for video in videos)
    with videos[1].open() as reader:
        assert np.array_equal(reader.frames([0, 7, 7]).permute(0, 2, 3, 1), FRAMES[[7, 0, 0]])
        assert reader.frames([0], short_side=10).shape == (1, 3, 10, 15)
        assert (len(reader), reader.fps, reader.duration_seconds) == (8, 10, 0.8)
