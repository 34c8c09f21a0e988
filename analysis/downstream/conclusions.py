"""What the numbers of a study let one say, in sentences; by rule, so that no wish writes them."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.downstream.plan import SPLIT, TASKS
from analysis.downstream.table import Cell, Difference, Table
from analysis.measures.common.numbers import capital
from analysis.pages.words import percent

__all__ = ["conclude", "main_place"]


def conclude(table: Table, differences: Sequence[Difference], *, grouped: bool, seen: Sequence[str] = ()) -> list[str]:
    """Sentences, the most important first.

    Args:
        table: of the study; may be incomplete, even empty.
        differences: of `analysis.downstream.table.compare`.
        grouped: whether source recordings are known.
        seen: checkpoints that were pre-trained on this data set.
    """
    if not table:
        return ["Nothing is finished yet, so nothing can be concluded."]
    where = main_place(table)
    own = [one for one in differences if one.where == where]
    sentences = [_differences(own, where), *_floor(table[where])]
    if own:
        sentences.append(
            f"{len(own)} differences are looked at {_place(where)}; if there were none, about one in twenty intervals "
            "would leave out 0 all the same."
        )
    if seen and "folds" in table:
        sentences.append(
            f"{', '.join(seen)}: pre-trained, without labels, on videos of this data set, so folds test on videos that "
            "these weights have seen and random ones have not; the data set's own test split is free of that if "
            "pre-training kept to its training split."
        )
    if not grouped:
        sentences.append(
            "No source recordings are known: if several videos come from one, the intervals are too narrow, and "
            "training and test may share recordings."
        )
    sentences.append(
        "Every trained checkpoint is one pre-training run: what is said holds for these files on these videos, not for "
        "the methods that made them."
    )
    return sentences


def main_place(table: Table) -> str:
    """Where the conclusions are drawn: folds, else the data set's own split, as soon as they are complete."""
    return "folds" if _whole(table, "folds") else SPLIT if _whole(table, SPLIT) else list(table)[-1]


def _whole(table: Table, where: str) -> bool:
    """Whether all that any scope has of tasks and checkpoints is there."""
    pairs = {(task, name) for tasks in table.values() for task, cells in tasks.items() for name in cells}
    return pairs == {(task, name) for task, cells in table.get(where, {}).items() for name in cells}


def _place(where: str) -> str:
    return "over the folds of all videos" if where == "folds" else "on the data set's own test split"


def _differences(own: Sequence[Difference], where: str) -> str:
    clear = [one for one in own if one.clear]
    if not own:
        return "There are no two checkpoints to compare yet."
    place = capital(_place(where))
    if not clear:
        return f"{place}, no difference between two checkpoints can be told from 0 in any task."
    told = "; ".join(_told(one) for one in clear)
    rest = len(own) - len(clear)
    return f"{place}: {told}." + (f" The other {rest} differences cannot be told from 0." if rest else "")


def _told(one: Difference) -> str:
    better, worse = (one.second, one.first) if one.paired.mean > 0 else (one.first, one.second)
    sign = 1 if one.paired.mean > 0 else -1
    low, high = sorted((sign * one.paired.low, sign * one.paired.high))
    return (
        f"{better} is better than {worse} in {TASKS[one.task]} by {percent(abs(one.paired.mean))} points "
        f"[{percent(low)}, {percent(high)}]"
    )


def _floor(tasks: dict[str, dict[str, Cell]]) -> list[str]:
    """Which cells are not above what needs no video."""
    short: dict[str, list[str]] = {}
    for task, cells in tasks.items():
        for name, cell in cells.items():
            low = min(cell.summary.low, cell.by_source[0]) if cell.by_source else cell.summary.low
            if not low > max(cell.majority, cell.summary.chance or 0.0):
                short.setdefault(name, []).append(TASKS[task])
    if not short:
        return []
    told = "; ".join(f"{name} ({', '.join(some)})" for name, some in short.items())
    return [f"Not above chance and the majority class by its interval: {told}."]
