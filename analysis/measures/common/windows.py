"""Maps of overlapping windows of a video as one map for each of its frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fima.errors import InputError

__all__ = ["blend_windows", "covering_starts"]


def covering_starts(video_length: int, span: int, hop: int) -> list[int]:
    """Starts of windows that cover all frames of a video: every ``hop`` frames, and one that ends with the video.

    Args:
        video_length: Frames of the video, at least 1.
        span: Frames from a window's first to one past its last.
        hop: Frames from one window to the next, at least 1.

    Returns:
        Ascending, different from each other; ``[0]`` for a video that is no longer than a window.
    """
    last = max(0, video_length - span)
    return [*range(0, last, hop), last]


def blend_windows(
    maps: Sequence[Tensor], starts: Sequence[int], video_length: int, *, num_frames: int, frame_stride: int
) -> Tensor:
    """One map for each frame of a video: those of the windows that it lies in, by weights that fall off to their ends.

    Along a window's time its slices are interpolated, as activation maps are (trilinear, ``align_corners=False``). A
    window's weight is a triangle: highest in its middle, just above 0 at its first and last frame.

    Args:
        maps: Of each window ``(T', …)``, all of one shape.
        starts: ``(W,)`` first frames of the windows.
        video_length: Frames F of the video.
        num_frames: Frames of a window.
        frame_stride: Frames of the video from one of a window's frames to the next.

    Returns:
        ``(F, …)`` float32; between the smallest and the largest value of the maps.

    Raises:
        InputError: If there is not one start for each map, or a frame lies in no window.
    """
    if len(maps) != len(starts) or not maps:
        raise InputError(f"windows need a start each, got {len(maps)} maps and {len(starts)} starts")
    span = (num_frames - 1) * frame_stride + 1
    inside = torch.arange(span)
    below, above, share = _between(inside, len(maps[0]), num_frames, frame_stride)
    weight = 1 - (inside - (span - 1) / 2).abs() / ((span + 1) / 2)
    total, weights = torch.zeros(video_length, *maps[0].shape[1:]), torch.zeros(video_length)
    for values, start in zip(maps, starts, strict=True):
        count = min(span, video_length - start)
        mix = _column(share, values)
        framewise = values[below].float() * (1 - mix) + values[above].float() * mix
        total[start : start + count] += (framewise * _column(weight, values))[:count]
        weights[start : start + count] += weight[:count]
    if not bool(weights.all()):
        raise InputError(f"frame {int((weights == 0).nonzero()[0])} lies in none of the windows")
    return total / _column(weights, total)


def _between(frames: Tensor, slices: int, num_frames: int, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """For frames of a window the slices before and after, and how far they are from the first of the two."""
    place = ((frames / stride + 0.5) * slices / num_frames - 0.5).clamp(0, slices - 1)
    below = place.floor().long()
    return below, (below + 1).clamp(max=slices - 1), place - below


def _column(values: Tensor, like: Tensor) -> Tensor:
    """A vector that multiplies the first axis of a tensor."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
