"""Motion variables read from features, beside their controls: the figure of ``fima-analyze probe``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.measures.probe import VARIABLES
from analysis.plotting.common.dots import draw_mean
from analysis.plotting.style import COLORS, caption, counted, new_figure, printed

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["draw_directions", "draw_errors", "draw_fits", "draw_probe"]

_KINDS = {
    "{}": ("pooled features", "o", COLORS["aligned"]),
    "cells_{}": ("features of single cells", "s", "#333333"),
    "{}_backgrounds": ("pooled, new backgrounds", "<", "#7FB2D6"),
    "{}_textures": ("pooled, new textures", ">", "#7FB2D6"),
    "{}_speeds": ("pooled, new speeds", "^", "#7FB2D6"),
    "twin_{}": ("untrained twin", "D", COLORS["disjoint"]),
    "pixels_{}": ("random projection of pixels", "P", COLORS["disjoint"]),
    "layout_{}": ("place and size alone", "v", COLORS["disjoint"]),
}
_NAMES = {"speed": "speed", "acceleration": "acceleration", "scale_change": "change of size", "rotation": "rotation"}
_LOWEST = -0.3  # of R² that is drawn


def draw_probe(study: Study) -> Figure:
    """Predicted against true directions; errors of direction; R² of the other variables."""
    arrays = study.arrays
    with printed():
        figure = new_figure(5.6)
        grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.25], height_ratios=[1, 1])
        draw_directions(arrays, ax=figure.add_subplot(grid[0, 0]))
        draw_errors(arrays, ax=figure.add_subplot(grid[0, 1]))
        draw_fits(arrays, ax=figure.add_subplot(grid[1, :]))
        figure.legend(handles=_legend(arrays), loc="outside lower center", ncols=3, frameon=False)
        title = (
            "Motion variables: how well can a ridge regression read the object's motion from features of the clip?\n"
            f"Videos it did not see; 95 % intervals over {counted(len(arrays['video_id']), 'video')}; dashed: chance"
        )
        figure.suptitle(caption(study, title))
    return figure


def draw_directions(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """A dot for each clip: the direction that was predicted over the true one, degrees; the line is right.

    Args:
        arrays: ``true_direction``, ``predicted_direction`` ``(N,)``.
        ax: Where to draw.
    """
    ax.plot([-180, 180], [-180, 180], color=COLORS["chance"], linewidth=0.8, zorder=1)
    ax.scatter(arrays["true_direction"], arrays["predicted_direction"], s=5, color=COLORS["aligned"], alpha=0.6, lw=0)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks([-180, -90, 0, 90, 180])
    ax.set_xlim(-185, 185)
    ax.set_ylim(-185, 185)
    ax.set_aspect("equal")
    ax.set_xlabel("true direction (degrees; 0 right, 90 down)")
    ax.set_ylabel("predicted (degrees)")
    ax.set_title("direction of the way", pad=3)
    return ax


def draw_errors(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Mean circular error of each kind of features with its interval.

    Args:
        arrays: ``summary_<score>``: mean, low, high, chance.
        ax: Where to draw.
    """
    found = {form: kind for form, kind in _KINDS.items() if f"summary_{form.format('direction_error')}" in arrays}
    for row, (form, (_, marker, color)) in enumerate(found.items()):
        summary = arrays[f"summary_{form.format('direction_error')}"]
        draw_mean(summary, row, ax, along="x", color=color, marker=marker, chance=0)
        ax.text(1.02, row, f"{summary[0]:.0f}°", transform=ax.get_yaxis_transform(), va="center", color=color)
    ax.axvline(90, color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=1, zorder=1)
    ax.set_yticks(range(len(found)), [label for label, _, _ in found.values()])
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.set_xlim(0, 120)
    ax.set_xlabel("error of direction (degrees, lower is better)")
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


def draw_fits(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """R² of the other variables, side by side for each kind of features; arguments as ``draw_errors``."""
    found = {form: kind for form, kind in _KINDS.items() if f"summary_{form.format('speed_r2')}" in arrays}
    for place, name in enumerate(VARIABLES[1:]):
        for step, (form, (_, marker, color)) in enumerate(found.items()):
            mean, low, high, *_ = arrays[f"summary_{form.format(f'{name}_r2')}"]
            x = place + (step - (len(found) - 1) / 2) * 0.095
            if mean < _LOWEST:  # far below what is drawn: an arrow says so
                ax.annotate("", (x, _LOWEST), (x, _LOWEST + 0.14), arrowprops={"arrowstyle": "->", "color": color})
                continue
            draw_mean(np.array([mean, max(low, _LOWEST), high, np.nan]), x, ax, color=color, marker=marker, chance=0)
    ax.axhline(0, color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=1, zorder=1)
    ax.set_xticks(range(len(_NAMES)), list(_NAMES.values()))
    ax.set_xlim(-0.5, len(_NAMES) - 0.5)
    ax.set_ylim(_LOWEST, 1.02)
    ax.set_ylabel("R² (higher is better)")
    return ax


def _legend(arrays: dict[str, np.ndarray]) -> list[Line2D]:
    return [
        Line2D([], [], color=color, marker=marker, linestyle="", markersize=4.5, label=label)
        for form, (label, marker, color) in _KINDS.items()
        if f"summary_{form.format('speed_r2')}" in arrays
    ]
