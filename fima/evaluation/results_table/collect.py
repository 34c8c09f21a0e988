"""Result files of runs, read into numbers. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fima.errors import InputError
from fima.evaluation.results_table.number import Number
from fima.evaluation.results_table.readers import read_detection, read_neighbors, read_supervised
from fima.legacy import american_keys

__all__ = ["RESULTS", "collect", "read_result"]

RESULTS = ("result.json", "knn.json", "retrieval.json")
"""Names of the files that `fima finetune`, `linear`, `detect`, `knn` and `retrieve` leave."""

_READERS: dict[str, Callable[[Path, dict[str, Any]], list[Number]]] = {
    "finetune": read_supervised,
    "linear": read_supervised,
    "knn": read_neighbors,
    "retrieval": read_neighbors,
    "detection": read_detection,
}


def collect(runs: Iterable[str | Path]) -> list[Number]:
    """The numbers of runs, each file once.

    Args:
        runs: result files, runs' folders, or folders of such, which are searched.

    Raises:
        InputError: if there is no such path, a folder holds no result, or a file is none.
    """
    files: dict[Path, Path] = {}
    for run in map(Path, runs):
        for file in _files(run):
            files.setdefault(file.resolve(), file)
    return [number for file in files.values() for number in read_result(file)]


def read_result(file: Path) -> list[Number]:
    """The numbers of a result.

    Raises:
        InputError: if it is none.
    """
    try:
        content = american_keys(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: cannot be read as a result ({error})") from None
    found = content if isinstance(content, dict) else {}
    task = "detection" if "person_boxes" in found else str(found.get("task"))
    read = _READERS.get(task)
    if read is None:
        raise InputError(f"{file}: is no result of fima finetune, linear, knn, retrieve or detect")
    try:
        return read(file, found)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{file}: lacks what a result of {task} has ({type(error).__name__}: {error})") from None


def _files(run: Path) -> list[Path]:
    if run.is_file():
        return [run]
    if not run.is_dir():
        raise InputError(f"{run}: no such file or folder, expected a run")
    files = sorted(path for name in RESULTS for path in run.rglob(name) if path.is_file())
    if not files:
        raise InputError(f"{run}: holds no result, expected {', '.join(RESULTS)} in it or in a folder in it")
    return files
