"""Views against plain per-clip oracles: slicing, F.interpolate, and bilinear interpolation written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.errors import InputError
from fima.seeding import SampleKeys
from fima.transforms.views import Crops, Views, cut, cut_flow, draw_crops, make_views

SIZES = [(40, 52), (48, 36), (40, 52), (33, 70)]


def random_windows(sizes, num_frames=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 256, (2, num_frames, h, w, 3), generator=generator, dtype=torch.uint8) for h, w in sizes]


def keys(count, seed=3, epoch=1):
    return SampleKeys(seed, epoch, np.arange(count))


def sides(sizes):
    return np.array([h for h, _ in sizes]), np.array([w for _, w in sizes])


def crop_of(top, left, height, width, flipped):
    return Crops(*(np.array(v) for v in (top, left, height, width, flipped)))


@pytest.mark.parametrize("num_slices", [1, 2, 4, 8])
def test_every_clip_is_its_part_cropped_resized_flipped(num_slices):
    windows = random_windows(SIZES)
    views = make_views(windows, keys(4), size=24, num_slices=num_slices)
    crops = draw_crops(keys(4), *sides(SIZES), 1 + num_slices)
    length = 8 // num_slices
    assert views.global_clips.shape == (2, 4, 3, 4, 24, 24)
    assert views.local_clips.shape == (2, num_slices, 4, 3, length, 24, 24)

    def expected(frames, crop):
        region = frames[:, crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        clip = F.interpolate(region.permute(0, 3, 1, 2).double() / 255, (24, 24), mode="bilinear", align_corners=False)
        return (clip.flip(-1) if crop.flipped else clip).transpose(0, 1).float()

    for n, window in enumerate(windows):
        for v in range(2):
            ours = [views.global_clips[v, n], *views.local_clips[v, :, n]]
            parts = [window[v, 0::2], *window[v].split(length)]
            for i, (clip, part) in enumerate(zip(ours, parts, strict=True)):
                torch.testing.assert_close(clip, expected(part, crops[n, v, i]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("flipped", [False, True])
def test_bilinear_written_out(flipped):
    """Pixel centers at halves, edges repeated; no wider support when shrinking."""
    frames = random_windows([(20, 26)])[0][0, :1]
    out = torch.empty(3, 1, 7, 7)
    cut(frames, crop_of(3, 5, 16, 18, flipped), out=out)
    region = frames[0, 3:19, 5:23].double() / 255
    for row in range(7):
        for column in range(7):
            y = max((row + 0.5) * 16 / 7 - 0.5, 0)
            x = max((column + 0.5) * 18 / 7 - 0.5, 0)
            y0, x0 = math.floor(y), math.floor(x)
            y1, x1 = min(y0 + 1, 15), min(x0 + 1, 17)
            top = region[y0, x0] * (1 - x + x0) + region[y0, x1] * (x - x0)
            bottom = region[y1, x0] * (1 - x + x0) + region[y1, x1] * (x - x0)
            value = top * (1 - y + y0) + bottom * (y - y0)
            got = out[:, 0, row, 6 - column if flipped else column].double()
            torch.testing.assert_close(got, value, rtol=0, atol=1e-5)


def test_a_crop_at_its_own_size_keeps_the_pixels():
    frames = random_windows([(20, 26)])[0][0]
    out = torch.empty(3, 8, 12, 12)
    cut(frames, crop_of(4, 6, 12, 12, False), out=out)
    torch.testing.assert_close(out, frames[:, 4:16, 6:18].permute(3, 0, 1, 2) / 255)


def test_boxes_are_those_of_the_global_clips():
    views = make_views(random_windows(SIZES), keys(4), size=16)
    crops = draw_crops(keys(4), *sides(SIZES), 3)
    assert views.boxes.shape == (2, 4, 4)
    for n, (height, width) in enumerate(SIZES):
        for v in range(2):
            crop = crops[n, v, 0]
            x = [crop.left / (width - 1), (crop.left + crop.width - 1) / (width - 1)]
            y = [crop.top / (height - 1), (crop.top + crop.height - 1) / (height - 1)]
            x = x[::-1] if crop.flipped else x
            torch.testing.assert_close(views.boxes[v, n], torch.tensor([x[0], y[0], x[1], y[1]], dtype=torch.float32))


def test_a_box_leads_back_to_the_source_pixels():
    """Frames that hold their own coordinates: a clip's corners show what the box says, flipped or not."""
    height, width, size = 101, 201, 20
    grid = torch.zeros(height, width, 3, dtype=torch.uint8)
    grid[..., 0] = torch.arange(width)
    grid[..., 1] = torch.arange(height)[:, None]
    views = make_views(grid.expand(30, 2, 4, height, width, 3), keys(30), size=size)
    pixels = views.global_clips[:, :, :, 0] * 255
    span = torch.tensor([width - 1, height - 1, width - 1, height - 1])
    x1, y1, x2, y2 = (views.boxes * span).unbind(-1)
    inset_x, inset_y = (((end - start).abs() + 1) / size / 2 - 0.5 for start, end in ((x1, x2), (y1, y2)))
    direction = torch.sign(x2 - x1)
    torch.testing.assert_close(pixels[:, :, 0, 0, 0], x1 + direction * inset_x, rtol=0, atol=1e-2)
    torch.testing.assert_close(pixels[:, :, 0, 0, -1], x2 - direction * inset_x, rtol=0, atol=1e-2)
    torch.testing.assert_close(pixels[:, :, 1, 0, 0], y1 + inset_y, rtol=0, atol=1e-2)
    torch.testing.assert_close(pixels[:, :, 1, -1, 0], y2 - inset_y, rtol=0, atol=1e-2)
    assert (direction < 0).any()
    assert (direction > 0).any()


def test_views_do_not_depend_on_the_batch():
    windows = random_windows(SIZES)
    whole = make_views(windows, keys(4), size=16)
    for order in ([2], [3, 0], [1, 3, 2, 0]):
        part = make_views([windows[i] for i in order], SampleKeys(3, 1, np.array(order)), size=16)
        assert torch.equal(part.global_clips, whole.global_clips[:, order])
        assert torch.equal(part.local_clips, whole.local_clips[:, :, order])
        assert torch.equal(part.boxes, whole.boxes[:, order])


def test_views_depend_on_seed_epoch_and_index():
    windows = random_windows([(40, 40)] * 3)
    base = make_views(windows, keys(3), size=16).boxes
    for other in (keys(3, seed=4), keys(3, epoch=2), SampleKeys(3, 1, np.arange(3, 6))):
        assert (make_views(windows, other, size=16).boxes != base).any(-1).all()


def test_a_tensor_of_windows_is_a_list_of_them():
    windows = torch.stack(random_windows([(30, 30)] * 2))
    views = make_views(windows, keys(2), size=30, area=(1, 1), aspect=(1, 1), flip_probability=0)
    expected = windows.permute(1, 0, 5, 2, 3, 4)[:, :, :, 0::2] / 255
    torch.testing.assert_close(views.global_clips, expected)
    assert views.boxes.tolist() == [[[0, 0, 1, 1]] * 2] * 2


@settings(max_examples=80)
@given(
    height=st.integers(2, 400),
    width=st.integers(2, 400),
    seed=st.integers(0, 10**6),
    area=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted).map(tuple),
    aspect=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(sorted).map(tuple),
)
def test_crops_lie_in_their_frame(height, width, seed, area, aspect):
    heights, widths = np.full(5, height), np.full(5, width)
    crops = draw_crops(keys(5, seed=seed), heights, widths, 3, area=area, aspect=aspect)
    assert crops.top.shape == (5, 2, 3)
    assert (crops.height >= 1).all()
    assert (crops.width >= 1).all()
    assert (crops.top >= 0).all()
    assert (crops.left >= 0).all()
    assert (crops.top + crops.height <= height).all()
    assert (crops.left + crops.width <= width).all()
    boxes = crops.boxes(heights[:, None, None], widths[:, None, None])
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    swapped = boxes[..., 0] > boxes[..., 2]
    assert (swapped == (crops.flipped & (crops.width > 1))).all()
    assert (boxes[..., 1] <= boxes[..., 3]).all()


def test_crops_have_their_distributions():
    count = 6000
    heights, widths = np.full(count, 2000), np.full(count, 2000)
    crops = draw_crops(keys(count), heights, widths, 2)
    wide = crops.width / crops.height >= 3 / 4
    assert (wide & (crops.width / crops.height <= 4 / 3 + 0.01)).mean() > 0.99
    share, ratio = crops.height * crops.width / 2000**2, np.log(crops.width / crops.height) / math.log(4 / 3)
    small = share < 0.7  # all such regions fit, whatever their aspect
    assert np.histogram(share[small], 10, (0.2, 0.7))[0] / small.sum() == pytest.approx(np.full(10, 0.1), abs=0.01)
    assert np.histogram(ratio[small], 10, (-1, 1))[0] / small.sum() == pytest.approx(np.full(10, 0.1), abs=0.01)
    for start, room in ((crops.top, 2000 - crops.height), (crops.left, 2000 - crops.width)):
        place = (start / (room + 1))[small]
        assert np.histogram(place, 10, (0, 1))[0] / small.sum() == pytest.approx(np.full(10, 0.1), abs=0.01)
    assert crops.flipped.mean() == pytest.approx(0.5, abs=0.02)
    flat = crops.flipped.reshape(count, 4).T
    assert np.abs(np.corrcoef(flat)[np.triu_indices(4, 1)]).max() < 0.05


@pytest.mark.parametrize(
    ("frame", "expected"),
    [((10, 400), (0, 193, 10, 13)), ((400, 10), (193, 0, 13, 10))],
    ids=["wide", "tall"],
)
def test_where_no_crop_fits_the_largest_centered_one_is_taken(frame, expected):
    crops = draw_crops(keys(20), np.full(20, frame[0]), np.full(20, frame[1]), 1, area=(1, 1))
    regions = np.stack([crops.top, crops.left, crops.height, crops.width], -1).reshape(-1, 4)
    assert {tuple(region) for region in regions.tolist()} == {expected}


def test_views_move_and_keep_their_keys():
    views = make_views(random_windows(SIZES), keys(4), size=16).to("cpu")
    assert len(views) == 4
    assert views.keys is not None
    assert views.keys.indices.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("windows", "setting", "message"),
    [
        (random_windows([(20, 30)]), {"size": 21}, "size 21 does not fit frames of 30×20"),
        (random_windows([(20, 30)]), {"size": 16, "num_slices": 3}, "a window of 8 frames gives no 3 local clips"),
        (random_windows([(20, 30)], 7), {"size": 16, "num_slices": 1}, "a window of 7 frames.*even"),
        (random_windows([(20, 30)] * 2), {"size": 16}, "same samples, got 2 and 1"),
        (
            [torch.rand(2, 8, 20, 20, 3)],
            {"size": 16},
            r"\(2, 8, H, W, 3\) uint8, got \(2, 8, 20, 20, 3\) torch\.float32",
        ),
        ([torch.zeros(2, 8, 3, 20, 20, dtype=torch.uint8)], {"size": 2}, r"got \(2, 8, 3, 20, 20\)"),
        (random_windows([(20, 30)]), {"size": 16, "area": (0.5, 1.5)}, r"area.*got \(0\.5, 1\.5\)"),
        (random_windows([(20, 30)]), {"size": 16, "aspect": (0, 1)}, r"aspect.*got \(0, 1\)"),
        (random_windows([(20, 30)]), {"size": 16, "flip_probability": -1}, "flip_probability.*got -1"),
    ],
    ids=["size", "slices", "odd", "count", "float", "channels first", "area", "aspect", "flip"],
)
def test_refuses(windows, setting, message):
    with pytest.raises(InputError, match=message):
        make_views(windows, keys(1), **setting)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("global_clips", (1, 4, 3, 4, 8, 8), r"global_clips must be \(2, N, 3, T, H, W\), got \(1, 4, 3, 4, 8, 8\)"),
        ("local_clips", (2, 2, 5, 3, 4, 8, 8), r"local_clips must be \(2, T', 4, 3, 2T/T', H, W\)"),
        ("boxes", (2, 4, 5), r"boxes must be \(2, 4, 4\), got \(2, 4, 5\)"),
    ],
)
def test_refuses_views_that_do_not_belong_together(name, shape, message):
    shapes = {"global_clips": (2, 4, 3, 4, 8, 8), "local_clips": (2, 2, 4, 3, 4, 8, 8), "boxes": (2, 4, 4)}
    assert len(Views(**{key: torch.zeros(value) for key, value in shapes.items()})) == 4
    with pytest.raises(InputError, match=message):
        Views(**{key: torch.zeros(value) for key, value in (shapes | {name: shape}).items()})


def test_without_local_clips_the_global_ones_are_the_same():
    windows = random_windows(SIZES)
    without, with_two = (make_views(windows, keys(4), size=20, num_slices=n) for n in (0, 2))
    assert torch.equal(without.global_clips, with_two.global_clips)
    assert torch.equal(without.boxes, with_two.boxes)
    assert without.local_clips.shape == (2, 0, 4, 3, 0, 20, 20)


def test_flow_is_cropped_with_the_local_clips():
    """Against `cut_flow` by hand, and: constant flow of a crop of known size keeps its direction and scales."""
    windows, drawn = random_windows(SIZES), keys(4)
    flow = [torch.randn(2, 2, *window.shape[1:4]) for window in windows]
    views = make_views(windows, drawn, size=20, num_slices=2, flow=flow)
    crops = draw_crops(drawn, *sides(SIZES), 3)
    assert views.flow.shape == (2, 2, 4, 2, 4, 20, 20)
    for number, view, i in itertools.product(range(4), range(2), range(2)):
        part = flow[number][view, :, 4 * i : 4 * i + 4]
        assert torch.equal(views.flow[view, i, number], cut_flow(part, crops[number, view, 1 + i], 20))
    steady = [torch.ones(2, 2, *window.shape[1:4]) for window in windows]
    cut_steady = make_views(windows, drawn, size=20, num_slices=1, flow=steady).flow
    crop = draw_crops(drawn, *sides(SIZES), 2)[2, 1, 1]
    expected = torch.tensor([20 / int(crop.width) * (-1 if crop.flipped else 1), 20 / int(crop.height)])
    torch.testing.assert_close(cut_steady[1, 0, 2].mean(dim=(1, 2, 3)), expected)


def test_flow_that_does_not_fit_is_refused():
    windows = random_windows(SIZES[:1])
    with pytest.raises(InputError, match=r"flow of a window must be \(2, 2, 8, 40, 52\), got \(2, 2, 8, 40, 50\)"):
        make_views(windows, keys(1), size=20, flow=[torch.zeros(2, 2, 8, 40, 50)])
    with pytest.raises(InputError, match="same samples"):
        make_views(windows, keys(1), size=20, flow=[])
    views = make_views(windows, keys(1), size=20)
    with pytest.raises(InputError, match="flow must be"):
        Views(views.global_clips, views.local_clips, views.boxes, flow=views.local_clips)


def test_a_shared_crop_is_the_global_clip_s():
    windows = random_windows(SIZES)
    apart, shared = (make_views(windows, keys(4), size=20, num_slices=2, shared_crop=s) for s in (False, True))
    assert torch.equal(apart.global_clips, shared.global_clips)
    assert torch.equal(apart.boxes, shared.boxes)
    assert not torch.equal(apart.local_clips, shared.local_clips)
    # Every second frame of the local clips, one after the other, is the global clip.
    assert torch.equal(
        shared.local_clips[:, :, :, :, ::2].transpose(1, 2).transpose(2, 3).flatten(3, 4), shared.global_clips
    )
