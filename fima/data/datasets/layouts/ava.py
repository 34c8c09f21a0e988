"""AVA v2.1 and v2.2: films whose persons are boxed at every second, with the actions of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fima.data.datasets.disk import Disk
from fima.data.datasets.layouts.ava_files import (
    FIRST_SECOND,
    LAST_SECOND,
    Keyframe,
    read_ava_boxes,
    read_excluded,
    read_label_map,
)
from fima.data.datasets.records import VideoRecord
from fima.errors import InputError

__all__ = ["GROUND_TRUTH", "AvaDataset", "Keyframe", "first_frame_second", "open_ava"]

GROUND_TRUTH = "gt"
"""In place of a file of person boxes: the true boxes, which makes the task easier than the published one."""

_YEARS = {"2.1": 2018, "2.2": 2019}
_DETECTOR = "ava_detection_val_boxes_and_labels.csv"
_FRAME_PLACES = ("frames", "rawframes")
_VIDEO_PLACES = ("videos_15min", "videos", "clips", "trainval", "")
_CLIP_START = 900.0
_LONGEST_CLIP = 1000.0  # seconds; the 15 minutes that are annotated, with some room at the end


@dataclass(frozen=True)
class AvaDataset:
    """A version of AVA as it lies on disk.

    Attributes:
        root: its folder.
        version: "2.1" or "2.2".
        train: keyframes to train on: true boxes with their actions.
        test: keyframes to test on: person boxes, without actions.
        truth: keyframes of the validation split with what is true there, which `test` is measured against.
        class_ids: every action that is annotated or evaluated, ascending: the outputs of a classifier.
        names: class id → name.
        evaluated: class ids that count, ascending; 60 of 80 in the official map.
        videos: film → its file or folder of frames.
        missing: films that are annotated but not there.
        last_seconds: film → its last keyframe.
        boxes: file that `test` is from, or `GROUND_TRUTH`.
        excluded: numbers of keyframes of train and truth that are left out because their timestamps are excluded.
        excluded_files: which tables of excluded timestamps were there.
    """

    root: Path
    version: str
    train: tuple[Keyframe, ...]
    test: tuple[Keyframe, ...]
    truth: tuple[Keyframe, ...]
    class_ids: tuple[int, ...]
    names: dict[int, str]
    evaluated: tuple[int, ...]
    videos: dict[str, VideoRecord]
    missing: tuple[str, ...]
    last_seconds: dict[str, int]
    boxes: str
    excluded: tuple[int, int]
    excluded_files: tuple[str, ...]


def open_ava(root: str | Path, version: str = "2.2", *, boxes: str | None = None, min_score: float = 0.9) -> AvaDataset:
    """Reads the annotations of training and validation, and finds the films.

    Tables are looked for in the folder, in ``annotations`` and in the folders inside either; films as folders of
    frames in ``frames`` or ``rawframes``, then as files in ``videos_15min``, ``videos``, ``clips``, ``trainval`` or the
    folder itself. Keyframes with excluded timestamps are left out, and person boxes at seconds that are not annotated
    (902 to 1798).

    Args:
        root: the folder.
        version: "2.1" or "2.2".
        boxes: table of person boxes to test on, or `GROUND_TRUTH`; None: PySlowFast's, if it is there.
        min_score: of person boxes that are used.

    Raises:
        InputError: if a table is missing or not understood, or no film is there.

    Source: PySlowFast ``DATASET.md`` (AVA), MMAction2 ``tools/data/ava/README.md``.
    """
    folder = Path(root)
    if version not in _YEARS:
        raise InputError(f"--version must be one of {', '.join(_YEARS)}, got {version!r}")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected AVA's with its annotations and frames")
    places = _annotation_folders(folder)
    train_all = read_ava_boxes(_needed(places, f"ava_train_v{version}.csv", folder))
    truth_all = read_ava_boxes(_needed(places, f"ava_val_v{version}.csv", folder))
    found = [_find(places, f"ava_{s}_excluded_timestamps_v{version}.csv") for s in ("train", "val")]
    no_train, no_val = (frozenset() if path is None else read_excluded(path) for path in found)
    train, truth = _without(train_all, no_train), _without(truth_all, no_val)
    chosen = _person_boxes(places, boxes, folder)
    test = truth if chosen is None else _annotated(_without(read_ava_boxes(chosen, min_score=min_score), no_val))
    names, evaluated = _classes(places, version, folder)
    actions = {action for frame in (*train, *truth) for own in frame.actions for action in own}
    class_ids = tuple(sorted(actions | set(evaluated)))
    films = sorted({frame.video for frame in (*train, *truth, *test)})
    videos = _find_videos(folder, films)
    if not videos:
        raise InputError(
            f"{folder}: none of its {len(films)} films is there, such as frames/{films[0]} or videos/{films[0]}.mp4"
        )
    return AvaDataset(
        root=folder,
        version=version,
        train=tuple(train),
        test=tuple(frame._replace(actions=()) for frame in test),
        truth=tuple(truth),
        class_ids=class_ids,
        names={label: names.get(label, str(label)) for label in class_ids},
        evaluated=tuple(evaluated),
        videos=videos,
        missing=tuple(film for film in films if film not in videos),
        last_seconds=_last_seconds([*train, *truth, *test]),
        boxes=GROUND_TRUTH if chosen is None else str(chosen),
        excluded=(len(train_all) - len(train), len(truth_all) - len(truth)),
        excluded_files=tuple(path.name for path in found if path is not None),
    )


def first_frame_second(duration: float, last_second: int, start_second: float | None = None) -> float | None:
    """The second of the film that a file, or a folder of frames, begins with.

    Args:
        duration: of what is there, seconds.
        last_second: the film's last keyframe.
        start_second: what it is, if known.

    Returns:
        0 for a whole film, which reaches its last keyframe; 900 for the 15 minutes that are annotated; None for what
        is neither, such as a film that ends too early.
    """
    if start_second is not None:
        return start_second
    if duration > last_second:
        return 0.0
    return _CLIP_START if duration <= _LONGEST_CLIP else None


def _annotation_folders(root: Path) -> list[Path]:
    tops = [folder for folder in (root, root / "annotations", root / "ava_annotations") if folder.is_dir()]
    skipped = {*_FRAME_PLACES, *_VIDEO_PLACES}  # with as many folders as there are films
    inside = [sub for top in tops for sub in sorted(top.iterdir()) if sub.is_dir() and sub.name not in skipped]
    return list(dict.fromkeys([*tops, *inside]))


def _find(places: Iterable[Path], name: str) -> Path | None:
    return next((place / name for place in places if (place / name).is_file()), None)


def _needed(places: Sequence[Path], name: str, root: Path) -> Path:
    path = _find(places, name)
    if path is None:
        raise InputError(f"{root}: expected {name} here or in annotations/, found none")
    return path


def _person_boxes(places: Sequence[Path], given: str | None, root: Path) -> Path | None:
    if given == GROUND_TRUTH:
        return None
    path = _find(places, _DETECTOR) if given is None else Path(given)
    if path is None:
        raise InputError(
            f"{root}: expected person boxes to test on ({_DETECTOR}), found none; give --boxes FILE, or --boxes "
            f"{GROUND_TRUTH} for the true boxes, whose numbers do not compare with published ones"
        )
    if not path.is_file():
        raise FileNotFoundError(f"--boxes {path}: no such file")
    return path


def _classes(places: Sequence[Path], version: str, root: Path) -> tuple[dict[int, str], list[int]]:
    """All names, and the ids that are evaluated: those of the challenge's map."""
    full = _find(places, f"ava_action_list_v{version}.pbtxt")
    short = _find(places, f"ava_action_list_v{version}_for_activitynet_{_YEARS[version]}.pbtxt")
    counts = read_label_map(short) if short else None
    names = read_label_map(full) if full else {}
    if counts is None and not names:
        wanted = f"ava_action_list_v{version}_for_activitynet_{_YEARS[version]}.pbtxt"
        raise InputError(f"{root}: expected {wanted} here or in annotations/, found none")
    return names | (counts or {}), list(names if counts is None else counts)


def _without(frames: Sequence[Keyframe], excluded: frozenset[tuple[str, int]]) -> list[Keyframe]:
    return [frame for frame in frames if (frame.video, frame.second) not in excluded]


def _annotated(frames: Sequence[Keyframe]) -> list[Keyframe]:
    return [frame for frame in frames if FIRST_SECOND <= frame.second <= LAST_SECOND and np.size(frame.boxes)]


def _last_seconds(frames: Sequence[Keyframe]) -> dict[str, int]:
    last: dict[str, int] = {}
    for frame in frames:
        last[frame.video] = max(frame.second, last.get(frame.video, 0))
    return last


def _find_videos(root: Path, films: Sequence[str]) -> dict[str, VideoRecord]:
    """Frames before files, since the protocols are for frames taken 30 times a second."""
    disk, found = Disk(), dict[str, VideoRecord]()
    for film in films:
        options = [(root / place, disk.find_folder(root / place, film)) for place in _FRAME_PLACES]
        options += [(root / place, disk.find_file(root / place, film)) for place in _VIDEO_PLACES]
        where = next((place / name for place, name in options if name is not None and (place / name).exists()), None)
        if where is not None:
            found[film] = VideoRecord(where, film, None, None)
    return found
