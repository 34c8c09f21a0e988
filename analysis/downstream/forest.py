"""What the page of a study shows first: differences from the first checkpoint, or the accuracies of the only one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.downstream.conclusions import main_place
from analysis.downstream.plan import ASKED, TASKS
from analysis.downstream.table import Cell, Difference, Table
from analysis.pages.forest import Effect, ForestGroup, forest_group
from analysis.pages.strips import Line, Scale, mark, strip
from analysis.pages.words import percent, percent_interval, points

__all__ = ["forest", "levels"]


def forest(table: Table, differences: Sequence[Difference], places: Mapping[str, int], where: str) -> list[ForestGroup]:
    """Every checkpoint against the first on unaltered clips, in points of accuracy, where the conclusions are drawn.

    Args:
        table: Of the study.
        differences: Of `analysis.downstream.table.compare`.
        places: Name of the checkpoint → its place, the first one first.
        where: The place in words.
    """
    first = next(iter(places))
    own = [d for d in differences if (d.where, d.first) == (main_place(table), first) and d.task in ASKED]
    effects = [_effect(one, table, places[one.second]) for one in own]
    return [forest_group("differences", f"{where}: accuracy, points", effects, points)] if effects else []


def _effect(one: Difference, table: Table, place: int) -> Effect:
    cells = table[one.where][one.task]
    low, high = one.interval
    verdict = ("better" if one.paired.mean > 0 else "worse") if one.clear else ""
    values = f"{percent(cells[one.first].summary.mean)} → {percent(cells[one.second].summary.mean)} %"
    return Effect(TASKS[one.task], one.second, place, values, one.paired.mean, low, high, verdict)


def levels(table: Table, places: Mapping[str, int]) -> list[Scale]:
    """Accuracies with their chance level, an axis for each task."""
    tasks = table[main_place(table)] if table else {}
    return [_scale(task, cells, places) for task, cells in tasks.items() if task in ASKED]


def _scale(task: str, cells: Mapping[str, Cell], places: Mapping[str, int]) -> Scale:
    lines = []
    for name, cell in cells.items():
        s = cell.summary
        drawn = strip(s.mean, s.low, s.high, limits=(0.0, 1.0), reference=s.chance, place=places[name])
        lines.append(Line(name, mark(places[name]), percent_interval(s.mean, s.low, s.high), drawn))
    return Scale(TASKS[task], [], ("0", "100 %"), lines)
