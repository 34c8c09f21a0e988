"""What jobs answered: the class predicted for every test video, from the files they left."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.downstream.folds import Parts
from analysis.downstream.plan import FEATURES, SPLIT, Job
from analysis.downstream.videos import Videos
from fima.errors import InputError
from fima.files.reading import read_json
from fima.files.writing import write_csv
from fima.legacy import american_keys

__all__ = ["Answer", "gather", "read_job", "write_predictions"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answer:
    """One checkpoint's answers in one task from one seed, over one split or all folds.

    Attributes:
        checkpoint, task, seed: whose.
        where: "split" or "folds".
        predictions: ``(V,)`` predicted labels; -1 for videos that were not tested.
        folds: ``(V,)`` number of the fold in which a video was tested, from 1; 0 elsewhere and on the split.
        chance: of a right answer; of folds the mean over videos.
        parts: number of jobs that it is made of.
    """

    checkpoint: str
    task: str
    seed: int
    where: str
    predictions: Ints
    folds: Ints
    chance: float
    parts: int = 1


def write_predictions(path: Path, videos: Videos, places: Ints, predictions: Ints) -> None:
    """Rows of video, label, prediction, as ``fima finetune`` writes them but without scores."""
    names = videos.class_names
    guessed = zip(places, predictions, strict=True)
    rows = ((videos.listed_ids[place], names[videos.labels[place]], names[guess]) for place, guess in guessed)
    write_csv(path, ("video", "label", "prediction"), rows)


def read_job(job: Job, videos: Videos, parts: Parts) -> tuple[Ints, dict[str, Any]]:
    """The predictions of a finished job, and its result.

    Returns:
        ``(V,)`` labels, -1 where not tested; result.json.

    Raises:
        InputError: if a row is of a video that is no test video, or of a class that there is not.
    """
    path = job.folder / "predictions.csv"
    place_of = {videos.listed_ids[place]: place for place in parts.test}
    label_of = {name: label for label, name in enumerate(videos.class_names)}
    predictions = np.full(len(videos), -1, np.int64)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["video"] not in place_of or row["prediction"] not in label_of:
                raise InputError(f"{path}: {row['video']!r}, {row['prediction']!r}: no test video, or no class of them")
            place = place_of[row["video"]]
            if label_of[row["label"]] != videos.labels[place]:
                raise InputError(f"{path}: {row['video']!r} is {row['label']}, but was listed as another class")
            predictions[place] = label_of[row["prediction"]]
    return predictions, american_keys(read_json(job.folder / "result.json"))


def gather(jobs: Sequence[Job], videos: Videos, scopes: Mapping[str, Parts]) -> list[Answer]:
    """Answers of the finished jobs; folds of one seed are one answer, once all of them are there."""
    read = {job: read_job(job, videos, scopes[job.scope]) for job in jobs if job.task != FEATURES and job.finished}
    folds = [scope for scope in scopes if scope != SPLIT]
    answers: list[Answer] = []
    together: dict[tuple[str, str, int], list[Job]] = {}
    for job, (predictions, result) in read.items():
        if job.scope == SPLIT:
            nothing = np.zeros(len(videos), np.int64)
            level = _chance(result, videos)
            answers.append(Answer(job.checkpoint.name, job.task, job.seed, SPLIT, predictions, nothing, level))
        else:
            together.setdefault((job.checkpoint.name, job.task, job.seed), []).append(job)
    for (name, task, seed), parts in together.items():
        if len(parts) == len(folds):
            answers.append(_joined(name, task, seed, parts, read, videos, scopes))
    return answers


def _joined(
    name: str,
    task: str,
    seed: int,
    jobs: Sequence[Job],
    read: Mapping[Job, tuple[Ints, dict[str, Any]]],
    videos: Videos,
    scopes: Mapping[str, Parts],
) -> Answer:
    predictions, folds = np.full(len(videos), -1, np.int64), np.zeros(len(videos), np.int64)
    levels = np.zeros(len(videos))
    for job in jobs:
        test = scopes[job.scope].test
        predictions[test] = read[job][0][test]
        folds[test] = int(job.scope.removeprefix("fold"))
        levels[test] = _chance(read[job][1], videos)
    return Answer(name, task, seed, "folds", predictions, folds, float(levels[folds > 0].mean()), len(jobs))


def _chance(result: Mapping[str, Any], videos: Videos) -> float:
    return float(result.get("chance", 1 / len(videos.class_names)))
