"""What is no video, or costs more than it can be worth, is refused in one line before anything of it is decoded."""

from __future__ import annotations

import os
import struct
import time

import av
import numpy as np
import pytest

from fima.data.readers import container
from fima.data.readers.declared import check_declared
from fima.data.readers.file import VideoReader
from fima.errors import VideoError


def film(path, count=30, side=64, codec="mpeg4", rate=25, times=None):
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for i in range(count):
            texture = np.random.default_rng(i // 10).integers(0, 200, (side, side, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(np.roll(texture, i, axis=1), format="rgb24")
            frame.pts = i if times is None else times[i]
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def refusal(path, limit=5.0):
    """The line that a file is refused with, at once."""
    begun = time.monotonic()
    with pytest.raises(VideoError) as caught:
        VideoReader(path)
    assert time.monotonic() - begun < limit
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


TEXTS = {
    "live.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:30\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:5,\nseg.ts\n",
    "itself.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nitself.m3u8\n",
    "script.mp4": "ffconcat version 1.0\nfile seg.ts\n",
    "stream.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5000 RTP/AVP 96\n",
    "captions.mp4": "1\n00:00:00,000 --> 00:00:02,000\nhello\n",
    "notes.mp4": "hello world\n" * 300,
}


@pytest.mark.parametrize("name", TEXTS)
def test_scripts_playlists_and_texts_are_no_videos(tmp_path, name):
    film(tmp_path / "seg.ts", codec="mpeg2video")
    (tmp_path / name).write_text(TEXTS[name])
    refusal(tmp_path / name)


def test_pictures_that_follow_each_other_are_no_video(tmp_path):
    picture = av.VideoFrame.from_ndarray(np.zeros((8, 8, 3), np.uint8), format="rgb24").to_image()
    picture.save(tmp_path / "a.png")
    (tmp_path / "a.mp4").write_bytes((tmp_path / "a.png").read_bytes() * 5)
    assert "is no video" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.avi"])
def test_pictures_that_are_too_large_are_not_decoded(tmp_path, monkeypatch, name):
    path = film(tmp_path / name)
    assert len(VideoReader(path)) == 30
    monkeypatch.setattr(container, "MAX_PIXELS", 64 * 64 - 1)
    refusal(path)


def test_threads_do_not_multiply_what_large_pictures_cost(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    context = av.CodecContext.create("h264", "r")
    for side, threads in ((64, 1), (1920, 64), (8192, 4)):
        context.width = context.height = side
        assert container.thread_count(context, 0) == threads
        assert container.thread_count(context, 3) == 3


def boxes(kind, content):
    return struct.pack(">I", 8 + len(content)) + kind + content


def nested(*kinds, content):
    for kind in reversed(kinds):
        content = boxes(kind.encode(), content)
    return content


STBL = ("moov", "trak", "mdia", "minf", "stbl")
N = 300_000_000
BOMBS = {
    "one-byte samples": nested(*STBL, "stsz", content=struct.pack(">III", 0, 1, N)),
    "compact sizes": nested(*STBL, "stz2", content=struct.pack(">III", 0, 4, N)),
    "run of times": nested(*STBL, "stts", content=struct.pack(">IIII", 0, 1, N, 512)),
    "fragment": nested("moof", "traf", "trun", content=struct.pack(">II", 0, N)),
    "edits": nested(
        *STBL, content=boxes(b"elst", struct.pack(">II", 0, N // 3)) + boxes(b"stsz", struct.pack(">III", 0, 1, 3))
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_what_a_file_declares_must_fit_into_it(tmp_path, kind):
    path = tmp_path / "bomb.mp4"
    path.write_bytes(boxes(b"ftyp", b"isom\0\0\0\0") + BOMBS[kind] + boxes(b"mdat", bytes(1000)))
    assert "declares 300000000 samples" in refusal(path)


def test_real_tables_are_not_refused(tmp_path):
    check_declared(film(tmp_path / "a.mp4", 2000, side=16))
    ticks, sizes = struct.pack(">IIII", 0, 1, N, 1), struct.pack(">III", 0, 1, N)
    pcm = nested(*STBL, content=boxes(b"stts", ticks) + boxes(b"stsz", sizes))
    (tmp_path / "sound.mov").write_bytes(pcm + boxes(b"mdat", bytes(4_000_000)))
    check_declared(tmp_path / "sound.mov")  # minutes of uncompressed sound, a sample a tick


def test_a_file_that_is_mostly_holes(tmp_path):
    path = film(tmp_path / "a.ts", codec="mpeg2video")
    os.truncate(path, 10**12)
    assert "never written" in refusal(path)


def test_packets_are_no_more_than_the_file_can_hold(tmp_path, monkeypatch):
    path = film(tmp_path / "a.avi", 300)
    monkeypatch.setattr("fima.data.readers.packets.FREE_FRAMES", 10)
    monkeypatch.setattr("fima.data.readers.packets.FEWEST_BYTES", 10**6)
    assert "more than 10 packets" in refusal(path)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    assert "not a regular file" in refusal(tmp_path / "pipe.mp4")
    assert "cannot be opened" in refusal(tmp_path / "loop.mp4")
    for name in ("/dev/zero", "/dev/stdin", "a\0b.mp4", "a" * 5000):
        with pytest.raises((VideoError, FileNotFoundError)) as caught:
            VideoReader(name)
        assert "\n" not in str(caught.value)


def test_seconds_are_the_times_that_the_file_holds(tmp_path):
    times = [*range(25), *range(25, 150, 5)]  # 25 frames at 25 per second, then as many at 5
    for name in ("a.mp4", "a.mkv"):
        with VideoReader(film(tmp_path / name, 50, codec="libx264", times=times)) as reader:
            np.testing.assert_allclose(reader.seconds, np.array(times) / 25, atol=1e-3)
    with VideoReader(film(tmp_path / "b.avi", 50)) as reader:
        np.testing.assert_allclose(reader.seconds, np.arange(50) / 25, atol=1e-6)


@pytest.mark.parametrize("side", [64, 1280])
def test_frames_that_the_decoder_made_up_are_counted(tmp_path, side):
    path = film(tmp_path / "a.mp4", 40, side, codec="libx264")
    with VideoReader(path) as reader:
        reader.frames(range(40), short_side=32)
        assert not reader.concealed
    with av.open(str(path)) as whole:
        packets = [(packet.pos, packet.size) for packet in whole.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for position, size in (packets[20], packets[31]):
        content[position + size // 2 : position + size - 1] = bytes(size - 1 - size // 2)
    path.write_bytes(content)
    with VideoReader(path) as reader:
        frames = reader.frames(range(35), short_side=32)
        assert 0 < len(reader.concealed) <= 4
        assert max(reader.concealed) < len(reader)
        again = VideoReader(path, threads=4).frames(range(35), short_side=32)
        assert (frames == again).all()  # what is made up does not depend on how many threads there are
