"""Test clips against frames read one by one and crops cut by hand."""

import csv

import numpy as np
import pytest
import torch

from fima.cli import main
from fima.data.datasets import VideoRecord, open_dataset
from fima.data.protocol_clips import ClipProtocol, clip_starts, cut_crops, iterate_test_clips, read_test_clips
from fima.data.readers.drawn import ShapesReader
from fima.data.readers.open import open_video
from fima.errors import InputError, VideoError
from fima.input_spec import FIMA_TINY

SPEC = FIMA_TINY.replace(num_frames=4, frame_stride=3, size=24)


@pytest.fixture(scope="module")
def video():
    return open_dataset("shapes:easy,videos=2", split="test")[0]


def test_clips_are_the_videos_frames_scaled_and_cut(video):
    with open_video(video) as reader:
        length = len(reader)
        last = length - 10
        for clips, starts in ((1, [last // 2]), (3, [0, (last + 1) // 2, last])):
            got = read_test_clips(video, SPEC, ClipProtocol(clips, crop_fraction=0.75))
            assert got.dtype == torch.uint8
            assert got.shape == (clips, 4, 3, 24, 24)
            for clip, start in zip(got, starts, strict=True):
                frames = reader.frames([start + 3 * i for i in range(4)], short_side=32)
                top, left = (frames.shape[2] - 24) // 2, (frames.shape[3] - 24) // 2
                assert torch.equal(clip, frames[:, :, top : top + 24, left : left + 24])


def test_crops_of_a_frame_that_tells_where_it_was_cut():
    wide = torch.arange(8)[:, None] * 100 + torch.arange(13)
    corner = [int(crop[0, 0]) for crop in cut_crops(wide, 8, 3)]
    assert corner == [0, 2, 5]
    assert [int(crop[0, 0]) for crop in cut_crops(wide.T, 8, 3)] == [0, 2, 5]
    assert [int(crop[0, 0]) for crop in cut_crops(wide, 4, 1)] == [204]
    ten = cut_crops(wide, 4, 10)
    assert [int(crop[0, 0]) for crop in ten[:5]] == [0, 9, 400, 409, 204]
    for crop, mirrored in zip(ten[:5], ten[5:], strict=True):
        assert torch.equal(mirrored, crop.flip(-1))


def test_crops_follow_each_other_within_a_clip(video):
    ten = read_test_clips(video, SPEC, ClipProtocol(2, crops=10))
    one = read_test_clips(video, SPEC, ClipProtocol(2, crops=1))
    assert len(ten) == 20
    assert torch.equal(ten[4], one[0])
    assert torch.equal(ten[14], one[1])
    assert torch.equal(ten[19], one[1].flip(-1))


def test_half_overlapping_windows_share_half_their_frames():
    protocol = ClipProtocol(placement="half_overlap")
    spec = SPEC.replace(num_frames=32, frame_stride=1)
    assert clip_starts(100, spec, protocol) == [0, 16, 32, 48, 64]
    assert clip_starts(96, spec, protocol) == [0, 16, 32, 48, 64]
    assert clip_starts(95, spec, protocol) == [0, 16, 32, 48]
    assert clip_starts(20, spec, protocol) == [0]


def test_each_frame_is_asked_for_in_one_call(video, monkeypatch):
    asked = []
    original = ShapesReader.frames

    def frames(self, indices, **options):
        asked.append(list(indices))
        return original(self, indices, **options)

    monkeypatch.setattr(ShapesReader, "frames", frames)
    read_test_clips(video, SPEC, ClipProtocol(10))
    assert len(asked) == 1


def test_videos_come_in_order_and_a_broken_one_says_why(tmp_path):
    assert main(["shapes", str(tmp_path / "s"), "--videos", "5", "--truth"]) == 0
    data = open_dataset(tmp_path / "s" / "train.csv")
    broken = VideoRecord(tmp_path / "broken.mp4", "broken", 0, "x")
    broken.path.write_bytes(b"no video")
    absent = VideoRecord(tmp_path / "absent.mp4", "absent", 0, "x")
    videos = [*data.records[:2], broken, *data.records[2:], absent]
    for threads in (1, 3):
        got = list(iterate_test_clips(videos, SPEC, ClipProtocol(2), ahead=2, threads=threads))
        assert [place for place, _, _ in got] == list(range(7))
        assert [record.video_id for _, record, _ in got] == [record.video_id for record in videos]
        for _, record, clips in got:
            if record in (broken, absent):
                assert isinstance(clips, str)
                assert clips.startswith(str(record.path)) or "absent.mp4" in clips
            else:
                assert torch.equal(clips, read_test_clips(record, SPEC, ClipProtocol(2)))
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        read_test_clips(broken, SPEC, ClipProtocol(2))
    assert len(list(csv.reader((tmp_path / "s" / "train.csv").open()))) >= 5


def test_leaving_early_ends_the_threads(video):
    videos = [video] * 50
    got = iterate_test_clips(videos, SPEC, ClipProtocol(1), ahead=4)
    next(got)
    got.close()
    with pytest.raises(StopIteration):
        next(got)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"clips": 0}, "clips must be at least 1 and at most 10000, got 0"),
        ({"crops": 5}, "crops must be one of 1, 3, 10, got 5"),
        ({"crop_fraction": 1.5}, r"crop_fraction must be in \(0, 1\], got 1.5"),
        ({"placement": "random"}, "placement must be uniform or half_overlap, got 'random'"),
        ({"average": "max"}, "average must be softmax, log_softmax or logits, got 'max'"),
    ],
)
def test_a_protocol_that_cannot_be(words, line):
    with pytest.raises(InputError, match=line):
        ClipProtocol(**words)


def test_a_protocol_as_plain_values():
    assert ClipProtocol(**ClipProtocol(3, crops=10).to_dict()) == ClipProtocol(3, crops=10)
    assert np.isclose(ClipProtocol().crop_fraction, 0.875)
