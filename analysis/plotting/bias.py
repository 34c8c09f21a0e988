"""Accuracy of a motion probe with correlated and with swapped backgrounds: the figure of ``fima-analyze bias``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.measures.common.numbers import interval_text, minus
from analysis.plotting.common.marks import Marks
from analysis.plotting.style import COLORS, new_figure, printed, shortened

__all__ = ["draw_bias", "draw_gaps"]

_KINDS = {
    "correlated": ("filled: background as in training", -0.13),
    "swapped": ("open: background of another class, same motion and object", 0.13),
}
_NAME = 28  # signs


def draw_bias(arrays: Mapping[str, np.ndarray], asked: Mapping[str, Any], untrained: Sequence[str] = ()) -> Figure:
    """A row for each checkpoint: both accuracies with their intervals, and the gap in numbers.

    Args:
        arrays: ``name`` (K,), ``summary_correlated``, ``summary_swapped``, ``summary_gap`` (K, 4) of mean, low, high
            and chance, shares.
        asked: ``regime``, ``videos`` by split and ``correlation``.
        untrained: Names of the checkpoints with random weights.
    """
    with printed():
        figure = new_figure(1.5 + 0.42 * len(arrays["name"]))
        draw_gaps(arrays, untrained, ax=figure.add_subplot())
        figure.suptitle(_title(asked, all(name in untrained for name in arrays["name"].tolist())))
        figure.legend(handles=_legend(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def draw_gaps(arrays: Mapping[str, np.ndarray], untrained: Sequence[str] = (), *, ax: Axes) -> Axes:
    """The rows of ``draw_bias``; the gaps stand at the right."""
    names = arrays["name"].tolist()
    marks = Marks(names, untrained)
    for row, name in enumerate(names):
        for kind, (_, aside) in _KINDS.items():
            mean, low, high, _ = 100 * arrays[f"summary_{kind}"][row]
            color = marks.color(name)
            face = color if kind == "correlated" else "white"
            ax.hlines(row + aside, low, high, color=color, linewidth=2, zorder=3)
            ax.scatter(mean, row + aside, s=26, facecolor=face, edgecolor=color, marker=marks.marker(name), zorder=4)
    for row, values in enumerate(100 * arrays["summary_gap"][:, :3]):
        ax.text(1.02, row, _interval(values), transform=ax.get_yaxis_transform(), va="center")
    ax.text(1.02, 1.0, "gap (% points)", transform=ax.transAxes, va="bottom", color=COLORS["chance"])
    chance = 100 * arrays["summary_correlated"][0, 3]
    ax.axvline(chance, color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=1, zorder=1)
    ax.set_yticks(range(len(names)), [_label(name, name in untrained) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(0, _limit(arrays))
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel("accuracy of the motion probe (% of the test videos)")
    return ax


def _limit(arrays: Mapping[str, np.ndarray]) -> float:
    """The next round percentage above everything drawn."""
    highest = 100 * np.nanmax([arrays[f"summary_{kind}"] for kind in _KINDS])
    return float(min(100, 10 * np.ceil((highest + 3) / 10)))


def _interval(values: np.ndarray) -> str:
    mean, low, high = values
    return interval_text(mean, low, high, lambda value: minus(f"{value:.1f}"))


def _label(name: str, untrained: bool) -> str:
    said = name.startswith("untrained")
    return shortened(name, _NAME) + (" (untrained)" if untrained and not said else "")


def _legend() -> list[Line2D]:
    handles = [
        Line2D([], [], color=COLORS["chance"], marker="o", linewidth=2, markersize=4.5, label=label,
               markerfacecolor=COLORS["chance"] if kind == "correlated" else "white")
        for kind, (label, _) in _KINDS.items()
    ]  # fmt: skip
    return [*handles, Line2D([], [], color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=1, label="chance")]


def _title(asked: Mapping[str, Any], untrained: bool) -> str:
    videos = asked["videos"]
    lines = [
        "Background bias: what does a motion probe lose when the background no longer tells the class?",
        f"Linear probe trained on {videos['train']} drawn videos ({asked['regime']}); the background tells the class "
        f"on {100 * asked['correlation']:g} % of them. {videos['test']} test videos, each with both backgrounds; "
        "95 % intervals over videos, the gap's in pairs",
    ]
    if untrained:
        lines.append("UNTRAINED weights: this shows how to read the figure, not a result")
    return "\n".join(textwrap.fill(line, 100) for line in lines)
