"""Windows of a video as one map for each frame: against a loop over frames, and against a clip's own map."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.common.windows import blend_windows, covering_starts
from fima.errors import InputError
from fima.methods.activation import class_agnostic_activation_map


@given(length=st.integers(1, 60), span=st.integers(1, 25), hop=st.integers(1, 30))
def test_windows_cover_every_frame_once_their_hop_is_no_longer_than_they_are(length, span, hop):
    hop = min(hop, span)
    starts = covering_starts(length, span, hop)
    covered = {frame for start in starts for frame in range(start, start + span)}
    assert covered >= set(range(length))
    assert starts == sorted(set(starts))
    assert starts[-1] + span == max(length, span)


@given(
    num_frames=st.sampled_from([2, 4, 8]), stride=st.integers(1, 3), slices=st.sampled_from([1, 2]),
    length=st.integers(1, 40), seed=st.integers(0, 5),
)  # fmt: skip
def test_blended_maps_are_what_a_loop_over_frames_gives(num_frames, stride, slices, length, seed):
    span = (num_frames - 1) * stride + 1
    starts = covering_starts(length, span, max(1, span // 2))
    maps = list(torch.rand(len(starts), slices, 2, 3, generator=torch.Generator().manual_seed(seed)))
    blended = blend_windows(maps, starts, length, num_frames=num_frames, frame_stride=stride).numpy()
    for frame in range(length):
        total, weights = 0.0, 0.0
        for start, values in zip(starts, maps, strict=True):
            place = frame - start
            if 0 <= place < span:
                weight = min(place + 1, span - place)
                x = np.clip((place / stride + 0.5) * slices / num_frames - 0.5, 0, slices - 1)
                at = [np.interp(x, np.arange(slices), column) for column in values.flatten(1).T.numpy()]
                total, weights = total + weight * np.array(at), weights + weight
        np.testing.assert_allclose(blended[frame].ravel(), total / weights, rtol=1e-4, atol=1e-6)


def test_one_window_is_the_map_of_its_clip():
    features = torch.rand(1, 5, 4, 7, 7)
    own = class_agnostic_activation_map(features)
    stretched = class_agnostic_activation_map(features, size=(16, 7, 7))[0]
    torch.testing.assert_close(blend_windows([own[0]], [0], 16, num_frames=16, frame_stride=1), stretched)
    every = blend_windows([own[0]], [0], 31, num_frames=16, frame_stride=2)
    torch.testing.assert_close(every[::2], stretched)


@pytest.mark.parametrize(
    ("starts", "said"), [([0], "frame 8 lies in none"), ([0, 20], "frame 8 lies in none"), ([], "a start each")]
)
def test_frames_without_a_window_are_named(starts, said):
    maps = [torch.zeros(2, 1, 1)] * max(1, len(starts))
    with pytest.raises(InputError, match=said):
        blend_windows(maps, starts, 28, num_frames=8, frame_stride=1)
