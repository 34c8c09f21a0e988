"""Similarity over time: the figure of ``fima-analyze temporal``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from scipy.stats import gaussian_kde

from analysis.measures.common.numbers import minus, number
from analysis.measures.common.offsets import pooled_auroc
from analysis.measures.registry import find_score
from analysis.plotting.common.pairs import (
    SMALLEST_RANGE,
    draw_offset_curve,
    draw_shares,
    offset_axis,
    pair_shares,
    similarity_range,
)
from analysis.plotting.style import COLORS, PALETTE, SIMILARITY_CMAP, caption, colorbar, new_figure, printed

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["draw_counts", "draw_distributions", "draw_offsets", "draw_similarity", "draw_temporal"]

_BINS = 30


def draw_temporal(study: Study) -> Figure:
    """Slices of a clip, similarity over the offset of windows, and the distributions behind it."""
    with printed():
        figure = new_figure(3.3)
        columns = figure.add_gridspec(1, 3, width_ratios=[1, 1.7, 1.3])
        slices, distributions = figure.add_subplot(columns[0]), figure.add_subplot(columns[2])
        if len(study.arrays["similarity_mean"]) > 1:
            colorbar(figure, draw_similarity(study.arrays["similarity_mean"], ax=slices), slices, "cosine similarity")
        else:
            _say(slices, "one slice in a clip:\nnothing to compare")
        middle = columns[1].subgridspec(2, 1, height_ratios=[5, 1])
        upper = figure.add_subplot(middle[0])
        lower = figure.add_subplot(middle[1], sharex=upper)
        if len(study.arrays["offset_frames"]) > 1:
            draw_offsets(study.arrays, ax=upper)
            draw_counts(study.arrays, ax=lower)
            upper.set_xlabel("")
            upper.tick_params(labelbottom=False)
        else:
            _say(upper, "one window:\nnothing to compare")
            lower.remove()
        draw_distributions(study.arrays, ax=distributions)
        distributions.set_title(_verdict(study))
        title = "Temporal similarity: does an RGB moment match the motion of the same time? A peak at Δ = 0 means yes"
        figure.suptitle(caption(study, title))
    return figure


def draw_similarity(similarity: np.ndarray, *, ax: Axes, limits: tuple[float, float] | None = None) -> AxesImage:
    """A ``(T', T')`` similarity; numbers in the cells while they are few.

    Returns:
        The image, for a color bar.
    """
    low, high = limits or _at_least(float(similarity.min()), float(similarity.max()))
    image = ax.imshow(similarity, cmap=SIMILARITY_CMAP, vmin=low, vmax=high, interpolation="nearest")
    slices = len(similarity)
    if slices <= 4:
        middle = (low + high) / 2
        for (row, column), value in np.ndenumerate(similarity):
            ax.text(
                column,
                row,
                minus(f"{value:.3f}"),
                ha="center",
                va="center",
                color="black" if value > middle else "white",
            )
    step = max(1, slices // 8)
    ax.set_xticks(range(0, slices, step))
    ax.set_yticks(range(0, slices, step))
    ax.set_xlabel("motion slice")
    ax.set_ylabel("RGB slice")
    ax.set_title("slices of a clip, mean")
    return image


def draw_offsets(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """How similarity changes with the offset, each video against its own Δ = 0, with the 95 % band."""
    name, unit = offset_axis([arrays])
    marker = "o" if len(arrays[name]) < 40 else None
    draw_offset_curve(arrays, arrays[name], ax=ax, color=COLORS["aligned"], marker=marker, markersize=2.5)
    ax.set_xlabel(f"offset Δ of the motion ({unit})")
    ax.set_ylabel("similarity minus\nthat at Δ = 0")
    level = float(arrays["offset_mean"][arrays["offset_frames"] == 0][0])
    ax.set_title(f"similarity at Δ = 0: {number(level)}\nband: 95 % over {arrays['offset_unit']}s")
    ax.set_ylim(_at_least(*ax.get_ylim()))
    return ax


def draw_counts(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """How many videos have each offset, under a curve that shares its axis: short videos have no large ones."""
    name, unit = offset_axis([arrays])
    videos = arrays["offset_videos"]
    ax.fill_between(arrays[name], videos, step="mid", color="#9a9a9a", linewidth=0)
    ax.set_ylim(0, videos.max() * 1.15)
    ax.set_yticks([0, int(videos.max())])
    ax.set_ylabel("videos")
    ax.set_xlabel(f"offset Δ of the motion ({unit})")
    return ax


def draw_distributions(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Histogram and density of aligned and misaligned pairs, each video weighing the same."""
    low, high = similarity_range([arrays])
    bins = np.linspace(low, high, _BINS + 1)
    edges, width = arrays["density_edges"], (high - low) / _BINS
    shares = {kind: share / (100 * width) for kind, share in pair_shares(arrays, bins).items()}
    draw_shares(shares, bins, arrays, ax=ax, color=PALETTE[0])
    for kind in shares.keys() & {"aligned", "misaligned"}:
        weights = arrays[f"density_{kind}"] * np.diff(edges)
        _draw_density((edges[:-1] + edges[1:]) / 2, weights, np.linspace(low, high, 200), COLORS[kind], ax)
    ax.set_xlabel("cosine similarity")
    ax.set_ylabel("density")
    ax.set_ylim(0, ax.get_ylim()[1] * 1.45)  # room for the legend
    ax.legend(loc="upper left", frameon=False)
    return ax


def _draw_density(centers: np.ndarray, weights: np.ndarray, at: np.ndarray, color: str, ax: Axes) -> None:
    """A Gaussian kernel density, where the values vary enough to have one."""
    present = weights > 0
    if present.sum() < 3:
        return
    density = gaussian_kde(centers[present], weights=weights[present])
    ax.plot(at, density(at), color=color, linewidth=1.2)


def _at_least(low: float, high: float) -> tuple[float, float]:
    """A range around the same middle that is wide enough to be worth showing."""
    missing = max(0.0, SMALLEST_RANGE - (high - low)) / 2
    return low - missing, high + missing


def _verdict(study: Study) -> str:
    auroc, d_prime = study.scores["offset_auroc"], study.scores["offset_d_prime"]
    if not np.isfinite(auroc.mean):
        return "too short for misaligned windows"
    pooled = pooled_auroc(*(study.arrays[f"density_{kind}"] for kind in ("aligned", "misaligned")))
    names = {name: find_score("temporal", name).label for name in ("offset_auroc", "offset_d_prime")}
    lines = (
        f"{names['offset_auroc']} {auroc.mean:.2f} (0.50)",
        *([] if auroc.twin_mean is None else [f"untrained {auroc.twin_mean:.2f}"]),
        f"{names['offset_d_prime']} {d_prime.mean:.2f} (0.00)",
        f"AUROC pooled {pooled:.2f} (0.50)",
        "in brackets: chance",
    )
    return minus("\n".join(lines))


def _say(ax: Axes, text: str) -> None:
    """Words where there is nothing to draw."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
