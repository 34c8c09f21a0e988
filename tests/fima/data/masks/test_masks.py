"""Masks written in every layout and read back, against loops over pixels and cases worked out by hand."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat

from fima.data.datasets import VideoRecord, open_dataset
from fima.data.masks import open_masks
from fima.data.masks.boxes import fill_boxes
from fima.data.masks.safe_pickle import load_plain, numbers
from fima.data.masks.source import names_of, scale_nearest
from fima.data.shapes import open_shapes
from fima.data.shapes.export import write_shapes
from fima.data.transcode.encode import write_video
from fima.errors import InputError, VideoError

T, H, W = 5, 6, 11  # a width that bytes do not divide


def record(video_id, path="nowhere.mp4", **more):
    return VideoRecord(Path(path), video_id, None, None, **more)


def random_masks(seed=0, shape=(T, H, W)):
    return np.random.default_rng(seed).random(shape) < 0.4


def read(source, video_id="v", indices=range(T), height=H, width=W, **more):
    found = source.read(record(video_id, **more), list(indices), height=height, width=width)
    assert found.masks.shape == (len(list(indices)), height, width)
    assert found.known.shape == (len(list(indices)),)
    assert found.masks.dtype == found.known.dtype == np.bool_
    assert not found.masks[~found.known].any()
    return found


# How masks are found


def test_names_of_a_video():
    assert names_of(record("a/b.c/d")) == ["a/b.c/d", "b.c/d", "d"]
    assert names_of(record("../videos/a")) == ["videos/a", "a"]
    assert names_of(record("/data/a")) == ["data/a", "a"]
    assert names_of(record("")) == []


@pytest.mark.parametrize("video_id", ["v", "class/v", "v_1.5.2", "a.b/c.mp4.d", "ä b/v"])
@pytest.mark.parametrize("by_last_part", [False, True])
def test_ids_with_dots_and_subfolders(tmp_path, video_id, by_last_part):
    path = tmp_path / f"{video_id.rpartition('/')[2] if by_last_part else video_id}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, masks=random_masks())
    source = open_masks(tmp_path)
    assert record(video_id) in source
    assert record(f"train/{video_id}") in source
    assert record(f"{video_id}2") not in source
    assert record(video_id[:-1]) not in source
    assert np.array_equal(read(source, video_id).masks, random_masks())


def test_the_whole_id_before_its_last_part(tmp_path):
    (tmp_path / "b").mkdir()
    np.savez(tmp_path / "v.npz", masks=random_masks(1))
    np.savez(tmp_path / "b" / "v.npz", masks=random_masks(2))
    source = open_masks(tmp_path)
    assert np.array_equal(read(source, "b/v").masks, random_masks(2))
    assert np.array_equal(read(source, "a/v").masks, random_masks(1))


def test_a_video_is_not_its_own_mask(tmp_path):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    (tmp_path / "videos").mkdir()
    video = write_video(tmp_path / "videos" / "v.mp4", frames, fps=5)
    (tmp_path / "masks").mkdir()
    np.savez(tmp_path / "masks" / "other.npz", masks=random_masks())
    assert record("v", video) not in open_masks(tmp_path / "videos")
    assert record("v") in open_masks(tmp_path / "videos")
    assert record("../videos/v", video) not in open_masks(tmp_path / "masks")
    assert record(str(video)[:-4], video) not in open_masks(tmp_path / "masks")


# npz


@pytest.mark.parametrize("form", ["bool", "uint8", "packed"])
def test_npz(tmp_path, form):
    masks = random_masks()
    arrays = {
        "bool": {"masks": masks},
        "uint8": {"masks": masks * np.uint8(255)},
        "packed": {"masks_packed": np.packbits(masks, axis=-1), "shape": np.array(masks.shape)},
    }[form]
    np.savez_compressed(tmp_path / "v.npz", **arrays)
    source = open_masks(tmp_path)
    found = read(source)
    assert np.array_equal(found.masks, masks)
    assert found.known.all()
    order = [3, 0, 3, T, 4, T + 7]
    found = read(source, indices=order)
    assert found.known.tolist() == [True, True, True, False, True, False]
    assert np.array_equal(found.masks[[0, 1, 2, 4]], masks[[3, 0, 3, 4]])
    assert read(source, indices=[]).masks.shape == (0, H, W)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mask": random_masks()}, "holds neither the array masks, nor masks_packed and shape"),
        ({"masks": random_masks()[0]}, r"masks must be .* of shape \(T, H, W\), got bool \(6, 11\)"),
        ({"masks": random_masks().astype(float)}, r"masks must be bool or whole numbers .*, got float64"),
        ({"masks_packed": np.zeros((T, H, 1), np.uint8), "shape": [T, H, W]}, r"⌈W / 8⌉.*, got uint8 \(5, 6, 1\)"),
        ({"masks_packed": np.zeros((T, H, 2), np.uint8), "shape": [T, H]}, r"for \[5, 6\]"),
        ({"masks": np.array([None])}, "cannot be read as an npz file .*allow_pickle"),
    ],
)
def test_broken_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(VideoError, match=message) as raised:
        read(open_masks(tmp_path))
    assert str(raised.value).startswith(str(tmp_path / "v.npz"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"text"])
def test_files_that_are_no_npz(tmp_path, content):
    (tmp_path / "v.npz").write_bytes(content)
    with pytest.raises(VideoError) as raised:
        read(open_masks(tmp_path))
    assert str(raised.value).startswith(f"{tmp_path / 'v.npz'}: cannot be read as an npz file (")


def test_what_fima_shapes_writes(tmp_path):
    text = "shapes:easy,size=32,num_frames=6"
    write_shapes(tmp_path, text, {"train": 2})
    source = open_masks(tmp_path / "masks")
    drawn = open_shapes(f"{text},videos=2", split="train").records
    for written, truth in zip(open_dataset(tmp_path / "train.csv").records, drawn, strict=True):
        masks = truth.draw().masks(np.arange(6))
        assert masks.any()
        assert np.array_equal(source.read(written, range(6), height=32, width=32).masks, masks)


# Videos and pictures


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_videos(tmp_path, extension):
    # Squares as large as blocks, so that compression keeps them.
    masks = random_masks(shape=(4, 3, 4)).repeat(16, 1).repeat(16, 2)
    frames = np.repeat(np.where(masks, 255, 0).astype(np.uint8)[..., None], 3, -1)
    write_video(tmp_path / f"a.b.{extension}", frames, fps=5, crf=1)
    source = open_masks(tmp_path)
    found = read(source, "class/a.b", [2, 0, 9, 3, 2], 48, 64)
    assert found.known.tolist() == [True, True, False, True, True]
    assert np.array_equal(found.masks[[0, 1, 3, 4]], masks[[2, 0, 3, 2]])
    half = read(source, "a.b", range(4), 24, 32)
    assert np.array_equal(half.masks, masks[:, 1::2, 1::2])


def test_luma_of_videos(tmp_path):
    gray = np.repeat(np.array([60, 118, 136, 200], np.uint8), 16)
    colors = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)], np.uint8).repeat(16, 0)
    frame = np.concatenate([np.stack([gray] * 3, -1)[None].repeat(16, 0), colors[None].repeat(16, 0)])
    write_video(tmp_path / "v.mp4", frame[None].repeat(2, 0), fps=5, crf=1)
    mask = read(open_masks(tmp_path), indices=[1], height=32, width=64).masks[0]
    # Rec. 601: red 76, green 150, blue 29, yellow 226. Middles of the squares, as chroma bleeds.
    assert mask[8, 8::16].tolist() == [False, False, True, True]
    assert mask[24, 8::16].tolist() == [False, True, False, True]


def test_broken_video(tmp_path):
    (tmp_path / "v.avi").write_bytes(b"no video")
    with pytest.raises(VideoError) as raised:
        read(open_masks(tmp_path))
    assert str(raised.value).startswith(str(tmp_path / "v.avi"))


def write_pictures(folder, pictures):
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (folder / name).write_bytes(cv2.imencode(".png", np.asarray(picture))[1].tobytes())
    return folder


def palette_png(indices, palette):
    """A png whose pixels are indices into a palette, as DAVIS has them; cv2 writes none, so by hand."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = indices.shape
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in indices)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
    colors = chunk(b"PLTE", np.array(palette, np.uint8).tobytes())
    return b"\x89PNG\r\n\x1a\n" + head + colors + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_davis_pictures(tmp_path):
    objects = np.random.default_rng(0).integers(0, 4, (T, H, W))
    folder = tmp_path / "480p" / "bear.x"
    folder.mkdir(parents=True)
    palette = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (0, 0, 1)]
    for i in (0, 1, 4):
        (folder / f"{i:05d}.png").write_bytes(palette_png(objects[i], palette))
    (folder / ".hidden00002.png").write_bytes(b"")
    (folder / "readme.txt").write_text("no mask")
    source = open_masks(tmp_path)
    found = read(source, "480p/bear.x", [4, 3, 0, 2, 1, 5])
    assert found.known.tolist() == [True, False, True, False, True, False]
    assert np.array_equal(found.masks[[0, 2, 4]], objects[[4, 0, 1]] > 0)
    assert record("JPEGImages/480p/bear.x") in source
    assert record("bear") not in source
    with pytest.raises(InputError, match=r"holds no masks of the video bear$") as raised:
        read(source, "bear")
    assert str(raised.value).startswith(str(tmp_path))


def test_pictures_of_any_depth(tmp_path):
    mask = random_masks()[0]
    alpha = np.full((H, W, 4), 255, np.uint8)
    alpha[..., :3] = mask[..., None] * np.array([0, 0, 7], np.uint8)
    pictures = {
        "0.png": mask * np.uint8(1),
        "1.png": mask * np.uint16(256),
        "2.png": mask[..., None] * np.array([0, 3, 0], np.uint8),
        "3.png": alpha,
    }
    write_pictures(tmp_path / "v", pictures)
    assert np.array_equal(read(open_masks(tmp_path), indices=range(4)).masks, np.stack([mask] * 4))


@pytest.mark.parametrize(("numbers", "known"), [((0, 2), [1, 0, 1, 0]), ((1, 3), [1, 0, 1, 0]), ((1, 2), [1, 1, 0, 0])])
def test_numbers_from_0_or_1(tmp_path, numbers, known):
    masks = random_masks()
    write_pictures(tmp_path / "v", {f"m_{n:04d}.png": masks[n] * np.uint8(255) for n in numbers})
    found = read(open_masks(tmp_path), indices=range(4))
    assert found.known.tolist() == list(map(bool, known))
    assert np.array_equal(found.masks[found.known], masks[list(numbers)])


def test_numbers_of_the_frames_where_the_video_is_pictures(tmp_path):
    masks = random_masks()
    names = [f"{n:05d}.png" for n in (10, 15, 20, 25, 30)]
    video = write_pictures(tmp_path / "frames" / "v", {name: np.zeros((H, W), np.uint8) for name in names})
    folder = write_pictures(tmp_path / "masks" / "v", {names[i]: masks[i] * np.uint8(9) for i in (1, 3)})
    source = open_masks(tmp_path / "masks")
    for template in (None, "{:05d}.png"):
        found = read(source, path=video, frame_template=template)
        assert found.known.tolist() == [False, True, False, True, False]
        assert np.array_equal(found.masks[[1, 3]], masks[[1, 3]])
    with pytest.raises(VideoError, match=r"the lowest number must be 0 or 1, .*, got 00015.png"):
        read(source)
    write_pictures(folder, {"00016.png": masks[0] * np.uint8(9)})
    with pytest.raises(VideoError, match=r"00016\.png has the number of no frame in ") as raised:
        read(source, path=video)
    assert str(raised.value).startswith(str(folder))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0.png", "00.png"], "0.png and 00.png have the same number"),
        (["a0.png", "b1.png"], "expected one kind of numbered png pictures, found a0.png and b1.png"),
    ],
)
def test_pictures_with_doubtful_names(tmp_path, names, message):
    write_pictures(tmp_path / "v", {name: np.zeros((H, W), np.uint8) for name in names})
    with pytest.raises(VideoError, match=message) as raised:
        read(open_masks(tmp_path))
    assert str(raised.value).startswith(str(tmp_path / "v"))


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_broken_pictures(tmp_path, content):
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "0.png").write_bytes(content)
    with pytest.raises(VideoError) as raised:
        read(open_masks(tmp_path))
    assert str(raised.value) == f"{tmp_path / 'v' / '0.png'}: cannot be read as a picture"


# Scaling


def test_scaling_by_hand():
    row = np.array([[True, False, False]])
    # Centers of 6 pixels lie at ¼, ¾, 1¼, …; of 2 at ¾ and 2¼; of 4 at 3/8, 9/8, 15/8, 21/8; of 1 at 1½.
    assert scale_nearest(row, 1, 6).tolist() == [[True, True, False, False, False, False]]
    assert scale_nearest(row, 2, 2).tolist() == [[True, False], [True, False]]
    assert scale_nearest(row, 1, 4).tolist() == [[True, False, False, False]]
    assert scale_nearest(~row, 1, 1).tolist() == [[True]]
    # 2 to 1: the center lies at 1, between the two; the later one.
    assert scale_nearest(np.array([[False, True]]), 1, 1).tolist() == [[True]]


@given(
    hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 9), st.integers(1, 9))),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_scaling_pixel_by_pixel(masks, height, width):
    _, h, w = masks.shape
    scaled = scale_nearest(masks, height, width)
    for y in range(height):
        for x in range(width):
            source = int(Fraction(2 * y + 1, 2) * h / height), int(Fraction(2 * x + 1, 2) * w / width)
            assert (scaled[:, y, x] == masks[:, *source]).all()


def test_stored_masks_of_another_size(tmp_path):
    masks = random_masks()
    np.savez(tmp_path / "v.npz", masks=masks)
    write_pictures(tmp_path / "w", {f"{i}.png": masks[i] * np.uint8(1) for i in range(T)})
    source = open_masks(tmp_path)
    for video in ("v", "w"):
        assert np.array_equal(read(source, video, height=2 * H, width=3 * W).masks, masks.repeat(2, 1).repeat(3, 2))


# Boxes


def brute_force(rows, indices, height, width):
    """One pixel at a time; rows of frame (from 0), x1, y1, x2, y2."""
    masks = np.zeros((len(indices), height, width), bool)
    for t, index in enumerate(indices):
        for frame, x1, y1, x2, y2 in rows:
            for y in range(height):
                for x in range(width):
                    inside = x1 <= x + 0.5 < x2 and y1 <= y + 0.5 < y2
                    masks[t, y, x] |= frame == index and inside
    return masks


coordinates = st.floats(-5, 15, allow_nan=False) | st.integers(-10, 30).map(lambda n: n / 2)
some_rows = st.lists(st.tuples(st.integers(0, 3), *[coordinates] * 4), max_size=5)


@given(some_rows, st.lists(st.integers(0, 4), max_size=4))
def test_boxes_pixel_by_pixel(rows, indices):
    table = np.array(rows, float).reshape(-1, 5)
    found = fill_boxes(table, indices, height=H, width=W)
    assert np.array_equal(found.masks, brute_force(rows, indices, H, W))
    assert found.known.tolist() == [any(row[0] == index for row in rows) for index in indices]


def test_table(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(
        "\ufeffvideo,frame,x1,y1,x2,y2,score\n"
        "a/v.1,0,1,2,4,5,0.5\n"
        '"b,c",3,0,0,1,1,1\n'
        "a/v.1,2,0,0,1.6,1.4,1\n"
        "a/v.1,2,9,5,99,99,1\n"
        "a/v.1,4,3,3,3,3,1\n",
        encoding="utf-8",
    )
    source = open_masks(path)
    found = read(source, "x/a/v.1")
    assert found.known.tolist() == [True, False, True, False, True]
    expected = np.zeros((T, H, W), bool)
    expected[0, 2:5, 1:4] = True
    expected[2, 0, :2] = True
    expected[2, 5, 9:] = True
    assert np.array_equal(found.masks, expected)
    assert record("b,c") in source
    assert record("v.1") not in source
    assert record("a/v") not in source
    with pytest.raises(InputError, match="holds no masks of the video q") as raised:
        read(source, "q")
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns video,frame,x1,y1,x2,y2, found none"),
        ("video,frame,x,y,w,h\n", "found video,frame,x,y,w,h"),
        ("video,frame,x1,y1,x2,y2\n", "holds no boxes, only a header"),
        ("video,frame,x1,y1,x2,y2\nv,0,1,1,2,2\nv,1.5,1,1,2,2\n", "line 3: expected numbers .*, found 1.5,1,1,2,2"),
        ("video,frame,x1,y1,x2,y2\nv,0,1,1,2\n", "line 2: expected numbers .*, found 0,1,1,2,"),
        ("video,frame,x1,y1,x2,y2\nv,0,1,1,nan,2\n", "line 2: expected x1 ≤ x2"),
        ("video,frame,x1,y1,x2,y2\nv,0,5,1,4,2\n", "line 2: expected x1 ≤ x2 and y1 ≤ y2, found 5,1,4,2"),
        ("video,frame,x1,y1,x2,y2\nv,-1,1,1,2,2\n", "line 2: expected a video and a frame of at least 0"),
        ("video,frame,x1,y1,x2,y2\n,1,1,1,2,2\n", "line 2: expected a video and"),
        ("video,frame,x1,y1,x2,y2\n\xe9,1", "cannot be read as a csv table"),
    ],
)
def test_broken_tables(tmp_path, text, message):
    path = tmp_path / "boxes.csv"
    path.write_text(text, encoding="latin-1" if "\xe9" in text else "utf-8")
    with pytest.raises(InputError, match=message) as raised:
        open_masks(path)
    assert str(raised.value).startswith(f"{path}: ")


# Tubes


def tube(*rows):
    return np.array(rows, np.float32)


RUN, JUMP = "Run/v_Run.g01", "Jump/v_2"
TUBES = {
    "labels": ["Run", "Jump"],
    "gttubes": {
        RUN: {0: [tube((1, 1, 2, 4, 5), (2, 2, 2, 5, 5)), tube((2, 0, 0, 1, 1), (4, 3, 0, 9, 6))]},
        JUMP: {1: [tube((3, 0, 0, 6, 3))]},
        "Jump/empty": {},
    },
    "nframes": {RUN: 5, JUMP: 5, "Jump/empty": 5},
    "train_videos": [[RUN]],
    "test_videos": [[JUMP]],
    "resolution": {RUN: (H, W), JUMP: (2 * H, 2 * W), "Jump/empty": (H, W)},
}


def write_pickle(path, content, protocol=2):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_tubes(tmp_path, protocol):
    source = open_masks(write_pickle(tmp_path / "UCF101v2-GT.pkl", TUBES, protocol))
    found = read(source, RUN)
    # Frames in the file count from 1.
    rows = [(0, 1, 2, 4, 5), (1, 2, 2, 5, 5), (1, 0, 0, 1, 1), (3, 3, 0, 9, 6)]
    assert found.known.tolist() == [True, True, False, True, False]
    assert np.array_equal(found.masks, brute_force(rows, range(T), H, W))
    assert np.array_equal(read(source, f"videos/{RUN}", [3, 0]).masks, found.masks[[3, 0]])
    assert record("Jump/empty") not in source
    assert record("v_2") not in source


def test_tubes_of_another_resolution(tmp_path):
    source = open_masks(write_pickle(tmp_path / "JHMDB-GT.pkl", TUBES).parent)
    half = read(source, JUMP)
    assert half.known.tolist() == [False, False, True, False, False]
    # At twice the size, (0, 0, 6, 3); so here (0, 0, 3, 1.5), whose second row has its center on the edge.
    expected = np.zeros((H, W), bool)
    expected[:1, :3] = True
    assert np.array_equal(half.masks[2], expected)
    double = read(source, JUMP, [2], 2 * H, 4 * W)
    assert np.array_equal(double.masks, brute_force([(2, 0, 0, 12, 3)], [2], 2 * H, 4 * W))


def python2_array(values):
    """An array as Python 2 and numpy 1 pickle it: bytes as old strings."""
    data = values.astype("<f4").tobytes()
    shape = b"".join(b"K" + bytes([n]) for n in values.shape)
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    kind = b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return head + b"(K\x01(" + shape + b"t" + kind + b"I00\nT" + len(data).to_bytes(4, "little") + data + b"tb"


def test_tubes_of_python_2(tmp_path):
    rows = tube((1, 1.25, 2, 4, 5), (5, -0.5, 0, 200, 5))  # bytes that are no ASCII
    tubes = b"}U\x03A/v}K\x00]" + python2_array(rows) + b"ass"
    sizes = b"}U\x03A/vK\x06K\x0b\x86s"
    path = tmp_path / "JHMDB-GT.pkl"
    path.write_bytes(b"\x80\x02}(U\x07gttubes" + tubes + b"U\nresolution" + sizes + b"u.")
    assert max(rows.tobytes()) > 127
    found = read(open_masks(path), "A/v")
    expected = brute_force([(0, 1.25, 2, 4, 5), (4, -0.5, 0, 200, 5)], range(T), H, W)
    assert np.array_equal(found.masks, expected)


@given(
    hnp.arrays(
        st.sampled_from(["f4", ">f8", "i8", "u1", "?", "<f2"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.integers(0, pickle.HIGHEST_PROTOCOL),
    st.sampled_from("CF"),
)
def test_pickled_arrays_are_what_pickle_reads(array, protocol, order):
    array = np.array(array, order=order)
    with tempfile.TemporaryDirectory() as folder:
        content = load_plain(write_pickle(Path(folder) / "p.pkl", array, protocol))
    np.testing.assert_array_equal(numbers(content), array.astype(np.float64))


def test_plain_pickles(tmp_path):
    content = {"a": [1, 2.5, "é", None, (True, b"\xff"), {3}, frozenset([4])], "b": np.int64(7), "c": np.float32(0.5)}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert load_plain(write_pickle(tmp_path / "p.pkl", content, protocol)) == content


class Malicious:
    def __init__(self, function, *arguments):
        self._reduced = function, arguments

    def __reduce__(self):
        return self._reduced


class Stateful:
    pass


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.mkdir, ("{}",), "mkdir"),
        (eval, ("__import__('os').mkdir('{}')",), "eval"),
        (subprocess.getoutput, ("mkdir '{}'",), "getoutput"),
        (getattr, ("text", "upper"), "getattr"),
        (np.load, ("{}",), "load"),
    ],
)
def test_code_in_a_pickle_does_not_run(tmp_path, protocol, function, arguments, name):
    made = tmp_path / "made"
    content = {**TUBES, "labels": Malicious(function, *(argument.format(made) for argument in arguments))}
    path = write_pickle(tmp_path / "UCF101v2-GT.pkl", content, protocol)
    with pytest.raises(InputError, match=f"asks for '.*\\.{name}', expected only numbers") as raised:
        open_masks(path)
    assert str(raised.value).startswith(f"{path}: asks for ")
    assert not made.exists()


def test_the_malicious_pickle_would_run(tmp_path):
    """Otherwise the test above shows nothing."""
    made = tmp_path / "made"
    pickle.loads(pickle.dumps(Malicious(os.mkdir, str(made))))
    assert made.is_dir()


def test_classes_in_a_pickle_are_refused(tmp_path):
    path = write_pickle(tmp_path / "UCF101v2-GT.pkl", {**TUBES, "labels": Stateful()})
    with pytest.raises(InputError, match=r"asks for '.*\.Stateful'"):
        open_masks(path)


def test_arrays_of_objects_are_not_read(tmp_path):
    """Numpy would take an object's address from a forged state; here nothing of the sort is built."""
    objects = np.array([None, 1], object)
    unused = open_masks(write_pickle(tmp_path / "UCF101v2-GT.pkl", {**TUBES, "train_videos": objects}))
    assert record(RUN) in unused
    path = write_pickle(tmp_path / "UCF101v2-GT.pkl", {**TUBES, "gttubes": {RUN: {0: [objects]}}})
    with pytest.raises(InputError, match=r"video Run/v_Run\.g01: expected an array of numbers, found one of 'O8'"):
        open_masks(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gttubes": []}, "expected a dictionary with the key 'gttubes'"),
        ({"resolution": {}}, f"video {RUN}: expected its resolution, .* found none"),
        ({"resolution": {RUN: (0, 5)}}, f"video {RUN}: expected its resolution"),
        ({"gttubes": {RUN: [1]}}, f"video {RUN}: expected a list of tubes by label"),
        ({"gttubes": {RUN: {0: [tube((1, 2, 3, 4))]}}}, r"expected tubes of shape \(n, 5\), .* found \(1, 4\)"),
        ({"gttubes": {RUN: {0: [tube((0, 1, 1, 2, 2))]}}}, "whose frames are whole and at least 1"),
        ({"gttubes": {RUN: {0: [tube((1.5, 1, 1, 2, 2))]}}}, "whose frames are whole and at least 1"),
        ({"gttubes": {RUN: {0: [tube((1, 1, np.nan, 2, 2))]}}}, "finite"),
        ({"gttubes": {RUN: {0: [["text"]]}}}, "expected numbers, found list"),
    ],
)
def test_broken_tubes(tmp_path, changed, message):
    path = write_pickle(tmp_path / "UCF101v2-GT.pkl", {**TUBES, **changed})
    with pytest.raises(InputError, match=message) as raised:
        open_masks(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_damaged_pickles(tmp_path):
    whole = pickle.dumps(TUBES, 2)
    path = tmp_path / "UCF101v2-GT.pkl"
    rng = np.random.default_rng(0)
    cut = [whole[:n] for n in range(0, len(whole), 37)]
    flipped = []
    for _ in range(300):
        content = bytearray(whole)
        content[rng.integers(len(content))] = rng.integers(256)
        flipped.append(bytes(content))
    messages = []
    for content in [b"", b"[]", pickle.dumps([1]), *cut, *flipped]:
        path.write_bytes(content)
        try:
            open_masks(path)
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > len(cut)
    assert all(message.startswith(f"{path}: ") and "\n" not in message for message in messages)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x07.",  # an object noted under the number 134,217,727
        b"\x80\x05\x96\xff\xff\xff\x7f\x00\x00\x00\x00.",  # 2 GiB of bytes that are not there
        b"\x80\x04\x8e\xff\xff\xff\x7f\x00\x00\x00\x00.",
        b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.",
        b"\x80\x02" + b"(I1\nl" + b"2\x86" * 40 + b".",  # pairs of pairs: 2⁴⁰ numbers
    ],
)
def test_small_pickles_take_little_memory(tmp_path, content):
    path = tmp_path / "UCF101v2-GT.pkl"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as raised:
            open_masks(path)
        with pytest.raises((InputError, ValueError)):
            numbers(load_plain(path))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(raised.value).startswith(f"{path}: ")
    assert most < 20e6


# Puppets


def write_puppets(folder, masks, **more):
    folder.mkdir(parents=True)
    savemat(folder / "puppet_mask.mat", {"part_mask": masks.transpose(1, 2, 0), **more})


@pytest.mark.parametrize("inside", [False, True])
def test_puppets(tmp_path, inside):
    parts = np.random.default_rng(0).integers(0, 3, (T, H, W))
    root = tmp_path / "puppet_mask"
    write_puppets(root / "run" / "a.b", parts.astype(np.uint8), other=1)
    write_puppets(root / "run" / "one", parts[:1].astype(float))
    write_pickle(tmp_path / "JHMDB-GT.pkl", TUBES)
    source = open_masks(root if inside else tmp_path)
    found = read(source, "videos/run/a.b", [4, 0, T])
    assert found.known.tolist() == [True, True, False]
    assert np.array_equal(found.masks[:2], parts[[4, 0]] > 0)
    assert np.array_equal(read(source, "run/one", [0]).masks, parts[:1] > 0)
    assert np.array_equal(read(source, "run/one", [0], 2 * H, W).masks, (parts[:1] > 0).repeat(2, 1))
    assert record("jump/a.b") not in source
    assert record(RUN) not in source


def test_broken_puppets(tmp_path):
    write_puppets(tmp_path / "run" / "a", np.zeros((2, 2, 2, 2)).reshape(2, 2, 4))
    (tmp_path / "run" / "b").mkdir()
    broken = tmp_path / "run" / "b" / "puppet_mask.mat"
    source = open_masks(tmp_path)
    savemat(broken, {"mask": np.zeros((2, 2, 2))})
    with pytest.raises(VideoError, match="holds no array part_mask") as raised:
        read(source, "run/b")
    assert str(raised.value).startswith(str(broken))
    savemat(broken, {"part_mask": "text"})
    with pytest.raises(VideoError, match=r"part_mask must be numbers of shape \(H, W, T\), got <U"):
        read(source, "run/b")
    for content in (b"", b"no MATLAB file" * 20, (tmp_path / "run" / "a" / "puppet_mask.mat").read_bytes()[:150]):
        broken.write_bytes(content)
        with pytest.raises(VideoError) as raised:
            read(source, "run/b")
        assert str(raised.value).startswith(f"{broken}: cannot be read as a MATLAB file (")


# Opening


def test_unknown_layouts(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        open_masks(tmp_path / "nothing")
    (tmp_path / "a.txt").write_text("")
    for path, found in ((tmp_path, "; found a.txt"), (tmp_path / "a.txt", "")):
        with pytest.raises(InputError) as raised:
            open_masks(str(path))
        message = str(raised.value)
        assert message.startswith(f"{path}: ")
        assert message.endswith(found)
        for layout in ("<id>.npz", "<id>.mp4", "<id>/", "puppet_mask", "UCF101v2-GT.pkl", "video,frame,x1,y1,x2,y2"):
            assert layout in message
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"found nothing$"):
        open_masks(tmp_path / "empty")


def test_two_files_of_tubes(tmp_path):
    write_pickle(tmp_path / "UCF101v2-GT.pkl", TUBES)
    write_pickle(tmp_path / "JHMDB-GT.pkl", TUBES)
    with pytest.raises(InputError, match=r"holds JHMDB-GT.pkl and UCF101v2-GT.pkl; say which"):
        open_masks(tmp_path)


@pytest.mark.parametrize("layout", ["npz", "pictures", "video", "csv", "pkl", "mat"])
def test_wrong_requests(tmp_path, layout):
    masks = random_masks(shape=(2, 16, 16))
    path = tmp_path
    if layout == "npz":
        np.savez(tmp_path / "v.npz", masks=masks)
    elif layout == "pictures":
        write_pictures(tmp_path / "v", {"0.png": masks[0] * np.uint8(1)})
    elif layout == "video":
        write_video(tmp_path / "v.mp4", np.zeros((2, 16, 16, 3), np.uint8), fps=5)
    elif layout == "csv":
        path = tmp_path / "b.csv"
        path.write_text("video,frame,x1,y1,x2,y2\nv,0,0,0,1,1\n")
    elif layout == "pkl":
        tubes = {"gttubes": {"v": {0: [tube((1, 0, 0, 1, 1))]}}, "resolution": {"v": (16, 16)}}
        path = write_pickle(tmp_path / "b.pkl", tubes)
    else:
        write_puppets(tmp_path / "c" / "v", masks.astype(np.uint8))
    source = open_masks(path)
    with pytest.raises(IndexError, match="frame -1 is before"):
        read(source, "c/v", [0, -1])
    with pytest.raises(InputError, match="height and width must be at least 1, got 0 and 4"):
        read(source, "c/v", [0], 0, 4)
    with pytest.raises(InputError, match="holds no masks of the video w"):
        read(source, "w", [0])
    assert read(source, "c/v", np.array([0]), 16, 16).known.tolist() == [True]


def test_nothing_heavy_is_imported():
    code = "import sys, fima.data.masks; print({'torch', 'cv2', 'av', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
