"""What the videos of a data set were cut from: clips of one recording are alike, and count as one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.list_files import read_table
from fima.data.datasets.records import video_stem
from fima.errors import InputError

__all__ = ["UCF101_RULE", "group_rule", "own_rule", "source_groups"]

Ints = NDArray[np.int64]

UCF101_RULE = r"v_\w+_g\d+(?=_c\d+$)"


def own_rule(folder: Path, ids: Sequence[str]) -> str:
    """The rule of a data set that says itself what its videos were cut from; empty for others.

    Such are a table ``annotations/groups.csv`` or ``groups.csv`` (its second column), and the names of UCF101, in which
    all clips of one recording have the same ``gNN``.

    Args:
        folder: Of the data set, or its list.
        ids: Of its videos.

    Raises:
        InputError: If the table cannot be read.
    """
    for name in ("annotations/groups.csv", "groups.csv"):
        if (path := _root(folder) / name).is_file():
            columns = list(next(iter(read_table(path, [])), {}))
            if len(columns) > 1:
                return f"{name}:{columns[1]}"
    return UCF101_RULE if ids and all(re.search(UCF101_RULE, video) for video in ids) else ""


def source_groups(folder: Path, ids: Sequence[str]) -> list[int] | None:
    """Numbers of the recordings by the data set's own rule; None where it has none, or one that misses a video."""
    try:
        rule = own_rule(folder, ids)
        return group_rule(rule, tuple(ids), folder).tolist() if rule else None
    except InputError:
        return None


def group_rule(rule: str, ids: tuple[str, ...], folder: Path) -> Ints:
    """Number the source recordings.

    Args:
        rule: ``FILE.csv:COLUMN`` (a table whose first column is the video, its path or the end of it; below the data
            set's folder, or a path), or
            a regular expression that is looked for in the video's id; its first group, or else all of what it matches,
            names the recording.
        ids: of the videos.
        folder: of the data set, or its list.

    Returns:
        ``(V,)``, in the order in which the recordings first come.

    Raises:
        InputError: if it cannot be read, or a video has no recording by it.
    """
    file, _, column = rule.rpartition(":")
    names = _of_table(file, column, _root(folder), ids) if file.endswith((".csv", ".tsv")) else _of_pattern(rule, ids)
    missing = [video for video in ids if video not in names]
    if missing:
        raise InputError(f"--group {rule}: says nothing of {len(missing)} of {len(ids)} videos, such as {missing[0]!r}")
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(names[video], len(numbers)) for video in ids], np.int64)


def _root(data: Path) -> Path:
    return data.parent if data.is_file() else data


def _of_table(file: str, column: str, folder: Path, ids: tuple[str, ...]) -> dict[str, str]:
    path = next((place for place in (folder / file, Path(file)) if place.is_file()), None)
    if path is None:
        raise InputError(f"--group {file}:{column}: there is no {folder / file}, nor {file}")
    rows = read_table(path, [column])
    key = next(iter(rows[0])) if rows else column
    return _same_videos({video_stem(row[key].strip().replace("\\", "/")): row[column] for row in rows}, ids)


def _same_videos(names: dict[str, str], ids: tuple[str, ...]) -> dict[str, str]:
    """Video → recording, also where a table writes more or less of a path than the data set, if that fits one alone."""
    ends: dict[str, list[str]] = {}
    for name in names.keys() - set(ids):
        ends.setdefault(name.rpartition("/")[2], []).append(name)
    fitting = {
        video: [video] if video in names else [n for n in ends.get(video.rpartition("/")[2], []) if _ends_as(n, video)]
        for video in ids
    }
    times = Counter(name for fits in fitting.values() for name in fits)
    return {video: names[fits[0]] for video, fits in fitting.items() if len(fits) == 1 and times[fits[0]] == 1}


def _ends_as(name: str, video: str) -> bool:
    return f"/{name}".endswith(f"/{video}") or f"/{video}".endswith(f"/{name}")


def _of_pattern(rule: str, ids: tuple[str, ...]) -> dict[str, str]:
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise InputError(f"--group {rule}: is neither FILE.csv:COLUMN nor a regular expression ({error})") from None
    found = {video: match for video in ids if (match := pattern.search(video))}
    return {video: str(match.group(1) if pattern.groups else match.group(0)) for video, match in found.items()}
