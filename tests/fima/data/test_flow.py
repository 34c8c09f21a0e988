"""Optical flow on textures that move in a known way, its edges against kornia, and flow read from disk."""

from __future__ import annotations

import cv2
import kornia.filters
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.star import moving_shape
from fima.data.flow import FlowFolder
from fima.errors import InputError
from fima.transforms.motion import flow_edges, optical_flow
from fima.transforms.views import Crops, cut_flow


def texture(height, width, seed=0):
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    smooth = F.avg_pool2d(noise, 7, stride=1, padding=3)[0]
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def pan(frames=5, dx=3, dy=2, size=96):
    """The camera moves right and down, so the picture moves left and up by (dx, dy)."""
    wide = texture(size + 40, size + 40)
    return torch.stack([wide[:, dy * t : dy * t + size, dx * t : dx * t + size] for t in range(frames)], 1)[None]


def object_on_still_ground(frames=5, step=3, size=112):
    """Clip and masks: a square of another texture moves to the right."""
    ground, square = texture(size, size, 1), texture(40, 40, 2)
    clip, masks = ground[:, None].repeat(1, frames, 1, 1), torch.zeros(frames, size, size, dtype=torch.bool)
    for t in range(frames):
        left = 20 + step * t
        clip[:, t, 36:76, left : left + 40] = square
        masks[t, 36:76, left : left + 40] = True
    return clip[None], masks


@pytest.mark.parametrize(("preset", "error"), [("ultrafast", 0.2), ("fast", 0.2), ("medium", 0.05)])
def test_flow_of_a_pan_is_the_pan(preset, error):
    flow = optical_flow(pan(), preset=preset)
    assert flow.shape == (1, 2, 5, 96, 96)
    assert flow.dtype == torch.float32
    inside = flow[..., 16:-16, 16:-16]
    assert inside[:, 0].median() == pytest.approx(-3, abs=error)
    assert inside[:, 1].median() == pytest.approx(-2, abs=error)


def test_the_last_frame_repeats_the_flow_before_it():
    flow = optical_flow(pan())
    assert torch.equal(flow[:, :, -1], flow[:, :, -2])
    assert not torch.equal(flow[:, :, -2], flow[:, :, -3])


def test_each_clip_has_its_own_flow():
    clips = torch.cat([pan(), pan(dx=1, dy=0)])
    both = optical_flow(clips)
    assert torch.equal(both[1:], optical_flow(clips[1:]))


def test_a_pan_has_hardly_any_edges_and_an_object_has_them_on_its_contour():
    still, masks = object_on_still_ground()
    edges = flow_edges(optical_flow(still))[0, 2]
    of_pan = flow_edges(optical_flow(pan()))[0, 2, :, 16:-16, 16:-16]
    assert of_pan.quantile(0.95) < 0.03
    for t in range(4):
        cover = masks[t].float()[None, None]
        grown, shrunk = F.max_pool2d(cover, 17, 1, 8)[0, 0] > 0, -F.max_pool2d(-cover, 17, 1, 8)[0, 0] > 0
        contour, inside, outside = edges[t][grown & ~shrunk], edges[t][shrunk], edges[t][~grown]
        assert contour.mean() > 10 * max(inside.mean(), outside.mean())
        assert contour.max() > 0.5


def test_edges_on_a_procedural_video_follow_its_object():
    shape = moving_shape(1, num_frames=24)
    clip = torch.from_numpy(shape.frames[6:12]).float().transpose(0, 1)[None] / 255
    edges = flow_edges(optical_flow(clip))[0, 2]
    near = F.max_pool2d(torch.from_numpy(shape.masks[6:12]).float()[:, None], 13, 1, 6)[:, 0] > 0
    assert edges[near].mean() > 5 * edges[~near].mean()


def test_constant_flow_has_no_edges_at_all():
    flow = torch.tensor([3.3, -1.7]).view(1, 2, 1, 1, 1).expand(2, 2, 3, 9, 11)
    assert torch.equal(flow_edges(flow), torch.zeros(2, 3, 3, 9, 11))


def test_a_slope_of_flow_by_hand():
    """u grows by 0.5 per column, v by 2 per row: gradients 0.5 and 2, together √4.25; half of it at the border."""
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    edges = flow_edges(torch.stack([0.5 * x, 2 * y])[None, :, None])[0, :, 0]
    torch.testing.assert_close(edges[:, 2, 2], torch.tensor([0.5, 2.0, 4.25**0.5]))
    torch.testing.assert_close(edges[:2, 0, 0], torch.tensor([0.25, 1.0]))


def test_edges_agree_with_kornia():
    flow = torch.randn(2, 2, 3, 12, 10, generator=torch.Generator().manual_seed(0))
    gradients = kornia.filters.spatial_gradient(flow.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, 3))
    components = gradients.square().sum(3).sqrt().transpose(1, 2)
    torch.testing.assert_close(flow_edges(flow)[:, :2], components)
    torch.testing.assert_close(flow_edges(flow)[:, 2], gradients.square().sum((2, 3)).sqrt())


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        (optical_flow, torch.rand(1, 3, 1, 32, 32), r"at least 2, at least 16.*got \(1, 3, 1, 32, 32\)"),
        (optical_flow, torch.rand(1, 3, 4, 8, 32), r"at least 16.*got \(1, 3, 4, 8, 32\)"),
        (optical_flow, torch.rand(3, 4, 32, 32), "add a batch axis"),
        (lambda clip: optical_flow(clip, preset="slow"), torch.rand(1, 3, 2, 32, 32), "ultrafast, fast, medium"),
        (flow_edges, torch.rand(1, 3, 2, 8, 8), r"flow must be \(N, 2, T, H, W\)"),
    ],
    ids=["one frame", "small", "axes", "preset", "flow"],
)
def test_refuses(function, argument, message):
    with pytest.raises(InputError, match=message):
        function(argument)


def test_reads_arrays(tmp_path):
    stored = np.random.default_rng(0).normal(size=(6, 2, 8, 10)).astype(np.float16)
    (tmp_path / "class" / "video").mkdir(parents=True)
    np.save(tmp_path / "class" / "video" / "flow.npy", stored)
    flow = FlowFolder(tmp_path).read("class/video", [4, 0, 6])
    assert flow.dtype == torch.float32
    np.testing.assert_array_equal(flow.numpy(), stored[[4, 0, 5]].transpose(1, 0, 2, 3).astype(np.float32))


def test_reads_pictures(tmp_path):
    (tmp_path / "v").mkdir()
    levels = {"x": [0, 128, 255], "y": [64, 128, 192]}
    for axis, values in levels.items():
        for i, value in enumerate(values):
            cv2.imwrite(str(tmp_path / "v" / f"flow_{axis}_{i + 1:05d}.jpg"), np.full((16, 24), value, np.uint8))
    flow = FlowFolder(tmp_path, bound=10).read("v", np.array([0, 1, 2, 3]))
    assert flow.shape == (2, 4, 16, 24)
    expected = torch.tensor([levels["x"] + [255], levels["y"] + [192]]) / 255 * 20 - 10
    torch.testing.assert_close(flow, expected[:, :, None, None].expand_as(flow), rtol=0, atol=1e-5)


def test_flow_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        FlowFolder(tmp_path / "nowhere")
    with pytest.raises(InputError, match="bound must be more than 0 pixels, got 0"):
        FlowFolder(tmp_path, bound=0)
    folder = FlowFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"v: holds neither flow\.npy nor flow_x_00001\.jpg"):
        folder.read("v", [0])
    (tmp_path / "v").mkdir()
    np.save(tmp_path / "v" / "flow.npy", np.zeros((3, 8, 10, 2), np.float32))
    with pytest.raises(InputError, match=r"flow\.npy: expected \(L, 2, H, W\) floating point, got \(3, 8, 10, 2\)"):
        folder.read("v", [0])
    np.save(tmp_path / "v" / "flow.npy", np.zeros((3, 2, 8, 10), np.float32))
    for indices in ([4], [-1], []):
        with pytest.raises(InputError, match="expected frames from 0 to 3"):
            folder.read("v", indices)
    (tmp_path / "v" / "flow.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match=r"flow\.npy: cannot be read as an array"):
        folder.read("v", [0])
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "flow_x_00001.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"flow_x_00001\.jpg: cannot be read as a picture"):
        folder.read("w", [0])


@pytest.mark.parametrize("flipped", [False, True])
def test_cut_flow_is_the_flow_of_the_cut_clip(flipped):
    """A constant flow of the frames becomes, in pixels of the clip, scaled and mirrored."""
    flow = torch.tensor([4.0, -3.0]).view(2, 1, 1, 1).expand(2, 3, 60, 80)
    crop = Crops(*(np.array(v) for v in (10, 20, 30, 40, flipped)))
    out = cut_flow(flow, crop, 20)
    assert out.shape == (2, 3, 20, 20)
    expected = torch.tensor([-2.0 if flipped else 2.0, -2.0]).view(2, 1, 1, 1).expand_as(out)
    torch.testing.assert_close(out, expected)


def test_cut_flow_mirrors_places_too():
    flow = torch.zeros(2, 1, 8, 8)
    flow[1, 0, 2, 1] = 1
    out = cut_flow(flow, Crops(*(np.array(v) for v in (0, 0, 8, 8, True))), 8)
    assert out[1, 0].nonzero().tolist() == [[2, 6]]
