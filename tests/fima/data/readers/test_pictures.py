"""Folders of frames against the video they were taken from, and names of frames worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.star import moving_shape
from fima.data.datasets import VideoRecord, open_dataset
from fima.data.readers.file import VideoReader
from fima.data.readers.open import open_video
from fima.data.readers.picture_names import FrameNamesError, order_frames, template_pattern
from fima.data.readers.pictures import DEFAULT_FPS, FrameFolderReader
from fima.data.transcode.encode import write_video
from fima.errors import InputError, VideoError

COUNT, HEIGHT, WIDTH = 12, 36, 50


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    frames = moving_shape(3, num_frames=COUNT, height=HEIGHT, width=WIDTH).frames
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", frames.transpose(0, 2, 3, 1), fps=10)


@pytest.fixture(scope="module")
def decoded(video):
    with VideoReader(video) as reader:
        return reader.frames(range(len(reader))).contiguous()


def extract(frames, folder, template="img_{:05d}.png", first=1):
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(frames.permute(0, 2, 3, 1).numpy()):
        assert cv2.imwrite(str(folder / template.format(first + i)), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return folder


@pytest.fixture
def folder(decoded, tmp_path):
    return extract(decoded, tmp_path / "v")


def test_frames_are_the_video_s(folder, decoded, video):
    with FrameFolderReader(folder, fps=10) as reader, VideoReader(video) as film:
        assert (len(reader), reader.height, reader.width, reader.fps) == (COUNT, HEIGHT, WIDTH, 10)
        assert reader.duration_seconds == pytest.approx(film.duration_seconds)
        assert reader.codec == "png"
        assert torch.equal(reader.frames(range(COUNT)), decoded)
        order = np.array([7, 0, 7, 11, 3])
        assert torch.equal(reader.frames(order), decoded[order])
        assert reader.frames([]).shape == film.frames([]).shape == (0, 3, HEIGHT, WIDTH)
        assert reader.frames([0]).dtype == torch.uint8
        assert reader.frames([0]).stride() == film.frames([0]).stride()


@pytest.mark.parametrize("side", [18, 24, 36, 55])
def test_scaled_as_videos_are(folder, video, side):
    with FrameFolderReader(folder) as reader, VideoReader(video) as film:
        ours, theirs = reader.frames([2, 9], short_side=side), film.frames([2, 9], short_side=side)
        assert ours.shape == theirs.shape
        # Not equal: a video's chroma is scaled before it becomes RGB. Far nearer than if shifted by a pixel.
        ours, theirs = ours.float(), theirs.float()
        shifted = min((ours.roll(1, axis) - theirs).abs().mean() for axis in (2, 3))
        assert (ours - theirs).abs().mean() < shifted / 3
        with pytest.raises(InputError, match="short_side must be at least 1, got 0"):
            reader.frames([0], short_side=0)


def test_portrait_and_rounding_as_videos(tmp_path):
    frames = torch.randint(0, 256, (2, 3, 50, 34), dtype=torch.uint8)
    path = write_video(tmp_path / "p.mp4", frames.permute(0, 2, 3, 1).numpy(), fps=10)
    with FrameFolderReader(extract(frames, tmp_path / "p")) as reader, VideoReader(path) as film:
        for side in range(1, 40):
            assert reader.frames([0], short_side=side).shape == film.frames([0], short_side=side).shape


def test_jpegs(decoded, tmp_path):
    with FrameFolderReader(extract(decoded, tmp_path / "v", "frame{:06d}.jpg", first=0)) as reader:
        assert (len(reader), reader.codec) == (COUNT, "jpg")
        assert (reader.frames(range(COUNT)).float() - decoded.float()).abs().mean() < 6


def test_gray_pictures_become_rgb(tmp_path):
    gray = np.arange(20, dtype=np.uint8).reshape(4, 5)
    cv2.imwrite(str(tmp_path / "1.png"), gray)
    with FrameFolderReader(tmp_path) as reader:
        assert torch.equal(reader.frames([0])[0], torch.from_numpy(gray).expand(3, 4, 5))


def test_open_video_gives_the_right_reader(folder, video, tmp_path):
    with open_video(video) as film, open_video(str(folder)) as frames:
        assert (type(film), type(frames)) == (VideoReader, FrameFolderReader)
        assert frames.fps == DEFAULT_FPS == 30
    record = VideoRecord(folder, "v", None, None, frame_template="img_%05d.png", frame_fps=12)
    with open_video(record) as frames:
        assert (frames.fps, len(frames)) == (12, COUNT)
    with open_video(record, frame_fps=15) as frames:
        assert frames.fps == 15
    with open_video(VideoRecord(video, "v", 0, "a")) as film:
        assert (len(film), film.fps) == (COUNT, 10)
    for missing in (tmp_path / "none", tmp_path / "none.mp4"):
        with pytest.raises(FileNotFoundError, match="none"):
            open_video(missing)
    with pytest.raises(VideoError, match=r"v: holds no picture named like frame%d\.png"):
        open_video(record, frame_template="frame%d.png")


def test_records_of_a_data_set_open(decoded, tmp_path):
    extract(decoded, tmp_path / "run" / "a")
    extract(decoded[:5], tmp_path / "run" / "b", "b_{:06d}.png")
    (record_a, record_b) = open_dataset(tmp_path, frame_fps=24)
    with open_video(record_a) as a, open_video(record_b) as b:
        assert (len(a), len(b), a.fps) == (COUNT, 5, 24)
        assert torch.equal(a.frames([4]), b.frames([4]))


def test_unreadable_folders(folder, decoded):
    cases = {
        "img_00003.png": (b"", r"img_00003\.png: cannot be read as a picture"),
        "img_00005.png": (b"no picture", r"img_00005\.png: cannot be read as a picture"),
    }
    with FrameFolderReader(folder) as reader:
        for name, (content, message) in cases.items():
            (folder / name).write_bytes(content)
            with pytest.raises(VideoError, match=message):
                reader.frames([int(name[4:9]) - 1])
        (folder / "img_00007.png").unlink()
        with pytest.raises(VideoError, match=r"img_00007\.png: no such file"):
            reader.frames([6])
        extract(decoded[:1, :, :20], folder, first=9)
        with pytest.raises(VideoError, match=r"img_00009\.png: is 50×20, expected 50×36 as img_00001\.png"):
            reader.frames([8])
        for index in (-1, COUNT):
            with pytest.raises(IndexError, match=f"frame {index} is outside this video of {COUNT} frames"):
                reader.frames([index])
        assert torch.equal(reader.frames([0]), decoded[:1])
    with pytest.raises(VideoError, match="the reader is closed"):
        reader.frames([0])
    with pytest.raises(VideoError, match=r"v: a picture is missing between img_00006\.png and img_00008\.png"):
        FrameFolderReader(folder)


def test_what_is_no_folder_of_frames(folder, tmp_path):
    with pytest.raises(VideoError, match="is a file, expected a folder of pictures"):
        FrameFolderReader(folder / "img_00001.png")
    with pytest.raises(FileNotFoundError, match="none: no such folder"):
        FrameFolderReader(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="empty: holds no numbered pictures"):
        FrameFolderReader(tmp_path / "empty")
    with pytest.raises(InputError, match="fps must be more than 0, got 0"):
        FrameFolderReader(folder, fps=0)
    (folder / "img_00001.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(VideoError, match=r"img_00001\.png: cannot be read as a picture"):
        FrameFolderReader(folder)


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (
            ["img_00002.jpg", "img_00001.jpg", "flow_x_00001.jpg", "flow_y_00001.jpg"],
            ["img_00001.jpg", "img_00002.jpg"],
        ),
        (["10.png", "9.png", "8.png"], ["8.png", "9.png", "10.png"]),
        (["v1_000001.jpg", "v1_000002.jpg", "v1.txt", ".v1_000003.jpg"], ["v1_000001.jpg", "v1_000002.jpg"]),
        (
            ["frame000000.jpg", "frame000005.jpg", "frame000010.jpg"],
            ["frame000000.jpg", "frame000005.jpg", "frame000010.jpg"],
        ),
        (["x_00001.jpg", "y_00001.jpg", "image_00001.jpg"], ["image_00001.jpg"]),
        (["depth_1.png", "img_1.png"], ["img_1.png"]),
        (["odd [1]_7.bmp"], ["odd [1]_7.bmp"]),
        (["film_1.jpg", "thumbs_1.jpg"], ["film_1.jpg"]),  # the folder's own name
        (["IMG_0001.JPG", "IMG_0002.JPG"], ["IMG_0001.JPG", "IMG_0002.JPG"]),
    ],
)
def test_usual_names(names, ordered):
    assert order_frames(names, folder="film") == ordered


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no numbered pictures"),
        (["cover.jpg", "1.mp4", "flow_x_0001.jpg"], "holds no numbered pictures"),
        (
            ["left_1.jpg", "right_1.jpg"],
            r"several kinds of pictures, such as left_1\.jpg and right_1\.jpg; say which with",
        ),
        (["img_1.jpg", "frame1.jpg"], "several kinds"),
        (["img_1.jpg", "img_1.png"], "several kinds"),
        (["1.jpg", "01.jpg"], "01.jpg and 1.jpg have the same number"),
        (["1.jpg", "2.jpg", "4.jpg"], r"a picture is missing between 2\.jpg and 4\.jpg"),
    ],
)
def test_names_in_doubt(names, message):
    with pytest.raises(FrameNamesError, match=message):
        order_frames(names)


@pytest.mark.parametrize("template", ["img_{:05d}.jpg", "img_%05d.jpg", "img_{:05}.jpg", "img_{0:05d}.jpg"])
def test_templates(template):
    names = ["img_00002.jpg", "img_00001.jpg", "img_1.jpg", "img_00003.jpeg", "ximg_00003.jpg", "thumb_00003.jpg"]
    assert order_frames(names, template) == ["img_00001.jpg", "img_00002.jpg"]


@pytest.mark.parametrize("template", ["img.jpg", "{}_{}.jpg", "%d/%05d.jpg", "frames/{:05d}.jpg", "", "{name}.jpg"])
def test_no_templates(template):
    with pytest.raises(InputError, match="frame_template must be a file name with one number"):
        template_pattern(template)


@given(st.integers(0, 12), st.integers(0, 10**6), st.booleans(), st.sampled_from(["", "img_", "a.b(", "%", "frame"]))
def test_a_template_finds_what_it_writes(width, number, braces, prefix):
    spec = f"0{width}d" if width else "d"
    field = f"{{:{spec}}}" if braces else f"%{spec}"
    name = f"{prefix}{number:{spec}}.jpg"
    match = template_pattern(f"{prefix}{field}.jpg").fullmatch(name)
    assert match is not None
    assert int(match[1]) == number


@given(
    st.permutations(range(40)), st.integers(0, 200), st.sampled_from(["{}.jpg", "img_{:05d}.png", "film_{:06d}.jpg"])
)
def test_order_is_by_number(order, first, template):
    names = [template.format(first + i) for i in range(40)]
    assert order_frames([names[i] for i in order], folder="film") == names
