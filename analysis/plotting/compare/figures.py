"""Several checkpoints side by side, on the same clips and one scale: the figures of ``fima-analyze compare``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting.affinity import draw_matrix
from analysis.plotting.compare.maps import (
    CHARACTER,
    draw_compared_cam,
    draw_compared_localize,
    draw_compared_mover,
    short_titles,
)
from analysis.plotting.compare.scores import (
    Marks,
    add_legend,
    compared_caption,
    draw_score_grid,
    grid_height,
    score_names,
)  # fmt: skip
from analysis.plotting.style import COLORS, PALETTE, WIDTH, colorbar, counted, new_figure, pair_look, printed
from analysis.plotting.temporal import draw_counts

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = [
    "CAPTIONS",
    "FIGURES",
    "affinity_range",
    "draw_compared_affinity",
    "draw_compared_temporal",
    "similarity_range",
]

_BESIDE = 4  # matrices or distributions in a row
_BINS = 40
_SMALLEST_RANGE = 1e-3  # of similarities; below it, differences are rounding


def affinity_range(studies: Mapping[str, Study]) -> tuple[float, float]:
    """One color range for the matrices of all checkpoints."""
    means = [study.arrays["affinity_mean"] for study in studies.values()]
    return min(float(m.min()) for m in means), max(float(m.max()) for m in means)


def draw_compared_affinity(studies: Mapping[str, Study]) -> Figure:
    """Mean matrices on one color scale, each at its own size, and the scores of all rows and of foreground rows."""
    beside = min(_BESIDE, len(studies))
    rows = -(-len(studies) // beside)
    scores = list(next(iter(studies.values())).scores)
    with printed():
        heights = [rows * min(2.7, (WIDTH - 1.0) / beside + 0.3), grid_height(len(scores))]
        figure = new_figure(sum(heights) + 0.85)
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
        axes = above.subplots(rows, beside, squeeze=False).ravel()
        limits = affinity_range(studies)
        for ax, (title, study) in zip(axes, _titled(studies, beside), strict=False):
            image = draw_matrix(study.arrays["affinity_mean"], tuple(study.arrays["grid"]), limits=limits, ax=ax)
            ax.set_title(title)
            rows_, columns = study.arrays["grid"]
            ax.set_xlabel(f"motion position{' ' if beside < _BESIDE else chr(10)}(row of {rows_} × {columns})")
        for ax in axes[len(studies) :]:
            ax.remove()
        for ax in (ax for at, ax in enumerate(axes[: len(studies)]) if at % beside):
            ax.set_ylabel("")
        colorbar(above, image, list(axes[: len(studies)]), "cosine similarity", shrink=0.8)
        draw_score_grid({"affinity": studies}, below, names=False)
        title = "Spatial affinity: does an RGB position match the motion of the same place? A bright diagonal means yes"
        figure.suptitle(compared_caption(studies, title))
    return figure


def draw_compared_temporal(studies: Mapping[str, Study]) -> Figure:
    """Distributions of similarities on the same axes, similarity over the offset, and the scores of the windows."""
    beside = min(_BESIDE, len(studies))
    rows = -(-len(studies) // beside)
    scores = [name for name in ("offset_auroc", "offset_d_prime") if name in score_names(studies)]
    with printed():
        figure = new_figure(1.9 * rows + 3.6)
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.9 * rows, 2.6])[:, 0]
        shared = above.subplots(rows, beside, squeeze=False, sharex=True, sharey=True)
        axes = list(shared.ravel())
        bins = np.linspace(*similarity_range(studies), _BINS + 1)
        marks = Marks.of(studies)
        for ax, name, (title, study) in zip(axes, studies, _titled(studies, beside), strict=False):
            draw_shares(study.arrays, bins, ax=ax, color=marks.color(name))
            ax.set_title(title)
        for ax in axes[len(studies) :]:
            ax.remove()
        for ax in axes[max(0, len(studies) - beside) : len(studies)]:
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("cosine similarity")
        for row in shared:
            row[0].set_ylabel("share of a video's pairs (%)")
        axes[0].set_ylim(0, axes[0].get_ylim()[1] * 1.3)
        handles, labels = axes[0].get_legend_handles_labels()
        above.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        _draw_offsets_and_scores(studies, scores, below)
        title = "Temporal similarity: does an RGB moment match the motion of the same time? A peak at Δ = 0 means yes"
        figure.suptitle(compared_caption(studies, title))
    return figure


def _titled(studies: Mapping[str, Study], beside: int) -> list[tuple[str, Study]]:
    return list(zip(short_titles(studies, int((WIDTH - 1.2) / beside / CHARACTER)), studies.values(), strict=True))


_KINDS = {"aligned": "Δ = 0", "misaligned": "|Δ| ≥ ½ window", "disjoint": "no shared frame"}


def similarity_range(studies: Mapping[str, Study]) -> tuple[float, float]:
    """The similarities that occur with any checkpoint, with a margin."""
    lows, highs = [], []
    for study in studies.values():
        edges = study.arrays["density_edges"]
        held = np.flatnonzero(sum(np.nan_to_num(study.arrays[f"density_{kind}"]) for kind in _KINDS))
        lows.append(float(edges[held[0]]))
        highs.append(float(edges[held[-1] + 1]))
    low, high = min(lows), max(highs)
    margin = max(0.03 * (high - low), (_SMALLEST_RANGE - (high - low)) / 2)
    return low - margin, min(1.0, high + margin) if high <= 1 else high + margin


def draw_shares(arrays: dict[str, np.ndarray], bins: np.ndarray, *, ax: Axes, color: str = PALETTE[0]) -> Axes:
    """How aligned and misaligned pairs spread over similarities, in percent of each, every video weighing alike.

    Args:
        arrays: Arrays of a temporal study.
        bins: Edges ``(B + 1,)``, the same for all checkpoints.
        ax: Where to draw.
        color: Of the checkpoint.
    """
    edges = arrays["density_edges"]
    centers = (edges[:-1] + edges[1:]) / 2
    for kind, label in _KINDS.items():
        videos = int(arrays[f"density_{kind}_videos"])
        if not videos:
            continue
        share = np.histogram(centers, bins, weights=arrays[f"density_{kind}"] * np.diff(edges))[0] * 100
        ax.stairs(share, bins, label=f"{label} ({counted(videos, 'video')})", **pair_look(kind, color))
    return ax


def _draw_offsets_and_scores(studies: Mapping[str, Study], scores: Sequence[str], figure: Any) -> None:
    grid = figure.add_gridspec(1, 1 + len(scores), width_ratios=[3.4, *[1] * len(scores)])
    marks = Marks.of(studies)
    curve = grid[0].subgridspec(2, 1, height_ratios=[5, 1])
    upper = figure.add_subplot(curve[0])
    lower = figure.add_subplot(curve[1], sharex=upper)
    for draw in (upper.axvline, upper.axhline):
        draw(0, color=COLORS["chance"], linewidth=0.6, linestyle=(0, (3, 2)))
    seconds = all(np.isfinite(study.arrays["offset_seconds"]).all() for study in studies.values())
    for name, study in studies.items():
        arrays = study.arrays
        offset = arrays["offset_seconds" if seconds else "offset_frames"]
        band = (arrays["offset_change_low"], arrays["offset_change_high"])
        upper.fill_between(offset, *band, color=marks.color(name), alpha=0.2, linewidth=0)
        upper.plot(offset, arrays["offset_change"], color=marks.color(name), linewidth=1.2, linestyle=marks.line(name))
    upper.set_ylabel("similarity minus\nthat at Δ = 0")
    unit = {"video": "videos", "window pair": "window pairs"}[str(next(iter(studies.values())).arrays["offset_unit"])]
    upper.set_title(f"mean, 95 % band over {unit}")
    upper.tick_params(labelbottom=False)
    draw_counts(next(iter(studies.values())).arrays, ax=lower)
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
