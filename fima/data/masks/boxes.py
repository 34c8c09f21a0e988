"""Masks from boxes: the ground-truth tubes of UCF101-24 and JHMDB, and a plain table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.records import VideoRecord
from fima.data.masks.safe_pickle import load_plain, numbers
from fima.data.masks.source import Masks, blank, find, frame_numbers, names_of
from fima.errors import InputError
from fima.files.reading import read_rows, whole_number

__all__ = ["COLUMNS", "BoxMasks", "fill_boxes", "read_table", "read_tubes"]

COLUMNS = ("video", "frame", "x1", "y1", "x2", "y2")
"""Of a table of boxes."""

Array = NDArray[np.float64]


class BoxMasks:
    """Masks of boxes; a frame is annotated where it has at least one.

    Args:
        path: the file, for messages.
        boxes: by video, ``(n, 5)`` rows of frame (from 0), x1, y1, x2, y2 in pixels, whose edges are at whole numbers.
        sizes: by video, the height and width that its boxes are of; None: the video's own.
    """

    def __init__(
        self, path: Path, boxes: Mapping[str, Array], sizes: Mapping[str, tuple[float, float]] | None = None
    ) -> None:
        self._path, self._boxes, self._sizes = path, boxes, sizes

    def __contains__(self, record: VideoRecord) -> bool:
        return self._name(record) is not None

    def __repr__(self) -> str:
        return f"BoxMasks({str(self._path)!r}, {len(self._boxes)} videos)"

    def read(self, record: VideoRecord, indices: Sequence[int], *, height: int, width: int) -> Masks:
        """As `fima.data.masks.MaskSource.read`."""
        name = find(self._path, record, self._name)
        rows = self._boxes[name]
        if self._sizes is not None:
            h, w = self._sizes[name]
            rows = rows * (1.0, width, height, width, height) / (1.0, w, h, w, h)
        return fill_boxes(rows, indices, height=height, width=width)

    def _name(self, record: VideoRecord) -> str | None:
        return next((name for name in names_of(record) if len(self._boxes.get(name, ()))), None)


def fill_boxes(rows: Array, indices: Sequence[int], *, height: int, width: int) -> Masks:
    """The union of the boxes of each frame: the pixels whose center is inside, so x1 ≤ i + ½ < x2 in column i.

    Args:
        rows: ``(n, 5)``: frame (from 0), x1, y1, x2, y2 in pixels.
        indices: of the frames wanted.
        height: of the masks, in pixels.
        width: likewise.
    """
    wanted = frame_numbers(indices)
    result = blank(len(wanted), height, width)
    limits = np.array([width, height, width, height])
    edges = np.clip(np.ceil(rows[:, 1:] - 0.5), 0, limits).astype(np.int64)
    for mask, index in zip(result.masks, wanted, strict=True):
        for x1, y1, x2, y2 in edges[rows[:, 0] == index].tolist():
            mask[y1:y2, x1:x2] = True
    result.known[:] = np.isin(wanted, rows[:, 0])
    return result


def read_tubes(path: Path) -> BoxMasks:
    """Reads ``UCF101v2-GT.pkl`` or ``JHMDB-GT.pkl`` (as MOC and MMAction2 use them), running nothing it may ask for.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not such a file; the message starts with its path.
    """
    content = load_plain(path)
    tubes, resolution = (_mapping(path, content, key) for key in ("gttubes", "resolution"))
    boxes, sizes = {}, {}
    for video, by_label in tubes.items():
        try:
            boxes[str(video)] = _tube_rows(by_label)
            sizes[str(video)] = _size(resolution.get(video))
        except ValueError as error:
            raise InputError(f"{path}: video {video}: {error}") from None
    return BoxMasks(path, boxes, sizes)


def _mapping(path: Path, content: Any, key: str) -> Mapping[Any, Any]:
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a dictionary with the key {key!r}, a dictionary by video; found none")
    return value


def _tube_rows(by_label: Any) -> Array:
    """All rows of a video's tubes, frames counted from 0 instead of 1."""
    if not isinstance(by_label, dict) or not all(isinstance(tubes, list | tuple) for tubes in by_label.values()):
        raise ValueError("expected a list of tubes by label")
    rows = np.concatenate([np.empty((0, 5)), *(_tube(tube) for tubes in by_label.values() for tube in tubes)])
    rows[:, 0] -= 1
    return rows


def _tube(tube: Any) -> Array:
    rows = numbers(tube)
    if rows.ndim != 2 or rows.shape[1] != 5:
        raise ValueError(f"expected tubes of shape (n, 5), rows frame, x1, y1, x2, y2; found {rows.shape}")
    frames = rows[:, 0]
    if not np.isfinite(rows).all() or (frames < 1).any() or (frames != np.floor(frames)).any():
        raise ValueError("expected tubes of finite numbers whose frames are whole and at least 1")
    return rows


def _size(value: Any) -> tuple[float, float]:
    size = numbers(() if value is None else value)
    if size.shape != (2,) or not np.isfinite(size).all() or size.min() < 1:
        raise ValueError(f"expected its resolution, (height, width), found {'none' if value is None else size}")
    return float(size[0]), float(size[1])


def read_table(path: Path) -> BoxMasks:
    """Reads a csv with the columns ``video,frame,x1,y1,x2,y2``: a video's id, a frame from 0, pixels of the video.

    A frame has as many boxes as rows; one without area says that nothing is there. Other columns are left aside.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not such a table; the message starts with its path and names the line.
    """
    rows: dict[str, list[tuple[float, ...]]] = {}
    for line, row in _table_lines(path):
        try:
            rows.setdefault(row["video"], []).append(_table_row(row))
        except ValueError as error:
            raise InputError(f"{path}: line {line}: {error}") from None
    if not rows:
        raise InputError(f"{path}: holds no boxes, only a header")
    return BoxMasks(path, {video: np.array(values) for video, values in rows.items()})


def _table_lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    rows = read_rows(path, skip_spaces=True)
    header = next(rows, (0, []))[1]
    if not set(COLUMNS) <= set(header):
        raise InputError(f"{path}: expected the columns {','.join(COLUMNS)}, found {','.join(header) or 'none'}")
    for line, row in rows:
        if row:
            yield line, dict(zip(header, [*row, *[""] * len(header)], strict=False))


def _table_row(row: Mapping[str, str]) -> tuple[float, ...]:
    frame = whole_number(row["frame"].strip())
    try:
        x1, y1, x2, y2 = (float(row[name]) for name in COLUMNS[2:])
    except ValueError:
        frame = None
    if frame is None:
        found = ",".join(row[name] for name in COLUMNS[1:])
        raise ValueError(f"expected numbers for frame,x1,y1,x2,y2, found {found[:200]}")
    if frame < 0 or not row["video"]:
        raise ValueError(f"expected a video and a frame of at least 0, found {row['video']!r} and {frame}")
    if not (math.isfinite(x1 + y1 + x2 + y2) and x1 <= x2 and y1 <= y2):
        raise ValueError(f"expected x1 ≤ x2 and y1 ≤ y2, found {x1:g},{y1:g},{x2:g},{y2:g}")
    return float(frame), x1, y1, x2, y2
