"""Frame i of a re-encoded file is frame i of its source, upright, at the size and the rate that were promised."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fima.data.transcode.reencode as module
from benchmarks.star import moving_shape
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import YUV, write_frames, write_video
from fima.data.transcode.reencode import Encoding, encoded_size, reencode
from fima.errors import InputError, VideoError

SMALL = Encoding(short_side=64)
FIGHTS = ["fight/fi004.mp4", "fight/fi063.mp4", "fight/fi135.mp4", "noFight/nofi021.mp4", "fight/fi106.mp4"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    pictures = moving_shape(3, num_frames=30, height=96, width=130).frames.transpose(0, 2, 3, 1)
    return write_video(tmp_path_factory.mktemp("source") / "a.mp4", pictures, fps=25)


def small_pictures(path):
    """All frames as displayed, gray, at 48 pixels; decoded without the reader's index."""
    with VideoReader(path) as reader:
        size = (48, 64) if reader.orientation.transpose else (64, 48)
        gray = [frame.reformat(*size, "gray").to_ndarray()[..., None] for frame in reader.decoded()]
        return np.stack([reader.orientation.apply(picture)[..., 0].astype(np.float32) for picture in gray])


def times(path):
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def assert_same_frames_in_the_same_order(source, target):
    """Each new frame is nearer to its own source frame than to neighbors that clearly differ; returns how many do."""
    ours, theirs = small_pictures(target), small_pictures(source)
    assert len(ours) == len(theirs)
    own = np.abs(ours - theirs).mean((1, 2))
    told_apart = 0
    for step in (-2, -1, 1, 2):
        there = np.arange(max(0, -step), len(ours) - max(0, step))
        change = np.abs(theirs[there] - theirs[there + step]).mean((1, 2))
        other = np.abs(ours[there] - theirs[there + step]).mean((1, 2))
        clear = change > 0.5
        assert (own[there] < other)[clear].all()
        told_apart += int(clear.sum())
    return told_apart


def test_every_real_clip_keeps_its_frames(clips_dir, tmp_path):
    told_apart = 0
    for path in sorted(clips_dir.iterdir()):
        made = reencode(path, tmp_path / "a.mp4", Encoding(short_side=128, crf=5))
        with VideoReader(path) as before, VideoReader(tmp_path / "a.mp4") as after:
            assert (len(after), after.fps) == (len(before), pytest.approx(before.fps, rel=1e-6))
            assert (after.height, after.width) == encoded_size(before.height, before.width, 128)
            assert min(after.height, after.width) == 128
            assert made == module.Reencoded(len(after), before.fps, after.height, after.width)
        told_apart += assert_same_frames_in_the_same_order(path, tmp_path / "a.mp4")
    assert told_apart > 500


@pytest.mark.parametrize("name", FIGHTS)
def test_files_without_usable_times_get_good_ones(real_data, tmp_path, name):
    path = next((real_data / "surveillance-fight" / "videos").rglob(name.split("/")[1]))
    reencode(path, tmp_path / "a.mp4", Encoding(short_side=240, crf=5))
    assert assert_same_frames_in_the_same_order(path, tmp_path / "a.mp4") > 0
    assert len(set(times(path))) < len(times(path)) / 2
    with VideoReader(path) as before:
        np.testing.assert_allclose(times(tmp_path / "a.mp4"), np.arange(len(before)) / before.fps, atol=1e-4)


def test_opening_needs_no_packet_and_keyframes_are_near(source, tmp_path):
    reencode(source, tmp_path / "a.mp4", Encoding(short_side=64, gop=4))
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert reader._index.unread
        assert np.diff([entry.index for entry in reader._index.entries]).max() <= 4


def test_turned_sources_are_written_upright(tmp_path):
    pictures = moving_shape(3, num_frames=6, height=64, width=96).frames.transpose(0, 2, 3, 1)
    for angle in (90, 180, 270):
        with av.open(str(tmp_path / "turned.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
            stream.set_display_rotation(angle)
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
            container.mux(stream.encode())
        made = reencode(tmp_path / "turned.mp4", tmp_path / "a.mp4", Encoding(short_side=32))
        assert (made.height, made.width) == ((48, 32) if angle % 180 else (32, 48))
        with av.open(str(tmp_path / "a.mp4")) as container:
            assert next(container.decode(video=0)).rotation == 0
        with VideoReader(tmp_path / "turned.mp4") as before, VideoReader(tmp_path / "a.mp4") as after:
            difference = before.frames([5], short_side=32).float() - after.frames([5]).float()
            assert difference.abs().mean() < 6


def test_sound_is_dropped(tmp_path):
    with av.open(str(tmp_path / "loud.mkv"), "w") as container:
        video, audio = container.add_stream("libx264", rate=25), container.add_stream("aac", rate=16000)
        video.height, video.width, video.pix_fmt = 64, 96, "yuv420p"
        for i in range(5):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((64, 96, 3), 20 * i, np.uint8))))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 16000, 1024 * i
            container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())
    assert reencode(tmp_path / "loud.mkv", tmp_path / "a.mp4", SMALL).num_frames == 5
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_uneven_times_are_kept(tmp_path):
    seconds = np.concatenate([np.arange(12) / 24, 0.5 + np.arange(8) / 3])  # as of a screen that is recorded
    pictures = moving_shape(0, num_frames=20, height=32, width=32).frames.transpose(0, 2, 3, 1)
    yuv = (av.VideoFrame.from_ndarray(np.ascontiguousarray(p), format="rgb24").reformat(**YUV) for p in pictures)
    write_frames(tmp_path / "a.mp4", yuv, fps=6.0, seconds=seconds)
    made = reencode(tmp_path / "a.mp4", tmp_path / "b.mp4", Encoding(short_side=32))
    with VideoReader(tmp_path / "a.mp4") as before, VideoReader(tmp_path / "b.mp4") as after:
        np.testing.assert_allclose(before.seconds, seconds, atol=1e-4)
        np.testing.assert_allclose(after.seconds, seconds, atol=1e-4)
        assert after._index.unread  # and the table alone still tells where every frame is
        assert (made.num_frames, len(after)) == (20, 20)


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(2997, 100), Fraction(25, 2), 6, 120])
def test_rates_stay(tmp_path, fps):
    pictures = moving_shape(0, num_frames=12, height=32, width=32).frames.transpose(0, 2, 3, 1)
    source = write_video(tmp_path / "a.mkv", pictures, fps=float(fps))
    made = reencode(source, tmp_path / "a.mp4", Encoding(short_side=32))
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert reader.fps == pytest.approx(float(fps), rel=2e-3)  # Matroska's milliseconds
        assert reader.fps == pytest.approx(made.fps, rel=1e-6)


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), short_side=st.integers(16, 500).map(lambda n: 2 * n))
def test_sizes_are_even_never_larger_and_keep_the_aspect(height, width, short_side):
    new = encoded_size(height, width, short_side)
    assert all(side % 2 == 0 for side in new)
    if min(height, width) <= short_side:
        assert new == (height + height % 2, width + width % 2)
    else:
        assert min(new) == short_side
        assert (new[0] <= new[1]) == (height <= width) or new[0] == new[1]
        assert abs(max(new) - max(height, width) * short_side / min(height, width)) <= 1


def test_small_videos_keep_their_size_and_pixels(source, tmp_path):
    made = reencode(source, tmp_path / "a.mp4", Encoding(short_side=96, crf=1))
    assert (made.height, made.width) == (96, 130)
    with VideoReader(source) as before, VideoReader(tmp_path / "a.mp4") as after:
        difference = before.frames(range(30)).float() - after.frames(range(30)).float()
    assert difference.abs().mean() < 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"short_side": 255}, "--short-side must be even and at least 32, got 255"),
        ({"short_side": 30}, "--short-side must be even and at least 32, got 30"),
        ({"crf": 52}, "--crf must be between 0 and 51, got 52"),
        ({"crf": -1}, "--crf must be between 0 and 51, got -1"),
        ({"gop": 0}, "--gop must be at least 1, got 0"),
    ],
)
def test_settings_out_of_range(values, message):
    with pytest.raises(InputError, match=message):
        Encoding(**values)


def test_what_is_not_a_video_leaves_nothing(source, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "cut.mp4").write_bytes(source.read_bytes()[:3000])
    for name in ("text.mp4", "cut.mp4"):
        with pytest.raises(VideoError, match=name):
            reencode(tmp_path / name, tmp_path / "a.mp4", SMALL)
    with pytest.raises(FileNotFoundError):
        reencode(tmp_path / "absent.mp4", tmp_path / "a.mp4", SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.mp4", "text.mp4"]


def test_being_stopped_leaves_nothing(source, tmp_path):
    asked = []

    def stopped():
        asked.append(True)
        return len(asked) > 10

    with pytest.raises(KeyboardInterrupt):
        reencode(source, tmp_path / "a.mp4", SMALL, stopped=stopped)
    assert len(asked) == 11
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("harm", ["a frame less", "another size", "another rate", "not readable"])
def test_a_file_that_is_not_what_was_meant_is_not_left_there(source, tmp_path, monkeypatch, harm):
    honest = module.write_frames

    def harmful(path, frames, *, fps, **rest):
        frames = list(frames)
        if harm == "not readable":
            path.write_bytes(b"nonsense")
            return path
        if harm == "another size":
            frames = [frame.reformat(64, 32) for frame in frames]
        return honest(path, frames[harm == "a frame less" :], fps=fps * (1 + (harm == "another rate")), **rest)

    monkeypatch.setattr(module, "write_frames", harmful)
    with pytest.raises(VideoError):
        reencode(source, tmp_path / "a.mp4", SMALL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "order", [[*range(1, 150), 149], [*range(40), 41, 40, *range(42, 150)]], ids=["late", "swapped"]
)
def test_frames_out_of_place_would_be_noticed(clips_dir, tmp_path, order):
    with VideoReader(clips_dir / "yoga.mp4") as reader:
        pictures = reader.frames(order).permute(0, 2, 3, 1).numpy()
    write_video(tmp_path / "a.mp4", pictures, fps=30, crf=5)
    with pytest.raises(AssertionError):
        assert_same_frames_in_the_same_order(clips_dir / "yoga.mp4", tmp_path / "a.mp4")
