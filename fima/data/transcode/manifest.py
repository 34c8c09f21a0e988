"""What `fima.data.transcode.prepare` has done in a folder: one line for every finished video, written at once.

A line that a killed process left unfinished is passed over: its video is done again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fima.errors import InputError
from fima.files.reading import parse_json
from fima.files.writing import append_text, write_text

__all__ = ["FOLDER", "Done", "Manifest", "read_manifest", "read_planned"]

FOLDER = ".fima-prepare"
"""Inside a prepared folder; hidden, so that no reader of data sets looks into it."""

_FILE = "manifest.jsonl"
_VERSION = 1
_NAMES = ("source", "output")


@dataclass(frozen=True)
class Done:
    """A finished video.

    Attributes:
        source: path relative to the source folder, with forward slashes.
        source_bytes, source_mtime_ns: of the source when it was read.
        output: path relative to the prepared folder.
        output_bytes: its size.
        num_frames, fps, height, width: of both files, but for the size, which is the output's.
    """

    source: str
    source_bytes: int
    source_mtime_ns: int
    output: str
    output_bytes: int
    num_frames: int
    fps: float
    height: int
    width: int

    def __post_init__(self) -> None:
        for name in (self.source, self.output):
            if not isinstance(name, str) or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"{name!r} is no path in a folder")
        if not all(isinstance(value, int | float) for name, value in vars(self).items() if name not in _NAMES):
            raise ValueError("expected numbers")


def read_manifest(folder: Path) -> tuple[dict[str, Any] | None, dict[str, Done]]:
    """Reads a prepared folder's manifest.

    Args:
        folder: the prepared folder.

    Returns:
        The settings that it was made with, None if there is no manifest; and what is done, by source.

    Raises:
        InputError: if the file is there but not a manifest of this version.
    """
    path = folder / FOLDER / _FILE
    if not path.is_file():
        return None, {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    header = _parsed(lines[0]) if lines else {}
    if header.get("version") != _VERSION or not isinstance(header.get("settings"), dict):
        raise InputError(f"{path}: is not a manifest of version {_VERSION}; remove it to start afresh")
    done: dict[str, Done] = {}
    for line in lines[1:]:
        with suppress(TypeError, ValueError):  # cut off by a kill, with whatever was written after it on the same line
            entry = Done(**_parsed(line))
            done[entry.source] = entry
    return header["settings"], done


def read_planned(folder: Path) -> set[str] | None:
    """The files that earlier runs were to write, relative to the prepared folder; None where they kept no list."""
    try:
        with (folder / FOLDER / _FILE).open(encoding="utf-8", errors="replace") as file:
            header = _parsed(file.readline())
    except FileNotFoundError:
        return set()
    planned = header.get("planned")
    return set(map(str, planned)) if isinstance(planned, list) else None


def _parsed(line: str) -> dict[str, Any]:
    try:
        value = parse_json(line, _FILE)
    except InputError:
        return {}
    return value if isinstance(value, dict) else {}


class Manifest:
    """The manifest of a prepared folder, open for adding.

    Args:
        folder: the prepared folder.
        settings: that everything in it is made with.
        kept: what is done and stays so; the rest of an earlier manifest is forgotten.
        planned: files that will be written, relative to the folder: a kill must not make them somebody else's.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], kept: Mapping[str, Done], planned: Iterable[str]
    ) -> None:
        path = folder / FOLDER / _FILE
        known = sorted({*planned, *(read_planned(folder) or ())})
        head = {"version": _VERSION, "settings": dict(settings), "planned": known}
        rows = [head, *(asdict(entry) for entry in kept.values())]
        write_text(path, "".join(_line(row) for row in rows))
        self._path = path

    def add(self, entry: Done) -> None:
        """Writes one line, at once."""
        append_text(self._path, _line(asdict(entry)))


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=True) + "\n"
