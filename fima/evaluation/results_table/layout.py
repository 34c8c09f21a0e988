"""Numbers put together: a row for each backbone, a column for each task × data set × metric of one protocol."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fima.errors import InputError
from fima.evaluation.results_table.number import TASKS, Backbone, Data, Number, Protocol
from fima.evaluation.results_table.published_numbers import Published

__all__ = ["DEFAULT_METRICS", "Cell", "Column", "PublishedRow", "Row", "Table", "chosen_metrics", "make_table"]

DEFAULT_METRICS = ("top-1", "top-5", "mean class", "weighted", "recall", "mAP")
"""Metrics that a table shows unless told; one before an ``@`` stands for all its ranks."""

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


@dataclass(frozen=True)
class Column:
    """What a column's numbers have in common; two columns with other protocols are two columns."""

    task: str
    data: Data
    metric: str
    protocol: Protocol

    @property
    def measured_by(self) -> tuple[str, Data, Protocol]:
        """All but the metric."""
        return self.task, self.data, self.protocol


@dataclass(frozen=True)
class Cell:
    """The runs of a backbone in a column, one for each seed.

    Attributes:
        numbers: by seed, at least one.
    """

    numbers: tuple[Number, ...]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return statistics.fmean(number.value for number in self.numbers)

    @property
    def sd(self) -> float | None:
        """Of the seeds, with n − 1; None of one seed."""
        return statistics.stdev(number.value for number in self.numbers) if len(self.numbers) > 1 else None

    @property
    def remarks(self) -> tuple[str, ...]:
        """Of all its runs, with the seed where there are several."""
        several = len(self.numbers) > 1
        return tuple(
            dict.fromkeys(
                f"seed {number.seed}: {text}" if several else text for number in self.numbers for text in number.remarks
            )
        )


@dataclass(frozen=True)
class Row:
    """A backbone; ``cells`` has one entry for each column, None where nothing was measured."""

    name: str
    backbone: Backbone
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class PublishedRow:
    """What a source states of a method; ``percents`` has one entry for each column."""

    source: str
    method: str
    arch: str
    percents: tuple[float | None, ...]


@dataclass(frozen=True)
class Table:
    """The whole table.

    Attributes:
        columns: in the order of tasks, then of the runs.
        rows: ours, in the order of the runs.
        published: theirs.
        protocols: what columns were measured by, in their order.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    published: tuple[PublishedRow, ...]
    protocols: tuple[tuple[str, Data, Protocol], ...]

    def mark(self, column: Column) -> int:
        """The number of a column's footnote, from 1."""
        return self.protocols.index(column.measured_by) + 1


def chosen_metrics(numbers: Iterable[Number], metrics: Sequence[str] | None) -> list[Number]:
    """Those of some metrics.

    Args:
        numbers: any.
        metrics: names, or what is before their ``@``; None: `DEFAULT_METRICS`.

    Raises:
        InputError: if one of the names is of none of the numbers, or none is left.
    """
    numbers = list(numbers)
    there = {name for number in numbers for name in (number.metric, _stem(number.metric))}
    for name in metrics or ():
        if name not in there:
            known = ", ".join(dict.fromkeys(number.metric for number in numbers))
            raise InputError(f"--metrics: no run has {name!r}, only {known}")
    wanted = set(DEFAULT_METRICS if metrics is None else metrics)
    return [number for number in numbers if {number.metric, _stem(number.metric)} & wanted]


def make_table(numbers: Sequence[Number], names: Mapping[str, str], theirs: Sequence[Published] = ()) -> Table:
    """Rows, columns and cells.

    Args:
        numbers: at least one.
        names: path of a checkpoint as recorded, or its SHA-256 → what to call it.
        theirs: published numbers; those whose task, data set and metric have a column are shown.

    Raises:
        InputError: if there is no number, or two runs of a cell have the same seed.
    """
    if not numbers:
        raise InputError("table: the runs hold no numbers")
    order = list(TASKS)
    columns = list(dict.fromkeys(Column(n.task, n.data, n.metric, n.protocol) for n in numbers))
    protocols = list(dict.fromkeys(column.measured_by for column in columns))
    protocols.sort(key=lambda one: order.index(one[0]))  # otherwise as in the runs
    columns.sort(key=lambda column: protocols.index(column.measured_by))
    cells: dict[tuple[Backbone, Column], dict[int, Number]] = {}
    for number in numbers:
        cell = cells.setdefault((number.backbone, Column(number.task, number.data, number.metric, number.protocol)), {})
        twin = cell.setdefault(number.seed, number)
        if twin is not number:
            raise InputError(
                f"{twin.file} and {number.file}: the same {TASKS[number.task]} of the same checkpoint with the same "
                f"seed, {number.seed}; give one of them"
            )
    titles = _names(numbers, names)
    rows = [
        Row(titles[backbone], backbone, tuple(_cell(cells.get((backbone, column))) for column in columns))
        for backbone in dict.fromkeys(number.backbone for number in numbers)
    ]
    return Table(tuple(columns), tuple(rows), _published(columns, theirs), tuple(protocols))


def _cell(found: Mapping[int, Number] | None) -> Cell | None:
    return None if found is None else Cell(tuple(found[seed] for seed in sorted(found)))


def _names(numbers: Iterable[Number], names: Mapping[str, str]) -> dict[Backbone, str]:
    """As told, else the end of the path; with the first digits of the hash where that would not tell them apart."""
    found: dict[Backbone, str] = {}
    for number in numbers:
        one = number.backbone
        told = names.get(number.checkpoint, names.get(one.sha256 or ""))
        found.setdefault(one, told or "/".join(number.checkpoint.rstrip("/").split("/")[-2:]))
    alike: dict[str, set[str | None]] = {}
    for one, name in found.items():
        alike.setdefault(name, set()).add(one.sha256)
    return {
        one: name if len(alike[name]) == 1 else f"{name} ({(one.sha256 or 'untrained')[:8]})"
        for one, name in found.items()
    }


def _published(columns: Sequence[Column], theirs: Sequence[Published]) -> tuple[PublishedRow, ...]:
    rows: dict[tuple[str, str, str], dict[tuple[str, str, str], float]] = {}
    for one in theirs:
        rows.setdefault((one.source, one.method, one.arch), {})[one.task, one.data, one.metric] = one.percent
    keys = [(column.task, _DATA.get(_plain(column.data.name), ""), column.metric) for column in columns]
    made = (PublishedRow(*about, tuple(values.get(key) for key in keys)) for about, values in rows.items())
    return tuple(row for row in made if any(percent is not None for percent in row.percents))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _stem(metric: str) -> str:
    return metric.partition("@")[0] if "-mean-class" not in metric else metric
