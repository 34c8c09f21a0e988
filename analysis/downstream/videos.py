"""The labeled videos of a study: one list of all, which of them train and test are, and what they were cut from."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets import VideoDataset, open_dataset
from fima.data.datasets.list_files import read_table
from fima.data.datasets.records import video_stem
from fima.errors import InputError

__all__ = ["Videos", "group_rule", "open_videos"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Videos:
    """All videos, those of the training split first.

    Attributes:
        ids: of the data set's own.
        paths: of the files, absolute.
        labels: ``(V,)``.
        class_names: by label.
        train, test: places of the data set's own split.
        groups: ``(V,)`` numbers of the source recordings; None where no rule is given.
        rule: the rule, as typed; empty without one.
        missing: listed videos that the disk does not hold.
    """

    ids: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: Ints
    class_names: tuple[str, ...]
    train: Ints
    test: Ints
    groups: Ints | None = None
    rule: str = ""
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def listed_ids(self) -> tuple[str, ...]:
        """What the readers call the videos of our lists, whose rows are absolute paths."""
        return tuple(video_stem(path.as_posix().lstrip("/")) for path in self.paths)

    @property
    def shared_groups(self) -> int:
        """Source recordings that training and test of the data set's own split have in common."""
        return 0 if self.groups is None else len(np.intersect1d(self.groups[self.train], self.groups[self.test]))


def open_videos(data: str, *, train_split: str = "train", test_split: str = "test", group: str | None = None) -> Videos:
    """Read a data set with labels.

    Args:
        data: its folder.
        train_split: of the data set.
        test_split: likewise.
        group: See `group_rule`; None takes the data set's own table (``annotations/groups.csv`` or ``groups.csv``,
            its second column) if there is one, "none" nothing.

    Raises:
        FileNotFoundError: if there is no such data.
        InputError: for drawn data, videos without label or in both splits, classes that disagree, or a rule that does
            not fit.
    """
    if data.startswith("shapes:"):
        raise InputError(f"--data {data}: fine-tuning reads files; write them with fima shapes and give that folder")
    train, test = (open_dataset(data, split=split) for split in (train_split, test_split))
    if train.class_names != test.class_names or len(train.class_names) < 2:
        raise InputError(f"{data}: expected two classes or more, the same in {train_split} and {test_split}")
    records = [*train, *test]
    if unlabeled := next((record for record in records if record.label is None), None):
        raise InputError(f"{data}: {unlabeled.video_id} has no label")
    _refuse_shared(train, test, data)
    ids = tuple(record.video_id for record in records)
    rule = _own_rule(Path(data)) if group is None else group.removeprefix("none")
    return Videos(
        ids,
        tuple(record.path.resolve() for record in records),
        np.array([record.label for record in records], np.int64),
        train.class_names,
        np.arange(len(train)),
        np.arange(len(train), len(records)),
        group_rule(rule, ids, Path(data)) if rule else None,
        rule,
        (*train.missing, *test.missing),
    )


def _own_rule(folder: Path) -> str:
    """The rule of a data set that says itself what its videos were cut from; else empty."""
    for name in ("annotations/groups.csv", "groups.csv"):
        if (folder / name).is_file():
            with (folder / name).open(newline="", encoding="utf-8") as file:
                columns = next(csv.reader(file), [])
            if len(columns) > 1:
                return f"{name}:{columns[1]}"
    return ""


def group_rule(rule: str, ids: tuple[str, ...], folder: Path) -> Ints:
    """Number the source recordings.

    Args:
        rule: ``FILE.csv:COLUMN`` (a table whose first column is the video; below the data set's folder, or a path), or
            a regular expression that is looked for in the video's id; its first group, or else all of what it matches,
            names the recording.
        ids: of the videos.
        folder: of the data set.

    Returns:
        ``(V,)``, in the order in which the recordings first come.

    Raises:
        InputError: if it cannot be read, or a video has no recording by it.
    """
    file, _, column = rule.rpartition(":")
    names = _of_table(file, column, folder) if file.endswith((".csv", ".tsv")) else _of_pattern(rule, ids)
    missing = [video for video in ids if video not in names]
    if missing:
        raise InputError(f"--group {rule}: says nothing of {len(missing)} of {len(ids)} videos, such as {missing[0]!r}")
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(names[video], len(numbers)) for video in ids], np.int64)


def _of_table(file: str, column: str, folder: Path) -> dict[str, str]:
    path = next((place for place in (folder / file, Path(file)) if place.is_file()), None)
    if path is None:
        raise InputError(f"--group {file}:{column}: there is no {folder / file}, nor {file}")
    rows = read_table(path, [column])
    key = next(iter(rows[0])) if rows else column
    return {video_stem(row[key]): row[column] for row in rows}


def _of_pattern(rule: str, ids: tuple[str, ...]) -> dict[str, str]:
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise InputError(f"--group {rule}: is neither FILE.csv:COLUMN nor a regular expression ({error})") from None
    found = {video: match for video in ids if (match := pattern.search(video))}
    return {video: str(match.group(1) if pattern.groups else match.group(0)) for video, match in found.items()}


def _refuse_shared(train: VideoDataset, test: VideoDataset, data: str) -> None:
    if both := {record.video_id for record in train} & {record.video_id for record in test}:
        raise InputError(f"{data}: {len(both)} videos are in both splits, such as {min(both)}")
