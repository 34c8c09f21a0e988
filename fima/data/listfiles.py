"""Reading the text files that come with data sets; knows nothing of what is on disk."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fima.errors import InputError

__all__ = ["ListRow", "number_labels", "read_class_ids", "read_list", "read_split"]

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
    for number, line in _lines(path) if path.is_file() else ():
        parts = line.split(maxsplit=1)
        if len(parts) != 2 or not parts[0].isdigit():
            raise InputError(f"{path}:{number}: expected a number and a class name, got {line!r}")
        ids[parts[1]] = int(parts[0]) - 1
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
    for number, line in _lines(path):
        name, label = line, ""
        if line.split()[-1].isdigit() and len(line.split()) > 1:
            name, label = line.rsplit(maxsplit=1)
        folder = name.split("/")[0]
        if "/" not in name:
            raise InputError(f"{path}:{number}: expected Class/name, got {line!r}")
        if label and official and official.get(folder, -1) + 1 != int(label):
            raise InputError(f"{path}:{number}: {folder} has number {label}, which classInd.txt does not say")
        rows.append(ListRow(name, folder))
    return rows


def read_list(path: Path, separator: str | None, extensions: Sequence[str]) -> list[ListRow]:
    """Rows of ``path label`` or ``path``; a first row that only names the columns is left out.

    Args:
        path: the list file.
        separator: a word ("space", "comma", "tab"), the character or ``::``; None: the first of ``::``, tab, comma
            and space that a row holds.
        extensions: of video files: a row that ends in one of them is a path without label.

    Raises:
        InputError: if a row has more than two columns.
    """
    lines = list(_lines(path))
    mark = _detect(lines) if separator is None else _SEPARATORS.get(separator, separator)
    if not mark:
        raise InputError(f"{path}: separator must be space, comma, tab, :: or another character, got {separator!r}")
    rows = [_split_row(path, number, line, mark, tuple(extensions)) for number, line in lines]
    return rows[1:] if rows and rows[0].name.lower() in _HEADERS else rows


def number_labels(path: Path, rows: Sequence[ListRow]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Label text → number, and the class names by number.

    Texts that are all whole numbers are the labels themselves; otherwise names are numbered in sorted order.

    Raises:
        InputError: if a numeric label is negative or absurdly large.
    """
    texts = sorted({row.class_name for row in rows if row.class_name is not None})
    try:
        ids = {text: int(text) for text in texts}
    except ValueError:
        return {text: i for i, text in enumerate(texts)}, tuple(texts)
    for text, label in ids.items():
        if not 0 <= label <= _LARGEST_LABEL:
            raise InputError(f"{path}: labels must be from 0 to {_LARGEST_LABEL}, got {text}")
    return ids, tuple(str(label) for label in range(max(ids.values(), default=-1) + 1))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank, stripped."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not a text file (UTF-8)") from None
    return ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip())


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
