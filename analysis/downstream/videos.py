"""The labeled videos of a study: one list of all, which of them train and test are, and what they were cut from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets import VideoDataset, open_dataset
from fima.data.datasets.groups import group_rule, own_rule
from fima.data.datasets.records import video_stem
from fima.errors import InputError

__all__ = ["Videos", "open_videos"]

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


def open_videos(
    data: str, *, train_split: str | None = None, test_split: str | None = None, group: str | None = None
) -> Videos:
    """Read a data set with labels.

    Args:
        data: its folder.
        train_split: of the data set; None: "train", or every video where there are no splits, none of them ``test``.
        test_split: likewise, "test".
        group: See `fima.data.datasets.groups.group_rule`; None takes what `own_rule` finds, "none" nothing.

    Raises:
        FileNotFoundError: if there is no such data.
        InputError: for drawn data, videos without label or in both splits, classes that disagree, or a rule that does
            not fit.
    """
    if data.startswith("shapes:"):
        raise InputError(f"--data {data}: fine-tuning reads files; write them with fima shapes and give that folder")
    train, test = _splits(data, train_split, test_split)
    if train.class_names != test.class_names or len(train.class_names) < 2:
        found = " and ".join(dict.fromkeys(_named(part.class_names) for part in (train, test)))
        raise InputError(
            f"{data}: expected two classes or more, the same in training and test, found {found} ({train.layout}); "
            "see docs/datasets.md, or give a list of `path label` rows"
        )
    records = [*train, *test]
    if unlabeled := next((record for record in records if record.label is None), None):
        raise InputError(f"{data}: {unlabeled.video_id} has no label")
    _refuse_shared(train, test, data)
    ids = tuple(record.video_id for record in records)
    rule = own_rule(Path(data), ids) if group is None else group.removeprefix("none")
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


def _named(classes: tuple[str, ...]) -> str:
    return (", ".join(classes[:3]) + (", …" if len(classes) > 3 else "")) or "none"


def _splits(data: str, train_split: str | None, test_split: str | None) -> tuple[VideoDataset, VideoDataset]:
    asked = train_split or "train", test_split or "test"
    try:
        train, test = (open_dataset(data, split=split) for split in asked)
    except InputError:
        if train_split or test_split:
            raise
        train = open_dataset(data)
        test = replace(train, records=(), missing=())
    return train, test


def _refuse_shared(train: VideoDataset, test: VideoDataset, data: str) -> None:
    if both := {record.video_id for record in train} & {record.video_id for record in test}:
        raise InputError(f"{data}: {len(both)} videos are in both splits, such as {min(both)}")
