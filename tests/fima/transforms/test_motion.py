from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.errors import InputError
from fima.transforms.motion import frame_difference


def random_clip(*shape, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_wrap_agrees_with_the_reference(golden, rel_err):
    ours = frame_difference(golden.tensor("diff_in"))
    assert rel_err(ours, golden.tensor("diff_out")) <= 1e-6
    assert torch.equal(ours, frame_difference(golden.tensor("diff_in"), "wrap"))


def test_hand_worked_ramp():
    clip = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 3, 1, 1)
    assert frame_difference(clip, "wrap").flatten().tolist() == [0.0, 0.625, 0.875]
    assert frame_difference(clip, "repeat").flatten().tolist() == [0.625, 0.625, 0.875]


@settings(deadline=None)
@given(
    t=st.integers(2, 6),
    c=st.sampled_from([1, 3]),
    boundary=st.sampled_from(["wrap", "repeat"]),
    seed=st.integers(0, 99),
)
def test_same_bits_as_the_formula_frame_by_frame(t, c, boundary, seed):
    clip = torch.rand(2, c, t, 3, 4, generator=torch.Generator().manual_seed(seed))
    before = clip.clone()
    difference = frame_difference(clip, boundary)
    for frame in range(t):
        source = 1 if frame == 0 and boundary == "repeat" else frame
        assert torch.equal(difference[:, :, frame], (clip[:, :, source] - clip[:, :, source - 1] + 1) / 2)
    assert torch.equal(clip, before)
    assert difference.min() >= 0
    assert difference.max() <= 1


@pytest.mark.parametrize("boundary", ["wrap", "repeat"])
def test_still_clip_is_exactly_gray(boundary):
    clip = random_clip(1, 3, 1, 5, 5).expand(1, 3, 4, 5, 5)
    assert torch.equal(frame_difference(clip, boundary), torch.full((1, 3, 4, 5, 5), 0.5))


@pytest.mark.parametrize("boundary", ["wrap", "repeat"])
def test_gradient_reaches_the_clip(boundary):
    clip = random_clip(1, 2, 3, 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: frame_difference(x, boundary), clip)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_the_dtype(dtype):
    assert frame_difference(random_clip(1, 3, 2, 4, 4).to(dtype)).dtype == dtype


def test_reads_clips_that_are_not_contiguous():
    clip = random_clip(2, 3, 8, 4, 4)
    thinned = clip[:, :, ::2]
    assert torch.equal(frame_difference(thinned), frame_difference(thinned.contiguous()))
    last = clip.contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(frame_difference(last), frame_difference(clip))


@pytest.mark.parametrize(
    ("clip", "boundary", "message"),
    [
        (torch.rand(3, 4, 5, 5), "wrap", r"clip must be \(N, C, T, H, W\), got \(3, 4, 5, 5\); add a batch axis"),
        (torch.zeros(1, 3, 4, 5, 5, dtype=torch.uint8), "wrap", "floating point.*uint8"),
        (torch.rand(1, 3, 4, 5, 5), "mirror", "wrap, repeat, got 'mirror'"),
        (torch.rand(1, 3, 1, 5, 5), "repeat", "at least 2 frames, got 1"),
    ],
    ids=["no batch axis", "8 bit", "unknown boundary", "one frame"],
)
def test_refuses(clip, boundary, message):
    with pytest.raises(InputError, match=message):
        frame_difference(clip, boundary)
