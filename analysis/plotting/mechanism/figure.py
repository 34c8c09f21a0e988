"""The figures of ``fima-analyze mechanism``: two views and their pairs, attention, predicted motion, scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from analysis.measures.common.numbers import minus
from analysis.measures.registry import find_measure, find_score
from analysis.plotting.common.dots import draw_mean, draw_videos
from analysis.plotting.mechanism.attention import draw_attention, draw_cosines
from analysis.plotting.mechanism.views import draw_source, draw_views
from analysis.plotting.style import caption, colorbar, counted, new_figure, printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.studies.common.study import Study

__all__ = [
    "draw_mechanism",
    "draw_mechanism_attention",
    "draw_mechanism_motion",
    "draw_mechanism_scores",
    "draw_scores",
]

_SCORES = [name for name in find_measure("mechanism").scores if name != "positive_pairs"]


def draw_mechanism(study: Study) -> Figure:
    """Both views in their source frame, and their positive pairs."""
    with printed():
        figure = new_figure(3.45)
        figure.set_layout_engine("constrained", wspace=0.08)  # room between the views, which the lines cross
        source, *views = figure.subplots(1, 3)
        draw_source(study.arrays, ax=source)
        draw_views(study.arrays, axes=views)
        figure.suptitle(caption(study, "Positive pairs: cells of two views that show the same place"))
    return figure


def draw_mechanism_attention(study: Study) -> Figure | None:
    """What the decoder looks at; None for a method without a decoder."""
    if "example_attention" not in study.arrays:
        return None
    layers, heads = study.arrays["example_attention"].shape[:2]
    with printed():
        figure = new_figure(0.8 + 4 * min(1.0, 6.2 / (2 + layers * (2 + -(-heads // 2)))))
        figure.set_layout_engine("constrained", h_pad=0.03, w_pad=0.03, hspace=0.01, wspace=0.01)
        draw_attention(study.arrays, figure=figure)
        figure.suptitle(caption(study, "What FIMA's motion decoder looks at"))
    return figure


def draw_mechanism_motion(study: Study) -> Figure:
    """Predicted against true motion, cell by cell; without a decoder, RGB features stand in for predictions."""
    decodes = "example_attention" in study.arrays
    title = "Predicted against true motion" if decodes else "RGB features against true motion: no motion decoder"
    with printed():
        figure = new_figure(3.0)
        axes = list(figure.subplots(1, 3))
        image = draw_cosines(study.arrays, axes=axes)
        axes[0].set_ylabel("view m")
        colorbar(figure, image, axes, "cosine similarity", shrink=0.75)
        figure.suptitle(caption(study, title))
    return figure


def draw_mechanism_scores(study: Study) -> Figure:
    """All scores over videos."""
    with printed():
        figure = new_figure(3.1)
        draw_scores(study.arrays, ax=figure.subplots())
        figure.suptitle(caption(study, "Does the decoder use the place?"))
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
        number = "none" if np.isnan(mean) else minus(f"{mean:.2f}")
        ax.text(1.02, at, number, transform=ax.get_yaxis_transform(), va="center")
    ax.set_yticks(range(len(names)), [find_score("mechanism", name).label for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(min(0.0, ax.get_xlim()[0]), 1.02)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"{counted(len(arrays['video_id']), 'video')}; dashed: chance")
    return ax
