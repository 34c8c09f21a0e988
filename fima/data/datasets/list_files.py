"""Reading the text files that come with data sets; knows nothing of what is on disk."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fima.errors import InputError
from fima.files.reading import read_lines, read_rows, whole_number

__all__ = [
    "ListRow",
    "first_line",
    "folder_names",
    "number_labels",
    "read_class_ids",
    "read_counted_list",
    "read_frame_list",
    "read_list",
    "read_split",
    "read_table",
    "read_tags",
]

_SEPARATORS = {"space": " ", "comma": ",", "tab": "\t"}
_HEADERS = frozenset({"path", "video", "video_path", "file", "filename", "name"})
_LARGEST_LABEL = 100_000


class ListRow(NamedTuple):
    """A listed video; ``class_name`` is the label as it is written, None if there is none."""

    name: str
    class_name: str | None


def read_class_ids(path: Path) -> dict[str, int]:
    """Class name → label from rows of ``1 ApplyEyeMakeup``, numbered from 1; empty if there is no such file.

    Raises:
        InputError: if a row is something else, or a number or a name comes twice.
    """
    ids: dict[str, int] = {}
    for number, line in read_lines(path) if path.is_file() else ():
        parts = line.split(maxsplit=1)
        label = whole_number(parts[0])
        if len(parts) != 2 or label is None:
            raise InputError(f"{path}:{number}: expected a number and a class name, got {_quoted(line)}")
        ids[parts[1]] = label - 1
    if sorted(ids.values()) != list(range(len(ids))):
        raise InputError(f"{path}: expected {len(ids)} classes numbered from 1 without gaps")
    return ids


def read_split(path: Path, official: dict[str, int]) -> list[ListRow]:
    """Rows of ``Class/name.avi`` or ``Class/name.avi 1`` (UCF101); the class is the folder.

    Args:
        path: the list file.
        official: class name → label, to check the rows' numbers against; empty: the numbers are not used.

    Raises:
        InputError: if a row has no folder, or its number is another class's.
    """
    rows = []
    for number, line in read_lines(path):
        name, label = line, ""
        if len(line.split()) > 1 and line.split()[-1].isdigit():
            name, label = line.rsplit(maxsplit=1)
        folder = name.split("/")[0]
        if "/" not in name:
            raise InputError(f"{path}:{number}: expected Class/name, got {_quoted(line)}")
        if label and official and official.get(folder, -1) + 1 != whole_number(label):
            raise InputError(f"{path}:{number}: {folder} has number {label[:20]}, which classInd.txt does not say")
        rows.append(ListRow(name, folder))
    return rows


def read_list(
    path: Path, separator: str | None, extensions: Sequence[str], *, limit: int | None = None
) -> list[ListRow]:
    """Rows of ``path label`` or ``path``; a first row that only names the columns is left out.

    Args:
        path: the list file.
        separator: a word ("space", "comma", "tab"), the character or ``::``; None: the first of ``::``, tab, comma
            and space that a row holds.
        extensions: of video files: a row that ends in one of them is a path without label.
        limit: rows to read; None: all.

    Raises:
        InputError: if a row has more than two columns.
    """
    lines = list(islice(read_lines(path), limit))
    mark = _detect(lines) if separator is None else _SEPARATORS.get(separator, separator)
    if not mark:
        raise InputError(f"{path}: separator must be space, comma, tab, :: or another character, got {separator!r}")
    rows = [_split_row(path, number, line, mark, tuple(extensions)) for number, line in lines]
    return rows[1:] if rows and rows[0].name.lower() in _HEADERS else rows


def read_counted_list(path: Path, *, limit: int | None = None) -> list[ListRow]:
    """Rows of ``path n_frames label``, as TSN, MMAction2 and SEVERE write them; paths may hold spaces.

    Raises:
        InputError: if a row is something else.
    """
    rows = []
    for number, line in islice(read_lines(path), limit):
        columns = line.rsplit(maxsplit=2)
        if len(columns) != 3 or None in map(whole_number, columns[1:]):
            raise InputError(f"{path}:{number}: expected a path, a number of frames and a label, got {_quoted(line)}")
        rows.append(ListRow(columns[0], columns[2]))
    return rows


def read_tags(path: Path, *, largest: int) -> list[tuple[str, int]]:
    """Rows of ``name tag`` (HMDB51); names may hold spaces.

    Raises:
        InputError: if a row is something else, or a tag is more than ``largest``.
    """
    rows = []
    for number, line in read_lines(path):
        columns = line.rsplit(maxsplit=1)
        tag = whole_number(columns[-1])
        if len(columns) != 2 or tag is None or not 0 <= tag <= largest:
            raise InputError(
                f"{path}:{number}: expected a file name and a tag from 0 to {largest}, got {_quoted(line)}"
            )
        rows.append((columns[0], tag))
    return rows


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table whose first row names its columns, with commas, or else semicolons or tabs, between them.

    Args:
        path: the file.
        columns: that must be there.

    Raises:
        InputError: if one of them is not, or a row is shorter than the first.
    """
    rows = ((number, row) for number, row in read_rows(path) if any(map(str.strip, row)))
    first = next(rows, (0, []))[1]
    mark = next((mark for mark in ";\t" if len(first) == 1 and mark in first[0]), "")
    header = [name.strip() for name in (first[0].split(mark) if mark else first)]
    if absent := [column for column in columns if column not in header]:
        raise InputError(f"{path}: expected the columns {', '.join(columns)}, found no {', '.join(absent)}")
    table = []
    for number, found in rows:
        row = ",".join(found).split(mark) if mark else found
        if len(row) < len(header):
            raise InputError(f"{path}:{number}: expected {len(header)} columns, got {_quoted(','.join(row))}")
        table.append(dict(zip(header, row, strict=False)))
    return table


def read_frame_list(path: Path) -> dict[str, str]:
    """Video → the folder of its frames, from PySlowFast's list with a row for every frame.

    Raises:
        InputError: if it does not start with ``original_vido_id``, or a row has no path.
    """
    if not first_line(path).startswith("original_vido_id"):
        raise InputError(f"{path}: expected the columns original_vido_id video_id frame_id path labels")
    folders: dict[str, str] = {}
    with path.open("rb") as lines:  # millions: not all at once, and only a few are of interest
        for number, line in enumerate(lines, 1):
            video = line[: line.find(b" ")].decode("utf-8", "replace")
            if number > 1 and line.strip() and video not in folders:
                columns = line.decode("utf-8", "replace").split()
                if len(columns) < 4:
                    raise InputError(
                        f"{path}:{number}: expected the path of a frame in the fourth column, got {line!r}"
                    )
                folders[video] = columns[3].rpartition("/")[0]
    return folders


def first_line(path: Path) -> str:
    """The first line that is not blank, stripped; empty if there is none or it is no text."""
    try:
        return next(read_lines(path), (0, ""))[1]
    except (OSError, InputError):
        return ""


def folder_names(rows: Sequence[ListRow], ids: dict[str, int]) -> dict[int, str]:
    """Label → the folder its videos are in, if every label has one folder, and every folder one label."""
    labeled = ((row.name.rpartition("/")[0], row.class_name) for row in rows)
    pairs = {(folder.rpartition("/")[2], ids[name]) for folder, name in labeled if name is not None}
    names = {label: folder for folder, label in pairs}
    one_to_one = len(names) == len(pairs) == len(set(names.values()))
    return names if one_to_one and len(names) > 1 else {}


def number_labels(path: Path, rows: Sequence[ListRow]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Label text → number, and the class names by number.

    Texts that are all whole numbers are the labels themselves; otherwise names are numbered in sorted order.

    Raises:
        InputError: if a numeric label is negative or absurdly large.
    """
    texts = sorted({row.class_name for row in rows if row.class_name is not None})
    numbers = {text: whole_number(text) for text in texts}
    ids = {text: number for text, number in numbers.items() if number is not None}
    if len(ids) < len(texts):
        return {text: i for i, text in enumerate(texts)}, tuple(texts)
    for text, label in ids.items():
        if not 0 <= label <= _LARGEST_LABEL:
            raise InputError(f"{path}: labels must be from 0 to {_LARGEST_LABEL}, got {text}")
    return ids, tuple(str(label) for label in range(max(ids.values(), default=-1) + 1))


def _quoted(line: str) -> str:
    return repr(line if len(line) <= 200 else f"{line[:200]}…")


def _detect(lines: list[tuple[int, str]]) -> str:
    return next((mark for mark in ("::", "\t", ",") if any(mark in line for _, line in lines)), " ")


def _split_row(path: Path, number: int, line: str, mark: str, extensions: tuple[str, ...]) -> ListRow:
    if mark == ",":
        columns = [column.strip() for column in next(csv.reader([line]))]
    elif line.lower().endswith(extensions):
        columns = [line]  # a path with the separator in it, and no label
    else:
        columns = [column.strip() for column in line.rsplit(mark, 1)]
    if len(columns) > 2:
        raise InputError(f"{path}:{number}: expected a path and a label, got {len(columns)} columns")
    return ListRow(columns[0], (columns[1] or None) if len(columns) == 2 else None)
