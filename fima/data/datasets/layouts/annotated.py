"""Something-Something v2 and Diving48: JSON that names the videos and their labels, and one folder of files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fima.data.datasets.index import Index, Listed, Request, look_up
from fima.data.datasets.layouts.folders import FRAME_PLACES
from fima.data.datasets.list_files import first_line, read_frame_list
from fima.errors import InputError
from fima.files.reading import read_json

__all__ = ["is_diving48", "is_ssv2", "read_diving48", "read_ssv2"]

_FOLDERS = (".", "labels", "annotations", "something-something-v2-annotations", "anno")
_SSV2 = re.compile(r"something-something-v2-(labels|train|validation|test)\.json")
_SSV2_PLAIN = re.compile(r"(labels|train|validation|test)\.json")  # the names in the download's labels/
_SSV2_PLACES = (
    "20bn-something-something-v2",
    "videos/20bn-something-something-v2",
    "something-something-v2-videos",
    "something-something-v2-videos_avi",
    "something-something-v2-videos_mp4",
    "20bn-something-something-v2-frames",
    *FRAME_PLACES,
)
_SSV2_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_DIVING48 = re.compile(r"Diving48_(V2_)?(train|test)\.json")
_DIVING48_PLACES = ("rgb", "videos/rgb", "Diving48_rgb/rgb", "Diving48_rgb", *FRAME_PLACES)


def is_ssv2(request: Request) -> bool:
    """``something-something-v2-train.json`` and the like, or the download's ``labels/train.json``."""
    return bool(_ssv2_files(request))


def read_ssv2(request: Request) -> Index:
    """Classes are numbered as in ``…-labels.json``; a video's is its template without the brackets.

    Without a split: training and validation. The split "test" is published without labels.

    Source: SEVERE ``datasets/something.py``, PySlowFast ``slowfast/datasets/ssv2.py``.
    """
    files = _ssv2_files(request)
    if "labels" not in files:
        raise InputError(f"{request.path}: expected something-something-v2-labels.json, found none beside it")
    if request.split is not None and _SSV2_SPLITS.get(request.split) not in files:
        there = ", ".join(name for name in _SSV2_SPLITS if _SSV2_SPLITS[name] in files)
        raise InputError(f"{request.path}: no split {request.split!r}; expected one of {there or 'none'}")
    names = _ssv2_classes(request, files["labels"])
    ids = {name: i for i, name in enumerate(names)}
    wanted = ["train", "validation"] if request.split is None else [_SSV2_SPLITS[request.split]]
    listed = [video for name in wanted if name in files for video in _ssv2_videos(request, files[name], ids)]
    root, found, missing = look_up(request, listed, _SSV2_PLACES)
    if not found and (folders := _frame_lists(request, wanted)):
        listed = [video._replace(name=folders.get(video.name, video.name)) for video in listed]
        root, found, missing = look_up(request, listed, FRAME_PLACES)
    return Index("ssv2", root, names, found, missing)


def is_diving48(request: Request) -> bool:
    """``Diving48_V2_train.json`` or ``Diving48_V2_test.json``, or those of the first version."""
    return bool(_diving48_files(request))


def read_diving48(request: Request) -> Index:
    """Labels are those of the annotation, named by ``Diving48_vocab.json`` if it is there.

    Only version 2 is read, whose labels correct the first's.

    Source: SEVERE ``datasets/diving.py``, MMAction2 ``tools/data/diving48/README.md``.
    """
    files = _diving48_files(request)
    second = {match[2]: path for path, match in files if match[1]}
    if not second:
        found = ", ".join(path.name for path, _ in files) or "neither"
        raise InputError(
            f"{request.path}: expected Diving48_V2_train.json and Diving48_V2_test.json, found {found}; the first "
            "version's labels are known to be wrong; take the second's (V2)"
        )
    if request.split is not None and request.split not in second:
        raise InputError(f"{request.path}: no split {request.split!r}; expected one of {', '.join(sorted(second))}")
    videos = {split: _diving48_videos(request, path) for split, path in second.items()}
    names = _diving48_classes(request, next(iter(second.values())).parent, videos)
    splits = [split for split in ("train", "test") if split in videos and request.split in (None, split)]
    listed = [video for split in splits for video in videos[split]]
    root, found_rows, missing = look_up(request, listed, _DIVING48_PLACES)
    return Index("diving48", root, names, found_rows, missing)


def _ssv2_files(request: Request) -> dict[str, Path]:
    for place in _FOLDERS:
        folder = request.path / place
        names = request.disk.files_in(folder)
        files = {match[1]: folder / match[0] for match in map(_SSV2.fullmatch, names) if match}
        if (
            not files
            and place == "labels"
            and "labels.json" in names
            and _holds_templates(request, folder / "train.json")
        ):
            files = {match[1]: folder / match[0] for match in map(_SSV2_PLAIN.fullmatch, names) if match}
        if files:
            return files
    return {}


def _holds_templates(request: Request, path: Path) -> bool:
    """Whether a file of a name that anyone could use begins as Something-Something's does."""
    if path.name not in request.disk.files_in(path.parent):
        return False
    with request.disk.watch(path).open("rb") as file:
        return b'"template"' in file.read(4096)


def _ssv2_classes(request: Request, path: Path) -> tuple[str, ...]:
    content = read_json(request.disk.watch(path))
    try:
        numbers = {int(number): str(name) for name, number in content.items()}
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: expected an object of class names and their numbers") from None
    if sorted(numbers) != list(range(len(content))):
        raise InputError(f"{path}: expected {len(content)} classes numbered from 0 without gaps")
    return tuple(numbers[i] for i in range(len(numbers)))


def _ssv2_videos(request: Request, path: Path, ids: Mapping[str, int]) -> list[Listed]:
    videos = []
    for entry in _entries(request, path, ("id",)):
        template = entry.get("template")
        name = None if template is None else str(template).replace("[", "").replace("]", "")
        if name is not None and name not in ids:
            raise InputError(f"{path}: video {entry['id']} is {name!r}, which the labels file does not hold")
        videos.append(Listed(str(entry["id"]), None if name is None else ids[name]))
    return videos


def _frame_lists(request: Request, wanted: Sequence[str]) -> dict[str, str]:
    """Video → folder, from PySlowFast's ``train.csv``, ``val.csv``: only read where folders have other names."""
    folders: dict[str, str] = {}
    for split in wanted:
        name = f"{split.removesuffix('idation')}.csv"
        places = (request.path / place for place in (*_FOLDERS, "frame_lists"))
        path = next((place / name for place in places if name in request.disk.files_in(place)), None)
        if path is not None and first_line(request.disk.watch(path)).startswith("original_vido_id"):
            folders |= read_frame_list(path)
    return folders


def _diving48_files(request: Request) -> list[tuple[Path, re.Match[str]]]:
    for folder in (request.path / place for place in _FOLDERS):
        matches = [match for match in map(_DIVING48.fullmatch, request.disk.files_in(folder)) if match]
        if matches:
            return [(folder / match[0], match) for match in matches]
    return []


def _diving48_videos(request: Request, path: Path) -> list[Listed]:
    videos = []
    for entry in _entries(request, path, ("vid_name", "label")):
        numbers = [entry["label"], entry.get("start_frame"), entry.get("end_frame")]
        if any(not isinstance(n, int) or n < 0 for n in numbers if n is not None) or numbers[0] is None:
            raise InputError(f"{path}: expected whole numbers from 0 as label and frames of {entry['vid_name']}")
        videos.append(Listed(str(entry["vid_name"]), *numbers))
    return videos


def _diving48_classes(request: Request, folder: Path, videos: Mapping[str, Sequence[Listed]]) -> tuple[str, ...]:
    largest = max((video.label or 0 for listed in videos.values() for video in listed), default=-1)
    path = folder / "Diving48_vocab.json"
    if path.name not in request.disk.files_in(folder):
        return tuple(map(str, range(largest + 1)))
    content = read_json(request.disk.watch(path))
    if not isinstance(content, list) or len(content) <= largest:
        raise InputError(f"{path}: expected a list of more than {largest} classes, the largest label")
    return tuple(" ".join(map(str, parts)) if isinstance(parts, list) else str(parts) for parts in content)


def _entries(request: Request, path: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    content = read_json(request.disk.watch(path))
    if not isinstance(content, list) or not all(isinstance(e, dict) and all(k in e for k in keys) for e in content):
        raise InputError(f"{path}: expected a list of objects with {' and '.join(keys)}")
    return content
