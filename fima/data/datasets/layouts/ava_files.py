"""AVA's annotation files: boxes with actions, person boxes with scores, excluded timestamps, label maps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError
from fima.files.reading import read_rows, read_text, whole_number

__all__ = ["FIRST_SECOND", "LAST_SECOND", "Keyframe", "read_ava_boxes", "read_excluded", "read_label_map"]

FIRST_SECOND, LAST_SECOND = 902, 1798
"""Keyframes lie at these seconds of the film and those between."""

_BLOCK = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"""\bname\s*:\s*(?:"([^"]*)"|'([^']*)')""")
_ID = re.compile(r"\b(?:label_)?id\s*:\s*([0-9]+)")
_LARGEST_MAP = 1 << 20
_OUTSIDE = 0.1  # share of the frame that a box may reach beyond it before it is taken for one in pixels


class Keyframe(NamedTuple):
    """The persons at a second of a film.

    Attributes:
        video: the film's id.
        second: of the film.
        boxes: ``(N, 4)`` float64: x1, y1, x2, y2 as shares of the frame, in [0, 1].
        actions: ids of what each person does; empty for boxes of a person detector.
    """

    video: str
    second: int
    boxes: NDArray[np.float64]
    actions: tuple[tuple[int, ...], ...]


def read_ava_boxes(path: Path, *, min_score: float | None = None) -> list[Keyframe]:
    """Keyframes of a table without a header, in the order of films and seconds.

    Rows are ``video,second,x1,y1,x2,y2,action,person`` or, with a score, ``video,second,x1,y1,x2,y2,score``, where
    columns may stand before the score (PySlowFast has the action there, empty where there is none). Rows of the same
    box are one person, whose actions are put together.

    Args:
        path: the table.
        min_score: of person boxes: those below are left out, and all actions are. None: the table has actions.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a row is not understood, names the file and the line; or there is none.

    Source: research.google.com/ava/download.html; PySlowFast ``slowfast/datasets/ava_helper.py``.
    """
    least = 7
    found: dict[tuple[str, int], dict[tuple[float, ...], set[int]]] = {}
    for number, row in _rows(path):
        if len(row) < least:
            raise InputError(f"{path}:{number}: expected at least {least} columns, got {','.join(row)!r}")
        where = f"{path}:{number}"
        key = row[0], _second(row[1], where)
        box = _box(row[2:6], where)
        if min_score is not None:
            if _number(row[-1], "a score", where) >= min_score:
                found.setdefault(key, {}).setdefault(box, set())
            continue
        found.setdefault(key, {}).setdefault(box, set()).add(_action(row[6], where))
    if not found and min_score is None:
        raise InputError(f"{path}: holds no boxes")
    return [
        Keyframe(*key, np.array(list(found[key]), np.float64), tuple(tuple(sorted(a)) for a in found[key].values()))
        for key in sorted(found)
    ]


def read_excluded(path: Path) -> frozenset[tuple[str, int]]:
    """Keyframes that do not count, from rows ``video,second``.

    Raises:
        InputError: if a row is not understood.
    """
    keys = set()
    for number, row in _rows(path):
        if len(row) != 2:
            raise InputError(f"{path}:{number}: expected a video and a second, got {','.join(row)!r}")
        keys.add((row[0], _second(row[1], f"{path}:{number}")))
    return frozenset(keys)


def read_label_map(path: Path) -> dict[int, str]:
    """Class id → name, by id, from a text of ``item { name: "…" id: N }`` or ``label { name: … label_id: N … }``.

    Raises:
        InputError: if it holds none, a block lacks either, or an id is there twice.
    """
    classes: dict[int, str] = {}
    for block in _BLOCK.findall(read_text(path, most=_LARGEST_MAP)):
        name, number = _NAME.search(block), _ID.search(block)
        if name is None or number is None:
            raise InputError(f"{path}: expected a name and an id in every block, got {' '.join(block.split())!r}")
        label = whole_number(number[1])
        if label is None:
            raise InputError(f"{path}: expected the id of an action, got {number[1][:20]}…")
        if label in classes:
            raise InputError(f"{path}: id {label} is there twice")
        classes[label] = name[1] if name[1] is not None else name[2]
    if not classes:
        raise InputError(f'{path}: expected blocks of item {{ name: "…" id: N }}, found none')
    return dict(sorted(classes.items()))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    return ((number, [column.strip() for column in row]) for number, row in read_rows(path) if row)


def _number(text: str, what: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: expected {what}, got {text!r}")
    return value


def _second(text: str, where: str) -> int:
    value = _number(text, "a second", where)
    if value != int(value) or value < 0:
        raise InputError(f"{where}: expected a whole second, got {text!r}")
    return int(value)


def _action(text: str, where: str) -> int:
    value = _number(text, "the id of an action", where)
    if value != int(value) or value < 1:
        raise InputError(f"{where}: expected the id of an action, from 1, got {text!r}")
    return int(value)


def _box(texts: Sequence[str], where: str) -> tuple[float, ...]:
    x1, y1, x2, y2 = (_number(text, "a coordinate", where) for text in texts)
    inside = min(x1, y1) >= -_OUTSIDE and max(x2, y2) <= 1 + _OUTSIDE
    if not (x1 <= x2 and y1 <= y2 and inside):
        raise InputError(f"{where}: expected x1 ≤ x2 and y1 ≤ y2 as shares of the frame, got {','.join(texts)}")
    return tuple(min(max(value, 0.0), 1.0) for value in (x1, y1, x2, y2))
