"""Channels by what they follow: the figure of ``fima-analyze units``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.measures.registry import find_score
from analysis.measures.units import SHARES, THRESHOLD
from analysis.plotting.common.dots import draw_mean
from analysis.plotting.style import COLORS, caption, counted, new_figure, printed

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["draw_channels", "draw_shares", "draw_units"]


_KINDS = (("", "o", COLORS["aligned"], -0.14), ("twin_", "D", COLORS["disjoint"], 0.14))
"""Of the scores: prefix, marker, color, how far beside the row."""


def draw_units(study: Study) -> Figure:
    """Channels by their two correlations, and the shares with intervals, beside the untrained twin."""
    arrays = study.arrays
    with printed():
        figure = new_figure(4.2)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
        draw_channels(arrays, ax=left)
        draw_shares(arrays, ax=right)
        what = (
            "Units: which channels follow the motion whatever the look, and which the look whatever the motion?\n"
            f"{counted(len(arrays['motion_correlation']), 'channel')}, {counted(len(arrays['video_id']), 'video')}; "
            "95 % intervals, videos drawn again"
        )
        figure.suptitle(caption(study, what))
    return figure


def draw_channels(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """A dot for each channel: correlation over pairs of one motion against that over pairs of one look.

    Args:
        arrays: ``motion_correlation``, ``appearance_correlation`` ``(C,)``; with ``twin_`` before them the twin's.
        ax: Where to draw.
    """
    kinds = (("twin_", "untrained twin", "D", COLORS["disjoint"], 9), ("", "backbone", "o", COLORS["aligned"], 12))
    for prefix, label, marker, color, size in kinds:
        if f"{prefix}motion_correlation" in arrays:
            x, y = arrays[f"{prefix}appearance_correlation"], arrays[f"{prefix}motion_correlation"]
            ax.scatter(x, y, s=size, color=color, marker=marker, alpha=0.7, linewidths=0, label=label)
    ax.axhline(THRESHOLD, color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=0.8, zorder=1)
    ax.axvline(THRESHOLD, color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=0.8, zorder=1)
    low = min(-0.25, *(float(values.min()) for name, values in arrays.items() if name.endswith("_correlation")))
    ax.set_xlim(low - 0.05, 1.06)
    ax.set_ylim(low - 0.05, 1.16)
    ax.text(low, 1.13, "motion only", va="top", ha="left")
    ax.text(1.04, 1.13, "both", va="top", ha="right")
    ax.text(low, low, "neither", va="bottom", ha="left")
    ax.text(1.04, low, "looks only", va="bottom", ha="right")
    ax.set_xlabel("correlation, same look in another order")
    ax.set_ylabel("correlation, same motion in another look")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2, frameon=False)
    return ax


def draw_shares(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Shares of the channels in percent, with intervals.

    Args:
        arrays: ``summary_<score>``: mean, low, high, chance; with ``twin_`` before the score the twin's.
        ax: Where to draw.
    """
    for row, name in enumerate(SHARES):
        for prefix, marker, color, aside in _KINDS:
            if f"summary_{prefix}{name}" in arrays:
                summary = 100 * arrays[f"summary_{prefix}{name}"]
                draw_mean(summary, row + aside, ax, along="x", color=color, marker=marker, chance=0)
                said = f"{summary[0]:.0f}"
                ax.text(1.02, row + aside, said, transform=ax.get_yaxis_transform(), va="center", color=color)
    ax.set_yticks(range(len(SHARES)), [find_score("units", name).label for name in SHARES])
    ax.axhline(3.5, color="#cccccc", linewidth=0.8)
    ax.set_ylim(len(SHARES) - 0.5, -0.5)
    ax.set_xlim(-2, 102)
    ax.set_xlabel("channels (%)")
    ax.grid(axis="y", color="#eeeeee", linewidth=0.6)
    ax.set_axisbelow(True)
    return ax
