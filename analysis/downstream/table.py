"""Answers put together: a cell for each checkpoint and task, and the differences between checkpoints."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.downstream.answers import Answer
from analysis.downstream.folds import Parts
from analysis.downstream.plan import SPLIT, TASKS
from analysis.downstream.videos import Videos
from analysis.measures.common.statistics import PairedDifference, Summary, paired_difference, summarize
from fima.evaluation.intervals import interval
from fima.evaluation.metrics import confusion_matrix

__all__ = ["Cell", "Difference", "Table", "collect", "compare", "differences_csv", "majority_rate", "results_csv"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Cell:
    """One checkpoint in one task.

    Attributes:
        where, task, checkpoint: which; ``where`` is "split" or "folds".
        values: ``(V,)`` share of the seeds that were right, by video of the data set; NaN where not tested.
        summary: of the values.
        by_source: the interval with source recordings drawn; None without.
        seeds: accuracy of every seed.
        folds: accuracy in every fold, of the values; empty on the split.
        confusion: ``(classes, classes)`` answers of all seeds; rows are labels.
        classes: summary of the values by class.
        majority: accuracy of always naming the class that training has most of.
    """

    where: str
    task: str
    checkpoint: str
    values: Array
    summary: Summary
    by_source: Interval | None
    seeds: tuple[float, ...]
    folds: tuple[float, ...]
    confusion: Ints
    classes: tuple[Summary, ...]
    majority: float


Table = dict[str, dict[str, dict[str, Cell]]]
"""Where → task → checkpoint → cell."""


@dataclass(frozen=True)
class Difference:
    """Two checkpoints on the same test videos: second minus first, in shares.

    Attributes:
        where, task, first, second: which.
        paired: videos drawn in pairs.
        by_source: interval with source recordings drawn; None without.
    """

    where: str
    task: str
    first: str
    second: str
    paired: PairedDifference
    by_source: Interval | None

    @property
    def clear(self) -> bool:
        """Whether every interval leaves out 0."""
        low, high = self.interval
        return low > 0 or high < 0

    @property
    def interval(self) -> Interval:
        """The hull of the intervals over videos and over source recordings."""
        ends = [(self.paired.low, self.paired.high), *([self.by_source] if self.by_source else [])]
        return min(low for low, _ in ends), max(high for _, high in ends)


def collect(answers: Sequence[Answer], videos: Videos, scopes: Mapping[str, Parts], names: Sequence[str]) -> Table:
    """Put the seeds of every checkpoint and task together; checkpoints in the order of ``names``."""
    table: Table = {}
    for where in (SPLIT, "folds"):
        for task in TASKS:
            for name in names:
                own = [one for one in answers if (one.where, one.task, one.checkpoint) == (where, task, name)]
                if own:
                    table.setdefault(where, {}).setdefault(task, {})[name] = _cell(own, videos, scopes)
    return table


def _cell(answers: Sequence[Answer], videos: Videos, scopes: Mapping[str, Parts]) -> Cell:
    first = answers[0]
    predictions = np.stack([one.predictions for one in answers])
    right = np.where(predictions < 0, np.nan, predictions == videos.labels)
    tested = (predictions >= 0).any(axis=0)
    values = np.full(len(videos), np.nan)
    values[tested] = np.nanmean(right[:, tested], axis=0)
    counted = predictions >= 0
    labels = np.broadcast_to(videos.labels, predictions.shape)
    numbers = [number for number in np.unique(first.folds) if number > 0]
    classes = range(len(videos.class_names))
    return Cell(
        first.where,
        first.task,
        first.checkpoint,
        values,
        summarize(values[tested], chance=float(np.mean([one.chance for one in answers])), limits=(0, 1)),
        None if videos.groups is None else interval(values, videos.groups, limits=(0, 1))[:2],
        tuple(float(np.nanmean(row)) for row in right),
        tuple(float(np.nanmean(values[first.folds == number])) for number in numbers),
        confusion_matrix(labels[counted], predictions[counted], len(videos.class_names)),
        tuple(summarize(values[tested & (videos.labels == label)], limits=(0, 1)) for label in classes),
        majority_rate(videos, scopes, first.where),
    )


def majority_rate(videos: Videos, scopes: Mapping[str, Parts], where: str) -> float:
    """Share of the test videos that are of the class their training has most of (of equals the first)."""
    right: list[NDArray[np.bool_]] = []
    for scope, parts in scopes.items():
        if (scope == SPLIT) == (where == SPLIT):
            most = np.bincount(videos.labels[parts.gallery]).argmax()
            right.append(videos.labels[parts.test] == most)
    return float(np.concatenate(right).mean())


def compare(table: Table, videos: Videos) -> list[Difference]:
    """Every pair of checkpoints in every task: second minus first."""
    found = []
    for where, tasks in table.items():
        for task, cells in tasks.items():
            for first, second in combinations(cells.values(), 2):
                gap = second.values - first.values
                by_source = None if videos.groups is None else interval(gap, videos.groups)[:2]
                paired = paired_difference(first.values, second.values)
                found.append(Difference(where, task, first.checkpoint, second.checkpoint, paired, by_source))
    return found


def results_csv(table: Table) -> str:
    """Every cell as a row, in shares."""
    head = ("where", "task", "checkpoint", "mean", "low", "high", "low_by_source", "high_by_source", "chance",
            "majority", "videos", "seeds", "folds")  # fmt: skip
    rows = []
    for cell in (cell for tasks in table.values() for cells in tasks.values() for cell in cells.values()):
        s, ends = cell.summary, cell.by_source or (float("nan"), float("nan"))
        numbers = [s.mean, s.low, s.high, *ends, s.chance, cell.majority]
        lists = [" ".join(f"{one:.6g}" for one in part) for part in (cell.seeds, cell.folds)]
        rows.append([cell.where, cell.task, cell.checkpoint, *map(_number, numbers), s.num_videos, *lists])
    return _csv(head, rows)


def differences_csv(differences: Sequence[Difference]) -> str:
    """Every difference as a row, in shares."""
    head = ("where", "task", "first", "second", "difference", "low", "high", "low_by_source", "high_by_source",
            "second_better_on", "videos")  # fmt: skip
    rows = []
    for one in differences:
        p, ends = one.paired, one.by_source or (float("nan"), float("nan"))
        numbers = [p.mean, p.low, p.high, *ends, p.share_higher]
        rows.append([one.where, one.task, one.first, one.second, *map(_number, numbers), p.num_videos])
    return _csv(head, rows)


def _number(value: float | None) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.6g}"


def _csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
