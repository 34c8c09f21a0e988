"""Gradients in bfloat16 against float32, with the allocator's memory full of nonsense beforehand."""

import pytest
import torch
from torch import nn

from fima.models import create_backbone
from fima.models.short_clips import guard_short_clips


def fill_free_memory():
    sizes = (1, 3, 7, 20, 50, 120, 300, 700, 1500)
    junk = [
        torch.full((1000 * k,), float("nan"), dtype=kind) for k in sizes for kind in (torch.float32, torch.bfloat16)
    ]
    del junk


def gradient(layer, clip, out_gradient, *, bfloat16):
    layer.zero_grad()
    fill_free_memory()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        out = layer(clip)
    fill_free_memory()
    out.backward(out_gradient.to(out.dtype))
    return layer.weight.grad.clone()


@pytest.mark.parametrize(
    ("kernel", "frames"), [((3, 1, 1), 2), ((3, 3, 3), 2), ((3, 1, 1), 1), ((5, 3, 3), 4), ((3, 3, 3), 4)]
)
@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
def test_weights_have_the_gradient_of_float32(kernel, frames, layout):
    torch.manual_seed(0)
    layer = nn.Conv3d(64, 64, kernel, padding=tuple(k // 2 for k in kernel), bias=False).to(memory_format=layout)
    guard_short_clips(layer)
    clip = torch.randn(3, 64, frames, 6, 6).contiguous(memory_format=layout)
    out_gradient = torch.randn(3, 64, frames, 6, 6)
    expected = gradient(layer, clip, out_gradient, bfloat16=False)
    for _ in range(10):
        found = gradient(layer, clip, out_gradient, bfloat16=True)
        assert (found - expected).norm() < 0.01 * expected.norm()


def test_names_weights_and_outputs_stay():
    torch.manual_seed(0)
    plain, guarded = create_backbone("tiny").eval(), create_backbone("tiny").eval()
    guarded.load_state_dict(plain.state_dict())
    guard_short_clips(guarded)
    clip = torch.randn(1, 3, 16, 32, 32)
    assert torch.equal(plain(clip), guarded(clip))
    assert list(plain.state_dict()) == list(guarded.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(plain(clip), guarded(clip), rtol=0.02, atol=0.02)
