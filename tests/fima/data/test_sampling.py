"""Index arithmetic against brute force and cases worked by hand."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fima.data.sampling import (
    clip_indices,
    clip_span,
    nearest_frame,
    sliding_window_starts,
    start_from_seconds,
    uniform_clip_starts,
)
from fima.errors import InputError

lengths = st.integers(1, 200)
clips = {"num_frames": st.integers(1, 40), "frame_stride": st.integers(1, 9)}


@pytest.mark.parametrize(("num_frames", "frame_stride", "span"), [(1, 1, 1), (1, 9, 1), (16, 1, 16), (16, 2, 31)])
def test_span(num_frames, frame_stride, span):
    assert clip_span(num_frames, frame_stride) == span


def test_indices_by_hand():
    assert clip_indices(100, 10, num_frames=4, frame_stride=3).tolist() == [10, 13, 16, 19]
    assert clip_indices(5, 0, num_frames=8, frame_stride=1).tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert clip_indices(5, 3, num_frames=4, frame_stride=2).tolist() == [3, 0, 2, 4]
    assert clip_indices(1, 0, num_frames=3, frame_stride=7).tolist() == [0, 0, 0]
    assert clip_indices(2, 0, num_frames=5, frame_stride=2).tolist() == [0, 1, 0, 1, 0]
    assert clip_indices(8, 6, num_frames=4, frame_stride=8).tolist() == [6, 7, 0, 1]
    assert clip_indices(6, 0, num_frames=8, frame_stride=4).tolist() == [0, 4, 2, 1, 5, 3, 0, 4]
    assert clip_indices(10, 0, num_frames=1, frame_stride=1).dtype == np.int64


@given(length=lengths, data=st.data(), **clips)
def test_indices_step_through_the_video_and_wrap_only_when_it_is_too_short(length, data, num_frames, frame_stride):
    fits = clip_span(num_frames, frame_stride) <= length
    start = data.draw(st.integers(0, length - clip_span(num_frames, frame_stride) if fits else length - 1))
    indices = clip_indices(length, start, num_frames=num_frames, frame_stride=frame_stride)
    expected, seen, frame = [], set(), start
    for _ in range(num_frames):
        if len(seen) == length:
            seen.clear()
        while frame % length in seen:  # a round is over: the next begins one frame later
            frame += 1
        seen.add(frame % length)
        expected.append(frame % length)
        frame += frame_stride
    if math.gcd(frame_stride, length) == 1 or num_frames <= length:
        assert indices.tolist() == expected
    assert len(set(indices.tolist())) == min(num_frames, length)
    assert not fits or np.all(np.diff(indices) == frame_stride)


def test_a_clip_that_fits_never_wraps():
    message = r"start must be at most 69, for 16 frames with stride 2 from a video of 100 frames, got 70"
    with pytest.raises(InputError, match=message):
        clip_indices(100, 70, num_frames=16, frame_stride=2)
    assert clip_indices(100, 69, num_frames=16, frame_stride=2)[-1] == 99


def test_uniform_starts_by_hand():
    settings = {"num_frames": 16, "frame_stride": 2}  # span 31
    assert uniform_clip_starts(131, 1, **settings) == [50]
    assert uniform_clip_starts(131, 3, **settings) == [0, 50, 100]
    assert uniform_clip_starts(132, 3, **settings) == [0, 51, 101]  # 50.5 is rounded up
    assert uniform_clip_starts(33, 5, **settings) == [0, 1, 1, 2, 2]
    assert uniform_clip_starts(7, 3, **settings) == [0, 0, 0]


@given(length=lengths, count=st.integers(1, 20), **clips)
def test_uniform_starts_are_even_and_reach_both_ends(length, count, num_frames, frame_stride):
    starts = uniform_clip_starts(length, count, num_frames=num_frames, frame_stride=frame_stride)
    last = max(length - clip_span(num_frames, frame_stride), 0)
    assert len(starts) == count
    if count == 1:
        assert abs(starts[0] - last / 2) <= 0.5
    else:
        np.testing.assert_allclose(starts, np.linspace(0, last, count), atol=0.5 + 1e-9)
        assert (starts[0], starts[-1]) == (0, last)


@given(length=lengths, hop=st.integers(1, 50), **clips)
def test_sliding_windows_are_all_that_fit(length, hop, num_frames, frame_stride):
    span = clip_span(num_frames, frame_stride)
    fitting = [start for start in range(0, length, hop) if start + span <= length]
    assert sliding_window_starts(length, num_frames=num_frames, frame_stride=frame_stride, hop=hop) == (fitting or [0])


def test_seconds_by_hand():
    even = np.arange(50) / 25
    assert start_from_seconds(0, even, 2) == 0
    assert start_from_seconds(0.99, even, 2) == 25
    assert start_from_seconds(0.02, even, 2) == 1  # half a frame
    assert start_from_seconds(1.999, even, 2) == 49
    assert start_from_seconds(1, np.arange(100) * 1001 / 30000, 4) == 30
    uneven = np.array([0.0, 0.1, 0.2, 1.0, 5.0])
    assert [nearest_frame(uneven, second) for second in (0.0, 0.16, 0.61, 1.0, 2.9, 3.0, 99.0)] == [0, 2, 3, 3, 3, 4, 4]
    assert nearest_frame(np.zeros(1), 7.0) == 0


@given(times=st.lists(st.floats(0, 100), min_size=1, max_size=20), second=st.floats(0, 100))
def test_the_nearest_frame_is_the_nearest(times, second):
    seconds = np.sort(np.array(times))
    distances = np.abs(seconds - second)
    assert distances[nearest_frame(seconds, second)] == pytest.approx(distances.min())


@pytest.mark.parametrize("seconds", [-0.1, 2.0, 99, float("nan")])
def test_seconds_outside(seconds):
    with pytest.raises(InputError, match=r"--start-seconds must be in \[0, 2\.000\)"):
        start_from_seconds(seconds, np.arange(50) / 25, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clip_span(-1, 1), "num_frames must be at least 1, got -1"),
        (lambda: clip_span(1, 0), "frame_stride must be at least 1, got 0"),
        (lambda: clip_span(1.5, 1), "num_frames must be a whole number, got 1.5"),
        (lambda: clip_indices(0, 0, num_frames=1, frame_stride=1), "video_length must be at least 1, got 0"),
        (lambda: clip_indices(5, -1, num_frames=1, frame_stride=1), "start must be at least 0, got -1"),
        (lambda: uniform_clip_starts(5, 0, num_frames=1, frame_stride=1), "clips must be at least 1, got 0"),
        (lambda: sliding_window_starts(5, num_frames=1, frame_stride=1, hop=0), "hop must be at least 1, got 0"),
    ],
)
def test_errors_name_the_word(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message


def test_torch_is_not_imported():
    code = "import sys, fima.data.sampling, fima.data.datasets, fima.data.shapes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
