"""The reproduction's own figures: scores of every method, regimes as columns; and every score over steps."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from analysis.plotting.common.marks import CHANCE, Marks
from analysis.plotting.compare.scores import BESIDE, grid_height, panel_grid
from analysis.plotting.compare.training import draw_curve, draw_level, finish_panel, training_legend
from analysis.plotting.style import COLORS, new_figure, printed, shortened
from analysis.reproduction.plan import METHODS, WITHOUT
from analysis.reproduction.score import SCORES
from analysis.reproduction.table import Table

__all__ = ["draw_curves", "draw_table"]

_DRAWN = ("linear", "energy_ratio", "top1_agreement", "offset_auroc", "bias_gap")


def draw_table(table: Table, note: str) -> Figure:
    """Dots with 95 % intervals over test videos, small dots for single seeds; dashed: chance."""
    shown = [name for name in METHODS if name not in WITHOUT or any(name in methods for methods in table.values())]
    with printed():
        figure = new_figure(0.7 + 1.25 * len(_DRAWN))
        axes = figure.subplots(len(_DRAWN), len(table), sharey="row", sharex=True, squeeze=False)
        for column, (regime, methods) in enumerate(table.items()):
            for row, name in enumerate(_DRAWN):
                ax = axes[row, column]
                for place, method in enumerate(shown):
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
                ax.set_xlim(-0.6, len(shown) - 0.4)
                ax.set_xticks(range(len(shown)), [METHODS[name] for name in shown], rotation=40, ha="right")
                if column == 0:
                    ax.set_ylabel(textwrap.fill(SCORES[name], 18))
                if row == 0:
                    ax.set_title(shortened(regime, 30))
        what = "Methods (across) by regime (columns). Mean and 95 % interval over test videos; small: single seeds"
        figure.suptitle(f"{what};\ndashed: chance. {note}")
    return figure


def draw_curves(curves: Mapping[int, Table], regime: str, note: str) -> Figure:
    """Every score over the optimizer's steps in one regime, a line for each method; dotted: untrained, dashed: chance.

    Args:
        curves: Step → table of the checkpoints of that step.
        regime: A regime of them.
        note: What a reader must know.
    """
    at = {step: table[regime] for step, table in curves.items() if regime in table}
    untrained = at.pop(0, {}).get("random")
    trained = [name for name in METHODS if any(name in methods for methods in at.values())]
    levels = [METHODS["random"]] * (untrained is not None)
    marks = Marks([*(METHODS[name] for name in trained), *levels], levels)
    with printed():
        figure = new_figure(grid_height(len(SCORES)) * 1.1 + 0.9)
        for place, (ax, (score, label)) in enumerate(zip(panel_grid(figure, len(SCORES)), SCORES.items(), strict=True)):
            for name in trained:
                points = [(step, of[name][score].summary) for step, of in at.items() if name in of]
                draw_curve(points, METHODS[name], marks, ax)
            if untrained is not None:
                draw_level(untrained[score].summary.mean, marks.color(METHODS["random"]), ax)
            chance = next(iter(next(iter(at.values())).values()))[score].summary.chance
            if chance is not None and np.isfinite(chance):
                ax.axhline(chance, **CHANCE)
            ax.set_title(textwrap.fill(label, 22))
            finish_panel(ax, lowest=place >= len(SCORES) - BESIDE)
        training_legend(figure, [METHODS[name] for name in trained], levels, marks)
        what = f"Scores over training in {shortened(regime, 40)}: mean with 95 % band over test videos"
        figure.suptitle(f"{what}\n{note}".strip())
    return figure
