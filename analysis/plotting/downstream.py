"""Figures of a downstream study: accuracies, confusion matrices, accuracies by class."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from analysis.plotting.common.marks import Marks
from analysis.plotting.style import COLORS, SIMILARITY_CMAP, colorbar, new_figure, printed, shortened

if TYPE_CHECKING:
    from analysis.downstream.table import Cell, Table

__all__ = ["draw_classes", "draw_confusions", "draw_scores"]

_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")
_WHERE = {"split": "own test split", "folds": "folds of all videos"}
_MOST_COUNTS = 12
_MOST_NAMES = 40
_MOST_CLASSES = 12

Cells = Mapping[str, Mapping[str, "Cell"]]
"""Task → checkpoint → cell."""


def draw_scores(
    table: Table, tasks: Mapping[str, str], names: Sequence[str], note: str = "", *, untrained: Collection[str] = ()
) -> Figure:
    """Accuracy with its interval over videos; beside it single seeds and folds; dashed: chance, dotted: majority.

    Args:
        table: rows are the split and the folds, as far as they are there.
        tasks: key → name, the columns.
        names: of checkpoints, from left to right.
        note: a line under the title.
        untrained: those of random weights, the gray reference.
    """
    columns = [task for task in tasks if any(task in part for part in table.values())]
    with printed():
        figure = new_figure(1.0 + 2.0 * len(table))
        axes = figure.subplots(len(table), len(columns), sharex=True, sharey=True, squeeze=False)
        for row, (where, part) in enumerate(table.items()):
            for column, task in enumerate(columns):
                ax = axes[row, column]
                _draw_accuracies(ax, part.get(task, {}), names, Marks(names, untrained), upright=len(columns) > 4)
                if row == 0:
                    ax.set_title(tasks[task].replace(", ", "\n") if len(columns) > 4 else tasks[task])
                if column == 0:
                    ax.set_ylabel(f"{_WHERE[where]}\naccuracy (%)")
        figure.legend(handles=_legend(), loc="outside lower center", ncols=5, frameon=False)
        figure.suptitle("\n".join(["Accuracy on test videos, by task and checkpoint", *([note] if note else [])]))
    return figure


def _draw_accuracies(ax: Any, cells: Mapping[str, Cell], names: Sequence[str], marks: Marks, *, upright: bool) -> None:
    for place, name in enumerate(names):
        if name not in cells:
            continue
        cell = cells[name]
        s = cell.summary
        ax.vlines(place, 100 * s.low, 100 * s.high, color=marks.color(name), linewidth=2)
        ax.scatter([place], [100 * s.mean], s=22, color=marks.color(name), marker=marks.marker(name), zorder=3)
        if len(cell.seeds) > 1:
            ax.scatter([place + 0.2] * len(cell.seeds), 100 * np.array(cell.seeds), s=7, color=COLORS["misaligned"])
        if cell.folds:
            ax.scatter(
                [place + 0.34] * len(cell.folds), 100 * np.array(cell.folds), s=7, marker="D", linewidths=0.6,
                facecolors="none", edgecolors=COLORS["disjoint"],
            )  # fmt: skip
        if s.chance is not None:
            span = (place - 0.42, place + 0.42)
            ax.hlines(100 * s.chance, *span, color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=1, zorder=1)
            ax.hlines(100 * cell.majority, *span, color=COLORS["chance"], linestyle=(0, (1, 1)), linewidth=1, zorder=1)
    ax.set_xlim(-0.6, len(names) - 0.4)
    turned = {"rotation": 90} if upright else {"rotation": 35, "ha": "right"}
    ax.set_xticks(range(len(names)), [shortened(name, 16) for name in names], **turned)


def _legend() -> list[Any]:
    from matplotlib.lines import Line2D

    kinds: list[tuple[str, dict[str, Any]]] = [
        ("mean, 95 % interval over videos", {"marker": "o", "color": COLORS["chance"], "markersize": 4.5}),
        ("a seed", {"marker": "o", "color": COLORS["misaligned"], "markersize": 2.6, "linestyle": ""}),
        (
            "a fold",
            {"marker": "D", "color": COLORS["disjoint"], "markersize": 2.6, "linestyle": "", "fillstyle": "none"},
        ),
        ("chance", {"color": COLORS["chance"], "linestyle": (0, (3, 2)), "linewidth": 1}),
        ("majority class", {"color": COLORS["chance"], "linestyle": (0, (1, 1)), "linewidth": 1}),
    ]
    return [Line2D([], [], label=label, **style) for label, style in kinds]


def draw_confusions(
    cells: Cells, tasks: Mapping[str, str], names: Sequence[str], classes: Sequence[str], where: str
) -> Figure:
    """Confusion matrices, tasks across and checkpoints down: color is the share of a row, numbers are answers.

    ``where`` is "split" or "folds".

    Numbers are written in up to 12 classes; names of classes up to 40.
    """
    rows = [name for name in names if any(name in part for part in cells.values())]
    with printed():
        size = 1.55 if len(classes) <= _MOST_COUNTS else 2.2
        figure = new_figure(0.9 + size * len(rows))
        axes = figure.subplots(len(rows), len(cells), sharex=True, sharey=True, squeeze=False)
        image = None
        for row, name in enumerate(rows):
            for column, (task, part) in enumerate(cells.items()):
                ax = axes[row, column]
                if name in part:
                    image = _draw_confusion(ax, part[name].confusion, classes)
                else:
                    ax.axis("off")
                if row == 0:
                    ax.set_title(tasks[task])
                if row == len(rows) - 1:
                    ax.set_xlabel("answer")
                if column == 0:
                    ax.set_ylabel(f"{shortened(name, 20)}\ntrue class")
        if image is not None:
            colorbar(figure, image, list(axes.ravel()), "share of the true class's answers", fraction=0.03)
        figure.suptitle(f"Confusion, {_WHERE[where]}: rows are true classes; numbers are answers, of all seeds")
    return figure


def _draw_confusion(ax: Any, counts: np.ndarray, classes: Sequence[str]) -> Any:
    import seaborn  # brings pandas: a second, for those who draw this

    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    labels = [shortened(name, 14) for name in classes] if len(classes) <= _MOST_NAMES else []
    seaborn.heatmap(
        shares, vmin=0, vmax=1, cmap=SIMILARITY_CMAP, cbar=False, square=True, ax=ax,
        annot=counts if len(classes) <= _MOST_COUNTS else None, fmt="d", annot_kws={"fontsize": 7},
        xticklabels=labels, yticklabels=labels,
    )  # fmt: skip
    ax.set_ylim(len(classes), 0)  # every panel turns the axis that they share
    ax.set_xticks(ax.get_xticks(), labels, **{"rotation": 0, **_turned(labels, 3)})
    ax.set_yticks(ax.get_yticks(), labels, rotation=0)
    ax.tick_params(length=0)
    return ax.collections[0]


def draw_classes(
    cells: Cells,
    tasks: Mapping[str, str],
    names: Sequence[str],
    classes: Sequence[str],
    where: str,
    *,
    untrained: Collection[str] = (),
) -> Figure:
    """Accuracy by class as bars with intervals over videos, a panel for each task; ``where`` as above.

    ``untrained`` names checkpoints of random weights, the gray reference.

    Of more than 12 classes those are shown on which the checkpoints differ most, in the mean over tasks.
    """
    shown = _shown(cells, len(classes))
    across = 2 if len(shown) <= 4 else 1
    down = -(-len(cells) // across)
    with printed():
        figure = new_figure(0.9 + 1.75 * down)
        axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        width = 0.8 / max(len(names), 1)
        handles: dict[str, Any] = {}
        for ax, (task, part) in zip(axes.ravel(), cells.items(), strict=False):
            for place, name in enumerate(names):
                if name in part:
                    color = Marks(names, untrained).color(name)
                    handles[name] = _draw_bars(ax, part[name], shown, place, width, len(names), color)
            ax.set_title(tasks[task])
            ticks = [shortened(classes[label], 16) for label in shown]
            ax.set_xticks(range(len(shown)), ticks, **_turned(ticks, 4))
            ax.set_ylim(0, 105)
        for ax in axes.ravel()[len(cells) :]:
            ax.axis("off")
        for ax in axes[:, 0]:
            ax.set_ylabel("accuracy (%)")
        for ax in axes.ravel()[max(len(cells) - across, 0) : len(cells)]:  # the lowest of each column
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("true class")
        labels = [shortened(name, 24) for name in handles]
        figure.legend(list(handles.values()), labels, loc="outside lower center", ncols=5, frameon=False)
        which = (
            "" if len(shown) == len(classes) else f"; the {len(shown)} of {len(classes)} with the largest differences"
        )
        figure.suptitle(f"Accuracy by true class, {_WHERE[where]}, with 95 % intervals over videos{which}")
    return figure


def _shown(cells: Cells, classes: int) -> list[int]:
    if classes <= _MOST_CLASSES:
        return list(range(classes))
    spreads = [
        np.ptp([[s.mean for s in cell.classes] for cell in part.values()], axis=0) for part in cells.values()
    ]  # a list of (classes,)
    order = np.argsort(-np.nan_to_num(np.mean(spreads, axis=0)), kind="stable")
    return sorted(int(label) for label in order[:_MOST_CLASSES])


def _turned(labels: Sequence[str], few: int) -> dict[str, Any]:
    """Names that would run into each other stand askew; short ones stay."""
    if len(labels) <= few or max(map(len, labels), default=0) <= 3:
        return {}
    return {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}


def _draw_bars(ax: Any, cell: Cell, shown: Sequence[int], place: int, width: float, total: int, color: str) -> Any:
    own = [cell.classes[label] for label in shown]
    means, lows, highs = (100 * np.array([getattr(s, end) for s in own]) for end in ("mean", "low", "high"))
    x = np.arange(len(shown)) + (place - (total - 1) / 2) * width
    bars = ax.bar(
        x, means, width * 0.92, color=color, hatch=_HATCHES[place % len(_HATCHES)],
        edgecolor="white", linewidth=0.4,
    )  # fmt: skip
    # A class with one video has no interval.
    ends = np.nan_to_num(np.clip([means - lows, highs - means], 0, None))
    ax.errorbar(x, means, ends, fmt="none", ecolor="black", elinewidth=0.8, capsize=1.5)
    return bars
