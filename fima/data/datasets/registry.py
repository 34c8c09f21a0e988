"""The table of layouts: how data sets lie on disk, and who reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from fima.data.datasets.index import Index, Request
from fima.data.datasets.layouts import annotated, folders, kinetics, listed, ucf101, vidsitu
from fima.data.datasets.layouts.listed import ListFamily

__all__ = ["LAYOUTS", "Layout"]

_LISTS = (".", "annotations", "anno", "labels", "lists", "splits")
_ANYWHERE = ("videos", "data", "VideoData", "UCF-101", ".")
_NO_VAL = ("ucf101_", "hmdb51_", "diving48_")  # officially train and test only

# MMAction2 tools/data/{ucf101,hmdb51,kinetics,sthv2,diving48}/README.md
_MMACTION = ListFamily(
    "mmaction lists",
    _LISTS,
    re.compile(r".+_(?P<kind>train|val|test)_(list|split_(?P<fold>[1-9]))_videos\.txt", re.DOTALL),
    ("videos_{kind}", *_ANYWHERE),
    test_is_val=_NO_VAL,
)
_MMACTION_FRAMES = ListFamily(
    "mmaction frame lists",
    _LISTS,
    re.compile(r".+_(?P<kind>train|val|test)_(list|split_(?P<fold>[1-9]))_rawframes\.txt", re.DOTALL),
    ("rawframes_{kind}", *folders.FRAME_PLACES),
    counted=True,
    test_is_val=_NO_VAL,
)
# amazon-science/self-supervised-maclr README.md
_CSV_FOLDS = ListFamily(
    "csv folds",
    ("simple_annot",),
    re.compile(r"split(?P<fold>[1-9])/(?P<kind>train|val|test)\.csv"),
    _ANYWHERE,
    below=True,
    test_is_val=("",),
)
# PySlowFast and MaCLR slowfast/datasets/DATASET.md
_SPLIT_CSV, _SPLIT_TXT = (
    ListFamily(
        "split lists",
        _LISTS,
        re.compile(rf"(?P<kind>train|val|test)\.{extension}"),
        (".", "videos", "data", "{kind}", "videos_{kind}", "{kind}_256"),
    )
    for extension in ("csv", "txt")
)
# SEVERE action_recognition/datasets/kinetics.py
_VIDEOFOLDER = ListFamily(
    "videofolder lists",
    _LISTS,
    re.compile(r"(?P<kind>train|val|test)_videofolder\.txt"),
    ("VideoData", *folders.FRAME_PLACES),
    counted=True,
)


class Layout(NamedTuple):
    """How a data set may lie on disk.

    Attributes:
        name: as `VideoDataset.layout` tells it, and as it may be asked for.
        words: what it looks like, for the reader of an error.
        matches: whether a data set lies like that.
        read: makes the index.
        also: other names it may be asked for by.
        has_lists: whether its lists are there, though perhaps none of their videos; to say so instead of nothing.
        separator: whether its lists may have any separator.
    """

    name: str
    words: str
    matches: Callable[[Request], bool]
    read: Callable[[Request], Index]
    also: tuple[str, ...] = ()
    has_lists: Callable[[Request], bool] | None = None
    separator: bool = False


def _family(family: ListFamily, words: str, *also: str) -> Layout:
    return Layout(family.layout, words, family.matches, family.read, also, family.has_lists, not family.counted)


# Asked from the top: what has a data set's own annotation goes before what could be anyone's.
LAYOUTS = (
    Layout(
        "ssv2",
        "something-something-v2-labels.json and -train.json or -validation.json",
        annotated.is_ssv2,
        annotated.read_ssv2,
    ),
    Layout(
        "diving48", "Diving48_V2_train.json or Diving48_V2_test.json", annotated.is_diving48, annotated.read_diving48
    ),
    Layout(
        "hmdb51",
        "class folders, and <class>_test_split1.txt, … in splits/, annotations/ or the folder itself",
        ucf101.is_hmdb51,
        ucf101.read_hmdb51,
        has_lists=ucf101.has_hmdb51_lists,
    ),
    Layout(
        "ucf101",
        "class folders, and classInd.txt, trainlist01.txt, … in annotations/, anno/ or ucfTrainTestlist/",
        ucf101.is_ucf101,
        ucf101.read_ucf101,
        has_lists=ucf101.has_ucf101_lists,
    ),
    Layout(
        "vidsitu",
        "vseg_split_train_lb.json or vseg_split_valid_lb.json in vidsitu_annotations/split_files/",
        vidsitu.is_vidsitu,
        vidsitu.read_vidsitu,
    ),
    _family(_CSV_FOLDS, "simple_annot/split1/train.csv", "ucf101"),
    _family(_MMACTION, "MMAction2's *_train_list_videos.txt", "ucf101", "hmdb51", "kinetics", "ssv2", "diving48"),
    _family(_MMACTION_FRAMES, "*_train_list_rawframes.txt", "ucf101", "hmdb51", "kinetics", "ssv2", "diving48"),
    _family(_VIDEOFOLDER, "train_videofolder.txt", "kinetics", "ssv2"),
    Layout(
        "kinetics",
        "train.csv, val.csv with the columns label, youtube_id, time_start, time_end",
        kinetics.is_kinetics,
        kinetics.read_kinetics,
    ),
    _family(_SPLIT_CSV, "train.csv, val.csv of `path label` rows", "kinetics"),
    _family(_SPLIT_TXT, "train.txt, val.txt of such rows", "kinetics"),
    Layout(
        "class folders",
        "a folder of class folders",
        folders.has_class_folders,
        folders.read_class_folders,
        also=("kinetics",),
    ),
    Layout("flat folder", "a folder of videos", folders.has_flat_folder, folders.read_flat_folder),
    Layout(
        "split folders",
        "folders of class folders, one for each split",
        folders.has_split_folders,
        folders.read_split_folders,
        also=("kinetics",),
    ),
    Layout("list", "a list file of `path label` rows", listed.is_list_file, listed.read_list_file, separator=True),
)
