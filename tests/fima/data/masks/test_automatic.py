"""Masks found in the video itself, against true ones."""

import numpy as np
import pytest

from fima.data.masks import open_masks
from fima.data.shapes import open_shapes
from fima.errors import InputError

FRAMES = list(range(0, 64, 7))


def test_they_are_the_true_masks_where_the_camera_rests():
    """Of drawn objects and of natural looks, whose object may resemble the background."""
    source, overlaps = open_masks("auto"), []
    for world in ("easy,size=96", "natural,pan=0,shake=0,zoom=0,shadow=0"):
        for record in open_shapes(f"shapes:{world},videos=6").records:
            assert record in source
            found, true = source.read(record, FRAMES, height=record.world.size, width=record.world.size), record.draw()
            assert found.known.all()
            masks = true.masks(np.array(FRAMES))
            overlaps.append((found.masks & masks).sum() / (found.masks | masks).sum())
    assert np.median(overlaps) > 0.6
    assert np.mean(np.array(overlaps) > 0.3) > 0.8


def test_where_the_camera_moves_nothing_is_said_to_be_known():
    source = open_masks("auto")
    records = open_shapes("shapes:camera,videos=6,pan=0.03,size=96").records
    for record in records:
        found = source.read(record, FRAMES, height=96, width=96)
        assert not found.masks[~found.known].any()
        assert found.known.mean() < 0.5


def test_a_still_video_has_no_object_and_sizes_are_scaled():
    source = open_masks("auto")
    record = open_shapes("shapes:easy,videos=1,num_frames=1,size=64").records[0]
    found = source.read(record, [0, 0], height=30, width=50)
    assert found.masks.shape == (2, 30, 50)
    assert not found.masks.any()
    with pytest.raises(InputError, match="at least one pixel"):
        source.read(record, [0], height=0, width=5)
    with pytest.raises(IndexError):
        source.read(record, [5], height=5, width=5)
