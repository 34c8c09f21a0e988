"""Results of `fima finetune`, `linear` and `knn`, class by class: from their folders to cells that can be drawn."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.downstream.table import Cell
from analysis.measures.common.statistics import summarize
from fima.errors import InputError
from fima.evaluation.metrics import confusion_matrix
from fima.files.reading import read_json, read_rows
from fima.legacy import american_keys

__all__ = ["TASKS", "RunResult", "cells_of", "classes_csv", "name_runs", "read_run", "read_runs"]

TASKS = {"finetune": "fine-tuning", "linear": "linear probe", "knn": "k-NN"}
"""Task → its name in a figure; the others of ``fima`` name no class for a video."""

_FILES = ("result.json", "knn.json")
_SAY_NOTHING = ("last", "best", "chosen", "checkpoint", "model")


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run answered.

    Attributes:
        folder: of the run.
        task: key of `TASKS`.
        checkpoint: what it was of, as the result says.
        class_names: by label.
        videos: ids of the tested videos.
        labels: ``(V,)``.
        predictions: ``(V,)``.
        how: for k-NN, whose votes these are; else empty.
        about: the whole result.
    """

    folder: Path
    task: str
    checkpoint: str
    class_names: tuple[str, ...]
    videos: tuple[str, ...]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    how: str
    about: dict[str, Any]


def read_runs(folders: Sequence[str | Path], *, votes: str | None = None) -> list[RunResult]:
    """The results of several runs on the same classes.

    Args:
        folders: each holds a result and its predictions.csv.
        votes: of k-NN, such as ``weighted@5``; None: the weighted votes of the most neighbors.

    Raises:
        InputError: As `read_run`; if a folder is given twice, or class lists differ.
    """
    resolved = [Path(folder).resolve() for folder in folders]
    twice = next((folder for i, folder in enumerate(folders) if resolved[i] in resolved[:i]), None)
    if twice is not None:
        raise InputError(f"{twice}: is given twice")
    runs = [read_run(Path(folder), votes=votes) for folder in folders]
    first = runs[0]
    for run in runs[1:]:
        ours, theirs = first.class_names, run.class_names
        if ours == theirs:
            continue
        if len(ours) != len(theirs):
            raise InputError(f"{run.folder}: has {len(theirs)} classes, but {first.folder} has {len(ours)}")
        place = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        raise InputError(
            f"{run.folder}: class {place} is {theirs[place]!r}, but in {first.folder} it is {ours[place]!r}"
        )
    return runs


def read_run(folder: Path, *, votes: str | None = None) -> RunResult:
    """The result of one run.

    Raises:
        InputError: If the folder holds no result, one that names no classes, or predictions that do not fit it.
    """
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if file is None:
        raise InputError(f"{folder}: holds no result; expected {' or '.join(_FILES)} of fima finetune, linear or knn")
    try:
        about = american_keys(read_json(file))
    except OSError as error:
        raise InputError(f"{file}: cannot be read as a result ({error})") from None
    task = about.get("task") if isinstance(about, dict) else None
    if not isinstance(task, str) or task not in TASKS or "person_boxes" in about:
        raise InputError(f"{file}: is of {task or 'another task'}; expected fima finetune, linear or knn")
    path = folder / "predictions.csv"
    try:
        header, *rows = [row for _, row in read_rows(path)]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    if not rows:
        raise InputError(f"{path}: holds no video")
    try:
        # The jobs of a downstream study write k-NN as they do the others: one prediction, by its name.
        voted = task == "knn" and "prediction" not in header
        return (_of_votes if voted else _of_classifier)(folder, about, header, rows, votes)
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no table of predictions of {task} ({type(error).__name__}: {error})") from None


def _of_classifier(
    folder: Path, about: dict[str, Any], header: list[str], rows: list[list[str]], votes: str | None
) -> RunResult:
    """Of ``fima finetune`` and ``linear`` and of downstream jobs: rows of video, label, prediction (names), scores."""
    video, label, guess = (header.index(name) for name in ("video", "label", "prediction"))
    names = _class_names(about) or tuple(sorted({row[place] for row in rows for place in (label, guess)}))
    label_of = {name: number for number, name in enumerate(names)}
    for row in rows:
        wrong = next((row[place] for place in (label, guess) if row[place] not in label_of), None)
        if wrong is not None:
            raise InputError(f"{folder / 'predictions.csv'}: {row[video]} is of {wrong!r}, which is no class of it")
    how = f"weighted@{about['k']}" if about["task"] == "knn" else ""
    if votes not in (None, how) and how:
        raise InputError(f"--votes {votes}: {folder} has {how}")
    labels, guesses = (np.array([label_of[row[place]] for row in rows], np.int64) for place in (label, guess))
    ids = tuple(row[video] for row in rows)
    return RunResult(folder, about["task"], _checkpoint(folder, about), names, ids, labels, guesses, how, about)


def _class_names(about: dict[str, Any]) -> tuple[str, ...]:
    """By label; none of a downstream job of older versions, which names the classes in its rows alone."""
    return tuple(about.get("per_class") or about.get("class_names") or ())


def _checkpoint(folder: Path, about: dict[str, Any]) -> str:
    """Path of the checkpoint; of a downstream job of older versions, the name that its study gave it."""
    return _source(about["checkpoint"]["path"]) if "checkpoint" in about else folder.resolve().parent.name


def _of_votes(
    folder: Path, about: dict[str, Any], header: list[str], rows: list[list[str]], votes: str | None
) -> RunResult:
    """Of ``fima knn``: rows of video, label, class name, and a predicted label for each way of voting."""
    ways = header[header.index("class_name") + 1 :]
    if votes is None:
        votes = max((way for way in ways if way.startswith("weighted@")), key=lambda way: int(way.split("@")[1]))
    if votes not in ways:
        raise InputError(f"--votes {votes}: {folder} has {', '.join(ways)}")
    video, label, named, guess = (header.index(name) for name in ("video", "label", "class_name", votes))
    labels, guesses = (np.array([int(row[place]) for row in rows], np.int64) for place in (label, guess))
    names = about.get("class_names")
    if names is None:  # results of older versions name the tested classes only
        known = {int(row[label]): row[named] for row in rows}
        names = [known.get(number, f"class {number}") for number in range(about["classes"])]
    if min(labels.min(), guesses.min()) < 0 or max(labels.max(), guesses.max()) >= len(names):
        raise InputError(f"{folder / 'predictions.csv'}: names a class outside 0 to {len(names) - 1}")
    ids = tuple(row[video] for row in rows)
    return RunResult(folder, "knn", _source(about["checkpoint"]), tuple(names), ids, labels, guesses, votes, about)


def _source(path: Any) -> str:
    return "random" if path is None else str(path)


def name_runs(runs: Sequence[RunResult]) -> list[str]:
    """A name for each: its checkpoint's, as long as no task has two of one name; then folders'; then their paths."""
    for names in ([_short(run.checkpoint) for run in runs], [run.folder.resolve().name for run in runs]):
        if len(set(zip(names, (run.task for run in runs), strict=True))) == len(runs):
            return names
    return [str(run.folder) for run in runs]


def _short(checkpoint: str) -> str:
    path = Path(checkpoint)
    stem = path.name.removesuffix(".tar").removesuffix(path.suffix) if path.suffix else path.name
    return path.parent.name if stem in _SAY_NOTHING and path.parent.name else stem


def cells_of(runs: Sequence[RunResult], names: Sequence[str]) -> dict[str, dict[str, Cell]]:
    """Task → name → cell, tasks in the order of `TASKS`, runs in their own.

    Values are whether each tested video is right; intervals are over videos (`summarize`).
    """
    found: dict[str, dict[str, Cell]] = {}
    for task in TASKS:
        for run, name in zip(runs, names, strict=True):
            if run.task == task:
                found.setdefault(task, {})[name] = _cell(run, name)
    return found


def _cell(run: RunResult, name: str) -> Cell:
    right = (run.predictions == run.labels).astype(np.float64)
    classes = len(run.class_names)
    return Cell(
        where="split",
        task=run.task,
        checkpoint=name,
        values=right,
        summary=summarize(right, limits=(0, 1)),
        by_source=None,
        seeds=(float(right.mean()),),
        folds=(),
        confusion=confusion_matrix(run.labels, run.predictions, classes),
        classes=tuple(summarize(right[run.labels == label], limits=(0, 1)) for label in range(classes)),
        majority=float("nan"),  # the training labels are not in a result
    )


def classes_csv(cells: dict[str, dict[str, Cell]], class_names: Sequence[str]) -> str:
    """A row for each task, run and class: accuracy with its interval, in shares, and the number of videos."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "run", "class", "accuracy", "low", "high", "videos"])
    for task, part in cells.items():
        for name, cell in part.items():
            for class_name, one in zip(class_names, cell.classes, strict=True):
                ends = ["" if np.isnan(x) else f"{x:.6g}" for x in (one.mean, one.low, one.high)]
                writer.writerow([task, name, class_name, *ends, one.num_videos])
    return text.getvalue()
