"""Whether the data of an evaluation can carry it: labels, classes, videos that are in training and test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets import VideoDataset, VideoRecord
from fima.data.duplicates import content_key
from fima.errors import InputError
from fima.seeding import SampleKeys, uniforms

__all__ = ["check_labels", "check_same_classes", "duplicates", "hold_out", "take_examples"]


def duplicates(train: Iterable[VideoRecord], test: Iterable[VideoRecord]) -> list[tuple[str, str]]:
    """Pairs (training, test) of the same video: the same record, or files with the same content.

    Names say nothing: ``train/a/1.mp4`` and ``test/a/1.mp4`` may be two videos. Only files whose size is that of a file
    on the other side are read (`fima.data.duplicates.content_key`).

    Returns:
        ``(video_id, video_id)``, in the order of the test videos.
    """
    train, test = list(train), list(test)
    alike = {_size(record) for record in train} & {_size(record) for record in test} - {None}
    same: dict[object, str] = {}
    for record in train:
        same[record] = record.video_id
        if _size(record) in alike and (key := content_key(record.path)) is not None:
            same.setdefault(key, record.video_id)
    found = []
    for record in test:
        twin = same.get(record)
        if twin is None and _size(record) in alike:
            twin = same.get(content_key(record.path))
        if twin is not None:
            found.append((twin, record.video_id))
    return found


def check_labels(videos: VideoDataset, what: str) -> None:
    """Refuse videos without labels, or with labels outside the class map.

    Raises:
        InputError: names the first such video.
    """
    if not len(videos):
        raise InputError(f"{what}: holds no video")
    if not videos.class_names:
        raise InputError(f"{what}: has no labels, which a classifier needs; give class folders or lists with labels")
    classes = len(videos.class_names)
    if classes < 2:
        raise InputError(f"{what}: has one class, {videos.class_names[0]}; a classifier needs at least 2")
    for record in videos:
        if record.label is None or not 0 <= record.label < classes:
            raise InputError(f"{what}: {record.video_id} has label {record.label}, expected 0 to {classes - 1}")


def check_same_classes(ours: Sequence[str], theirs: Sequence[str], what: str) -> None:
    """Refuse two class maps that differ.

    Args:
        ours: names by label.
        theirs: likewise.
        what: for the message, such as "the checkpoint and --data".

    Raises:
        InputError: names the first difference.
    """
    for place, (here, there) in enumerate(zip(ours, theirs, strict=False)):
        if here != there:
            raise InputError(f"{what} disagree: class {place} is {here!r} and {there!r}")
    if len(ours) != len(theirs):
        raise InputError(f"{what} disagree: {len(ours)} classes and {len(theirs)}")


def hold_out(labels: NDArray[np.int64], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A class-balanced split, drawn by seed.

    Args:
        labels: ``(V,)``.
        share: of each class to hold out, in (0, 1); at least one video of a class that has two.
        seed: of the draw.

    Returns:
        Indices of the videos kept and of those held out, ascending.

    Raises:
        InputError: if the share is out of its range, or nothing can be held out.
    """
    if not 0 < share < 1:
        raise InputError(f"validation.fraction must be in (0, 1), got {share}")
    order = np.argsort(_draws(len(labels), seed, "hold out"), kind="stable")
    held: list[int] = []
    for label in np.unique(labels):
        own = order[labels[order] == label]
        count = min(max(round(share * len(own)), 1), len(own) - 1)
        held += own[:count].tolist()
    if not held:
        raise InputError("no class has two videos, so none can be held out for validation; give --val-split")
    mask = np.zeros(len(labels), bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def take_examples(labels: NDArray[np.int64], examples: int, seed: int) -> NDArray[np.int64]:
    """Indices of so many videos, ascending: from each class in turn, which of its videos is drawn by seed.

    Raises:
        InputError: if there are not as many.
    """
    if not 1 <= examples <= len(labels):
        raise InputError(f"examples must be in [1, {len(labels)}], the training videos, got {examples}")
    draws = _draws(len(labels), seed, "examples")
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        rank[own[np.argsort(draws[own], kind="stable")]] = np.arange(len(own))
    order = np.lexsort((draws, rank))  # every class's first video, then every class's second, …
    return np.sort(order[:examples])


def _draws(count: int, seed: int, purpose: str) -> NDArray[np.float64]:
    return uniforms(SampleKeys(seed, 0, np.arange(count)), purpose, 1)[:, 0]


def _size(record: VideoRecord) -> int | None:
    """Bytes of the file; 0 for a folder of pictures, None where there is nothing on the disk."""
    try:
        return 0 if record.path.is_dir() else record.path.stat().st_size
    except OSError:
        return None
