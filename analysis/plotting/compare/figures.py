"""Several checkpoints side by side, on the same clips and one scale: the figures of ``fima-analyze compare``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from analysis.plotting.affinity import draw_matrix
from analysis.plotting.common.marks import Marks
from analysis.plotting.common.page import fit, names_of
from analysis.plotting.common.pairs import draw_offset_curve, draw_shares, offset_axis, pair_shares, similarity_range
from analysis.plotting.compare.maps import draw_compared_cam, draw_compared_localize, draw_compared_mover
from analysis.plotting.compare.scores import (
    BESIDE,
    add_legend,
    compared_caption,
    draw_score_grid,
    grid_height,
    panel_grid,
    score_names,
)
from analysis.plotting.style import WIDTH, colorbar, new_figure, printed
from analysis.plotting.temporal import draw_counts

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["CAPTIONS", "FIGURES", "affinity_range", "draw_compared_affinity", "draw_compared_temporal"]

_BINS = 40


def affinity_range(studies: Mapping[str, Study]) -> tuple[float, float]:
    """One color range for the matrices of all checkpoints."""
    means = [study.arrays["affinity_mean"] for study in studies.values()]
    return min(float(m.min()) for m in means), max(float(m.max()) for m in means)


def draw_compared_affinity(studies: Mapping[str, Study]) -> Figure:
    """Mean matrices on one color scale, each at its own size, and the scores of all rows and of foreground rows."""
    beside = min(BESIDE, len(studies))
    rows = -(-len(studies) // beside)
    scores = list(next(iter(studies.values())).scores)
    with printed():
        heights = [rows * min(2.7, (WIDTH - 1.0) / beside + 0.3), grid_height(len(scores))]
        figure = new_figure(sum(heights) + 0.85)
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
        axes = panel_grid(above, len(studies))
        limits = affinity_range(studies)
        for ax, (title, study) in zip(axes, _titled(studies, beside), strict=False):
            image = draw_matrix(study.arrays["affinity_mean"], tuple(study.arrays["grid"]), limits=limits, ax=ax)
            ax.set_title(title)
            rows_, columns = study.arrays["grid"]
            ax.set_xlabel(f"motion position{' ' if beside < BESIDE else chr(10)}(row of {rows_} × {columns})")
        for ax in (ax for at, ax in enumerate(axes) if at % beside):
            ax.set_ylabel("")
        colorbar(above, image, axes, "cosine similarity", shrink=0.8)
        draw_score_grid({"affinity": studies}, below, names=False)
        title = "Spatial affinity: does an RGB position match the motion of the same place? A bright diagonal means yes"
        figure.suptitle(compared_caption(studies, title))
    return figure


def draw_compared_temporal(studies: Mapping[str, Study]) -> Figure:
    """Distributions of similarities on the same axes, similarity over the offset, and the scores of the windows."""
    beside = min(BESIDE, len(studies))
    rows = -(-len(studies) // beside)
    scores = [name for name in ("offset_auroc", "offset_d_prime") if name in score_names(studies)]
    with printed():
        figure = new_figure(1.9 * rows + 3.6)
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.9 * rows, 2.6])[:, 0]
        axes = panel_grid(above, len(studies), sharex=True, sharey=True)
        bins = np.linspace(*similarity_range([study.arrays for study in studies.values()]), _BINS + 1)
        marks = Marks.of(studies)
        for ax, name, (title, study) in zip(axes, studies, _titled(studies, beside), strict=False):
            draw_shares(pair_shares(study.arrays, bins), bins, study.arrays, ax=ax, color=marks.color(name))
            ax.set_title(title)
        for ax in axes[-beside:]:
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("cosine similarity")
        for ax in axes[::beside]:
            ax.set_ylabel("share of a video's pairs (%)")
        axes[0].set_ylim(0, axes[0].get_ylim()[1] * 1.3)
        handles, labels = axes[0].get_legend_handles_labels()
        above.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        _draw_offsets_and_scores(studies, scores, below)
        title = "Temporal similarity: does an RGB moment match the motion of the same time? A peak at Δ = 0 means yes"
        figure.suptitle(compared_caption(studies, title))
    return figure


def _titled(studies: Mapping[str, Study], beside: int) -> list[tuple[str, Study]]:
    room = (WIDTH - 1.2) / beside
    return [(fit(room, *names_of(name, study)), study) for name, study in studies.items()]


def _draw_offsets_and_scores(studies: Mapping[str, Study], scores: Sequence[str], figure: Any) -> None:
    grid = figure.add_gridspec(1, 1 + len(scores), width_ratios=[3.4, *[1] * len(scores)])
    marks = Marks.of(studies)
    curve = grid[0].subgridspec(2, 1, height_ratios=[5, 1])
    upper = figure.add_subplot(curve[0])
    lower = figure.add_subplot(curve[1], sharex=upper)
    offset, _ = offset_axis(study.arrays for study in studies.values())
    for name, study in studies.items():
        line = {"color": marks.color(name), "linestyle": marks.line(name)}
        draw_offset_curve(study.arrays, study.arrays[offset], ax=upper, **line)
    upper.set_ylabel("similarity minus\nthat at Δ = 0")
    first = next(iter(studies.values())).arrays
    upper.set_title(f"mean, 95 % band over {first['offset_unit']}s")
    upper.tick_params(labelbottom=False)
    draw_counts(first, ax=lower)
    if scores:
        parts = [figure.add_subplot(grid[1 + at]) for at in range(len(scores))]
        draw_score_grid({"temporal": studies}, figure, names=False, only=scores, axes=parts)
    else:
        add_legend(figure, studies, marks)


FIGURES: dict[str, Callable[[Mapping[str, Study]], Figure]] = {
    "cam": draw_compared_cam,
    "localize": draw_compared_localize,
    "mover": draw_compared_mover,
    "affinity": draw_compared_affinity,
    "temporal": draw_compared_temporal,
}
"""Measure → its own figure; any other measure has its scores in the figure of all scores."""

_MAPS = "Two moments of every clip, and the RGB activation over them: bright is strong. "
CAPTIONS: dict[str, str] = {
    "cam": _MAPS + "The line encloses what is above half of a frame's maximum.",
    "localize": _MAPS + "Cyan is the true outline of the object; below, the share of the activation inside it.",
    "mover": "The mover outlined in cyan and its copy in orange, which rests in the picture or in the world; the "
    "activation over both, and the probability that the mover is the more active of the two.",
    "affinity": "The mean affinity matrix of every checkpoint on one color scale, and the scores of all and of "
    "foreground positions.",
    "temporal": "How similarities of aligned and misaligned pairs spread, how similarity falls with the offset in "
    "time, and how well the two are told apart.",
}
"""Measure → what its figure shows."""
