"""UCF101 and HMDB51 with their own lists: class folders, and which file is for training and which for the test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from fima.data.datasets.index import Index, Listed, Request, Row, fold_of, look_up
from fima.data.datasets.layouts.folders import class_folders, class_root, class_rows
from fima.data.datasets.list_files import read_class_ids, read_split, read_tags
from fima.errors import InputError

__all__ = ["has_hmdb51_lists", "has_ucf101_lists", "is_hmdb51", "is_ucf101", "read_hmdb51", "read_ucf101"]

_UCF101_LISTS = ("annotations", "anno", "ucfTrainTestlist")
_HMDB51_LISTS = ("splits", "testTrainMulti_7030_splits", "test_train_splits", "annotations", "anno", ".")
_HMDB51_PLACES = ("hmdb51_org", "hmdb51", "org")
_HMDB51_LIST = re.compile(r"(.+)_test_split([0-9]+)\.txt", re.DOTALL)
_TAGS = {"train": 1, "test": 2}


class _Tree(NamedTuple):
    root: Path
    frames: bool


def has_ucf101_lists(request: Request) -> bool:
    """A folder with ``classInd.txt`` or ``trainlist01.txt``, ``testlist01.txt``, …."""
    return _ucf101_lists(request) is not None


def is_ucf101(request: Request) -> bool:
    """Such lists, and class folders."""
    return has_ucf101_lists(request) and _tree(request, ()) is not None


def read_ucf101(request: Request) -> Index:
    """Classes are numbered as in ``classInd.txt`` (less 1), without it by sorted folder name.

    Source: UCF101's own lists (Soomro, Zamir, Shah, CRCV-TR-12-01); where they lie: ZMHH-H/FIMA ``eval.py`` (commit
    fd63cbd), SEVERE and TCLR READMEs.
    """
    disk, lists, tree = request.disk, _ucf101_lists(request), _tree(request, ())
    if lists is None or tree is None:
        raise InputError(
            f"{request.path}: holds no class folders beside {', '.join(_UCF101_LISTS)} with UCF101's lists"
        )
    official = read_class_ids(disk.watch(lists / "classInd.txt"))
    ids = official or {name: i for i, name in enumerate(class_folders(disk, *tree))}
    names = tuple(sorted(ids, key=ids.__getitem__))
    if request.split is None:
        return Index("ucf101", tree.root, names, class_rows(disk, tree.root, ids, tree.frames, "classInd.txt"))
    rows = read_split(disk.watch(_ucf101_list(request, lists)), official)
    listed = [Listed(row.name, ids.get(row.class_name or "")) for row in rows]
    found, missing = _found(request, tree, listed)
    if unknown := next((row.name for row in found if row.label is None), None):
        name = unknown.split("/")[0]
        raise InputError(f"{tree.root}: class {name!r} is not one of the {len(ids)} classes listed in classInd.txt")
    return Index("ucf101", tree.root, names, found, missing)


def has_hmdb51_lists(request: Request) -> bool:
    """Files ``<class>_test_split1.txt``."""
    return _hmdb51_lists(request) is not None


def is_hmdb51(request: Request) -> bool:
    """Such files, and class folders."""
    return has_hmdb51_lists(request) and _tree(request, _HMDB51_PLACES) is not None


def read_hmdb51(request: Request) -> Index:
    """Classes are those of the split files, numbered by sorted name.

    Source: HMDB51's ``test_train_splits``: rows of ``name.avi tag``, 1 for training, 2 for the test, 0 for neither.
    ZMHH-H/FIMA ``dataset/hmdb51.py`` (commit fd63cbd) looks for names in every class; here a name belongs to the class
    whose file lists it.
    """
    disk, lists, tree = request.disk, _hmdb51_lists(request), _tree(request, _HMDB51_PLACES)
    if lists is None or tree is None:
        raise InputError(f"{request.path}: holds no class folders beside files <class>_test_split1.txt")
    files = {(match[1], int(match[2])): lists / match[0] for match in _hmdb51_names(disk.files_in(lists))}
    names = tuple(sorted({name for name, _ in files}))
    ids = {name: i for i, name in enumerate(names)}
    if request.split is None:
        return Index("hmdb51", tree.root, names, class_rows(disk, tree.root, ids, tree.frames, "the split files"))
    kind, number = _hmdb51_split(request.split, sorted({fold for _, fold in files}), lists)
    listed = []
    for name in names:
        file = files.get((name, number))
        if file is None:
            raise InputError(f"{lists}: expected {name}_test_split{number}.txt beside the other classes' files")
        tagged = read_tags(disk.watch(file), largest=2)
        listed += [Listed(f"{name}/{video}", ids[name]) for video, tag in tagged if tag == _TAGS[kind]]
    return Index("hmdb51", tree.root, names, *_found(request, tree, listed))


def _tree(request: Request, more: Sequence[str]) -> _Tree | None:
    """Where the class folders are, and whether they hold folders of pictures."""
    for frames in (True,) if request.frame_template else (False, True):
        bases = (request.path, *(request.path / place for place in more))
        root = next((r for b in bases if (r := class_root(request.disk, b, frames)) is not None), None)
        if root is not None:
            return _Tree(root, frames)
    return None


def _found(request: Request, tree: _Tree, listed: list[Listed]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    place = tree.root.relative_to(request.path).as_posix()
    return look_up(request, listed, [place])[1:]


def _ucf101_lists(request: Request) -> Path | None:
    for folder in (request.path / name for name in _UCF101_LISTS):
        files = request.disk.files_in(folder)
        if "classInd.txt" in files or any(fnmatchcase(name, "t*list*.txt") for name in files):
            return folder
    return None


def _ucf101_list(request: Request, lists: Path) -> Path:
    """The list file of "train", "test", "train2", …."""
    kind, number = fold_of(request.split or "")
    name = f"{kind}list{1 if number is None else number:02d}.txt"
    files = request.disk.files_in(lists)
    if kind not in _TAGS or name not in files:
        there = ", ".join(file for file in files if fnmatchcase(file, "t*list*.txt"))
        expected = f"train, test, train1, …, of {there}" if there else "lists such as trainlist01.txt, found none"
        raise InputError(f"{lists}: no split {request.split!r}; expected {expected}")
    return lists / name


def _hmdb51_lists(request: Request) -> Path | None:
    folders = (request.path / name for name in _HMDB51_LISTS)
    return next((folder for folder in folders if any(_hmdb51_names(request.disk.files_in(folder)))), None)


def _hmdb51_split(split: str, numbers: Sequence[int], lists: Path) -> tuple[str, int]:
    kind, number = fold_of(split)
    number = 1 if number is None else number
    if kind not in _TAGS or number not in numbers:
        there = ", ".join(f"{tag}{fold}" for tag in _TAGS for fold in numbers)
        raise InputError(f"{lists}: no split {split!r}; expected train, test (meaning 1) or one of {there}")
    return kind, number


def _hmdb51_names(names: Sequence[str]) -> list[re.Match[str]]:
    return [match for match in map(_HMDB51_LIST.fullmatch, names) if match]
