"""What is written plays back as what was given; what fails leaves nothing."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

import fima.data.transcode.encode as encode
from benchmarks.star import moving_shape
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import YUV, write_frames, write_video
from fima.errors import InputError, VideoError, WriteError


@pytest.fixture
def pictures():
    return moving_shape(3, num_frames=9, height=64, width=96).frames.transpose(0, 2, 3, 1)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".MP4"])
def test_round_trip(tmp_path, pictures, suffix):
    path = write_video(tmp_path / f"a{suffix}", pictures, fps=25)
    with VideoReader(path) as reader:
        assert (len(reader), reader.fps, reader.codec) == (9, 25, "h264")
        frames = reader.frames(range(9)).permute(0, 2, 3, 1).numpy()
    assert min(psnr(a, b) for a, b in zip(frames, pictures, strict=True)) > 30
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_browsers_can_play_it(tmp_path, pictures):
    path = write_video(tmp_path / "a.mp4", pictures, fps=30000 / 1001)
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")  # the index comes first
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.pix_fmt, stream.average_rate) == ("yuv420p", Fraction(30000, 1001))
        frame = next(container.decode(stream))
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (6, 1, 1, 1)


def test_colors_stay(tmp_path):
    colors = [(200, 30, 30), (30, 180, 60), (40, 60, 210), (128, 128, 128), (255, 255, 255), (0, 0, 0)]
    flat = [np.full((32, 32, 3), color, np.uint8) for color in colors]
    path = write_video(tmp_path / "a.mp4", flat, fps=5, crf=5)
    with VideoReader(path) as reader:
        seen = reader.frames(range(len(colors)))[:, :, 16, 16].numpy().astype(int)
    assert np.abs(seen - np.array(colors)).max() <= 6


def test_odd_sizes_repeat_the_edge(tmp_path, pictures):
    path = write_video(tmp_path / "a.mp4", pictures[:, :63, :95], fps=25, crf=1)
    with VideoReader(path) as reader:
        assert (reader.height, reader.width) == (64, 96)
        frame = reader.frames([0])[0].permute(1, 2, 0).numpy()
    assert psnr(frame[63], frame[62]) > 30
    assert psnr(frame[:63, :95], pictures[0, :63, :95]) > 30


def test_frames_are_taken_one_by_one(tmp_path, pictures):
    alive = []

    def generate():
        for picture in pictures:
            alive.append(len(list(tmp_path.iterdir())))
            yield picture

    write_video(tmp_path / "a.mp4", generate(), fps=25)
    assert alive[0] == 0  # nothing is created before there is a frame
    assert len(VideoReader(tmp_path / "a.mp4")) == 9


def test_lower_crf_is_better(tmp_path, pictures):
    sizes = [write_video(tmp_path / f"{crf}.mp4", pictures, fps=25, crf=crf).stat().st_size for crf in (40, 20, 5)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_an_error_and_the_old_file_stays(tmp_path, pictures, error):
    old = tmp_path / "a.mp4"
    old.write_bytes(b"old")

    def failing():
        yield from pictures
        raise error

    with pytest.raises(error):
        write_video(old, failing(), fps=25)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "frames must hold at least one frame, got none"),
        ([np.zeros((4, 4), np.uint8)], r"frame 0 must be \(H, W, 3\) uint8, got \(4, 4\) uint8"),
        ([np.zeros((4, 4, 3))], r"frame 0 must be \(H, W, 3\) uint8, got \(4, 4, 3\) float64"),
        ([np.zeros((0, 4, 3), np.uint8)], r"frame 0 must be .* got \(0, 4, 3\)"),
        (
            [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 34, 3), np.uint8)],
            r"frame 1 is \(32, 34, 3\), expected \(32, 32, 3\) as the first",
        ),
    ],
)
def test_bad_frames(tmp_path, frames, message):
    with pytest.raises(InputError, match=message):
        write_video(tmp_path / "a.mp4", frames, fps=25)
    assert not list(tmp_path.iterdir())


def test_bad_values(tmp_path, pictures):
    with pytest.raises(InputError, match="fps must be more than 0, got 0"):
        write_video(tmp_path / "a.mp4", pictures, fps=0)
    with pytest.raises(InputError, match="crf must be between 0 and 51, got 52"):
        write_video(tmp_path / "a.mp4", pictures, fps=25, crf=52)
    with pytest.raises(InputError, match=r"a\.gif: cannot write \.gif, use \.mp4"):
        write_video(tmp_path / "a.gif", pictures, fps=25)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        write_video(tmp_path / "nowhere" / "a.mp4", pictures, fps=25)


def test_a_folder_that_cannot_be_written(tmp_path, pictures, monkeypatch):
    def refuse(*args, **kwargs):
        raise av.error.PermissionError(13, "Permission denied")

    monkeypatch.setattr(encode.av, "open", refuse)
    with pytest.raises(WriteError, match=r"a\.mp4: cannot be written \(Permission denied\)"):
        write_video(tmp_path / "a.mp4", pictures, fps=25)


@pytest.mark.parametrize("width", [680, 452], ids=str)
def test_equal_frames_give_equal_files(tmp_path, width):
    x, y = np.linspace(0, 18, width)[None, :, None], np.linspace(0, 10, 224)[:, None, None]
    phase = np.array([0, 1, 2])
    film = [(127 + 120 * np.sin(x + y + 0.3 * t + phase)).astype(np.uint8) for t in range(20)]
    rng = np.random.default_rng(0)
    files = set()
    for _ in range(8):
        # Freed memory of other sizes and contents: what is read without having been set differs from run to run.
        [np.full((rng.integers(1, 400), 997), rng.integers(0, 255), np.uint8) for _ in range(20)]
        files.add(write_video(tmp_path / "a.mp4", film, fps=15).read_bytes())
    assert len(files) == 1


def yuv(pictures):
    return [av.VideoFrame.from_ndarray(np.ascontiguousarray(p), format="rgb24").reformat(**YUV) for p in pictures]


def keyframes(path):
    with av.open(str(path)) as container:
        return [i for i, packet in enumerate(p for p in container.demux(video=0) if p.size) if packet.is_keyframe]


def test_keyframes_come_at_least_as_often_as_asked(tmp_path, pictures):
    film = np.concatenate([pictures] * 4)
    assert np.diff(keyframes(write_frames(tmp_path / "a.mp4", yuv(film), fps=25, gop=5))).max() == 5
    assert keyframes(write_frames(tmp_path / "b.mp4", yuv(film), fps=25, gop=1)) == list(range(36))
    with pytest.raises(InputError, match="gop must be at least 1, got 0"):
        write_frames(tmp_path / "a.mp4", yuv(film), fps=25, gop=0)


def test_quick_files_hold_frames_in_the_order_they_are_shown(tmp_path, pictures):
    slow, quick = (write_frames(tmp_path / f"{q}.mp4", yuv(pictures), fps=25, quick=q) for q in (False, True))
    with av.open(str(slow)) as container:
        assert any(packet.pts != packet.dts for packet in container.demux(video=0) if packet.size)
    with av.open(str(quick)) as container:
        assert container.streams.video[0].codec_context.has_b_frames is False
        assert all(packet.pts == packet.dts for packet in container.demux(video=0) if packet.size)
    with VideoReader(quick) as reader:
        assert (
            min(psnr(a, b) for a, b in zip(reader.frames(range(9)).permute(0, 2, 3, 1).numpy(), pictures, strict=True))
            > 30
        )


_NO_ROOM = """
import resource, sys
import numpy as np
from fima.data.transcode.encode import WriteError, write_video
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0).integers(0, 256, (20, 64, 96, 3), dtype=np.uint8)
try:
    write_video(sys.argv[1], noise, fps=25)
except WriteError as error:
    print(error)
"""


def test_no_room_is_told_apart_and_leaves_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _NO_ROOM, tmp_path / "a.mp4"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{tmp_path / 'a.mp4'}: cannot be written (File too large)\n"
    assert not list(tmp_path.iterdir())


def test_errors_of_whoever_gives_the_frames_are_theirs(tmp_path, pictures):
    def failing():
        yield pictures[0]
        raise OSError(5, "the camera is gone")

    with pytest.raises(OSError, match="the camera is gone") as caught:
        write_video(tmp_path / "a.mp4", failing(), fps=25)
    assert not isinstance(caught.value, VideoError)
    assert not list(tmp_path.iterdir())
