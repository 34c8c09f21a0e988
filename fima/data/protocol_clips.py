"""The clips of test videos: decoded ahead of the backbone, cut as a protocol says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import VideoRecord
from fima.data.read_ahead import read_ahead
from fima.data.readers.open import open_video
from fima.data.sampling import clip_indices, sliding_window_starts, uniform_clip_starts
from fima.input_spec import InputSpec

__all__ = ["ClipProtocol", "clip_starts", "cut_crops", "iterate_test_clips", "read_test_clips"]


def read_test_clips(record: VideoRecord, spec: InputSpec, protocol: ClipProtocol, *, clip: int | None = None) -> Tensor:
    """Every clip and crop of a video; each frame is decoded once, however many clips hold it.

    Args:
        record: the video.
        spec: frames, stride and size of a clip.
        protocol: which clips and crops.
        clip: the number of the only clip that is wanted; None: all of them.

    Returns:
        uint8 RGB ``(K · crops, T, 3, size, size)``: the crops of the first clip, then those of the second, ….

    Raises:
        VideoError: if it cannot be read.
        OSError: if there is no such file.
    """
    share = protocol.crop_fraction or 1.0
    # Scaling the frame so that the crop has the input's size, and cutting, is cutting and scaling.
    short_side = max(round(spec.size / share), spec.size)
    with open_video(record) as reader:
        starts = clip_starts(len(reader), spec, protocol)
        starts = starts if clip is None else starts[clip : clip + 1]
        indices = [
            clip_indices(len(reader), start, num_frames=spec.num_frames, frame_stride=spec.frame_stride)
            for start in starts
        ]
        frames = reader.frames(np.concatenate(indices), short_side=short_side)
    crops = cut_crops(frames, spec.size, protocol.crops)
    clips = [crop.reshape(len(starts), spec.num_frames, *crop.shape[1:]) for crop in crops]
    return clips[0] if len(clips) == 1 else torch.stack(clips, dim=1).flatten(0, 1)


def clip_starts(video_length: int, spec: InputSpec, protocol: ClipProtocol) -> list[int]:
    """First frames of a video's clips, ascending."""
    if protocol.placement == "half_overlap":
        hop = max(spec.num_frames * spec.frame_stride // 2, 1)
        return sliding_window_starts(video_length, num_frames=spec.num_frames, frame_stride=spec.frame_stride, hop=hop)
    return uniform_clip_starts(video_length, protocol.clips, num_frames=spec.num_frames, frame_stride=spec.frame_stride)


def cut_crops(frames: Tensor, size: int, crops: int) -> list[Tensor]:
    """Square crops ``(…, size, size)`` of frames ``(…, H, W)``, H and W at least ``size``.

    Args:
        frames: any type.
        size: pixels.
        crops: 1, 3 or 10, in the order that `ClipProtocol` gives.
    """
    free = frames.shape[-2] - size, frames.shape[-1] - size
    middle = free[0] // 2, free[1] // 2
    if crops == 1:
        places = [middle]
    elif crops == 3:
        places = [(middle[0], left) for left in (0, middle[1], free[1])]
        if free[0] > free[1]:
            places = [(top, middle[1]) for top in (0, middle[0], free[0])]
    else:
        places = [(0, 0), (0, free[1]), (free[0], 0), free, middle]
    cut = [frames[..., top : top + size, left : left + size] for top, left in places]
    return cut if crops < 10 else cut + [crop.flip(-1) for crop in cut]


def iterate_test_clips(
    videos: Sequence[VideoRecord], spec: InputSpec, protocol: ClipProtocol, *, ahead: int = 8, threads: int = 1
) -> Iterator[tuple[int, VideoRecord, Tensor | str]]:
    """Videos in order with their clips, which are read in threads while the caller works.

    Args:
        videos: any sequence.
        spec: as for `read_test_clips`.
        protocol: as for `read_test_clips`.
        ahead: videos read or being read before they are asked for; with several crops fewer, so that memory stays.
        threads: that read, each a video at a time.

    Yields:
        The place in ``videos``, the record, and its clips or, of a video that cannot be read, one line that says why.
    """
    window = max(ahead // protocol.crops, 1)
    clips = read_ahead(videos, lambda record: read_test_clips(record, spec, protocol), threads=threads, window=window)
    for place, (record, found) in enumerate(clips):
        yield place, record, found
