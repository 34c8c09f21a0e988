"""VidSitu in miniature: files as its authors describe them, labels worked out by hand, frames of real clips."""

from __future__ import annotations

import json
import os

import av
import numpy as np
import pytest

from fima.data.datasets import open_dataset
from fima.data.datasets.layouts.vidsitu import event_verbs
from fima.data.datasets.records import SegmentRecord
from fima.data.readers.file import VideoReader
from fima.data.readers.open import open_video
from fima.errors import InputError, VideoError

A, B, C = "v_-aaaaaaaaaa_seg_0_10", "v_b_seg_seg_25_35", "v_ccccccccccc_seg_110_120"
"""YouTube ids may begin with a dash and may hold any of the words around them."""

TALK, WALK, RUN, TELL = (
    ("talk.01", "talk (speak)"),
    ("walk.01", "walk"),
    ("run.02", "run"),
    ("talk.02", "talk (speak)"),
)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def annotation(clip, *verbs):
    return {
        f"Ev{place + 1}": {
            "vid_uid": "x", "vid_seg_int": clip, "VerbID": number, "Verb": verb, "Arg_List": {"Arg0 (talker)": "0"},
            "Args": {"Arg0 (talker)": "man"}, **({} if place == 2 else {"EvRel": "Causes"}),
        }
        for place, (number, verb) in enumerate(verbs)
    }  # fmt: skip


def information(clip, *events):
    return {
        "vid_seg_int": clip,
        "genres": ["Drama"],
        "vbid_lst": {f"Ev{place + 1}": [number for number, _ in event] for place, event in enumerate(events)},
        "vb_lst": {f"Ev{place + 1}": [verb for _, verb in event] for place, event in enumerate(events)},
    }


VALID = ([WALK, RUN, RUN], [WALK, RUN], [RUN] * 9 + [WALK], [TELL, TELL, WALK], [WALK])


def annotations(folder, *, flat=False):
    """Tables in their folders, or all in one."""
    splits, info, ann = (folder / ("" if flat else name) for name in ("split_files", "vinfo_files", "vseg_ann_files"))
    write(splits / "vseg_split_train_lb.json", [B, A])
    write(splits / "vseg_split_valid_lb.json", [C])
    for test in ("testvb", "testsrl", "testevrel"):
        write(splits / f"vseg_split_{test}_lb.json", [A])
    write(info / "vinfo_train_lb.json", [{"vid_seg_int": A}, {"vid_seg_int": B}])
    write(info / "vinfo_valid_lb.json", [information(C, *VALID)])
    write(ann / "vsann_train_lb.json", [annotation(A, TALK, WALK, WALK, RUN, TALK), annotation(B, *[RUN] * 5)])
    write(ann / "vsann_valid_lb.json", [annotation(C, *[TALK] * 5)] * 3)


def plant(root, *clips, where="vsitu_video_trimmed_dir"):
    for clip in clips:
        (root / where).mkdir(parents=True, exist_ok=True)
        (root / where / f"{clip}.mp4").touch()


@pytest.fixture
def root(tmp_path):
    annotations(tmp_path / "vidsitu_annotations")
    plant(tmp_path, A, B, C)
    return tmp_path


def ids(dataset):
    return [(record.video_id, record.label) for record in dataset]


CLASSES = ("run", "talk (speak) [talk.01]", "talk (speak) [talk.02]", "walk")


def test_training_events_have_the_verb_of_their_annotation(root):
    train = open_dataset(root, split="train")
    assert (train.layout, train.class_names, train.missing) == ("vidsitu", CLASSES, ())
    assert ids(train) == [(f"{B}/Ev{n}", 0) for n in range(1, 6)] + [
        (f"{A}/Ev{n}", label) for n, label in zip(range(1, 6), (1, 3, 3, 0, 1), strict=True)
    ]
    event = train[8]
    assert isinstance(event, SegmentRecord)
    assert (event.class_name, event.start_second, event.end_second) == ("run", 6, 8)
    assert event.clip == root / "vsitu_video_trimmed_dir" / f"{A}.mp4"
    assert event.path == event.clip / "Ev4"


def test_validation_events_have_the_most_common_verb_the_first_of_as_many(root):
    expected = [(f"{C}/Ev{n}", label) for n, label in zip(range(1, 6), (0, 3, 0, 2, 3), strict=True)]
    valid = open_dataset(root, split="valid")
    assert ids(valid) == expected
    assert valid == open_dataset(root, split="val") == open_dataset(root, split="validation", layout="vidsitu")
    assert ids(open_dataset(root))[10:] == expected
    assert event_verbs(root, "val")[f"{C}/Ev1"] == ("walk.01", "run.02", "run.02")
    assert event_verbs(root, "train")[f"{A}/Ev5"] == ("talk.01",)


def test_validation_without_lists_of_verbs_takes_its_annotations(root):
    write(root / "vidsitu_annotations/vinfo_files/vinfo_valid_lb.json", [{"vid_seg_int": C}])
    assert [record.class_name for record in open_dataset(root, split="valid")] == ["talk (speak)"] * 5
    assert event_verbs(root, "valid")[f"{C}/Ev2"] == ("talk.01",) * 3


def test_test_splits_have_no_verbs(root):
    assert ids(open_dataset(root, split="test")) == [(f"{A}/Ev{n}", None) for n in range(1, 6)]
    assert open_dataset(root, split="test") == open_dataset(root, split="testvb")
    with pytest.raises(InputError, match=r"there are no verbs of the split testsrl"):
        event_verbs(root, "testsrl")


@pytest.mark.parametrize(
    ("tables", "flat", "videos"),
    [
        ("data/vidsitu_annotations", False, "data/vsitu_video_trimmed_dir"),
        ("vidsitu_annotations", True, "vsitu_trimmed_videos"),
        (".", False, "videos"),
        ("annotations", True, "."),
    ],
)
def test_places(tmp_path, tables, flat, videos):
    annotations(tmp_path / tables, flat=flat)
    plant(tmp_path, A, C, where=videos)
    train = open_dataset(tmp_path, split="train")
    assert [record.video_id for record in train] == [f"{A}/Ev{n}" for n in range(1, 6)]
    assert train.missing == (B,)
    assert train.class_names == open_dataset(tmp_path, split="valid").class_names == CLASSES


@pytest.mark.parametrize(
    ("change", "content", "line"),
    [
        ("split_files/vseg_split_train_lb.json", {"a": 1}, r"train_lb\.json: expected a list of names of clips"),
        ("split_files/vseg_split_train_lb.json", [C], r"train_lb\.json: lists v_ccccccccccc_seg_110_120, whose verbs"),
        ("vseg_ann_files/vsann_train_lb.json", [{"Ev1": {}}], r"vsann_train_lb\.json: expected the events Ev1, Ev2"),
        ("vseg_ann_files/vsann_train_lb.json", [annotation(A, *[("", "x")] * 5)], r"expected a text under VerbID"),
        ("vinfo_files/vinfo_valid_lb.json", [information(C, *VALID[:4])], r"v_c.*: expected lists .* for Ev5"),
        ("vinfo_files/vinfo_valid_lb.json", [3], r"vinfo_valid_lb\.json: expected a list of objects"),
    ],
)  # fmt: skip
def test_contradictions(root, change, content, line):
    write(root / "vidsitu_annotations" / change, content)
    with pytest.raises(InputError, match=line):
        open_dataset(root, split="train")


def test_a_split_that_is_not_there(root):
    with pytest.raises(InputError, match=r"no split 'dev'; expected one of testevrel, testsrl, testvb, train, valid"):
        open_dataset(root, split="dev")


def film(path, *, fps, seconds):
    """Frame i is of the brightness 2 i, until 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.bit_rate = 32, 48, 4_000_000
        for place in range(round(fps * seconds)):
            picture = np.full((48, 32, 3), min(2 * place, 255), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)


def test_an_event_is_two_seconds_of_its_clip(root):
    film(root / f"vsitu_video_trimmed_dir/{C}.mp4", fps=12, seconds=10)
    events = open_dataset(root, split="valid")
    with VideoReader(events[0].clip) as whole:
        frames = whole.frames(range(120)).numpy()
    seen = []
    for number, event in enumerate(events):
        with open_video(event) as reader:
            assert (len(reader), reader.fps, reader.duration_seconds) == (24, 12, 2)
            assert (reader.height, reader.width) == (48, 32)
            part = reader.frames(range(24)).numpy()
            assert abs(float(part[0].mean()) - 2 * 24 * number) < 4
            assert reader.frames([23, 0], short_side=16).shape == (2, 3, 24, 16)
            with pytest.raises(IndexError, match=rf"Ev{number + 1}: frame 24 is outside this video of 24 frames"):
                reader.frames([24])
            with pytest.raises(IndexError):
                reader.frames([-1])
        seen.append(part)
    np.testing.assert_array_equal(np.concatenate(seen), frames)


def test_a_clip_that_is_too_short(root):
    film(root / f"vsitu_video_trimmed_dir/{C}.mp4", fps=12, seconds=7)
    events = open_dataset(root, split="valid")
    with open_video(events[3]) as reader:
        assert len(reader) == 12
    with pytest.raises(VideoError, match=r"\.mp4: is 7\.00 s long, expected frames from 8 s on"):
        open_video(events[4])


def test_extracted_frames(tmp_path):
    import cv2

    annotations(tmp_path / "vidsitu_annotations")
    folder = tmp_path / "vsitu_video_frames_dir" / C
    folder.mkdir(parents=True)
    for number in range(300):
        cv2.imwrite(str(folder / f"{C}_{number + 1:06d}.png"), np.full((8, 8, 3), number // 2, np.uint8))
    events = open_dataset(tmp_path, split="valid")
    for number, event in enumerate(events):
        with open_video(event) as reader:
            assert (len(reader), reader.fps) == (60, 30)
            assert reader.frames([0, 59])[:, 0, 0, 0].tolist() == [30 * number, 30 * number + 29]
    with open_video(open_dataset(tmp_path, split="valid", frame_fps=20)[4]) as reader:
        assert len(reader) == 40


def test_a_kept_index_gives_the_same_events(tmp_path, monkeypatch):
    monkeypatch.setenv("FIMA_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "set"
    clips = [f"v_{number:011d}_seg_0_10" for number in range(250)]
    tables = root / "vidsitu_annotations"
    write(tables / "split_files/vseg_split_train_lb.json", clips)
    write(
        tables / "vseg_ann_files/vsann_train_lb.json", [annotation(clip, TALK, WALK, RUN, RUN, WALK) for clip in clips]
    )
    plant(root, *clips)
    for path in [root, *root.rglob("*")]:  # what has just changed is not kept
        os.utime(path, (1e9, 1e9))
    first = open_dataset(root, split="train")
    assert len(first) == 1250
    assert len(list((tmp_path / "cache" / "datasets").iterdir())) == 1
    assert open_dataset(root, split="train") == first == open_dataset(root, split="train", cache=False)
