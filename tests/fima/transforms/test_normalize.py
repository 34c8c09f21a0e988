import pytest
import torch

from fima.errors import InputError
from fima.input_spec import InputSpec
from fima.transforms.normalize import normalize

SPEC = InputSpec((0.1, 0.2, 0.3), (0.5, 0.25, 2.0))


def test_by_hand():
    clip = torch.tensor([0.6, 0.7, 0.9]).view(1, 3, 1, 1, 1)
    torch.testing.assert_close(normalize(clip, SPEC).flatten(), torch.tensor([1.0, 2.0, 0.3]))


def test_blue_first_uses_means_in_that_order():
    clip = torch.tensor([0.9, 0.7, 0.6]).view(1, 3, 1, 1, 1)
    out = normalize(clip, SPEC.replace(channel_order="bgr"))
    torch.testing.assert_close(out.flatten(), torch.tensor([1.0, 2.0, 0.3]))


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_input_is_left_alone_and_type_kept(order):
    clip = torch.rand(2, 3, 4, 5, 6, dtype=torch.float64)
    before = clip.clone()
    out = normalize(clip, SPEC.replace(channel_order=order))
    assert out.dtype == torch.float64
    assert out.shape == clip.shape
    assert clip.equal(before)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (torch.rand(3, 4, 5, 5), r"clip must be \(N, 3, T, H, W\), got \(3, 4, 5, 5\)"),
        (torch.rand(1, 4, 3, 5, 5), r"got \(1, 4, 3, 5, 5\)"),
        (torch.zeros(1, 3, 2, 4, 4, dtype=torch.uint8), "floating point .* got torch.uint8"),
    ],
    ids=["4-D", "channels", "8-bit"],
)
def test_refuses(clip, message):
    with pytest.raises(InputError, match=message):
        normalize(clip, SPEC)
