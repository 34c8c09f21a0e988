"""Every layout of docs/datasets.md in miniature: labels and splits worked out by hand from the files written here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from fima.data.datasets import VideoRecord, open_dataset
from fima.data.datasets.registry import LAYOUTS
from fima.errors import InputError


def plant(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def found(dataset):
    return [(record.video_id, record.label) for record in dataset]


# UCF101 (a) and (b) are in test_datasets.py.


def csv_folds(root):
    plant(root / "data", "Archery/v_Archery_g01_c01.avi", "Archery/v_Archery_g02_c01.avi", "Zoo/v_Zoo_g01_c01.avi")
    lists = root / "simple_annot"
    write(lists / "split1/train.csv", "Archery/v_Archery_g01_c01.avi 0\nZoo/v_Zoo_g01_c01.avi 1\n")
    write(lists / "split1/val.csv", "Archery/v_Archery_g02_c01.avi 0\n")
    write(lists / "split2/train.csv", "Archery/v_Archery_g02_c01.avi 0\nZoo/v_Zoo_g09_c09.avi 1\n")
    write(lists / "split2/val.csv", "Archery/v_Archery_g01_c01.avi 0\n")
    return root


def test_ucf101_of_maclr(tmp_path):
    root = csv_folds(tmp_path)
    train = open_dataset(root, split="train")
    assert found(train) == [("Archery/v_Archery_g01_c01", 0), ("Zoo/v_Zoo_g01_c01", 1)]
    assert (train.layout, train.root, train.class_names) == ("csv folds", root / "data", ("Archery", "Zoo"))
    assert train == open_dataset(root, split="train1") == open_dataset(root, split="train", layout="ucf101")
    assert found(open_dataset(root, split="val")) == [("Archery/v_Archery_g02_c01", 0)]
    assert open_dataset(root, split="test") == open_dataset(root, split="val")
    second = open_dataset(root, split="train2")
    assert (found(second), second.missing) == ([("Archery/v_Archery_g02_c01", 0)], ("Zoo/v_Zoo_g09_c09.avi",))
    everything = ["Archery/v_Archery_g01_c01", "Zoo/v_Zoo_g01_c01", "Archery/v_Archery_g02_c01"]
    assert [record.video_id for record in open_dataset(root)] == everything
    with pytest.raises(
        InputError, match=r"no split 'train3'; there are the lists train\.csv, val\.csv, train\.csv, val"
    ):
        open_dataset(root, split="train3")


def mmaction(root):
    plant(root / "videos", "Bowling/b1.avi", "Archery/a1.avi", "Archery/a2.avi")
    plant(root / "rawframes", "Bowling/b1/img_00001.jpg", "Archery/a1/img_00001.jpg", "Archery/a2/img_00001.jpg")
    plant(root / "rawframes", "Bowling/b1/flow_x_00001.jpg")
    for kind, rows in {"train_split_1": ["Bowling/b1 1", "Archery/a1 0"], "val_split_1": ["Archery/a2 0"]}.items():
        write(root / f"ucf101_{kind}_videos.txt", "".join(row.replace(" ", ".avi ") + "\n" for row in rows))
        write(root / f"ucf101_{kind}_rawframes.txt", "".join(row.replace(" ", " 120 ") + "\n" for row in rows))
    write(root / "ucf101_train_split_3_videos.txt", "Archery/a2.avi 0\n")
    return root


def test_ucf101_of_mmaction(tmp_path):
    root = mmaction(tmp_path)
    train = open_dataset(root, split="train")
    assert found(train) == [("Bowling/b1", 1), ("Archery/a1", 0)]
    assert (train.layout, train.root, train.class_names) == ("mmaction lists", root / "videos", ("Archery", "Bowling"))
    assert found(open_dataset(root, split="val1")) == found(open_dataset(root, split="test")) == [("Archery/a2", 0)]
    assert found(open_dataset(root, split="train3")) == [("Archery/a2", 0)]
    assert found(open_dataset(root)) == [("Bowling/b1", 1), ("Archery/a1", 0), ("Archery/a2", 0)]


def test_ucf101_of_mmaction_as_frames(tmp_path):
    root = mmaction(tmp_path)
    asked = open_dataset(root, split="train", frame_template="img_{:05d}.jpg", frame_fps=25)
    path = root / "rawframes/Bowling/b1"
    assert asked[0] == VideoRecord(path, "Bowling/b1", 1, "Bowling", frame_template="img_{:05d}.jpg", frame_fps=25)
    assert (asked.layout, asked.root) == ("mmaction frame lists", root / "rawframes")
    shutil.rmtree(root / "videos")
    only = open_dataset(root, split="train")
    assert (found(only), only.layout, only[0].frame_template) == (found(asked), "mmaction frame lists", None)
    assert found(open_dataset(root, layout="ucf101", split="val")) == [("Archery/a2", 0)]


def test_official_lists_name_frame_folders_too(tmp_path):
    plant(tmp_path / "rawframes", "Zoo/v_Zoo_g01/img_00001.jpg", "Archery/v_Archery_g01/img_00001.jpg")
    write(tmp_path / "ucfTrainTestlist/classInd.txt", "1 Zoo\n2 Archery\n")
    write(tmp_path / "ucfTrainTestlist/testlist01.txt", "Archery/v_Archery_g01.avi\nZoo/v_Zoo_g02.avi\n")
    test = open_dataset(tmp_path, split="test")
    assert (found(test), test.missing) == ([("Archery/v_Archery_g01", 1)], ("Zoo/v_Zoo_g02.avi",))
    assert test[0].path == tmp_path / "rawframes/Archery/v_Archery_g01"
    assert found(open_dataset(tmp_path)) == [("Archery/v_Archery_g01", 1), ("Zoo/v_Zoo_g01", 0)]


def hmdb51(root, videos="videos", lists="splits"):
    odd = "#437_[HQ]_Best&Of_(50%)+!;'_walk_f_cm_np1_ba_med_0"
    plant(root / videos, "walk/same.avi", f"walk/{odd}.avi", "walk/two words.avi", "brush_hair/same.avi")
    plant(root / videos, "brush_hair/other.avi", "brush_hair/unused.avi")
    write(root / lists / "walk_test_split1.txt", f"same.avi 2 \n{odd}.avi 1 \ntwo words.avi 0 \n")
    write(root / lists / "brush_hair_test_split1.txt", "same.avi 1 \nother.avi 2 \nunused.avi 0 \n")
    write(root / lists / "walk_test_split2.txt", f"same.avi 0 \n{odd}.avi 2 \ntwo words.avi 1 \n")
    write(root / lists / "brush_hair_test_split2.txt", "same.avi 2 \nother.avi 1 \nunused.avi 1 \n")
    return odd


@pytest.mark.parametrize("videos", ["videos", "hmdb51_org", "."])
@pytest.mark.parametrize("lists", ["splits", "testTrainMulti_7030_splits", "annotations", "."])
def test_hmdb51(tmp_path, videos, lists):
    odd = hmdb51(tmp_path, videos, lists)
    train, test = (open_dataset(tmp_path, split=split) for split in ("train", "test"))
    # The same name is for training in one class and for the test in the other.
    assert found(train) == [("brush_hair/same", 0), (f"walk/{odd}", 1)]
    assert found(test) == [("brush_hair/other", 0), ("walk/same", 1)]
    assert (train.layout, train.root, train.class_names) == ("hmdb51", tmp_path / videos, ("brush_hair", "walk"))
    assert found(open_dataset(tmp_path, split="train2")) == [
        ("brush_hair/other", 0),
        ("brush_hair/unused", 0),
        ("walk/two words", 1),
    ]
    assert len(open_dataset(tmp_path)) == 6
    assert train == open_dataset(tmp_path, split="train1", layout="hmdb51")


def test_hmdb51_contradictions(tmp_path):
    hmdb51(tmp_path)
    for split in ("train3", "val", "", "train0"):
        with pytest.raises(
            InputError, match=rf"splits: no split '{split}'; expected train, test \(meaning 1\) or one of"
        ):
            open_dataset(tmp_path, split=split)
    (tmp_path / "splits/walk_test_split2.txt").unlink()
    with pytest.raises(InputError, match=r"expected walk_test_split2\.txt beside the other classes' files"):
        open_dataset(tmp_path, split="test2")
    write(tmp_path / "splits/walk_test_split1.txt", "same.avi 3\n")
    with pytest.raises(InputError, match=r"walk_test_split1\.txt:1: expected a file name and a tag from 0 to 2, got"):
        open_dataset(tmp_path, split="test")
    plant(tmp_path / "videos", "smile/a.avi")
    with pytest.raises(InputError, match="class 'smile' is not one of the 2 classes listed in the split files"):
        open_dataset(tmp_path)
    shutil.rmtree(tmp_path / "videos")
    with pytest.raises(InputError, match="holds no class folders beside files <class>_test_split1"):
        open_dataset(tmp_path, split="test")


def test_kinetics_class_folders(tmp_path):
    plant(tmp_path / "train_256", "abseiling/a_000001_000011.mp4", "zumba/z_000000_000010.mp4")
    plant(tmp_path / "val_256", "zumba/y_000000_000010.mp4", "archery/r_000002_000012.mp4")
    train, val = (open_dataset(tmp_path, split=split) for split in ("train", "val"))
    # Numbered over both splits, though no video of archery is for training and none of abseiling for validation.
    assert train.class_names == val.class_names == ("abseiling", "archery", "zumba")
    assert found(train) == [("abseiling/a_000001_000011", 0), ("zumba/z_000000_000010", 2)]
    assert found(val) == [("archery/r_000002_000012", 1), ("zumba/y_000000_000010", 2)]
    assert (train.layout, train.root) == ("split folders", tmp_path / "train_256")
    assert (
        open_dataset(tmp_path, split="train_256") == train == open_dataset(tmp_path, split="train", layout="kinetics")
    )
    assert open_dataset(tmp_path / "train_256", layout="kinetics").layout == "class folders"
    plant(tmp_path, "train_320/zumba/x.mp4")
    with pytest.raises(InputError, match="split 'train' could be any of the folders train_256, train_320; name the"):
        open_dataset(tmp_path, split="train")
    with pytest.raises(
        InputError, match="holds the splits train_256, train_320, val_256; expected one of them, got tes"
    ):
        open_dataset(tmp_path, split="test")


@pytest.mark.parametrize("prefix", ["", "/elsewhere"])
def test_kinetics_of_pyslowfast(tmp_path, prefix):
    root = plant(tmp_path / "lists")
    videos = tmp_path / "elsewhere" if prefix else root
    plant(videos, "train/abseiling/a.mp4", "train/zumba/z z.mp4", "val/zumba/y.mp4")
    start = f"{videos}/" if prefix else ""
    write(root / "train.csv", f"{start}train/abseiling/a.mp4 0\n{start}train/zumba/z z.mp4 1\n")
    write(root / "val.csv", f"{start}val/zumba/y.mp4 1\n{start}val/zumba/gone.mp4 1\n")
    train, val = (open_dataset(root, split=split) for split in ("train", "val"))
    assert [(r.path, r.label) for r in train] == [
        (videos / "train/abseiling/a.mp4", 0),
        (videos / "train/zumba/z z.mp4", 1),
    ]
    assert (train.layout, train.class_names, val.class_names) == ("split lists", *(("abseiling", "zumba"),) * 2)
    assert (found(val)[0][1], val.missing) == (1, (f"{start}val/zumba/gone.mp4",))
    assert len(open_dataset(root)) == 3
    assert open_dataset(root, split="validation") == val
    with pytest.raises(InputError, match=r"no split 'test'; there are the lists train\.csv, val\.csv"):
        open_dataset(root, split="test")


def test_names_mean_the_same_in_all_lists_of_a_folder(tmp_path):
    plant(tmp_path / "videos", "1.mp4", "2.mp4", "3.mp4")
    write(tmp_path / "train.txt", "1.mp4;run\n2.mp4;jump\n")
    write(tmp_path / "val.txt", "3.mp4;run\n")  # alone, run would be number 0
    train, val = (open_dataset(tmp_path, split=split, separator=";") for split in ("train", "val"))
    assert (found(train), found(val)) == ([("1", 1), ("2", 0)], [("3", 1)])
    assert val.class_names == ("jump", "run")


def test_other_tables_of_those_names_are_left_alone(tmp_path):
    plant(tmp_path, "train/run/1.mp4", "val/jump/2.mp4")
    write(tmp_path / "train.csv", "clip_name,clip_path,label\n1,/train/run/1.mp4,run\n")
    write(tmp_path / "val.csv", "nothing.mp4 3\n")
    dataset = open_dataset(tmp_path, split="train")
    assert (found(dataset), dataset.layout) == ([("run/1", 1)], "split folders")
    with pytest.raises(InputError, match=r"train\.csv:1: expected a path and a label, got 3 columns"):
        open_dataset(tmp_path, split="train", layout="split lists")


@pytest.mark.parametrize("lists", ["labels", "."])
def test_kinetics_of_severe(tmp_path, lists):
    plant(tmp_path / "VideoData", "playing_cards/a b.avi", "singing/c.avi")
    write(tmp_path / lists / "train_videofolder.txt", "singing/c 300 1\nplaying_cards/a b 250 0\nsinging/gone 300 1\n")
    write(tmp_path / lists / "val_videofolder.txt", "playing_cards/a b 250 0\n")
    train = open_dataset(tmp_path, split="train")
    assert found(train) == [("singing/c", 1), ("playing_cards/a b", 0)]
    assert train[0].path == tmp_path / "VideoData/singing/c.avi"
    assert (train.layout, train.class_names) == ("videofolder lists", ("playing_cards", "singing"))
    assert train.missing == ("singing/gone",)
    assert found(open_dataset(tmp_path, split="val", layout="kinetics")) == [("playing_cards/a b", 0)]
    write(tmp_path / lists / "train_videofolder.txt", "singing/c 1\n")
    with pytest.raises(InputError, match="1: expected a path, a number of frames and a label, got 'singing/c 1'"):
        open_dataset(tmp_path, split="train", layout="videofolder lists")


def test_kinetics_of_mmaction(tmp_path):
    plant(tmp_path / "videos_train", "abseiling/0wR5jVB-WPk_000417_000427.mp4", "zumba/a_000000_000010.mp4")
    plant(tmp_path / "videos_val", "zumba/b_000000_000010.mp4")
    names = ["abseiling/0wR5jVB-WPk_000417_000427.mp4 0", "zumba/a_000000_000010.mp4 1"]
    write(tmp_path / "kinetics400_train_list_videos.txt", "\n".join(names))
    write(tmp_path / "kinetics400_val_list_videos.txt", "zumba/b_000000_000010.mp4 1\n")
    train = open_dataset(tmp_path, split="train")
    assert found(train) == [("abseiling/0wR5jVB-WPk_000417_000427", 0), ("zumba/a_000000_000010", 1)]
    assert (train.layout, train.root) == ("mmaction lists", tmp_path / "videos_train")
    assert found(open_dataset(tmp_path, split="val")) == [("zumba/b_000000_000010", 1)]
    with pytest.raises(InputError, match="no split 'test'"):  # Kinetics has a test split of its own
        open_dataset(tmp_path, split="test")
    assert [record.video_id for record in open_dataset(tmp_path)] == [
        "videos_train/abseiling/0wR5jVB-WPk_000417_000427",
        "videos_train/zumba/a_000000_000010",
        "videos_val/zumba/b_000000_000010",
    ]
    write(tmp_path / "hmdb51_val_list_videos.txt", "x.mp4 1\n")
    with pytest.raises(InputError, match=r"expected one list for each split, found kinetics400_train.*, hmdb51_val"):
        open_dataset(tmp_path, split="train")


def test_kinetics_as_published(tmp_path):
    plant(tmp_path / "train", "--abc_000002_000012.mp4", "x_yz_000084_000094.mp4")
    plant(tmp_path / "test", "q_000000_000010.mkv")
    head = "label,youtube_id,time_start,time_end,split\n"
    write(tmp_path / "annotations/train.csv", f'{head}zumba,--abc,2,12,train\n"air drumming",x_yz,84,94,train\n')
    write(tmp_path / "annotations/validate.csv", f"{head}zumba,v,0,10,validate\n")
    write(tmp_path / "annotations/test.csv", "youtube_id,time_start,time_end,split\nq,0,10,test\nr,0,10,test\n")
    train, test = (open_dataset(tmp_path, split=split) for split in ("train", "test"))
    assert found(train) == [("--abc_000002_000012", 1), ("x_yz_000084_000094", 0)]
    assert (train.layout, train.class_names, train.root) == ("kinetics", ("air drumming", "zumba"), tmp_path / "train")
    assert (found(test), test.missing) == ([("q_000000_000010", None)], ("r_000000_000010",))
    with pytest.raises(InputError, match="no split None; expected one of test, train, val"):
        open_dataset(tmp_path)
    write(tmp_path / "annotations/train.csv", f"{head}zumba,--abc,soon,12,train\n")
    with pytest.raises(InputError, match=r"train\.csv: expected times in seconds for --abc, got soon"):
        open_dataset(tmp_path, split="train")


SSV2_LABELS = {"Holding something": "0", "Moving something up": "1", "Approaching something with your camera": "2"}
SSV2_TRAIN = [
    {"id": "78687", "label": "holding potato", "template": "Holding [something]", "placeholders": ["potato"]},
    {"id": "42", "label": "moving a cup up", "template": "Moving [something] up", "placeholders": ["a cup"]},
    {"id": "7", "label": "x", "template": "Approaching [something] with your camera", "placeholders": []},
]
SSV2_VALIDATION = [{"id": "9", "template": "Moving [something] up"}]


def ssv2(root, folder=".", start="something-something-v2-"):
    files = {"labels": SSV2_LABELS, "train": SSV2_TRAIN, "validation": SSV2_VALIDATION, "test": [{"id": "1"}]}
    for name, content in files.items():
        write(root / folder / f"{start}{name}.json", content)
    return root


@pytest.mark.parametrize("videos", ["20bn-something-something-v2", "videos", "something-something-v2-videos_avi", "."])
@pytest.mark.parametrize("extension", ["webm", "mp4", "avi"])
@pytest.mark.parametrize(
    ("folder", "start"), [(".", "something-something-v2-"), ("annotations", "something-something-v2-"), ("labels", "")]
)
def test_ssv2(tmp_path, videos, extension, folder, start):
    ssv2(tmp_path, folder, start)
    plant(tmp_path / videos, *(f"{name}.{extension}" for name in (78687, 42, 9, 1)))
    train, val, test = (open_dataset(tmp_path, split=split) for split in ("train", "val", "test"))
    assert (found(train), train.missing) == ([("78687", 0), ("42", 1)], ("7",))
    assert train[0].class_name == "Holding something"
    assert train[0].path == tmp_path / videos / f"78687.{extension}"
    assert (train.layout, train.class_names) == ("ssv2", tuple(SSV2_LABELS))
    assert (found(val), found(test)) == ([("9", 1)], [("1", None)])
    assert found(open_dataset(tmp_path)) == [("78687", 0), ("42", 1), ("9", 1)]
    assert open_dataset(tmp_path, split="validation", layout="ssv2") == val


@pytest.mark.parametrize("frames", ["rawframes", "frames"])
def test_ssv2_as_frames(tmp_path, frames):
    ssv2(tmp_path)
    plant(tmp_path / frames, "78687/img_00001.jpg", "42/img_00001.jpg")
    train = open_dataset(tmp_path, split="train")
    assert [(r.path, r.label) for r in train] == [(tmp_path / frames / "78687", 0), (tmp_path / frames / "42", 1)]
    assert train.missing == ("7",)


def test_ssv2_as_frames_with_lists_of_pyslowfast(tmp_path):
    ssv2(tmp_path)
    head = "original_vido_id video_id frame_id path labels\n"
    rows = [f'{v} {i} {f} part/clip{v}/{v}_{f:06d}.jpg ""' for i, v in enumerate((78687, 42)) for f in range(3)]
    write(tmp_path / "train.csv", head + "\n".join(rows) + "\n")
    plant(tmp_path / "frames", "part/clip78687/78687_000000.jpg", "part/clip42/42_000000.jpg")
    train = open_dataset(tmp_path, split="train")
    assert found(train) == [("part/clip78687", 0), ("part/clip42", 1)]
    assert train[1].path == tmp_path / "frames/part/clip42"
    write(tmp_path / "train.csv", head + "42 0\n")
    with pytest.raises(InputError, match=r"train\.csv:2: expected the path of a frame in the fourth column"):
        open_dataset(tmp_path, split="train")


def test_ssv2_contradictions(tmp_path):
    ssv2(tmp_path)
    with pytest.raises(InputError, match=r"none of the 3 listed videos was found under .*, such as 78687"):
        open_dataset(tmp_path, split="train")
    plant(tmp_path, "78687.webm")
    with pytest.raises(InputError, match="no split 'trian'; expected one of train, validation, val, test"):
        open_dataset(tmp_path, split="trian")
    train = tmp_path / "something-something-v2-train.json"
    write(train, [{"id": "1", "template": "Dropping [something]"}])
    with pytest.raises(InputError, match="video 1 is 'Dropping something', which the labels file does not hold"):
        open_dataset(tmp_path, split="train")
    for content in ('[{"id": 1', [{"template": "Holding [something]"}], {"id": "1"}):
        write(train, content)
        with pytest.raises(InputError, match=r"train\.json: (is not a JSON file|expected a list of objects with id)"):
            open_dataset(tmp_path, split="train")
    labels = tmp_path / "something-something-v2-labels.json"
    for content in ([], {"a": "0", "b": "2"}, {"a": "x"}):
        write(labels, content)
        with pytest.raises(InputError, match=r"labels\.json: expected"):
            open_dataset(tmp_path, split="test")
    labels.unlink()
    with pytest.raises(InputError, match=r"expected something-something-v2-labels\.json, found none beside it"):
        open_dataset(tmp_path, split="test")


DIVING48_TRAIN = [
    {"vid_name": "_8Vy3dlHg2w_00000", "label": 1, "start_frame": 0, "end_frame": 78},
    {"vid_name": "2x00lRzlTVQ_00001", "label": 0, "start_frame": 0, "end_frame": 100},
]
DIVING48_TEST = [{"vid_name": "8qRmKunCjtY_00016", "label": 1, "start_frame": 3, "end_frame": 81}]


def diving48(root, folder="."):
    write(root / folder / "Diving48_V2_train.json", DIVING48_TRAIN)
    write(root / folder / "Diving48_V2_test.json", DIVING48_TEST)
    write(
        root / folder / "Diving48_vocab.json",
        [["Back", "15som", "05Twis", "FREE"], ["Back", "15som", "15Twis", "FREE"]],
    )
    return root


@pytest.mark.parametrize("videos", ["rgb", "videos", "Diving48_rgb/rgb"])
@pytest.mark.parametrize("folder", [".", "annotations", "labels"])
def test_diving48(tmp_path, videos, folder):
    diving48(tmp_path, folder)
    plant(tmp_path / videos, "_8Vy3dlHg2w_00000.mp4", "2x00lRzlTVQ_00001.avi", "8qRmKunCjtY_00016.mp4")
    train, test = (open_dataset(tmp_path, split=split) for split in ("train", "test"))
    assert found(train) == [("_8Vy3dlHg2w_00000", 1), ("2x00lRzlTVQ_00001", 0)]
    path = tmp_path / videos / "8qRmKunCjtY_00016.mp4"
    assert test.records == (VideoRecord(path, "8qRmKunCjtY_00016", 1, "Back 15som 15Twis FREE", 3, 81),)
    assert (train.layout, train.class_names) == ("diving48", ("Back 15som 05Twis FREE", "Back 15som 15Twis FREE"))
    assert len(open_dataset(tmp_path)) == 3
    (tmp_path / folder / "Diving48_vocab.json").unlink()
    assert open_dataset(tmp_path, split="test").class_names == ("0", "1")
    with pytest.raises(InputError, match="no split 'val'; expected one of test, train"):
        open_dataset(tmp_path, split="val")


def test_diving48_as_frames(tmp_path):
    plant(diving48(tmp_path), "rawframes/2x00lRzlTVQ_00001/img_00001.jpg", "rawframes/_8Vy3dlHg2w_00000/img_00001.jpg")
    assert found(open_dataset(tmp_path, split="train")) == [("_8Vy3dlHg2w_00000", 1), ("2x00lRzlTVQ_00001", 0)]


def test_diving48_contradictions(tmp_path):
    plant(diving48(tmp_path), "rgb/_8Vy3dlHg2w_00000.mp4")
    write(tmp_path / "Diving48_vocab.json", [["Back"]])
    with pytest.raises(InputError, match=r"vocab\.json: expected a list of more than 1 classes, the largest label"):
        open_dataset(tmp_path, split="train")
    write(tmp_path / "Diving48_V2_train.json", [{"vid_name": "a", "label": "1"}])
    with pytest.raises(InputError, match=r"V2_train\.json: expected whole numbers from 0 as label and frames of a"):
        open_dataset(tmp_path, split="train")
    for split in ("train", "test"):
        (tmp_path / f"Diving48_V2_{split}.json").unlink()
        write(tmp_path / f"Diving48_{split}.json", DIVING48_TEST)
    message = r"found Diving48_test\.json, Diving48_train\.json; the first version's labels are known to be wrong"
    with pytest.raises(InputError, match=message):
        open_dataset(tmp_path, split="train")


def test_class_folders_of_frame_folders(tmp_path):
    plant(tmp_path, *(f"{video}/frame{i:06d}.png" for video in ("b/2", "a/1.5", "b/1") for i in range(2)))
    plant(tmp_path, "b/9/readme.txt")  # only some folders are looked into: reading it will fail, and say so
    dataset = open_dataset(tmp_path)
    assert found(dataset) == [("a/1.5", 0), ("b/1", 1), ("b/2", 1), ("b/9", 1)]
    assert (dataset.layout, dataset.class_names, dataset[0].path) == ("class folders", ("a", "b"), tmp_path / "a/1.5")
    plant(tmp_path, "c/film.mp4")
    assert found(open_dataset(tmp_path)) == [("c/film", 0)]  # files go first …
    both = open_dataset(tmp_path, frame_template="frame%06d.png")  # … unless folders are asked for
    assert [record.path.name for record in both] == ["1.5", "1", "2", "9"]


@pytest.mark.parametrize("inside", [".", "frames"])
def test_flat_frame_folders(tmp_path, inside):
    plant(tmp_path / inside, "x/img_00001.jpg", "y/img_00001.jpg", "y/img_00002.jpg")
    (tmp_path / inside / "w").mkdir()  # empty: tells nothing of the others
    dataset = open_dataset(tmp_path)
    assert (found(dataset), dataset.layout) == ([("w", None), ("x", None), ("y", None)], "flat folder")
    with pytest.raises(InputError, match="has no split 'train'"):
        open_dataset(tmp_path, split="train")


def test_split_folders_of_frame_folders(tmp_path):
    plant(tmp_path, "rawframes_train/a/1/img_00001.jpg", "rawframes_val/b/2/img_00001.jpg")
    assert found(open_dataset(tmp_path, split="val")) == [("b/2", 1)]


def test_pictures_beside_videos_make_no_frame_folders(tmp_path):
    plant(tmp_path, "a/1.mp4", "a/1.jpg", "b/2.mp4", "b/2.jpg")
    assert found(open_dataset(tmp_path)) == [("a/1", 0), ("b/2", 1)]


def test_list_files_of_frame_folders(tmp_path):
    plant(tmp_path, "rawframes/a/x/img_00001.jpg", "rawframes/b/y z/img_00001.jpg")
    path = write(tmp_path / "mine_train_list_rawframes.txt", "a/x 77 1\nb/y z 9 0\n")
    dataset = open_dataset(path)
    assert (found(dataset), dataset.layout) == ([("a/x", 1), ("b/y z", 0)], "list")
    plain = write(tmp_path / "plain.txt", "rawframes/a/x 1\nrawframes/b/y z 0\n")
    assert [(r.path, r.label) for r in open_dataset(plain)] == [(r.path, r.label) for r in dataset]


def test_a_folder_is_no_video_where_the_others_are_files(tmp_path):
    plant(tmp_path, "a.mp4", "b/img_1.jpg", "c/notes.txt")
    path = write(tmp_path / "list.txt", "a.mp4 0\nb.mp4 0\nc.mp4 1\n")
    assert open_dataset(path).missing == ("b.mp4", "c.mp4")
    (tmp_path / "a.mp4").unlink()
    assert (found(open_dataset(path))[0], open_dataset(path).missing) == (("b", 0), ("a.mp4",))
    (tmp_path / "b/img_1.jpg").unlink()
    with pytest.raises(InputError, match="none of the 3 listed videos was found"):
        open_dataset(path)


def test_real_videos_through_lists_and_through_their_tree(fight_dir, tmp_path):
    tree = open_dataset(fight_dir, layout="class folders")
    videos = list(fight_dir.glob("videos/*/*.mp4"))
    assert (len(tree), tree.layout, tree.class_names) == (len(videos), "class folders", ("fight", "noFight"))
    for kind in ("train", "test"):
        official = open_dataset(fight_dir, split=kind)
        write(tmp_path / f"{kind}.csv", "".join(f"{record.path}::{record.class_name}\n" for record in official))
    for kind in ("train", "test"):
        ours, official = open_dataset(tmp_path, split=kind), open_dataset(fight_dir, split=kind)
        assert [(r.path, r.label, r.class_name) for r in ours] == [(r.path, r.label, r.class_name) for r in official]
    assert {record.path for record in open_dataset(tmp_path)} == {record.path for record in tree}


def test_a_video_with_two_labels_is_refused(tmp_path):
    plant(tmp_path, "a.mp4")
    path = write(tmp_path / "list.txt", "a.mp4 1\na.mp4 1\na.mp4 0\n")
    with pytest.raises(InputError, match=r"list\.txt: a is listed as 1 and as 0; expected one label for a video"):
        open_dataset(path)


def test_a_forced_layout(tmp_path):
    plant(tmp_path, "train/run/1.mp4", "val/run/2.mp4", "readme.md")
    with pytest.raises(
        InputError, match=r"holds no data set of the layout hmdb51; expected .*; found train/, val/, read"
    ):
        open_dataset(tmp_path, layout="hmdb51")
    assert open_dataset(tmp_path, split="val", layout="split-folders").layout == "split folders"
    with pytest.raises(InputError, match=r"layout must be one of ssv2, diving48, hmdb51, ucf101, .*, got 'hmdb'"):
        open_dataset(tmp_path, layout="hmdb")
    path = write(tmp_path / "list.txt", "train/run/1.mp4 0\n")
    with pytest.raises(InputError, match=r"list\.txt: is a file, expected a folder of the layout ucf101"):
        open_dataset(path, layout="ucf101")
    assert open_dataset(path, layout="list").layout == "list"


def test_listed_videos_that_are_all_missing_are_told_as_such(tmp_path):
    write(tmp_path / "kinetics400_train_list_videos.txt", "a/x.mp4 0\n")
    with pytest.raises(InputError, match=r"none of the 1 listed videos was found under .*, such as a/x\.mp4"):
        open_dataset(tmp_path, split="train")


def test_frame_settings_are_checked(tmp_path):
    plant(tmp_path, "a.mp4")
    with pytest.raises(InputError, match=r"frame_template must be a file name with one number, .* got 'img\.jpg'"):
        open_dataset(tmp_path, frame_template="img.jpg")
    with pytest.raises(InputError, match="frame_fps must be more than 0, got -1"):
        open_dataset(tmp_path, frame_fps=-1)
    with pytest.raises(
        InputError, match="holds no data set; expected folders of pictures, since frame_template is given"
    ):
        open_dataset(tmp_path, frame_template="{}.jpg")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    plant(tmp_path, "a/1.mp4", "b/2.mp4", "lost+found/x")
    import os

    listing = os.scandir

    def refuse(path):
        if str(path).endswith(("/b", "lost+found")):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(InputError, match=r"/b: cannot be listed \(Permission denied\)"):
        open_dataset(tmp_path)


def test_every_layout_is_in_the_documentation(repo_dir):
    text = (repo_dir / "docs/datasets.md").read_text()
    for name in {layout.name for layout in LAYOUTS}:
        assert f"`{name}`" in text, name


def test_opening_a_data_set_does_not_import_torch(tmp_path):
    plant(tmp_path, "a/1.mp4")
    code = "import sys; from fima.data.datasets import open_dataset as o; o(sys.argv[1]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
