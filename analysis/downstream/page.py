"""The page of a downstream study: one file with its figures inside, and the tables and figures beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from analysis.downstream.conclusions import conclude, main_place
from analysis.downstream.floor import Floor
from analysis.downstream.folds import Parts
from analysis.downstream.forest import forest, levels
from analysis.downstream.identity import Known, pretrained_on
from analysis.downstream.plan import ASKED, CLIPS, FEATURES, FINETUNE, LINEAR, SPLIT, TASKS, Checkpoint, Job, K
from analysis.downstream.table import Cell, Difference, Table, differences_csv, results_csv
from analysis.downstream.videos import Videos
from analysis.output import timestamp, versions, write_json
from analysis.pages.environment import render, write_page
from analysis.pages.pictures import picture
from analysis.pages.strips import mark, places_of
from analysis.pages.words import compared, data_title, listed, percent, plural
from analysis.plotting.downstream import draw_classes, draw_confusions, draw_scores
from analysis.plotting.style import save_figure
from fima.files.reading import read_json
from fima.legacy import american_keys

__all__ = ["Report", "write_report"]

_WHERE = {"split": "The data set's own split", "folds": "Folds over all videos"}


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page shows.

    Attributes:
        data, command: as typed.
        videos, scopes: of the data set, and how it was cut.
        checkpoints, known: that take part, and what they say of themselves.
        jobs: planned; those that are finished are in the table.
        table, differences: the numbers.
        floor: where → what metadata alone tells.
    """

    data: str
    command: str
    videos: Videos
    scopes: Mapping[str, Parts]
    checkpoints: tuple[Checkpoint, ...]
    known: Mapping[Checkpoint, Known]
    jobs: tuple[Job, ...]
    table: Table
    differences: list[Difference]
    floor: Mapping[str, Floor] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of the checkpoints."""
        return [one.name for one in self.checkpoints]

    @property
    def untrained(self) -> list[str]:
        """Names of the checkpoints with random weights."""
        return [one.name for one in self.checkpoints if not one.trained]

    @property
    def places(self) -> dict[str, int]:
        """Name of the checkpoint → its place; untrained weights are the gray reference."""
        return places_of(self.names, self.untrained)

    @property
    def waiting(self) -> list[Job]:
        """Jobs that are not finished, features aside."""
        return [job for job in self.jobs if job.task != FEATURES and not job.finished]

    @property
    def conclusions(self) -> list[str]:
        """What may be concluded, in at most six sentences; what metadata tells elsewhere stands at its table."""
        seen = [one.name for one in self.checkpoints if pretrained_on(one, self.data)]
        *told, run = conclude(self.table, self.differences, grouped=self.videos.groups is not None, seen=seen)
        where = main_place(self.table) if self.table else ""
        floor = [f"{_WHERE[where]}: {self.floor[where].told}"] if where in self.floor else []
        return [*told[: 5 - len(floor)], *floor, run]

    def unreadable(self) -> dict[str, str]:
        """Test videos that could not be read, with the reason."""
        found: dict[str, str] = {}
        back = dict(zip(self.videos.listed_ids, self.videos.ids, strict=True))
        for job in self.jobs:
            if job.task != FEATURES and job.finished:
                content = american_keys(read_json(job.folder / "result.json"))
                found |= {back.get(name, name): reason for name, reason in content.get("unreadable", {}).items()}
        return found


FILES = ("index.html", "results.csv", "differences.csv", "downstream.json")
"""Beside the figures."""


def write_report(folder: Path, report: Report) -> None:
    """Write index.html, results.csv, differences.csv, downstream.json, and every figure as .png and .pdf."""
    (folder / "results.csv").write_text(results_csv(report.table), encoding="utf-8")
    (folder / "differences.csv").write_text(differences_csv(report.differences), encoding="utf-8")
    write_json(folder / "downstream.json", _about(report))
    figures = []
    for stem, (figure, title, alt) in _figures(report).items():
        for kind in ("png", "pdf"):
            save_figure(figure, folder / f"{stem}.{kind}", kind)
        figures.append({"stem": stem, "title": title, "alt": alt, "picture": picture(folder / f"{stem}.png")})
    main = _WHERE[main_place(report.table)] if report.table else ""
    page = render(
        "downstream.html",
        title=f"{compared(report.names)}: accuracy on {data_title(report.data, None)}",
        about=f"{report.data}: {len(report.videos)} videos of {len(report.videos.class_names)} classes",
        warnings=_warnings(report),
        findings=report.conclusions,
        command=report.command,
        forest=forest(report.table, report.differences, report.places, main),
        levels=[] if report.differences else levels(report.table, report.places),
        names=report.names,
        report=report,
        tasks=TASKS,
        where=_WHERE,
        marks={name: mark(place) for name, place in report.places.items()},
        rows={where: _rows(report.table[where]) for where in report.table},
        figures=figures,
        splits=_splits(report),
        settings={"linear probe": LINEAR, "fine-tuning": FINETUNE},
        clips=CLIPS,
        k=K,
    )
    write_page(folder / "index.html", page)


def _warnings(report: Report) -> list[str]:
    """What a reader must know before the numbers."""
    videos, unreadable, lines = report.videos, report.unreadable(), []
    if report.waiting:
        names = listed([job.label for job in report.waiting], 8)
        share = f"{len(report.waiting)} of {len(report.jobs)}"
        lines.append(f"Not complete: {share} jobs are not finished, so the numbers will change: {names}")
    if len({json.dumps(one.input.to_dict(), sort_keys=True) for one in report.known.values()}) > 1:
        lines.append("The checkpoints expect different clips (below): differences are of the clips too.")
    if videos.groups is None:
        lines.append(
            "No source recordings are known (no --group), so the folds are not grouped: videos of one recording may "
            "be in training and test."
        )
    elif videos.shared_groups:
        lines.append(
            f"Training and test of the data set's own split share {videos.shared_groups} source recordings: its "
            "numbers are too good. The folds share none."
        )
    if unreadable:
        lines.append(
            f"{plural(len(unreadable), 'test video')} could not be read and are left out: {listed(sorted(unreadable))}"
        )
    if videos.missing:
        lines.append(f"{plural(len(videos.missing), 'listed video')} are not on disk and are left out.")
    return lines


def _rows(tasks: Mapping[str, Mapping[str, Cell]]) -> list[dict[str, Any]]:
    """A row for each task and checkpoint, the first of a task with its name."""
    return [
        {"task": TASKS[task], "first": place == 0, "count": len(cells), "cell": cell, "spread": _spread(cell)}
        for task, cells in tasks.items()
        for place, cell in enumerate(cells.values())
    ]


def _spread(cell: Cell) -> str:
    """Lowest and highest of the folds, and their standard deviation."""
    if not cell.folds:
        return "–"
    low, high = percent(min(cell.folds)), percent(max(cell.folds))
    return f"{low}–{high} (s.d. {percent(float(np.std(cell.folds, ddof=1)))})"


def _figures(report: Report) -> dict[str, tuple[Figure, str, str]]:
    """Stem → figure, title, alternative text; none while nothing is finished."""
    table, names, classes = report.table, report.names, report.videos.class_names
    if not table:
        return {}
    note = f"INCOMPLETE: {len(report.waiting)} jobs are not finished" if report.waiting else ""
    spoken = "; ".join(
        f"{cell.checkpoint}, {TASKS[cell.task]}, {cell.where}: {percent(cell.summary.mean)} %"
        for tasks in table.values()
        for cells in tasks.values()
        for cell in cells.values()
    )
    figures = {
        "scores": (
            draw_scores(table, TASKS, names, note, untrained=report.untrained),
            "Accuracies",
            f"Accuracies. {spoken}",
        )
    }
    for where, every in table.items():
        tasks = {task: cells for task, cells in every.items() if task in ASKED}  # of unaltered clips
        figures[f"confusion-{where}"] = (
            draw_confusions(tasks, TASKS, names, classes, where),
            f"Confusion: {_WHERE[where].lower()}",
            "Confusion matrices, a row for each checkpoint and a column for each task; the counts are in "
            "downstream.json.",
        )
        figures[f"classes-{where}"] = (
            draw_classes(tasks, TASKS, names, classes, where, untrained=report.untrained),
            f"By class: {_WHERE[where].lower()}",
            "Accuracy of every class as bars with 95 % intervals; the numbers are in downstream.json.",
        )
    return figures


def _splits(report: Report) -> list[dict[str, Any]]:
    """Sizes of the parts of every scope, by class."""
    videos, found = report.videos, []
    for scope, parts in report.scopes.items():
        row: dict[str, Any] = {"name": "own split" if scope == SPLIT else scope}
        for part in ("train", "validation", "test"):
            places = getattr(parts, part)
            counts = np.bincount(videos.labels[places], minlength=len(videos.class_names))
            several = " + ".join(map(str, counts)) if len(counts) <= 4 else f"{len(counts)} classes"
            sources = "" if videos.groups is None else f"; {len(np.unique(videos.groups[places]))} recordings"
            row[part] = f"{len(places)} ({several}{sources})"
        found.append(row)
    return found


def _about(report: Report) -> dict[str, Any]:
    """Everything in numbers."""
    cells = [cell for tasks in report.table.values() for part in tasks.values() for cell in part.values()]
    return {
        "data": report.data,
        "command": report.command,
        "classes": report.videos.class_names,
        "groups": report.videos.rule or None,
        "conclusions": report.conclusions,
        "metadata_floor": {
            where: vars(one.summary) | {"by_source": one.by_source} for where, one in report.floor.items()
        },
        "checkpoints": {
            one.name: {"path": one.path, "sha256": k.sha256, "arch": k.arch, "input": k.input.to_dict()}
            for one, k in report.known.items()
        },
        "settings": {"linear": LINEAR, "finetune": FINETUNE, "clips": CLIPS, "k": K},
        "cells": [
            {
                "where": cell.where,
                "task": cell.task,
                "checkpoint": cell.checkpoint,
                "confusion": cell.confusion,
                "by_class": {
                    name: {"mean": s.mean, "low": s.low, "high": s.high, "videos": s.num_videos}
                    for name, s in zip(report.videos.class_names, cell.classes, strict=True)
                },
            }
            for cell in cells
        ],
        "not_finished": [job.label for job in report.waiting],
        "unreadable": report.unreadable(),
        "versions": versions(),
        "created": timestamp(),
    }
