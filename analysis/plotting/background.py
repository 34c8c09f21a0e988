"""A clip in front of other backgrounds, and a probe's accuracy on each: the figure of ``fima-analyze background``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.measures.common.numbers import capital
from analysis.measures.registry import find_score
from analysis.plotting.common.dots import draw_mean
from analysis.plotting.sensitivity import draw_strips
from analysis.plotting.style import COLORS, caption, counted, new_figure, printed

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["draw_accuracies", "draw_background"]

_ROWS = {
    "original": ("original", ""),
    "scuba_video": ("scuba_video", "scufo_video"),
    "scuba_stripes": ("scuba_stripes", "scufo_stripes"),
    "scuba_noise": ("scuba_noise", "scufo_noise"),
    "swap": ("swap_foreground", "swap_background"),
    "background_only": ("", "background_only"),
    "foreground_only": ("foreground_only", ""),
}
"""Row of the example → the score that should be high, and the one that should be low."""
_LEFT, _RIGHT = 3.6, 2.4  # inches


def draw_background(study: Study) -> Figure:
    """A clip under every alteration; in the same rows, what the probe says of all videos so altered."""
    arrays = study.arrays
    frames = arrays.get("example_frames", np.zeros((0, 1)))
    rows, columns = len(_ROWS), frames.shape[1]
    with printed():
        figure = new_figure(1.95 + rows * 0.62)
        figure.set_layout_engine("constrained", h_pad=0.025, w_pad=0.025, hspace=0, wspace=0)
        grid = figure.add_gridspec(rows, columns + 1, width_ratios=[*[_LEFT / columns] * columns, _RIGHT])
        if len(frames):
            strips = [[figure.add_subplot(grid[row, column]) for column in range(columns)] for row in range(rows)]
            shown = arrays["example_name"].tolist()
            names = [name if name == "original" else find_score("background", name).label for name in shown]
            draw_strips(arrays | {"example_name": np.array(names)}, np.array(strips, dtype=object))
        draw_accuracies(arrays, ax=figure.add_subplot(grid[:, columns]))
        contra = find_score("background", "contra")
        title = (
            "Background battery: does a probe go by what acts, or by where it acts? Trained on unaltered clips.\n"
            "Circles should be far right, diamonds at chance.\n"
            f"{capital(contra.label)} ({contra.meaning}): {_percent(arrays['summary_contra'])}; "
            f"95 % intervals over {counted(len(arrays['video_id']), 'video')}"
        )
        figure.suptitle(caption(study, title))
    return figure


def draw_accuracies(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Accuracies with their 95 % intervals in the rows of the strips, in percent; the dashed line is chance.

    Args:
        arrays: ``summary_<score>``: mean, low, high, chance.
        ax: Where to draw.
    """
    for row, (high, low) in enumerate(_ROWS.values()):
        for name, color, marker, aside in (
            (high, COLORS["aligned"], "o", -0.14),
            (low, COLORS["misaligned"], "D", 0.14),
        ):
            if name:
                summary = 100 * arrays[f"summary_{name}"]
                draw_mean(summary, row + aside, ax, along="x", color=color, marker=marker, chance=0)
                said = "none" if np.isnan(summary[0]) else f"{summary[0]:.0f}"
                ax.text(1.02, row + aside, said, transform=ax.get_yaxis_transform(), va="center", color=color)
    ax.axvline(
        100 * arrays["summary_original"][3], color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=1, zorder=1
    )
    ax.set_ylim(len(_ROWS) - 0.5, -0.5)
    ax.set_xlim(-2, 102)
    ax.set_yticks(range(len(_ROWS)), [""] * len(_ROWS))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel("videos (%)")
    handles = [
        Line2D([], [], color=color, marker=marker, linewidth=2, markersize=4.5, label=label)
        for label, color, marker in (
            ("the probe is right", COLORS["aligned"], "o"),
            ("right without motion, or by the background", COLORS["misaligned"], "D"),
        )
    ]
    handles.append(Line2D([], [], color=COLORS["chance"], linewidth=1, linestyle=(0, (3, 2)), label="chance"))
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, borderaxespad=0.2)
    return ax


def _percent(summary: np.ndarray) -> str:
    mean, low, high, _ = 100 * summary
    return f"{mean:.0f} %" + (f" [{low:.0f}, {high:.0f}]" if np.isfinite(low) else "")
