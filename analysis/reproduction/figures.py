"""The reproduction's own figure: every score of every method, regimes as columns."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.figure import Figure

from analysis.plotting.style import COLORS, new_figure, printed
from analysis.reproduction.plan import METHODS
from analysis.reproduction.score import SCORES
from analysis.reproduction.table import Table

__all__ = ["draw_table"]

_DRAWN = ("linear", "energy_ratio", "top1_agreement", "offset_auroc", "bias_gap")


def draw_table(table: Table, note: str) -> Figure:
    """Dots with 95 % intervals over test videos, small dots for single seeds; dashed: chance."""
    with printed():
        figure = new_figure(0.7 + 1.25 * len(_DRAWN))
        axes = figure.subplots(len(_DRAWN), len(table), sharey="row", sharex=True, squeeze=False)
        for column, (regime, methods) in enumerate(table.items()):
            for row, name in enumerate(_DRAWN):
                ax = axes[row, column]
                for place, method in enumerate(METHODS):
                    if method not in methods:
                        continue
                    cell = methods[method][name]
                    ax.vlines(place, cell.summary.low, cell.summary.high, color=COLORS["aligned"], linewidth=2)
                    ax.scatter([place], [cell.summary.mean], s=22, color=COLORS["aligned"], zorder=3)
                    if len(cell.seeds) > 1:
                        beside = place + 0.22 + np.zeros(len(cell.seeds))
                        ax.scatter(beside, cell.seeds, s=6, color=COLORS["misaligned"], zorder=3)
                chance = next(iter(methods.values()))[name].summary.chance
                if chance is not None and np.isfinite(chance):
                    ax.axhline(chance, color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=1, zorder=1)
                ax.set_xlim(-0.6, len(METHODS) - 0.4)
                ax.set_xticks(range(len(METHODS)), list(METHODS.values()), rotation=40, ha="right")
                if column == 0:
                    ax.set_ylabel(textwrap.fill(SCORES[name], 18))
                if row == 0:
                    ax.set_title(regime)
        what = "Methods (across) by regime (columns). Mean and 95 % interval over test videos; small: single seeds"
        figure.suptitle(f"{what};\ndashed: chance. {note}")
    return figure
