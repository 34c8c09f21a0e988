"""Streams of clips: right frames, whole videos only, stopping cleanly."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.inputs.video.clips import ClipStream, center_crop, nothing_moves, place_clips, read_clip, to_batch
from analysis.inputs.video.videos import VideoSource, list_videos, procedural_record
from analysis.settings import Settings
from fima.data.readers.base import FrameReader
from fima.data.readers.drawn import ShapesReader
from fima.errors import InputError, VideoError
from fima.input_spec import InputSpec

SPEC = InputSpec((0.0,) * 3, (1.0,) * 3, "rgb", num_frames=4, frame_stride=2, size=16)


class CountingVideo(FrameReader):
    """Frame i is all i; breaks at frame ``broken_at``."""

    path, fps, codec = Path("fake.mp4"), 10.0, "none"
    height, width = 16, 20
    concealed = ()

    def __init__(self, length, broken_at=None):
        self.length, self.broken_at, self.reads = length, broken_at, []

    def __len__(self):
        return self.length

    def _write(self, out, places):
        self.reads.append(sorted(places))
        if self.broken_at is not None and max(places) >= self.broken_at:
            raise VideoError(f"fake.mp4: frame {self.broken_at} cannot be decoded")
        for index, where in places.items():
            out[where] = index


class FakeSource:
    def __init__(self, name, reader):
        self.video_id, self.path, self.label, self.reader = name, None, None, reader

    def open(self):
        return self.reader


def _firsts(clip):
    return clip.frames[:, 0, 0, 0].tolist()


def test_clips_hold_their_own_frames_whether_they_overlap_or_not():
    near, far = CountingVideo(40), CountingVideo(250)
    videos = [FakeSource("near", near), FakeSource("far", far)]
    stream = ClipStream(videos, SPEC, lambda seconds, _: [0, 3, 5] if len(seconds) == 40 else [0, 200])
    clips = list(stream)
    assert [_firsts(clip) for clip in clips] == [
        [0, 2, 4, 6],
        [3, 5, 7, 9],
        [5, 7, 9, 11],
        [0, 2, 4, 6],
        [200, 202, 204, 206],
    ]
    assert [clip.last for clip in clips] == [False, False, True, False, True]
    assert len(near.reads) == 1  # every frame decoded once
    assert len(far.reads) == 2  # nothing in between decoded
    assert clips[0].frames.shape == (4, 3, 16, 16)
    np.testing.assert_allclose(clips[4].seconds, [20.0, 20.2, 20.4, 20.6])


def test_a_time_is_that_of_the_frames_where_they_are_not_even():
    video = CountingVideo(40)
    slow = np.concatenate([np.arange(20) / 10, 2 + np.arange(20.0)])  # ten frames a second, then one
    video_of_two_rates = type("Uneven", (CountingVideo,), {"seconds": slow, "duration_seconds": 22.0})(40)
    for reader, second, first in ((video, 2.5, 25), (video_of_two_rates, 2.5, 21), (video_of_two_rates, 1.0, 10)):
        (clip,) = ClipStream([FakeSource("v", reader)], SPEC, place_clips(SPEC, start_seconds=second))
        assert _firsts(clip) == [first, first + 2, first + 4, first + 6]
        np.testing.assert_allclose(clip.seconds, reader.seconds[_firsts(clip)])


def test_frames_that_the_decoder_made_up_are_listed():
    damaged = type("Damaged", (CountingVideo,), {"concealed": {2, 5, 11}})(40)
    videos = [FakeSource("sound", CountingVideo(40)), FakeSource("damaged", damaged)]
    stream = ClipStream(videos, SPEC, lambda *_: [0, 1])
    list(stream)
    assert stream.concealed == {"damaged": [2, 5]}


def test_short_videos_repeat_in_time():
    clips = list(ClipStream([FakeSource("short", CountingVideo(3))], SPEC, place_clips(SPEC)))
    assert _firsts(clips[0]) == [0, 2, 1, 0]
    np.testing.assert_allclose(clips[0].seconds, [0, 0.2, 0.1, 0])  # the times of the frames that are shown
    assert clips[0].repeated(SPEC)


def test_equal_clips_of_a_short_video_are_one():
    clips = list(ClipStream([FakeSource("short", CountingVideo(7))], SPEC, place_clips(SPEC, 10)))
    assert [clip.start for clip in clips] == [0]
    assert clips[0].last


def test_a_video_that_breaks_half_way_leaves_nothing_behind():
    videos = [
        FakeSource("good", CountingVideo(30)),
        FakeSource("bad", CountingVideo(100, broken_at=60)),
        FakeSource("also good", CountingVideo(30)),
    ]
    stream = ClipStream(videos, SPEC, lambda seconds, _: range(0, len(seconds) - 7, 10), skip_broken=True, chunk=2)
    measured = {
        video.video_id: [value for _, value in clips]
        for video, clips in stream.per_video(3, lambda batch: [_firsts(clip)[0] for clip in batch])
    }
    assert measured == {"good": [0, 10, 20], "also good": [0, 10, 20]}
    assert stream.skipped == {"bad": "fake.mp4: frame 60 cannot be decoded"}


def test_a_given_video_that_breaks_stops_the_run():
    stream = ClipStream([FakeSource("bad", CountingVideo(9, broken_at=1))], SPEC, place_clips(SPEC))
    with pytest.raises(VideoError, match="frame 1 cannot"):
        list(stream)


def test_batches_cross_videos_and_stopping_early_ends_the_thread():
    videos = [FakeSource(str(i), CountingVideo(30)) for i in range(50)]
    stream = ClipStream(videos, SPEC, place_clips(SPEC), ahead=2)
    batches = stream.batches(4)
    assert [clip.video.video_id for clip in next(batches)] == ["0", "1", "2", "3"]
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "clip-decoder"]
    assert sum(len(video.reader.reads) for video in videos) < 20  # it did not run on


def test_to_batch_is_the_clip_in_unit_range_and_channels_last():
    clips = list(ClipStream([VideoSource("p", None)], SPEC, lambda *_: [0, 20]))
    batch = to_batch(clips)
    assert batch.shape == (2, 3, 4, 16, 16)
    assert batch.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(batch[1, :, 2], clips[1].frames[2].float() / 255)


def test_placement_by_time_and_in_the_middle():
    assert list(place_clips(SPEC, 1)(np.arange(27) / 10, 2.7)) == [10]
    assert list(place_clips(SPEC, start_seconds=1.5)(np.arange(100) / 10, 10.0)) == [15]
    with pytest.raises(InputError, match="start"):
        place_clips(SPEC, start_seconds=99.0)(np.arange(100) / 10, 10.0)


def test_center_crop_is_central():
    frames = torch.arange(20).view(1, 1, 4, 5).expand(1, 3, 4, 5)
    assert center_crop(frames, 2)[0, 0].tolist() == [[6, 7], [11, 12]]


def test_the_procedural_video_is_the_same_every_time_and_moves():
    one, two = ShapesReader(procedural_record(1)), ShapesReader(procedural_record(1))
    a, b = read_clip(one, 3, SPEC), read_clip(two, 3, SPEC)
    assert torch.equal(a, b)
    assert not torch.equal(a, read_clip(ShapesReader(procedural_record(2)), 3, SPEC))
    assert not torch.equal(a[0], a[-1])


def test_given_videos_are_named_uniquely_and_opened_first(tmp_path, clips_dir):
    dog = str(clips_dir / "dog.mp4")
    (tmp_path / "dog.mp4").write_bytes((clips_dir / "dog.mp4").read_bytes())
    given = (dog, str(tmp_path / "dog.mp4"), str(clips_dir / "bear.mp4"))
    names = [video.video_id for video in list_videos(Settings(video=given)).videos]
    assert names == [dog, str(tmp_path / "dog.mp4"), "bear"]
    with pytest.raises(InputError, match=r"dog\.mp4: is given 2 times"):
        list_videos(Settings(video=(dog, dog)))
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(VideoError, match=r"text\.mp4"):
        list_videos(Settings(video=(dog, str(tmp_path / "text.mp4"))))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list_videos(Settings(video=("nowhere.mp4",)))


def test_real_clip_equals_reading_it_by_hand(clips_dir):
    from fima.data.readers.file import VideoReader

    spec = InputSpec((0.0,) * 3, (1.0,) * 3, "rgb", num_frames=8, frame_stride=3, size=112)
    source = VideoSource("dog", clips_dir / "dog.mp4")
    (clip,) = list(ClipStream([source], spec, lambda *_: [5]))
    with VideoReader(clips_dir / "dog.mp4") as reader:
        frames = reader.frames(range(5, 29, 3), short_side=112).numpy()
    left = (frames.shape[-1] - 112) // 2
    np.testing.assert_array_equal(clip.frames.numpy(), frames[..., left : left + 112])


class TestStillness:
    @pytest.mark.parametrize(("side", "level", "still"), [(4, 1, False), (4, 0, True), (2, 3, True), (2, 4, False)])
    def test_a_block_that_changes_by_a_gray_level_moves(self, side, level, still):
        frames = torch.full((6, 3, 16, 16), 90, dtype=torch.uint8)
        frames[3, :, 4 : 4 + side, 8 : 8 + side] += level
        assert nothing_moves(frames) is still

    def test_noise_of_a_gray_level_is_no_motion(self):
        frames = torch.full((8, 3, 32, 32), 90, dtype=torch.uint8)
        frames += torch.randint(0, 2, frames.shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        assert nothing_moves(frames)
        assert nothing_moves(frames[:1])
