"""Which frames make a clip: pure index arithmetic, shared by training, evaluation and analysis.

A clip is ``num_frames`` frames, ``frame_stride`` apart. A video shorter than a clip is repeated in time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError

__all__ = [
    "clip_indices",
    "clip_span",
    "nearest_frame",
    "sliding_window_starts",
    "start_from_seconds",
    "uniform_clip_starts",
]


def clip_span(num_frames: int, frame_stride: int) -> int:
    """Frames of the video from a clip's first to its last, both included.

    Raises:
        InputError: if either is less than 1.
    """
    _check_at_least("num_frames", num_frames, 1)
    _check_at_least("frame_stride", frame_stride, 1)
    return (num_frames - 1) * frame_stride + 1


def clip_indices(video_length: int, start: int, *, num_frames: int, frame_stride: int) -> NDArray[np.int64]:
    """The frame indices of the clip that starts at frame ``start``.

    A video shorter than the clip is repeated in time: the index is taken modulo ``video_length``. Where the stride and
    the length have a common divisor, that would come back to the same few frames, and make a still of a video whose
    length divides the stride; so each round then begins one frame later. No frame comes a second time before all have
    been seen. Where the clip fits, it never wraps: a start too late for it is an error, since a jump from the last
    frame to the first would be motion that the video does not have.

    Args:
        video_length: frames in the video, at least 1.
        start: in ``[0, video_length - clip_span]``; in ``[0, video_length)`` if the clip is longer than the video.
        num_frames: frames in the clip, at least 1.
        frame_stride: frames of the video from one frame of the clip to the next, at least 1.

    Returns:
        ``(num_frames,)`` indices in ``[0, video_length)``.

    Raises:
        InputError: if an argument is out of its range.

    Source: repetition is ours; FIMA's code (ZMHH-H/FIMA@fd63cbd) fills short videos with the next video's frames.
    """
    last = _last_start(video_length, num_frames, frame_stride)
    latest = last if video_length >= clip_span(num_frames, frame_stride) else video_length - 1
    _check_at_least("start", start, 0)
    if start > latest:
        raise InputError(
            f"start must be at most {latest}, for {num_frames} frames with stride {frame_stride} "
            f"from a video of {video_length} frames, got {start}"
        )
    steps = np.arange(num_frames, dtype=np.int64)
    divisor = math.gcd(frame_stride, video_length)
    rounds = steps // (video_length // divisor) % divisor
    return (start + frame_stride * steps + rounds) % video_length


def uniform_clip_starts(video_length: int, clips: int, *, num_frames: int, frame_stride: int) -> list[int]:
    """Starts of ``clips`` clips spread evenly over a video.

    Args:
        video_length: frames in the video, at least 1.
        clips: 1 gives the middle of the video (rounded down); more give the first possible start, the last one, and
            even steps between them, rounded to the nearest frame, halves up.
        num_frames: frames in a clip, at least 1.
        frame_stride: frames of the video from one frame of a clip to the next, at least 1.

    Returns:
        ``clips`` starts in ascending order. A video with fewer possible starts than clips gives some of them more
        than once, so that every video has the same number of clips; one shorter than a clip gives zeros.

    Raises:
        InputError: if an argument is less than 1.
    """
    _check_at_least("clips", clips, 1)
    last = _last_start(video_length, num_frames, frame_stride)
    if clips == 1:
        return [last // 2]
    steps = clips - 1
    return [(2 * i * last + steps) // (2 * steps) for i in range(clips)]


def sliding_window_starts(video_length: int, *, num_frames: int, frame_stride: int, hop: int) -> list[int]:
    """Starts of all clips that fit into a video, ``hop`` frames apart, from its first frame.

    Returns:
        Ascending starts, at least one: a video shorter than a clip gives ``[0]`` (and is then repeated in time).

    Raises:
        InputError: if an argument is less than 1.
    """
    _check_at_least("hop", hop, 1)
    return list(range(0, _last_start(video_length, num_frames, frame_stride) + 1, hop))


def nearest_frame(seconds: NDArray[np.float64], second: float) -> int:
    """The frame whose time is nearest to a time; of two as near, the later.

    Args:
        seconds: when each frame is shown, ascending, at least one (`fima.data.readers.base.FrameReader.seconds`).
        second: any time.
    """
    return int(np.searchsorted((seconds[1:] + seconds[:-1]) / 2, second, side="right"))


def start_from_seconds(start_seconds: float, seconds: NDArray[np.float64], duration: float) -> int:
    """The frame nearest to a time; the last frame for times after it within the video's duration.

    Args:
        start_seconds: in ``[0, duration)``.
        seconds: when each frame is shown, ascending, at least one.
        duration: of the video, in seconds.

    Raises:
        InputError: if the time is outside the video; the message names ``--start-seconds``.
    """
    if not 0 <= start_seconds < duration:
        raise InputError(f"--start-seconds must be in [0, {duration:.3f}), the video's duration, got {start_seconds}")
    return nearest_frame(seconds, start_seconds)


def _last_start(video_length: int, num_frames: int, frame_stride: int) -> int:
    span = clip_span(num_frames, frame_stride)
    _check_at_least("video_length", video_length, 1)
    return max(video_length - span, 0)


def _check_at_least(name: str, value: int, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{name} must be a whole number, got {value!r}")
    if value < lowest:
        raise InputError(f"{name} must be at least {lowest}, got {value}")
