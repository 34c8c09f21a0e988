from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from fima.models import create_backbone
from fima.models.i3d import _SamePool


@pytest.fixture(scope="module")
def i3d(golden):
    backbone = create_backbone("i3d").eval()
    backbone.load_state_dict(golden.state("i3d"), strict=True)
    return backbone


def test_features_are_the_reference_s(i3d, golden, rel_err):
    with torch.no_grad():
        features = i3d(golden.clip(1, 16, 112, 112))
    assert features.shape == (1, 1024, 2, 4, 4)
    assert rel_err(features, golden.tensor("i3d_features")) <= 1e-5


def test_entries_are_the_reference_s_in_order(golden):
    ours = [(name, list(value.shape), str(value.dtype)) for name, value in create_backbone("i3d").state_dict().items()]
    assert ours == [tuple(entry) for entry in golden.names["i3d"]]


def test_full_size_grid(i3d):
    with torch.no_grad():
        assert i3d(torch.zeros(1, 3, 16, 224, 224)).shape == (1, 1024, 2, 7, 7)


@pytest.mark.parametrize("kernel", [(1, 3, 3), (3, 3, 3), (2, 2, 2)], ids=str)
@pytest.mark.parametrize("size", [(4, 8, 8), (5, 7, 9), (2, 11, 6)], ids=str)
def test_pool_is_the_same_padding_of_tensorflow(kernel, size):
    """Against a loop over output cells: zeros of k − s in all, the smaller half in front, windows may hang over."""
    stride = (1, 2, 2) if kernel[0] == 1 else (2, 2, 2)
    torch.manual_seed(0)
    x = torch.rand(1, 2, *size)
    pooled = _SamePool(kernel, stride)(x)
    for axis, (length, k, s) in enumerate(zip(size, kernel, stride, strict=True)):
        assert pooled.shape[2 + axis] == -(-length // s), (axis, k)
    for t, y, z in [(0, 0, 0), tuple(n - 1 for n in pooled.shape[2:])]:
        window = [
            slice(max(i * s - (k - s) // 2, 0), min(i * s - (k - s) // 2 + k, n))
            for i, k, s, n in zip((t, y, z), kernel, stride, size, strict=True)
        ]
        torch.testing.assert_close(pooled[:, :, t, y, z], x[(..., *window)].amax((2, 3, 4)))


def test_mixed_pool_equals_pooling_padded_with_zeros(i3d):
    """The reference pads with zeros, we leave it to the pool (−∞): the same after a ReLU."""
    torch.manual_seed(0)
    x = torch.randn(1, 4, 3, 5, 5).relu()
    ours = i3d.mixed_3b.branch_3[0](x)
    torch.testing.assert_close(ours, F.max_pool3d(F.pad(x, (1,) * 6), 3, 1))


def test_gradients_reach_every_weight():
    backbone = create_backbone("i3d")
    backbone(torch.rand(2, 3, 8, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_taps_go_from_fine_to_coarse(i3d):
    assert all(a.spatial_stride <= b.spatial_stride for a, b in pairwise(i3d.taps))
