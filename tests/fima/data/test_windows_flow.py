"""Flow made beforehand, read along with the frames of a window, and what the views make of it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from benchmarks.star import moving_shape
from fima.data.datasets import open_dataset
from fima.data.flow import FlowFolder
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import write_video
from fima.data.windows import WindowDataset, collate_windows, draw_window_starts
from fima.errors import InputError
from fima.seeding import SampleKeys
from fima.transforms.motion import flow_edges, optical_flow
from fima.transforms.views import draw_crops, make_views

# name → frames, height, width
VIDEOS = {"a": (30, 48, 64), "b": (24, 64, 48), "short": (5, 48, 64)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    for seed, (name, (count, height, width)) in enumerate(VIDEOS.items()):
        frames = moving_shape(seed, num_frames=count, height=height, width=width).frames
        write_video(root / f"{name}.mp4", frames.transpose(0, 2, 3, 1), fps=10)
    return root


@pytest.fixture(scope="module")
def videos(folder):
    return open_dataset(folder)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """Flow that tells its frame: i/8 to the right and −i/4 down, everywhere."""
    return write_flow(tmp_path_factory.mktemp("numbered"), lambda count, height, width: numbers(count, height, width))


def numbers(count, height, width):
    steps = np.arange(count - 1, dtype=np.float32)[:, None] * np.array([1 / 8, -1 / 4], np.float32)
    return np.broadcast_to(steps[..., None, None], (count - 1, 2, height, width))


def write_flow(root, make):
    for name, shape in VIDEOS.items():
        (root / name).mkdir(parents=True)
        np.save(root / name / "flow.npy", make(*shape))
    return root


def starts_of(name, num_frames, index):
    return draw_window_starts(VIDEOS[name][0], num_frames, SampleKeys(0, 0, np.array([index])))[0]


def test_flow_is_that_of_the_window_s_frames(videos, numbered):
    dataset = WindowDataset(videos, num_frames=8, flow=FlowFolder(numbered))
    for index, record in enumerate(videos):
        count, height, width = VIDEOS[record.video_id]
        sample = dataset[index]
        assert sample.failures == ()
        assert (sample.flow.shape, sample.flow.dtype) == ((2, 2, 8, height, width), torch.float16)
        for view, start in enumerate(starts_of(record.video_id, 8, index)):
            frames = np.minimum((start + np.arange(8)) % count, count - 2)  # the last frame takes the entry before it
            expected = torch.tensor(np.stack([frames / 8, -frames / 4]), dtype=torch.float16)
            assert torch.equal(sample.flow[view], expected[..., None, None].expand(2, 8, height, width))


def test_without_a_folder_there_is_none(videos):
    sample = WindowDataset(videos, num_frames=8)[0]
    assert sample.flow is None
    assert collate_windows([sample]).flow is None
    assert make_views(collate_windows([sample]).windows, sample.keys, size=16).flow is None


def test_with_a_stride_flow_reaches_to_the_window_s_next_frame(videos, numbered):
    """A steady motion of 1/8 of the frame's number per frame, three frames on."""
    sample = WindowDataset(videos, num_frames=4, frame_stride=3, flow=FlowFolder(numbered))[0]
    start = draw_window_starts(30, 10, SampleKeys(0, 0, np.array([0])))[0, 0]
    frames = torch.tensor(start + 3 * np.arange(4), dtype=torch.float16)
    assert torch.equal(sample.flow[0, 0, :, 5, 7], 3 * frames / 8)
    assert torch.equal(sample.flow[0, 1, :, 5, 7], -3 * frames / 4)


def test_frames_read_smaller_have_smaller_vectors(videos, numbered, tmp_path):
    """Half the size, half the pixels; and flow that was made at another size than the video's has the frames' too."""
    dataset = WindowDataset(videos, num_frames=8, short_side=24, flow=FlowFolder(numbered))
    whole = WindowDataset(videos, num_frames=8, flow=FlowFolder(numbered))
    for index in range(2):
        small, large = dataset[index], whole[index]
        assert small.flow.shape == (2, 2, 8, *small.windows.shape[2:4])
        ratio = torch.tensor([a / b for a, b in zip(small.windows.shape[2:4], large.windows.shape[2:4], strict=True)])
        expected = large.flow[..., 0, 0].float() * ratio.flip(0)[:, None]
        torch.testing.assert_close(small.flow[..., 3, 4].float(), expected, rtol=2e-3, atol=1e-3)
    other = write_flow(tmp_path, lambda count, height, width: numbers(count, 2 * height, width // 2))
    stretched = WindowDataset(videos, num_frames=8, flow=FlowFolder(other))[0].flow.float()
    reference = whole[0].flow.float()
    torch.testing.assert_close(stretched[:, 0], 2 * reference[:, 0], rtol=2e-3, atol=1e-3)
    torch.testing.assert_close(stretched[:, 1], reference[:, 1] / 2, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_carry_flow_whoever_loads_them(videos, numbered, workers):
    dataset = WindowDataset(videos, num_frames=8, flow=FlowFolder(numbered))
    loader = DataLoader(dataset, batch_size=3, collate_fn=collate_windows, num_workers=workers)
    (batch,) = loader
    kept = pickle.loads(pickle.dumps(batch.to("cpu")))
    for index in range(3):
        assert torch.equal(batch.flow[index], dataset[index].flow)
        assert torch.equal(kept.flow[index], dataset[index].flow)
        assert torch.equal(batch.windows[index], dataset[index].windows)


def test_a_video_without_flow_is_replaced_and_reported(videos, tmp_path):
    write_flow(tmp_path, numbers)
    (tmp_path / "a" / "flow.npy").unlink()
    np.save(tmp_path / "b" / "flow.npy", np.zeros((3, 2, 64, 48), np.float32))  # of a shorter video
    sample = WindowDataset(videos, num_frames=8, flow=FlowFolder(tmp_path))[0]
    assert sample.record.video_id == "short"
    assert sample.failures[0].path == videos[0].path
    assert "holds neither flow.npy nor flow_x_00001.jpg" in sample.failures[0].reason
    assert all("\n" not in failure.reason for failure in sample.failures)


def test_views_cut_flow_as_they_cut_the_local_clips():
    """Each clip's flow is its part of the window's, cropped, resized, scaled and mirrored."""
    generator = torch.Generator().manual_seed(0)
    sizes = [(40, 52), (48, 36), (33, 70)]
    windows = [torch.randint(0, 256, (2, 8, h, w, 3), generator=generator, dtype=torch.uint8) for h, w in sizes]
    flow = [torch.randn(2, 2, 8, h, w, generator=generator) for h, w in sizes]
    keys = SampleKeys(3, 1, np.arange(3))
    views = make_views(windows, keys, size=24, num_slices=2, flow=flow)
    assert (views.flow.shape, views.flow.dtype) == ((2, 2, 3, 2, 4, 24, 24), torch.float32)
    crops = draw_crops(keys, *np.array(sizes).T, 3)
    for n, v, i in np.ndindex(3, 2, 2):
        crop = crops[n, v, 1 + i]
        part = flow[n][v, :, 4 * i : 4 * i + 4, crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        resized = F.interpolate(part, (24, 24), mode="bilinear", align_corners=False)
        expected = torch.stack([resized[0] * (24 / crop.width), resized[1] * (24 / crop.height)])
        if crop.flipped:
            expected = torch.stack([-expected[0], expected[1]]).flip(-1)
        torch.testing.assert_close(views.flow[v, i, n], expected)
    plain = make_views(windows, keys, size=24, num_slices=2)
    assert torch.equal(views.local_clips, plain.local_clips)
    assert torch.equal(views.to("cpu").flow, views.flow)
    halves = make_views(windows, keys, size=24, num_slices=2, flow=[field.half() for field in flow])
    torch.testing.assert_close(halves.flow, views.flow, rtol=0, atol=2e-2)


def test_flow_made_beforehand_is_the_flow_that_is_computed(videos, tmp_path):
    """At the video's own size both are the flow of the same frames, but for the window's last frame, whose next one
    only the video has."""
    for record in videos:
        with VideoReader(record.path) as reader:
            frames = reader.frames(range(len(reader))).transpose(0, 1)[None] / 255
        (tmp_path / record.video_id).mkdir()
        np.save(tmp_path / record.video_id / "flow.npy", optical_flow(frames)[0, :, :-1].transpose(0, 1).numpy())
    sample = WindowDataset(videos[:1], num_frames=8, flow=FlowFolder(tmp_path))[0]
    computed = optical_flow(sample.windows.permute(0, 4, 1, 2, 3) / 255)
    assert computed.abs().max() > 2
    torch.testing.assert_close(sample.flow[:, :, :-1].float(), computed[:, :, :-1], rtol=1e-3, atol=1e-3)
    edges = (flow_edges(flow)[:, :, :-1] for flow in (sample.flow.float(), computed))
    torch.testing.assert_close(*edges, rtol=0, atol=1e-2)


def test_flow_that_is_cut_is_the_flow_of_the_cut_clip():
    """A pan of 3 pixels left and 2 up, in clips of another scale, some of them mirrored."""
    noise = torch.rand(1, 3, 136, 136, generator=torch.Generator().manual_seed(0))
    wide = F.avg_pool2d(noise, 7, stride=1, padding=3)[0]
    wide = (wide - wide.min()) / (wide.max() - wide.min())
    pan = torch.stack([wide[:, 2 * t : 2 * t + 112, 3 * t : 3 * t + 112] for t in range(4)], dim=0)
    window = pan.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).expand(2, -1, -1, -1, -1)
    flow = optical_flow(window.permute(0, 4, 1, 2, 3) / 255)
    views = make_views([window] * 4, SampleKeys(0, 0, np.arange(4)), size=64, num_slices=1, flow=[flow] * 4)
    ours = views.flow[:, 0].flatten(0, 1)
    theirs = optical_flow(views.local_clips[:, 0].flatten(0, 1))
    ours, theirs = (f[..., 8:-8, 8:-8].flatten(3).median(dim=3).values for f in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.1)
    assert (ours[:, 0] > 1).any(), "a mirrored clip"
    assert (ours[:, 0] < -1).any(), "one that is not"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda flow: flow[:1], "same samples as the windows, got 1 and 2"),
        (lambda flow: [flow[0], flow[1][..., :-1]], r"flow of a window must be \(2, 2, 8, 32, 40\).*got .*39"),
    ],
    ids=["count", "size"],
)
def test_refuses_flow_that_does_not_belong_to_the_windows(change, message):
    windows = [torch.zeros(2, 8, 32, 40, 3, dtype=torch.uint8)] * 2
    flow = [torch.zeros(2, 2, 8, 32, 40)] * 2
    with pytest.raises(InputError, match=message):
        make_views(windows, SampleKeys(0, 0, np.arange(2)), size=16, flow=change(flow))
