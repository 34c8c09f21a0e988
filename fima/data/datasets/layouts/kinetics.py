"""Kinetics as its makers publish it: tables of clips, and a folder of files for each split.

Class folders (``train_256/<class>/``) are `fima.data.datasets.layouts.folders`; lists of other toolboxes are in
`fima.data.datasets.registry`.
"""

from __future__ import annotations

import re
from pathlib import Path

from fima.data.datasets.index import Index, Listed, Request, look_up
from fima.data.datasets.layouts.folders import has_split_folders
from fima.data.datasets.list_files import first_line, read_table
from fima.errors import InputError

__all__ = ["is_kinetics", "read_kinetics"]

_FOLDERS = ("annotations", "anno", "labels", ".")
_TABLE = re.compile(r"(?:kinetics\w*_)?(train|val|validate|test)\.csv")
_COLUMNS = ("youtube_id", "time_start", "time_end")
_KINDS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}


def is_kinetics(request: Request) -> bool:
    """Tables with the official columns, and no class folders to take the classes from."""
    return bool(_tables(request)) and not has_split_folders(request)


def read_kinetics(request: Request) -> Index:
    """Files ``<youtube_id>_<start>_<end>`` of a split's table; classes are numbered by sorted name over all tables.

    Source: columns ``label,youtube_id,time_start,time_end,split``; six digits for each time, as in the copies of
    cvdfoundation/kinetics-dataset and the ActivityNet crawler. Old test tables have no labels.
    """
    tables = _tables(request)
    if not tables:
        raise InputError(f"{request.path}: holds no table with the columns label, {', '.join(_COLUMNS)}")
    kind = _KINDS.get(request.split or "")
    if kind not in tables:
        raise InputError(
            f"{request.path}: no split {request.split!r}; expected one of {', '.join(tables)}, each a folder of videos"
        )
    rows = {name: read_table(request.disk.watch(path), _COLUMNS) for name, path in tables.items()}
    names = tuple(sorted({row["label"] for table in rows.values() for row in table if row.get("label")}))
    ids = {name: i for i, name in enumerate(names)}
    listed = [Listed(_file_name(tables[kind], row), ids.get(row.get("label", ""))) for row in rows[kind]]
    places = (kind, f"videos_{kind}", f"{kind}_256", f"rawframes_{kind}", "videos", "data", ".")
    root, found, missing = look_up(request, listed, places)
    return Index("kinetics", root, names, found, missing)


def _tables(request: Request) -> dict[str, Path]:
    """Split → its table, from the first folder that has one."""
    for folder in (request.path / name for name in _FOLDERS):
        matches = [match for match in map(_TABLE.fullmatch, request.disk.files_in(folder)) if match]
        tables = {_KINDS[match[1]]: folder / match[0] for match in matches if _is_table(request, folder / match[0])}
        if tables:
            return tables
    return {}


def _is_table(request: Request, path: Path) -> bool:
    columns = first_line(request.disk.watch(path)).split(",")
    return all(column in columns for column in _COLUMNS)


def _file_name(table: Path, row: dict[str, str]) -> str:
    try:
        start, end = round(float(row["time_start"])), round(float(row["time_end"]))
    except (ValueError, OverflowError):
        raise InputError(
            f"{table}: expected times in seconds for {row['youtube_id']}, got {row['time_start']}"
        ) from None
    return f"{row['youtube_id']}_{start:06d}_{end:06d}"
