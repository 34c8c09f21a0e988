"""Windows of real (generated) videos: which frames, whatever loads them; and videos that cannot be read."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from benchmarks.star import moving_shape
from fima.data.datasets import VideoRecord, open_dataset
from fima.data.flow import FlowFolder
from fima.data.readers.file import VideoReader
from fima.data.sampling import clip_indices
from fima.data.transcode.encode import write_video
from fima.data.windows import VideoFailure, WindowDataset, collate_windows, draw_window_starts
from fima.errors import InputError, VideoError
from fima.input_spec import FIMA_112
from fima.seeding import SampleKeys
from fima.transforms.colors import ColorAugment
from fima.transforms.views import make_views

# name → frames, height, width
VIDEOS = {"a": (40, 48, 64), "b": (30, 64, 48), "c": (8, 48, 64), "d": (5, 56, 56), "e": (60, 48, 80)}


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


def broken(folder, tmp_path, *names):
    """Records of the folder's videos, with unreadable files of these names before them."""
    records = []
    for name in names:
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(b"not a video")
        records.append(VideoRecord(path, name, None, None))
    return (*records, *open_dataset(folder).records)


def keys(count, seed=0, epoch=0):
    return SampleKeys(seed, epoch, np.arange(count))


def starts_of(length, span, count=2000, **options):
    return draw_window_starts(length, span, keys(count), **options)


def test_windows_are_the_frames_from_their_starts(videos):
    dataset = WindowDataset(videos, seed=5, num_frames=8)
    for index, record in enumerate(videos):
        sample = dataset[index]
        with VideoReader(record.path) as reader:
            frames = reader.frames(range(len(reader))).permute(0, 2, 3, 1)
        starts = draw_window_starts(len(frames), 8, SampleKeys(5, 0, np.array([index])))[0]
        assert sample.windows.shape == (2, 8, *frames.shape[1:])
        assert sample.windows.dtype == torch.uint8
        assert (sample.record, sample.failures) == (record, ())
        for window, start in zip(sample.windows, starts, strict=True):
            assert torch.equal(window, frames[(start + np.arange(8)) % len(frames)])


def test_overlapping_windows_decode_each_frame_once(videos, monkeypatch):
    asked = []
    honest = VideoReader._frame_at
    monkeypatch.setattr(VideoReader, "_frame_at", lambda self, i: (asked.append(i), honest(self, i))[1])
    dataset = WindowDataset(videos, num_frames=20)
    for index in range(2):
        asked.clear()
        windows = dataset[index].windows
        read = asked[1:]  # the first is the reader's look at the file
        assert read == sorted(set(read))
        assert len(read) < 2 * windows.shape[1]


def test_a_stride_leaves_out_frames(videos):
    sample = WindowDataset(videos, num_frames=4, frame_stride=3)[0]
    with VideoReader(videos[0].path) as reader:
        start = draw_window_starts(40, 10, keys(1))[0, 0]
        expected = reader.frames([start, start + 3, start + 6, start + 9]).permute(0, 2, 3, 1)
    assert torch.equal(sample.windows[0], expected)


def test_frames_are_scaled_on_reading(videos):
    dataset = WindowDataset(videos, num_frames=4, short_side=24, min_side=24)
    assert [tuple(dataset[i].windows.shape[2:4]) for i in range(5)] == [
        (24, 32),
        (32, 24),
        (24, 32),
        (24, 24),
        (24, 40),
    ]


def test_every_ordered_pair_of_distinct_starts_is_equally_likely():
    counts = Counter(map(tuple, starts_of(11, 8, 24_000).tolist()))
    assert set(counts) == set(itertools.permutations(range(4), 2))
    assert all(count == pytest.approx(2000, abs=180) for count in counts.values())


def test_a_gap_keeps_the_starts_apart_and_draws_uniformly():
    counts = Counter(map(tuple, starts_of(13, 8, 24_000, gap=(3, 4)).tolist()))
    allowed = {(a, b) for a, b in itertools.product(range(6), repeat=2) if 3 <= abs(a - b) <= 4}
    assert set(counts) == allowed
    assert all(count == pytest.approx(24_000 / len(allowed), rel=0.1) for count in counts.values())


@given(
    length=st.integers(1, 300),
    span=st.integers(1, 100),
    least=st.integers(1, 400),
    more=st.none() | st.integers(0, 300),
    seed=st.integers(0, 2**20),
)
def test_starts_fit_and_are_as_far_apart_as_can_be(length, span, least, more, seed):
    greatest = None if more is None else least + more
    starts = draw_window_starts(length, span, keys(8, seed=seed), gap=(least, greatest))
    last = length - span if length >= span else length - 1
    assert starts.min() >= 0
    assert starts.max() <= last
    distance = np.abs(starts[:, 0] - starts[:, 1])
    assert (distance >= min(least, last)).all()
    if greatest is not None:
        assert (distance <= max(greatest, 1)).all()


def test_a_video_of_one_window_gives_it_twice_and_a_short_one_is_repeated(videos):
    dataset = WindowDataset(videos, num_frames=8)
    once = dataset[2].windows  # 8 frames
    assert torch.equal(once[0], once[1])
    short = dataset[3].windows  # 5 frames
    assert torch.equal(short[:, 5:], short[:, :3])
    assert not torch.equal(short[0], short[1])


def test_a_gap_in_seconds_goes_by_the_video_s_rate(videos):
    """10 frames per second: 0.5 to 2 seconds are 5 to 20 frames."""
    dataset = WindowDataset(videos, num_frames=2, gap_seconds=(0.5, 2.0))
    assert dataset._gap(10.0) == (5, 20)
    assert WindowDataset(videos, min_gap=7, gap_seconds=(0.5, 2.0))._gap(10.0) == (7, 20)
    with VideoReader(videos[4].path) as reader:
        frames = reader.frames(range(60)).permute(0, 2, 3, 1)
    for epoch in range(10):
        dataset.set_epoch(epoch)
        first, second = (int((frames == window[0]).flatten(1).all(1).nonzero()[0, 0]) for window in dataset[4].windows)
        assert 5 <= abs(first - second) <= 20


def test_epochs_and_seeds_draw_other_windows(videos):
    dataset = WindowDataset(videos, num_frames=8)
    first = dataset[4].windows
    dataset.set_epoch(1)
    assert dataset.epoch == 1
    assert not torch.equal(dataset[4].windows, first)
    dataset.set_epoch(0)
    assert torch.equal(dataset[4].windows, first)
    assert not torch.equal(WindowDataset(videos, seed=1, num_frames=8)[4].windows, first)


def test_a_batch_keeps_every_frame_size(videos):
    dataset = WindowDataset(videos, seed=9, num_frames=8)
    dataset.set_epoch(4)
    batch = collate_windows([dataset[i] for i in (3, 0)])
    assert len(batch) == 2
    assert [tuple(w.shape) for w in batch.windows] == [(2, 8, 56, 56, 3), (2, 8, 48, 64, 3)]
    assert (batch.keys.seed, batch.keys.epoch, batch.keys.indices.tolist()) == (9, 4, [3, 0])
    assert torch.equal(batch.to("cpu").windows[1], dataset[0].windows)
    views = make_views(batch.windows, batch.keys, size=32)
    assert views.global_clips.shape == (2, 2, 3, 4, 32, 32)


def all_views(dataset, epochs, **loading):
    """Boxes, clips and colors by (epoch, index), however the loader batches them."""
    loader = DataLoader(dataset, collate_fn=collate_windows, **loading)
    seen = {}
    for epoch in epochs:
        dataset.set_epoch(epoch)
        for batch in loader:
            views = make_views(batch.windows, batch.keys, size=32)
            colored = ColorAugment()(views.global_clips[1], batch.keys, "rgb 1", FIMA_112)
            for place, index in enumerate(batch.keys.indices.tolist()):
                parts = views.boxes[:, place], views.global_clips[:, place], views.local_clips[:, :, place]
                seen[epoch, index] = (*parts, colored[place])
    return seen


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert all(torch.equal(a, b) for a, b in zip(ours[key], theirs[key], strict=True)), key


def test_batches_and_order_change_no_sample(videos, folder, tmp_path):
    dataset = WindowDataset(broken(folder, tmp_path, "x"), seed=2, num_frames=8)
    one_by_one = all_views(dataset, [0, 1], batch_size=1)
    assert len(one_by_one) == 12
    generator = torch.Generator().manual_seed(0)
    assert_same(all_views(dataset, [1, 0], batch_size=4, shuffle=True, generator=generator), one_by_one)


@pytest.mark.slow
@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_change_no_sample(videos, folder, tmp_path, workers, context):
    """Also workers that live on from one epoch to the next."""
    dataset = WindowDataset(broken(folder, tmp_path, "x"), seed=2, num_frames=8)
    expected = all_views(dataset, [0, 1], batch_size=2)
    several = {"num_workers": workers, "persistent_workers": True, "multiprocessing_context": context}
    assert_same(all_views(dataset, [0, 1], batch_size=3, **several), expected)


def test_running_workers_see_the_next_epoch(videos):
    dataset = WindowDataset(videos, num_frames=8)
    loader = DataLoader(dataset, collate_fn=collate_windows, batch_size=5, num_workers=1, persistent_workers=True)
    for epoch in (0, 3):
        dataset.set_epoch(epoch)
        (batch,) = loader
        assert batch.keys.epoch == epoch
        assert all(torch.equal(batch.windows[i], dataset[i].windows) for i in range(5))


def test_batches_that_are_kept_stay_as_they_are(videos):
    """Workers use their memory again, but never what is still held, be it a part of a window."""
    dataset = WindowDataset(list(videos) * 4, num_frames=8)
    batches = list(DataLoader(dataset, collate_fn=collate_windows, batch_size=2, num_workers=1))
    corners = [window[1, 3:, 5:] for batch in batches for window in batch.windows]
    for index, corner in enumerate(corners):
        assert torch.equal(corner, dataset[index].windows[1, 3:, 5:])
    del batches
    for batch in DataLoader(dataset, collate_fn=collate_windows, batch_size=2, num_workers=1):
        assert all(torch.equal(w, dataset[i].windows) for w, i in zip(batch.windows, batch.keys.indices, strict=True))
    assert all(torch.equal(corner, dataset[i].windows[1, 3:, 5:]) for i, corner in enumerate(corners))


def test_an_unreadable_video_is_replaced_and_reported(folder, tmp_path):
    records = broken(folder, tmp_path, "x", "y")
    dataset = WindowDataset(records, seed=1, num_frames=8)
    sample = dataset[1]
    assert sample.keys.indices.tolist() == [1]
    assert sample.record in records[2:]
    assert {failure.path for failure in sample.failures} >= {records[1].path}
    assert sample.failures[0].reason.startswith(f"{records[1].path}: cannot be read as video")
    again = WindowDataset(records, seed=1, num_frames=8)[1]
    assert again.record == sample.record
    assert torch.equal(again.windows, sample.windows)
    stand_ins = set()
    for epoch in range(30):
        dataset.set_epoch(epoch)
        stand_ins.add(dataset[1].record.video_id)
    assert stand_ins == set(VIDEOS)
    batch = collate_windows([dataset[i] for i in (0, 1, 2)])
    assert all(isinstance(failure, VideoFailure) for failure in batch.failures)
    assert {records[0].path, records[1].path} <= {failure.path for failure in batch.failures}


def test_missing_and_too_small_videos_count_as_unreadable(videos):
    gone = replace(videos[0], path=videos[0].path.with_name("gone.mp4"))
    sample = WindowDataset([gone, videos[4]], num_frames=8)[0]
    assert sample.record == videos[4]
    assert sample.failures[0].reason == f"{gone.path}: no such file"
    sample = WindowDataset([videos[1], videos[3]], num_frames=8, min_side=50)[0]
    assert sample.record == videos[3]
    assert sample.failures[0].reason.endswith("b.mp4: frames are 48×64, expected at least 50 on each side")


def test_where_nothing_can_be_read_the_error_names_the_video(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(b"not a video")
    record = VideoRecord(path, "x", None, None)
    with pytest.raises(VideoError, match=r"x\.mp4: cannot be read as video.*nor could any of 0 other videos"):
        WindowDataset([record])[0]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_frames": 0}, "num_frames must be at least 1, got 0"),
        ({"frame_stride": 0}, "frame_stride must be at least 1, got 0"),
        ({"min_gap": 0}, "min_gap must be at least 1.*got 0"),
        ({"gap_seconds": (2.0, 1.0)}, r"gap_seconds.*got \(2\.0, 1\.0\)"),
        ({"short_side": 100, "min_side": 112}, "short_side must be at least min_side, 112 pixels, got 100"),
        ({"seed": -1}, "seed must be in"),
    ],
    ids=["frames", "stride", "gap", "seconds", "side", "seed"],
)
def test_refuses_settings(videos, setting, message):
    with pytest.raises(InputError, match=message):
        WindowDataset(videos, **setting)


def test_refuses_what_makes_no_batch(videos):
    with pytest.raises(InputError, match="at least one video, got none"):
        WindowDataset([])
    dataset = WindowDataset(videos, num_frames=8)
    with pytest.raises(IndexError, match="sample 5 is outside this data set of 5 videos"):
        dataset[5]
    with pytest.raises(InputError, match="epoch must be in"):
        dataset.set_epoch(-1)
    first = dataset[0]
    dataset.set_epoch(1)
    with pytest.raises(InputError, match=r"one seed and epoch, got \[\(0, 0\), \(0, 1\)\]"):
        collate_windows([first, dataset[1]])
    with pytest.raises(InputError, match="got no samples"):
        collate_windows([])


def test_a_sample_of_any_epoch_without_setting_it(videos):
    dataset = WindowDataset(videos, num_frames=8, seed=2)
    there = WindowDataset(videos, num_frames=8, seed=2)
    there.set_epoch(5)
    for index in range(len(videos)):
        assert torch.equal(dataset.sample(index, 5).windows, there[index].windows)
        assert torch.equal(dataset[5, index].windows, there[index].windows)
    assert dataset.epoch == 0


@pytest.fixture
def flows(videos, tmp_path):
    """A field per video whose values tell the frame: u = entry, v = −entry, half the frames' size."""
    for record in videos:
        count, height, width = VIDEOS[record.video_id]
        entries = np.arange(count - 1, dtype=np.float32)[:, None, None]
        field = np.stack([entries, -entries], axis=1) * np.ones((1, 1, height // 2, width // 2), np.float32)
        (tmp_path / record.video_id).mkdir()
        np.save(tmp_path / record.video_id / "flow.npy", field)
    return FlowFolder(tmp_path)


@pytest.mark.parametrize("stride", [1, 2])
def test_flow_comes_with_its_frames(videos, flows, stride):
    """At the frames' size (twice the field's), for as many frames as the window strides over."""
    dataset = WindowDataset(videos, num_frames=6, frame_stride=stride, flow=flows)
    for index, record in enumerate(videos):
        sample = dataset[index]
        count, height, width = VIDEOS[record.video_id]
        assert sample.flow.shape == (2, 2, 6, height, width)
        span = 1 + 5 * stride
        starts = draw_window_starts(count, span, sample.keys)[0]
        for view in range(2):
            indices = clip_indices(count, int(starts[view]), num_frames=6, frame_stride=stride)
            frames = np.minimum(indices, count - 2)
            expected = torch.tensor(2 * stride * frames, dtype=torch.float16)
            assert torch.equal(sample.flow[view, 0, :, 0, 0], expected)
            assert torch.equal(sample.flow[view, 1, :, 3, 4], -expected)


def test_flow_goes_through_workers_unchanged(videos, flows):
    dataset = WindowDataset(videos, num_frames=6, flow=flows)
    alone, several = (
        [batch.flow for batch in DataLoader(dataset, batch_size=2, collate_fn=collate_windows, num_workers=n)]
        for n in (0, 2)
    )
    for ours, theirs in zip(alone, several, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_video_without_flow_counts_as_unreadable(videos, flows):
    (flows.root / "a" / "flow.npy").unlink()
    sample = WindowDataset(videos, num_frames=6, flow=flows)[0]
    assert sample.record.video_id != "a"
    assert "holds neither flow.npy" in sample.failures[0].reason
