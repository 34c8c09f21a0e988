"""Entries put together: a row for each backbone, a column for each task × data set × metric with the same settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fima.errors import InputError
from fima.evaluation.results_table.entries import TASKS, ResultEntry

__all__ = ["DEFAULT_METRICS", "Head", "ResultsTable", "chosen_metrics", "make_table", "published_numbers"]

DEFAULT_METRICS = ("top-1", "top-5", "mean class", "weighted", "recall", "mAP")
"""Metrics that a table shows unless told; one before an ``@`` stands for all its ranks."""

_PUBLISHED = Path(__file__).with_name("published.csv")
_DATA = {
    "ucf101": "UCF101",
    "hmdb51": "HMDB51",
    "kinetics400": "Kinetics-400",
    "k400": "Kinetics-400",
    "ssv2": "Something-Something v2",
    "sthv2": "Something-Something v2",
    "somethingsomethingv2": "Something-Something v2",
    "ava": "AVA",
    "avav21": "AVA",
    "avav22": "AVA",
}


class Head(NamedTuple):
    """The head of a column; ``note`` is the number of its footnote, from 1."""

    task: str
    where: str
    metric: str
    note: int


@dataclass(frozen=True, eq=False)
class ResultsTable:
    """The whole table; rows and columns of the frames are numbered alike.

    Attributes:
        heads: of the columns, in the order of tasks, then of the runs.
        backbones: a row for each backbone, in the order of the runs: checkpoint, backbone, input.
        cells: ``mean``, ``std`` (n − 1) and ``count`` of the seeds of each cell: row × (statistic, column), shares.
        remarks: of each cell, what a reader must know: row × column, tuples of texts.
        published: rows of (source, method, backbone) × columns, per cent.
        settings: an entry of each footnote, in its order.
        seedless: whether a cell of several seeds is of k-NN or retrieval with a trained checkpoint, alike for all.
    """

    heads: tuple[Head, ...]
    backbones: pd.DataFrame
    cells: pd.DataFrame
    remarks: pd.DataFrame
    published: pd.DataFrame
    settings: tuple[ResultEntry, ...]
    seedless: bool


def chosen_metrics(entries: Iterable[ResultEntry], metrics: Sequence[str] | None) -> list[ResultEntry]:
    """Those of some metrics.

    Args:
        entries: any.
        metrics: names, or what is before their ``@``; None: `DEFAULT_METRICS`.

    Raises:
        InputError: if one of the names is of none of the entries.
    """
    entries = list(entries)
    there = {name for entry in entries for name in (entry.metric, _stem(entry.metric))}
    for name in metrics or ():
        if name not in there:
            known = ", ".join(dict.fromkeys(entry.metric for entry in entries))
            raise InputError(f"--metrics: no run has {name!r}, only {known}")
    wanted = set(DEFAULT_METRICS if metrics is None else metrics)
    return [entry for entry in entries if {entry.metric, _stem(entry.metric)} & wanted]


def published_numbers(groups: Sequence[str] | None) -> pd.DataFrame:
    """Numbers that other code's README files state (``docs/protocols.md``), never our own.

    Args:
        groups: which sources; none named: all; None: no number.

    Returns:
        Columns group, source, method, arch, task, data, metric, percent.

    Raises:
        InputError: for a group that there is not.
    """
    numbers = pd.read_csv(_PUBLISHED)
    known = list(numbers["group"].unique())
    for name in groups or ():
        if name not in known:
            raise InputError(f"--published must be some of {', '.join(known)}, got {name!r}")
    return numbers[numbers["group"].isin([] if groups is None else groups or known)]


def make_table(
    entries: Sequence[ResultEntry], names: Mapping[str, str], theirs: pd.DataFrame | None = None
) -> ResultsTable:
    """Rows, columns and cells.

    Args:
        entries: at least one.
        names: path of a checkpoint as recorded, or its SHA-256 → what to call it.
        theirs: of `published_numbers`; those whose task, data set and metric have a column are shown.

    Raises:
        InputError: if there is no entry, or two runs of a cell have the same seed.
    """
    if not entries:
        raise InputError("table: the runs hold no numbers")
    settings = sorted(
        _firsts(entries, lambda entry: entry.measured_by), key=lambda entry: list(TASKS).index(entry.task)
    )
    notes = {entry.measured_by: number for number, entry in enumerate(settings, 1)}
    columns = sorted(
        _firsts(entries, lambda entry: (entry.measured_by, entry.metric)), key=lambda entry: notes[entry.measured_by]
    )
    rows = _firsts(entries, lambda entry: entry.backbone)
    frame = _numbered(entries, rows, columns)
    pivot = {"index": "row", "columns": "column"}
    several = frame[frame.duplicated(["row", "column"])]["entry"]
    return ResultsTable(
        tuple(
            Head(TASKS[entry.task], f"{entry.data} ({entry.test_split})", entry.metric, notes[entry.measured_by])
            for entry in columns
        ),
        _backbones(rows, names),
        frame.pivot_table(**pivot, values="value", aggfunc=["mean", "std", "count"], dropna=False),
        frame.pivot_table(**pivot, values="entry", aggfunc=_remarks),
        _published(columns, theirs),
        tuple(settings),
        any(entry.task in ("knn", "retrieval") and entry.sha256 is not None for entry in several),
    )


def _firsts(entries: Iterable[ResultEntry], key: Callable[[ResultEntry], Hashable]) -> list[ResultEntry]:
    """The first entry of each key, in their order."""
    found: dict[Hashable, ResultEntry] = {}
    for entry in entries:
        found.setdefault(key(entry), entry)
    return list(found.values())


def _numbered(
    entries: Sequence[ResultEntry], rows: Sequence[ResultEntry], columns: Sequence[ResultEntry]
) -> pd.DataFrame:
    """Entries by seed, with the numbers of their row and column.

    Raises:
        InputError: if two of a cell have the same seed.
    """
    row = {entry.backbone: number for number, entry in enumerate(rows)}
    column = {(entry.measured_by, entry.metric): number for number, entry in enumerate(columns)}
    frame = pd.DataFrame(
        {
            "row": [row[entry.backbone] for entry in entries],
            "column": [column[entry.measured_by, entry.metric] for entry in entries],
            "seed": [entry.seed for entry in entries],
            "value": [entry.value for entry in entries],
            "entry": list(entries),
        }
    )
    twins = frame[frame.duplicated(["row", "column", "seed"], keep=False)]
    if len(twins):
        cell = ["row", "column", "seed"]
        first, second = twins[(twins[cell] == twins.iloc[0][cell]).all(axis=1)]["entry"].iloc[:2]
        raise InputError(
            f"{first.file} and {second.file}: the same {TASKS[first.task]} of the same checkpoint with the same seed, "
            f"{first.seed}; give one of them"
        )
    return frame.sort_values("seed", kind="stable")


def _remarks(entries: pd.Series[ResultEntry]) -> tuple[str, ...]:
    """Of a cell's runs, with the seed where there are several."""
    several = len(entries) > 1
    return tuple(
        dict.fromkeys(f"seed {entry.seed}: {text}" if several else text for entry in entries for text in entry.remarks)
    )


def _backbones(rows: Sequence[ResultEntry], names: Mapping[str, str]) -> pd.DataFrame:
    """Names as told, else the ends of paths; with the first digits of the hash where they do not tell them apart."""
    frame = pd.DataFrame(
        {
            "checkpoint": [
                names.get(row.checkpoint, names.get(row.sha256 or "", ""))
                or "/".join(row.checkpoint.rstrip("/").split("/")[-2:])
                for row in rows
            ],
            "backbone": [row.arch for row in rows],
            "frames × stride, size": [f"{row.input}, {row.layer}" if row.layer else row.input for row in rows],
        }
    )
    hashes = pd.Series([(row.sha256 or "untrained")[:8] for row in rows])
    alike = hashes.groupby(frame["checkpoint"]).transform("nunique") > 1
    frame["checkpoint"] = frame["checkpoint"].where(~alike, frame["checkpoint"] + " (" + hashes + ")")
    return frame


def _published(columns: Sequence[ResultEntry], theirs: pd.DataFrame | None) -> pd.DataFrame:
    """What sources state of the columns' task, data set and metric."""
    if theirs is None or theirs.empty:
        return pd.DataFrame(columns=range(len(columns)))
    keys = [(entry.task, _DATA.get(_plain(entry.data), ""), entry.metric) for entry in columns]
    ours = pd.DataFrame(keys, columns=["task", "data", "metric"]).assign(column=range(len(keys)))
    found = theirs.merge(ours, on=["task", "data", "metric"])
    rows = found.pivot_table(index=["source", "method", "arch"], columns="column", values="percent", sort=False)
    return rows.reindex(columns=range(len(columns)))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _stem(metric: str) -> str:
    return metric.partition("@")[0] if "-mean-class" not in metric else metric
