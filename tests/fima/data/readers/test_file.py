"""VideoReader against plain sequential decoding, byte for byte, on every kind of file that PyAV can make here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fima.data.readers.file as video
from fima.data.readers.file import VideoReader
from fima.errors import InputError, VideoError

MILLISECONDS = Fraction(1, 1000)
UNEVEN = [int(t) for t in np.cumsum(np.random.default_rng(3).integers(5, 120, 40))]


def make_video(
    path, codec, *, count=40, size=(64, 96), pixels="yuv420p", options=None, pts=None, muxer=None, rotate=None
):
    """A texture that moves two rows and three columns per frame: no two frames are alike."""
    height, width = size
    rng = np.random.default_rng(1)
    texture = rng.integers(0, 256, (height // 4 + count + 4, width // 4 + count + 4, 3), dtype=np.uint8)
    texture = texture.repeat(4, 0).repeat(4, 1)
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width, stream.pix_fmt = height, width, pixels
        if pts:
            stream.time_base = stream.codec_context.time_base = MILLISECONDS
        if rotate is not None:
            stream.set_display_rotation(*rotate)
        for i in range(count):
            picture = np.ascontiguousarray(texture[2 * i : 2 * i + height, 3 * i : 3 * i + width])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts = pts[i] if pts else i
            if pts:
                frame.time_base = MILLISECONDS
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def sequential(path):
    """Every frame that decoding from the start gives; a packet that cannot be decoded is skipped.

    By one thread: with several, what becomes of damage depends on how many there are.
    """
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                frames += stream.codec_context.decode(None)
                break
            if packet is None:
                break
            try:
                frames += packet.decode()
            except av.FFmpegError:
                continue
        return np.stack([np.rot90(f.to_ndarray(format="rgb24"), round(f.rotation / 90)) for f in frames])


def read(reader, indices, **kwargs):
    return reader.frames(indices, **kwargs).permute(0, 2, 3, 1).numpy()


def assert_exact(path, rounds=25):
    """Whole file, single frames in random order, windows and mixed sets all equal the sequential frames."""
    expected = sequential(path)
    rng = np.random.default_rng(0)
    with VideoReader(path) as reader:
        assert len(reader) == len(expected)
        assert (reader.height, reader.width) == expected.shape[1:3]
        for _ in range(rounds):
            start = int(rng.integers(len(reader)))
            for chosen in ([start], range(start, min(start + 7, len(reader))), rng.integers(0, len(reader), 5)):
                np.testing.assert_array_equal(read(reader, chosen), expected[list(chosen)])
        np.testing.assert_array_equal(read(reader, range(len(reader))), expected)
    for index in {0, len(expected) // 2, len(expected) - 1}:
        with VideoReader(path) as reader:  # the first read after opening
            np.testing.assert_array_equal(read(reader, [index]), expected[[index]])
    return expected


def is_seekable(path):
    with VideoReader(path) as reader:
        return len(reader._index.entries) > 1


def h264(**x264):
    # Without x264's macroblock tree, with which equal frames give unequal files.
    params = ":".join(f"{k.replace('_', '-')}={v}" for k, v in {"mbtree": 0, **x264}.items())
    return {"codec": "libx264", "options": {"preset": "veryfast", "g": "12", "bf": "3", "x264-params": params}}


def h265(**x265):
    params = ":".join(f"{k.replace('_', '-')}={v}" for k, v in {"log_level": "none", "keyint": 12, **x265}.items())
    return {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": params}}


MPEG4_B = {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}}
VPX = {"g": "12", "deadline": "good", "cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"}
QUICK = h264(bframes=0, cabac=0)  # as fima prepare writes it
OPEN_GOP = h264(open_gop=1, b_pyramid="normal", scenecut=0, b_adapt=0)
# name → how to make it, and whether reading it may seek
KINDS = {
    "h264_b.mp4": (h264(), True),
    "h264_b.mkv": (h264(), True),
    "h264_b.mov": (h264(), True),
    "h264_fragments.mp4": ({**h264(), "muxer": {"movflags": "frag_keyframe+empty_moov"}}, True),
    "h264_open_gop.mp4": (OPEN_GOP, True),
    "h264_open_gop.mkv": (OPEN_GOP, True),
    "h264_intra_refresh.mp4": (h264(intra_refresh=1), False),
    "h264_interlaced.mp4": (h264(interlaced=1), False),
    "h264.ts": (h264(), False),
    "h264.avi": (h264(), False),
    "h264.flv": (h264(), False),
    "h264.h264": (h264(), False),
    "h264_10bit.mp4": ({**h264(), "pixels": "yuv420p10le"}, True),
    "h264_444.mkv": ({**h264(), "pixels": "yuv444p"}, True),
    "h264_odd.mkv": ({**h264(), "size": (63, 97), "pixels": "yuv444p"}, True),
    "h264_vfr.mp4": ({**h264(), "pts": UNEVEN}, True),
    "h264_vfr.mkv": ({**h264(), "pts": UNEVEN}, True),
    "h264_late_start.mp4": ({**h264(), "pts": [40 * i + 4200 for i in range(40)]}, True),
    "h264_portrait.mp4": ({**h264(), "size": (96, 64)}, True),
    "h264_quick.mp4": (QUICK, True),
    "h264_quick.mkv": (QUICK, True),
    "h264_quick_fragments.mp4": ({**QUICK, "muxer": {"movflags": "frag_keyframe+empty_moov"}}, True),
    "h264_quick_vfr.mp4": ({**QUICK, "pts": UNEVEN}, True),
    "h264_quick_late_start.mp4": ({**QUICK, "pts": [40 * i + 4200 for i in range(40)]}, True),
    "h264_quick_intra_refresh.mp4": (h264(intra_refresh=1, bframes=0), True),  # as far as its table says
    "h264_quick_open_gop.mp4": (h264(open_gop=1, bframes=0, scenecut=0), True),
    "h264_quick_interlaced.mp4": (h264(interlaced=1, bframes=0), False),
    "h264_quick_one_frame.mp4": ({**QUICK, "count": 1}, False),
    "h264_one_frame.mp4": ({**h264(), "count": 1}, False),
    "hevc_open_gop.mp4": (h265(bframes=4, open_gop=1), True),
    "hevc_closed_gop.mkv": (h265(bframes=4, open_gop=0), True),
    "hevc_10bit.mp4": ({**h265(), "pixels": "yuv420p10le"}, True),
    "mpeg4.avi": ({"codec": "mpeg4", "options": {"g": "12"}}, True),
    "mpeg4_b.avi": (MPEG4_B, False),
    "mpeg4_b.mp4": (MPEG4_B, True),
    "mpeg4_b.mkv": (MPEG4_B, True),
    "mpeg4_one_frame.avi": ({"codec": "mpeg4", "count": 1}, False),
    "vp8.webm": ({"codec": "libvpx", "options": VPX}, True),
    "vp9.webm": ({"codec": "libvpx-vp9", "options": VPX}, True),
    "av1.mp4": ({"codec": "libsvtav1", "options": {"g": "12", "preset": "12"}}, True),
    "av1.webm": ({"codec": "libsvtav1", "options": {"g": "12", "preset": "12"}}, True),
    "mjpeg.mov": ({"codec": "mjpeg", "pixels": "yuvj420p"}, True),
    "mpeg2.mpg": ({"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}}, False),
    "wmv2.wmv": ({"codec": "wmv2", "options": {"g": "12"}}, False),
    "ffv1.mkv": ({"codec": "ffv1"}, False),
}


@pytest.fixture(scope="session", autouse=True)
def quiet_av1():
    os.environ["SVT_LOG"] = "0"


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_equals_sequential_decoding(tmp_path, name):
    how, seekable = KINDS[name]
    path = make_video(tmp_path / name, **how)
    expected = assert_exact(path)
    assert len(expected) == how.get("count", 40)
    assert is_seekable(path) == seekable


@pytest.mark.parametrize("name", KINDS)
def test_decoded_gives_all_frames_in_order_whatever_is_read_meanwhile(tmp_path, name):
    path = make_video(tmp_path / name, **KINDS[name][0])
    expected = sequential(path)
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader.decoded()):
            np.testing.assert_array_equal(frame.to_ndarray(format="rgb24"), expected[number])
            if number % 16 == 0:
                last = len(expected) - 1 - number
                np.testing.assert_array_equal(read(reader, [last])[0], expected[last])
        assert number == len(expected) - 1


@pytest.mark.parametrize("name", ["h264_quick.mp4", "h264_quick_vfr.mp4", "h264_quick_late_start.mp4"])
def test_a_prepared_file_is_opened_without_reading_a_packet(tmp_path, name, monkeypatch):
    path = make_video(tmp_path / name, **KINDS[name][0])
    expected = sequential(path)
    with monkeypatch.context() as patch:
        patch.setattr(video, "index_packets", lambda *_: pytest.fail("read the packets"))
        patch.setattr(video, "decode_from", lambda *_: pytest.fail("decoded"))
        reader = VideoReader(path)
        assert (len(reader), reader.codec) == (40, "h264")
        assert reader.fps == pytest.approx(39e3 / (UNEVEN[-1] - UNEVEN[0]) if "vfr" in name else 25, rel=0.02)
    with reader:
        np.testing.assert_array_equal(read(reader, [30, 2, 31]), expected[[30, 2, 31]])
        assert (reader._index.unread, reader.height, reader.width) == (True, 64, 96)


def test_a_prepared_file_tells_its_size_before_and_after_frames_are_read(tmp_path):
    path = make_video(tmp_path / "a.mp4", **QUICK, rotate=(90,))
    expected = sequential(path)
    for order in ("size first", "orientation first", "frames first"):
        with VideoReader(path) as reader:
            if order == "size first":
                assert (reader.height, reader.width) == (96, 64)
            elif order == "orientation first":
                assert reader.orientation.transpose
            np.testing.assert_array_equal(read(reader, [17, 4]), expected[[17, 4]])
            assert (reader.height, reader.width) == (96, 64)


def test_a_table_that_calls_every_packet_a_clean_start_is_not_believed(tmp_path):
    path = make_video(tmp_path / "a.mp4", **QUICK)
    with VideoReader(path) as reader:
        assert len(reader._index.entries) == 4
    data = path.read_bytes()
    assert data.count(b"stss") == 1
    path.write_bytes(data.replace(b"stss", b"free"))  # without this box, every sample of an mp4 file is a keyframe
    with VideoReader(path) as reader:
        assert len(reader._index.entries) == 40
    assert_exact(path)


@pytest.mark.parametrize("how", [h264(), OPEN_GOP, h265(bframes=4, open_gop=1)], ids=["h264", "h264_open", "hevc_open"])
def test_large_frames_which_are_decoded_by_frame_threads(tmp_path, how):
    path = make_video(tmp_path / "a.mp4", **how, size=(720, 1280), count=30)
    assert_exact(path, rounds=2)
    assert is_seekable(path)


def test_every_real_clip(clips_dir):
    names = sorted(clips_dir.iterdir())
    assert names
    for path in names:
        assert_exact(path, rounds=4)


@pytest.mark.parametrize("how", [h264(), QUICK], ids=["h264", "quick"])
def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path, how):
    times = [40 * i - 420 for i in range(40)]  # the muxer hides what lies before time zero
    path = make_video(tmp_path / "a.mp4", **how, pts=times, muxer={"avoid_negative_ts": "disabled"})
    assert len(assert_exact(path)) == 29
    assert is_seekable(path)


def test_negative_times_in_matroska(tmp_path):
    times = [40 * i - 400 for i in range(40)]
    assert_exact(make_video(tmp_path / "a.mkv", **h264(), pts=times, muxer={"avoid_negative_ts": "disabled"}))


def remux(source, target, keep=lambda number, packet: True, **options):
    with av.open(str(source)) as reader, av.open(str(target), "w", options=options) as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        packets = [p for p in reader.demux(stream) if p.size]
        for number, packet in enumerate(packets):
            if keep(number, packet):
                packet.stream = copy
                writer.mux(packet)
    return target


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_file_that_does_not_start_with_a_keyframe(tmp_path, suffix):
    source = make_video(tmp_path / "a.mp4", **h264())
    assert_exact(remux(source, tmp_path / f"b{suffix}", lambda number, _: number >= 3))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_missing_packet_in_the_middle(tmp_path, suffix):
    source = make_video(tmp_path / "a.mp4", **h264())
    assert_exact(remux(source, tmp_path / f"b{suffix}", lambda number, _: number != 17))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
@pytest.mark.parametrize("share", [0.5, 0.6])
def test_a_file_cut_in_the_middle_gives_what_decodes(tmp_path, suffix, share):
    source = make_video(tmp_path / "a.mp4", "mpeg4" if suffix == ".avi" else "libx264", options={"g": "12", "bf": "0"})
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    whole = remux(source, tmp_path / f"b{suffix}", **options).read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole[: int(len(whole) * share)])
    expected = assert_exact(cut)
    assert 10 < len(expected) < 40
    np.testing.assert_array_equal(expected[:10], sequential(source)[:10])


@pytest.mark.parametrize("kind", ["h264_b.mp4", "h264_quick.mp4", "mpeg4_b.mp4", "hevc_open_gop.mp4", "vp9.webm"])
@pytest.mark.parametrize("number", [3, 20])
def test_hidden_damage_never_gives_a_wrong_frame(tmp_path, kind, number):
    path = make_video(tmp_path / kind, **KINDS[kind][0])
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][number]
        start, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[start + size // 3 : start + size] = bytes(b ^ 0x5A for b in data[start + size // 3 : start + size])
    path.write_bytes(data)
    expected = sequential(path)
    with VideoReader(path) as reader:
        order = np.random.default_rng(0).permutation(min(len(reader), len(expected)))
        for index in order.tolist():
            np.testing.assert_array_equal(read(reader, [index])[0], expected[index])


def test_a_decoder_that_drops_a_frame_is_noticed(tmp_path, monkeypatch):
    """Were decoding from a keyframe to skip a frame, the reader would start over, not return the next one."""
    path = make_video(tmp_path / "a.mp4", **h264())
    expected = sequential(path)
    honest = video.decode_from

    def dropping(container, stream, index, entry):
        for i, frame in honest(container, stream, index, entry):
            if i == 20:
                raise video.UnexpectedFrameError("dropped")
            yield i, frame

    monkeypatch.setattr(video, "decode_from", dropping)
    with VideoReader(path) as reader:
        np.testing.assert_array_equal(read(reader, [25, 20, 3]), expected[[25, 20, 3]])
        assert not reader._index.entries


@settings(max_examples=40, deadline=None)
@given(indices=st.lists(st.integers(0, 39), max_size=12))
def test_any_list_of_indices(indices, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.mp4"
    if not path.exists():
        make_video(path, **OPEN_GOP)
    expected = sequential(path)
    with VideoReader(path) as reader:
        np.testing.assert_array_equal(read(reader, indices), expected[indices] if indices else expected[:0])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("plain") / "plain.mp4", **h264())


def test_frames_are_uint8_and_independent_of_the_reader(plain):
    with VideoReader(plain) as reader:
        frames = reader.frames(np.array([3, 1, 3]))
        again = reader.frames(torch.tensor([3]))
    assert frames.shape == (3, 3, 64, 96)
    assert frames.dtype == torch.uint8
    frames[0] = 0
    assert torch.equal(frames[2], again[0])
    assert frames[2].any()


def test_frames_are_written_into_the_memory_that_is_given(plain):
    given = []

    def allocate(shape):
        given.append(np.full(shape, 99, np.uint8))
        return given[-1]

    with VideoReader(plain) as reader:
        frames = reader.frames([5, 0, 5], short_side=32, allocate=allocate)
        assert torch.equal(frames, reader.frames([5, 0, 5], short_side=32))
    assert [array.shape for array in given] == [(3, 32, 48, 3)]
    assert frames.data_ptr() == given[0].ctypes.data
    np.testing.assert_array_equal(frames.permute(0, 2, 3, 1).numpy(), given[0])


def test_what_is_known_of_a_file(plain):
    with VideoReader(plain) as reader:
        assert (reader.path, len(reader), reader.height, reader.width, reader.codec) == (plain, 40, 64, 96, "h264")
        assert reader.fps == 25
        assert reader.duration_seconds == pytest.approx(1.6)
        assert repr(reader).endswith("40 frames, 96×64, 25 fps)")


def test_fps_is_the_average_where_it_varies(tmp_path):
    average = 39 / (UNEVEN[-1] - UNEVEN[0]) * 1000
    for name in ("a.mp4", "a.mkv", "a.ts"):
        assert VideoReader(make_video(tmp_path / name, **h264(), pts=UNEVEN)).fps == pytest.approx(average, rel=0.02)


def test_frames_that_all_have_the_same_time(real_data):
    """The real data set's files: frames by count, and not the 1325 frames per second that the header works out."""
    for path in sorted(real_data.glob("surveillance-fight/videos/*/*.mp4"))[::20]:
        with VideoReader(path) as reader:
            assert 5 <= reader.fps <= 60
            assert 1.5 <= reader.duration_seconds <= 2.6
        assert_exact(path, rounds=2)


def test_indices_outside_name_file_index_and_length(plain):
    with VideoReader(plain) as reader:
        for index in (40, -1, 10_000):
            with pytest.raises(IndexError, match=rf"plain\.mp4: frame {index} is outside this video of 40 frames"):
                reader.frames([0, index])
        with pytest.raises(TypeError):
            reader.frames([1.5])
        assert reader.frames([]).shape == (0, 3, 64, 96)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [((64, 96), 32, (32, 48)), ((96, 64), 32, (48, 32)), ((64, 96), 128, (128, 192)), ((64, 90), 16, (16, 23))],
)
def test_short_side_scales_and_keeps_the_aspect(tmp_path, size, short_side, expected):
    path = make_video(tmp_path / "a.mp4", **h264(), size=size, count=2)
    with VideoReader(path) as reader:
        frames = read(reader, [1], short_side=short_side)[0]
        with pytest.raises(InputError, match="short_side must be at least 1, got 0"):
            reader.frames([0], short_side=0)
    assert frames.shape[:2] == expected
    with av.open(str(path)) as container:
        frame = list(container.decode(video=0))[1]
    np.testing.assert_array_equal(frames, frame.to_ndarray(format="rgb24", height=expected[0], width=expected[1]))


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_and_mirroring_are_applied(tmp_path, angle, mirrored):
    """The display matrix's angle is counter-clockwise; a mirror acts after the rotation."""
    upright = sequential(make_video(tmp_path / "a.mp4", **h264(), count=4))
    turned = make_video(tmp_path / "b.mov", **h264(), count=4, rotate=(angle, mirrored))
    rotated = np.rot90(upright, angle // 90, axes=(1, 2))
    expected = rotated[:, :, ::-1] if mirrored else rotated
    with VideoReader(turned) as reader:
        assert (reader.height, reader.width) == expected.shape[1:3]
        np.testing.assert_array_equal(read(reader, [2, 0]), expected[[2, 0]])
        small = read(reader, [0], short_side=16)[0]
    assert small.shape[:2] == ((16, 24) if angle % 180 == 0 else (24, 16))


def test_the_real_rotated_file(clips_dir):
    with VideoReader(clips_dir / "video_90.mov") as reader:
        assert (len(reader), reader.height, reader.width) == (3, 568, 320)
        assert reader.frames([0], short_side=160).shape == (1, 3, 284, 160)


def test_reading_forward_does_not_seek(plain, monkeypatch):
    with VideoReader(plain) as reader:
        reader.frames([13])
        monkeypatch.setattr(video, "decode_from", None)  # any new start would fail
        for index in (14, 17, 23):
            reader.frames([index])
        with pytest.raises(TypeError):
            reader.frames([5])


def test_a_window_decodes_only_from_its_keyframe(plain, monkeypatch):
    seen = []
    honest = video.decode_from

    def counting(*args):
        for i, frame in honest(*args):
            seen.append(i)
            yield i, frame

    monkeypatch.setattr(video, "decode_from", counting)
    with VideoReader(plain) as reader:
        seen.clear()
        reader.frames([26, 30])
    assert seen == list(range(24, 31))


def test_packed_mpeg4_is_counted_without_decoding(clips_dir, monkeypatch):
    monkeypatch.setattr(VideoReader, "_count", None)
    assert len(VideoReader(clips_dir / "mpeg4.avi")) == 164


def open_files(path):
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("needs /proc")
    return sum(1 for fd in descriptors.iterdir() if os.path.realpath(fd) == str(path.resolve()))


def test_the_file_is_closed(plain, tmp_path):
    reader = VideoReader(plain)
    assert open_files(plain) == 1
    reader.close()
    reader.close()
    assert open_files(plain) == 0
    with pytest.raises(VideoError, match="the reader is closed"):
        reader.frames([0])
    with pytest.raises(IndexError), VideoReader(plain) as reader:
        reader.frames([99])
    assert open_files(plain) == 0
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(plain.read_bytes()[:3000])
    kept = []
    try:
        VideoReader(broken)
    except VideoError as error:
        kept.append(error)  # keeps the frames of the traceback alive
    assert kept
    assert open_files(broken) == 0


def make_audio(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "folder", "audio", "noise"])
def test_unreadable_files_give_one_line_with_the_path(tmp_path, plain, kind):
    path = tmp_path / "file.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "audio":
        make_audio(path)
    else:
        content = {
            "empty": b"",
            "text": b"this is not a video\n" * 50,
            "cut": plain.read_bytes()[:3000],  # without its moov atom
            "noise": np.random.default_rng(0).bytes(20_000),
        }
        path.write_bytes(content[kind])
    with pytest.raises(VideoError) as caught:
        VideoReader(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    expected = {"empty": "is empty", "folder": "is a directory", "audio": "no video stream"}
    assert expected.get(kind, "cannot be read as video") in message


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4: no such file") as caught:
        VideoReader(tmp_path / "nowhere.mp4")
    assert not isinstance(caught.value, av.FFmpegError)


def test_a_file_without_permission(plain, monkeypatch):
    def refuse(*args, **kwargs):
        raise av.error.PermissionError(13, "Permission denied")

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(VideoError, match=r"plain\.mp4: cannot be read as video \(Permission denied\)"):
        VideoReader(plain)


def test_names_that_look_like_something_else(tmp_path, plain, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("http:x.mp4", "100%03d.mp4", "späße 1.mp4", "-i.mp4"):
        shutil.copy(plain, tmp_path / name)
        assert len(VideoReader(name)) == 40


def test_libav_stays_silent(tmp_path, plain):
    whole = plain.read_bytes()
    (tmp_path / "a.mp4").write_bytes(whole[:3000])
    (tmp_path / "b.mp4").write_bytes(bytes(b ^ (i % 97 == 0) for i, b in enumerate(whole)))
    code = """
import sys
from fima.data.readers.file import VideoReader
for path in sys.argv[1:]:
    try:
        with VideoReader(path) as reader:
            reader.frames(range(len(reader)))
    except ValueError:
        pass
"""
    names = [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
