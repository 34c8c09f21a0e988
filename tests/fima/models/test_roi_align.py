import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.errors import InputError
from fima.models.roi_align import roi_align


def bilinear(plane, y, x):
    """The value of a map at a place, cell centers at whole numbers; 0 more than one cell outside."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, along = y - top, x - left
    upper = plane[top, left] * (1 - along) + plane[top, right] * along
    lower = plane[bottom, left] * (1 - along) + plane[bottom, right] * along
    return upper * (1 - down) + lower * down


def brute_force(plane, box, size, scale, ratio):
    """One channel, one box, one sample after the other."""
    x1, y1, x2, y2 = (value * scale - 0.5 for value in box)
    high, wide = (y2 - y1) / size, (x2 - x1) / size
    down, along = (ratio or max(math.ceil(side), 1) for side in (high, wide))
    out = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            total = 0.0
            for i in range(down):
                for j in range(along):
                    y = y1 + high * (row + (i + 0.5) / down)
                    x = x1 + wide * (column + (j + 0.5) / along)
                    total += bilinear(plane, y, x)
            out[row, column] = total / (down * along)
    return out


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 2, 3, 7]),
    st.sampled_from([1.0, 0.5, 1 / 16]),
    st.sampled_from([0, 1, 2, 3]),
)
def test_as_the_brute_force_twin(seed, size, scale, ratio):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2, 3, int(rng.integers(1, 9)), int(rng.integers(1, 9))))
    height, width = (side / scale for side in features.shape[2:])
    counts = rng.integers(0, 4, 2)
    boxes = []
    for count in counts:
        corner = rng.uniform([-0.2 * width, -0.2 * height], [width, height], (count, 2))
        boxes.append(np.hstack([corner, corner + rng.uniform(0, [width, height], (count, 2))]).astype(np.float32))
    pooled = roi_align(
        torch.from_numpy(features), [torch.from_numpy(own) for own in boxes],
        output_size=size, spatial_scale=scale, sampling_ratio=ratio,
    )  # fmt: skip
    assert pooled.shape == (counts.sum(), 3, size, size)
    expected = [
        [brute_force(plane, box.tolist(), size, scale, ratio) for plane in single]
        for single, own in zip(features, boxes, strict=True)
        for box in own
    ]
    assert np.allclose(pooled.numpy(), np.array(expected).reshape(pooled.shape), atol=2e-4)


def test_by_hand():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)  # the value at a place is its x, less a half
    whole = roi_align(ramp, [torch.tensor([[0.0, 0.0, 8.0, 8.0]])], output_size=8)
    assert torch.allclose(whole, ramp)
    middle = roi_align(ramp, [torch.tensor([[2.0, 2.0, 6.0, 6.0]])], output_size=2)
    assert torch.allclose(middle[0, 0], torch.tensor([[2.5, 4.5], [2.5, 4.5]]))
    scaled = roi_align(ramp, [torch.tensor([[32.0, 32.0, 96.0, 96.0]])], output_size=2, spatial_scale=1 / 16)
    assert torch.allclose(scaled, middle)


def test_boxes_of_each_map_stay_with_it_and_none_is_allowed():
    features = torch.stack([torch.full((2, 4, 4), float(i)) for i in range(3)])
    box = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    pooled = roi_align(features, [box, box.repeat(0, 1), box.repeat(2, 1)], output_size=2)
    assert pooled[:, 0, 0, 0].tolist() == [0.0, 2.0, 2.0]
    assert roi_align(features, [box[:0]] * 3).shape == (0, 2, 7, 7)


def test_a_box_without_area_has_the_value_at_its_place():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    pooled = roi_align(ramp, [torch.tensor([[3.0, 3.0, 3.0, 3.0]])], output_size=2)
    assert torch.allclose(pooled, torch.full((1, 1, 2, 2), 2.5))


def test_gradients_are_those_of_finite_differences():
    features = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    boxes = [torch.tensor([[0.3, 0.9, 3.7, 3.1]]), torch.tensor([[1.0, 1.0, 5.5, 2.0], [0.0, 0.0, 2.0, 2.0]])]
    assert torch.autograd.gradcheck(lambda x: roi_align(x, boxes, output_size=3), (features,))


@pytest.mark.parametrize(
    "arguments",
    [
        {"features": torch.zeros(1, 1, 4, 4), "boxes": []},
        {"features": torch.zeros(1, 4, 4), "boxes": [torch.zeros(1, 4)]},
        {"features": torch.zeros(1, 1, 4, 4), "boxes": [torch.zeros(1, 5)]},
        {"features": torch.zeros(1, 1, 4, 4), "boxes": [torch.zeros(1, 4)], "output_size": 0},
        {"features": torch.zeros(1, 1, 4, 4), "boxes": [torch.zeros(1, 4)], "spatial_scale": 0},
    ],
)
def test_bad_input_is_refused(arguments):
    with pytest.raises(InputError):
        roi_align(**arguments)
