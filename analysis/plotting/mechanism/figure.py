"""Two views, their pairs, attention and predicted motion: the figure of ``fima-analyze mechanism``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from analysis.measures.registry import find_measure, find_score
from analysis.plotting.common.dots import draw_mean, draw_videos
from analysis.plotting.mechanism.attention import draw_attention, draw_cosines, shared_bar
from analysis.plotting.mechanism.views import chosen_cell, draw_source, draw_views
from analysis.plotting.style import caption, counted, new_figure, printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.studies.common.study import Study

__all__ = [
    "chosen_cell",
    "draw_attention",
    "draw_cosines",
    "draw_mechanism",
    "draw_scores",
    "draw_source",
    "draw_views",
]

_SCORES = [name for name in find_measure("mechanism").scores if name != "positive_pairs"]


def draw_mechanism(study: Study) -> Figure:
    """Three rows: the views and their pairs; what the decoder looks at; predicted against true motion, and scores."""
    arrays = study.arrays
    looks = "example_attention" in arrays
    with printed():
        title = "FIMA's mechanism: two views of a video, the decoder's attention, predicted against true motion"
        text = caption(study, title)
        height = 7.5 if looks else 5.3
        figure = new_figure(height)
        # The layout leaves no room for a title above parts of a figure.
        room = 1 - (0.06 + 0.16 * len(text.splitlines())) / height
        spaces = {"h_pad": 0.03, "w_pad": 0.03, "hspace": 0.01, "wspace": 0.01}
        figure.set_layout_engine("constrained", rect=(0, 0, 1, room), **spaces)
        figure.suptitle(text, y=1 - 0.05 / height, va="top").set_in_layout(False)
        rows: Any = figure.subfigures(3, 1, height_ratios=[2.35, 2.7 if looks else 0.4, 2.0])
        top = _subplots(rows[0], [1.15, 1, 1])
        draw_source(arrays, ax=top[0])
        draw_views(arrays, axes=top[1:])
        if looks:
            draw_attention(arrays, figure=rows[1])
        else:
            rows[1].text(0.5, 0.5, "no motion decoder: nothing to look at, and RGB features stand in for predictions",
                         ha="center", va="center")  # fmt: skip
        _draw_bottom(arrays, figure=rows[2])
    return figure


def draw_scores(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Every score a row: videos as gray dots, mean with 95 % interval, chance level dashed.

    Args:
        arrays: ``score_*`` (V,) and ``summary_*`` (mean, low, high, chance).
        ax: Where to draw.
    """
    names = [name for name in _SCORES if f"summary_{name}" in arrays]
    for at, name in enumerate(names):
        mean = float(arrays[f"summary_{name}"][0])
        draw_videos(arrays[f"score_{name}"], at, ax, along="x")
        draw_mean(arrays[f"summary_{name}"], at, ax, along="x")
        number = "none" if np.isnan(mean) else f"{mean:.2f}".replace("-", "−")
        ax.text(1.02, at, number, transform=ax.get_yaxis_transform(), va="center")
    ax.set_yticks(range(len(names)), [find_score("mechanism", name).label for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(min(0.0, ax.get_xlim()[0]), 1.02)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"{counted(len(arrays['video_id']), 'video')}; dashed: chance")
    return ax


def _draw_bottom(arrays: dict[str, np.ndarray], *, figure: SubFigure) -> None:
    """Maps of cosines beside the scores of all videos."""
    parts: Any = figure.subfigures(1, 2, width_ratios=[3, 3.1])
    left, right = parts
    axes = _subplots(left, [1, 1, 1])
    image = draw_cosines(arrays, axes=axes)
    axes[0].set_ylabel("view m")
    shared_bar(left, image, "cosine of the motion predicted at a cell of m\nwith true motion", location="bottom")
    draw_scores(arrays, ax=right.add_subplot())


def _subplots(figure: SubFigure, widths: list[float]) -> list[Axes]:
    """Axes side by side."""
    grid = figure.add_gridspec(1, len(widths), width_ratios=widths)
    return [figure.add_subplot(grid[0, column]) for column in range(len(widths))]
