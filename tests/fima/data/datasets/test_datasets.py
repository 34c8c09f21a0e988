"""Layouts on disk; the files need not be videos, only to be there."""

from __future__ import annotations

import csv
import os

import pytest

from fima.data.datasets import VideoRecord, open_dataset
from fima.errors import InputError


def plant(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def ids(dataset):
    return [record.video_id for record in dataset]


CLASSES = "1 Zoo\n2 Archery\n"  # numbered, but not in alphabetical order
VIDEOS = ("Zoo/v_Zoo_g01.avi", "Archery/v_Archery_g01.avi", "Archery/v_Archery_g02.avi")


def ucf101(root, videos="videos", lists="annotations", *, classes=CLASSES):
    plant(root / videos, *VIDEOS)
    folder = root / lists
    folder.mkdir(parents=True)
    if classes:
        (folder / "classInd.txt").write_text(classes)
    (folder / "trainlist01.txt").write_text("Zoo/v_Zoo_g01.avi 1\nArchery/v_Archery_g02.avi 2\n")
    (folder / "testlist01.txt").write_text("Archery/v_Archery_g01.avi\n")
    (folder / "trainlist02.txt").write_text("Archery/v_Archery_g01.avi 2\r\n\r\n")
    return root


@pytest.mark.parametrize("videos", ["videos", "data", "UCF-101", "."])
@pytest.mark.parametrize("lists", ["annotations", "anno", "ucfTrainTestlist"])
def test_ucf101(tmp_path, videos, lists):
    root = ucf101(tmp_path, videos, lists)
    train = open_dataset(root, split="train")
    path = root / videos / VIDEOS[0]
    assert train.records[0] == VideoRecord(path, "Zoo/v_Zoo_g01", 0, "Zoo")
    assert train[1].label == 1
    assert (train.class_names, train.layout, train.root) == (("Zoo", "Archery"), "ucf101", root / videos)
    assert ids(train) == ["Zoo/v_Zoo_g01", "Archery/v_Archery_g02"]
    assert open_dataset(root, split="train1") == train
    assert ids(open_dataset(root, split="train2")) == ids(open_dataset(root, split="test")) == ["Archery/v_Archery_g01"]
    everything = open_dataset(root)
    assert ids(everything) == ["Archery/v_Archery_g01", "Archery/v_Archery_g02", "Zoo/v_Zoo_g01"]
    assert [record.label for record in everything] == [1, 1, 0]


def test_ucf101_without_class_numbers_sorts_the_folders(tmp_path):
    train = open_dataset(ucf101(tmp_path, classes=None), split="train")
    assert train.class_names == ("Archery", "Zoo")
    assert [record.label for record in train] == [1, 0]


def test_a_listed_name_may_have_another_extension(tmp_path):
    root = ucf101(tmp_path)
    (root / "videos" / VIDEOS[0]).rename(root / "videos" / "Zoo" / "v_Zoo_g01.webm")
    (root / "annotations" / "trainlist01.txt").write_text("Zoo/v_Zoo_g01.avi 1\nArchery/v_Archery_g02\n")
    assert [r.path.name for r in open_dataset(root, split="train")] == ["v_Zoo_g01.webm", "v_Archery_g02.avi"]


def test_missing_videos_are_listed(tmp_path):
    root = ucf101(tmp_path)
    (root / "videos" / VIDEOS[0]).unlink()
    plant(root / "videos", "Zoo/other.avi")
    train = open_dataset(root, split="train")
    assert (ids(train), train.missing) == (["Archery/v_Archery_g02"], ("Zoo/v_Zoo_g01.avi",))
    (root / "videos" / VIDEOS[2]).unlink()
    with pytest.raises(InputError, match=r"none of the 2 listed videos was found under .*, such as Zoo/v_Zoo_g01\.avi"):
        open_dataset(root, split="train")


def test_ucf101_contradictions(tmp_path):
    root = ucf101(tmp_path)
    lists = root / "annotations"
    (lists / "trainlist03.txt").write_text("Zoo/v_Zoo_g01.avi 2\n")
    with pytest.raises(InputError, match=r"trainlist03\.txt:1: Zoo has number 2, which classInd\.txt does not say"):
        open_dataset(root, split="train3")
    (lists / "trainlist03.txt").write_text("v_Zoo_g01.avi\n")
    with pytest.raises(InputError, match=r"trainlist03\.txt:1: expected Class/name"):
        open_dataset(root, split="train3")
    for split in ("train4", "val", "", "train0"):
        with pytest.raises(InputError, match=f"no split {split!r}; expected train, test, train1"):
            open_dataset(root, split=split)
    for file in lists.glob("t*list*.txt"):
        file.unlink()
    with pytest.raises(InputError, match=r"no split 'train'; expected lists such as trainlist01\.txt, found none"):
        open_dataset(root, split="train")
    plant(root / "videos", "Swim/a.avi")
    with pytest.raises(InputError, match="class 'Swim' is not one of the 2 classes"):
        open_dataset(root)
    (lists / "classInd.txt").write_text("1 Zoo\n3 Archery\n")
    with pytest.raises(InputError, match="expected 2 classes numbered from 1 without gaps"):
        open_dataset(root)


@pytest.mark.parametrize("videos", [".", "videos"])
def test_class_folders(tmp_path, videos):
    plant(
        tmp_path / videos, "b/2.mp4", "b/1.mkv", "a/x.webm", "a/notes.txt", "a/._x.webm", ".cache/y.mp4", "empty/z.txt"
    )
    dataset = open_dataset(tmp_path)
    assert ids(dataset) == ["a/x", "b/1", "b/2"]
    assert [(record.label, record.class_name) for record in dataset] == [(0, "a"), (1, "b"), (1, "b")]
    assert (dataset.class_names, dataset.layout) == (("a", "b"), "class folders")
    with pytest.raises(InputError, match="have no split 'train'"):
        open_dataset(tmp_path, split="train")


def test_class_folders_below_split_folders(tmp_path):
    plant(tmp_path, "train/a/1.mp4", "val/b/2.mp4", "val/a/3.mp4")
    assert ids(open_dataset(tmp_path, split="val")) == ["a/3", "b/2"]
    with pytest.raises(InputError, match="holds the splits train, val; expected one of them, got None"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("inside", [".", "videos"])
def test_flat_folder(tmp_path, inside):
    plant(tmp_path / inside, "b.MP4", "a.avi", "readme.md")
    dataset = open_dataset(tmp_path)
    assert [(r.video_id, r.label, r.class_name) for r in dataset] == [("a", None, None), ("b", None, None)]
    assert (dataset.class_names, dataset.layout, len(dataset)) == ((), "flat folder", 2)
    with pytest.raises(InputError, match="has no split 'test'"):
        open_dataset(tmp_path, split="test")


def test_what_is_ambiguous_is_refused(tmp_path):
    plant(tmp_path, "a.mp4", "sub/b.mp4")
    with pytest.raises(InputError, match="holds videos and folders of videos"):
        open_dataset(tmp_path)
    twins = plant(tmp_path / "twins", "a.mp4", "a.avi")
    with pytest.raises(InputError, match=r"a\.avi and a\.mp4 share a video id"):
        open_dataset(twins)


@pytest.mark.parametrize("name", ["empty", "papers"])
def test_nothing_to_find(tmp_path, name):
    plant(tmp_path, "papers/a.pdf", "empty/.keep")
    with pytest.raises(InputError, match=rf"{name}: holds no data set; expected a UCF101 tree .* list file"):
        open_dataset(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        open_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize(("name", "mark"), [("space", " "), ("comma", ","), ("tab", "\t"), ("::", "::"), (";", ";")])
@pytest.mark.parametrize("given", [True, False])
def test_list_files(tmp_path, name, mark, given):
    if name == ";" and not given:
        pytest.skip("only the usual separators are found out")
    plant(tmp_path, "x/a 1.mp4", "b.avi", "c.mov")
    rows = [f"x/a 1.mp4{mark}7", f"{tmp_path / 'b.avi'}{mark}0", "c.mov", f"gone.mp4{mark}1"]
    file = tmp_path / "list.txt"
    file.write_text("\ufeff" + "\n\n".join(rows) + "\n", encoding="utf-8")
    dataset = open_dataset(file, separator=name if given else None)
    assert [(r.video_id, r.label) for r in dataset] == [("x/a 1", 7), ("b", 0), ("c", None)]
    assert dataset.class_names == tuple("01234567")
    assert (dataset.missing, dataset.layout) == (("gone.mp4",), "list")


def test_list_files_with_names_and_a_header(tmp_path):
    plant(tmp_path, "a,b.mp4", "c.mp4", "d.mp4")
    file = tmp_path / "list.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("path", "label"), ("a,b.mp4", "run"), ("c.mp4", "jump"), ("d", "run")])
    dataset = open_dataset(file)
    assert dataset.class_names == ("jump", "run")
    assert [(r.path.name, r.label, r.class_name) for r in dataset] == [
        ("a,b.mp4", 1, "run"),
        ("c.mp4", 0, "jump"),
        ("d.mp4", 1, "run"),
    ]


def test_bad_list_files(tmp_path):
    plant(tmp_path, "a.mp4")
    cases = {
        "columns.csv": ("a.mp4,3,4\n", r"columns\.csv:1: expected a path and a label, got 3 columns"),
        "minus.txt": ("a.mp4 -1\n", "labels must be from 0 to 100000, got -1"),
        "empty.txt": ("\n", "lists no video"),
        "gone.txt": ("b.mp4 1\n", r"none of the 1 listed videos was found under .*, such as b\.mp4"),
    }
    for name, (text, message) in cases.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=message):
            open_dataset(tmp_path / name)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.txt: is not a text file"):
        open_dataset(tmp_path / "binary.txt")
    with pytest.raises(InputError, match=r"a\.mp4: expected a folder or a list file"):
        open_dataset(tmp_path / "a.mp4")
    with pytest.raises(InputError, match="a list file has no split 'train'"):
        open_dataset(tmp_path / "gone.txt", split="train")
    with pytest.raises(InputError, match="separator ',' is only for list files"):
        open_dataset(tmp_path, separator=",")
    with pytest.raises(InputError, match="separator must be"):
        open_dataset(tmp_path / "gone.txt", separator="")


def test_the_real_data_set(fight_dir):
    everything, train, test = (open_dataset(fight_dir, split=split) for split in (None, "train", "test"))
    listed = [(fight_dir / f"annotations/{name}list01.txt").read_text().split("\n") for name in ("train", "test")]
    assert [len(train), len(test)] == [sum(map(bool, lines)) for lines in listed]
    assert len(everything) == len(train) + len(test)
    assert everything.class_names == ("fight", "noFight")
    assert set(ids(train)) | set(ids(test)) == set(ids(everything))
    assert not set(ids(train)) & set(ids(test))
    assert not train.missing
    assert all(record.path.is_file() and record.label == (record.class_name == "noFight") for record in everything)
    groups = dict(line.rsplit(",", 1) for line in (fight_dir / "annotations/groups.csv").read_text().split()[1:])
    sources = [{groups[f"{video}.mp4"] for video in ids(split)} for split in (train, test)]
    assert not sources[0] & sources[1]


def test_names_that_are_no_utf8_get_ids_that_files_can_hold(tmp_path):
    for folder in ("a", os.fsdecode(b"b\xfe")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / os.fsdecode(b"bad\xff.mp4")).write_bytes(b"x")
    dataset = open_dataset(tmp_path)
    assert [record.video_id for record in dataset] == ["a/bad\\udcff", "b\\udcfe/bad\\udcff"]
    assert dataset.class_names == ("a", "b\\udcfe")
    assert all(record.path.exists() for record in dataset)


def test_a_split_is_a_short_name(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(InputError, match=r"split must be a short name such as train or test, got train9{15}…"):
        open_dataset(tmp_path, split="train" + "9" * 5000)
