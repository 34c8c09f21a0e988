"""A map of clips, colored by what is known of them, and the scores of their features: ``fima-analyze embed``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.measures.common.numbers import minus
from analysis.measures.registry import find_score
from analysis.plotting.common.dots import draw_mean
from analysis.plotting.style import COLORS, caption, new_figure, printed, shortened

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["COLOR_CYCLE", "MARKERS", "colorings", "draw_embedding", "draw_map", "draw_scores"]

# Okabe and Ito's colors, and marks told apart at two millimeters. Eleven marks and eight colors: the first eleven
# groups differ in mark alone, so also in gray print, and 88 in mark and color.
COLOR_CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">", "d")
_MOST_GROUPS = 20
_OTHERS = "#b8b8b8"


def colorings(arrays: dict[str, np.ndarray]) -> list[str]:
    """What clips can be colored by, of label, background and video; videos only where they have several clips."""
    known: list[str] = [name for name in ("label", "background") if name in arrays]
    several = len(np.unique(arrays["video"])) < len(arrays["video"])
    return [*known, "video"] if several else known


def draw_embedding(study: Study) -> Figure:
    """The map once or twice, by label and by background or video; beside it the scores, which do not depend on it."""
    arrays = study.arrays
    by = colorings(arrays)[:2] or [""]
    scores = any(f"summary_{kind}" in arrays for kind in _ROWS)
    with printed():
        rows = max(_legend_rows(arrays, name, len(by)) for name in by)
        width = 2.55 if len(by) == 2 else 3.6
        # Inches: of the rest, and of the legends as far as they hang below the axis of the scores.
        height, below = 1.15 + 0.9 * width, max(0.125 * rows - (0.4 if scores else 0), 0)
        figure = new_figure(below + height, width=7.2 if scores else len(by) * 3.6)
        share = below / (below + height)
        figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.06, rect=(0, share, 1, 1 - share))
        ratios = [width] * len(by) + ([1.9 if len(by) == 2 else 2.6] if scores else [])
        axes = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
        for ax, name in zip(axes, by, strict=False):
            draw_map(arrays, name, ax=ax, legend_columns=_legend_columns(len(by)))
        perplexity = study.provenance["projection"]["perplexity"]
        axes[0].set_xlabel(f"t-SNE, perplexity {perplexity:.3g}: no unit, near is alike", loc="left", labelpad=3)
        if scores:
            draw_scores(arrays, ax=axes[-1])
        title = (
            f"Embedding: {len(arrays['points'])} clips of {len(arrays['video_id'])} videos, near where the pooled "
            "features are alike\nThe scores at the right are of the features themselves, not of the map"
        )
        figure.suptitle(caption(study, title if scores else title.splitlines()[0]))
    return figure


def draw_map(arrays: dict[str, np.ndarray], by: str, *, ax: Axes, legend_columns: int = 2) -> Axes:
    """The clips as marks whose color and form tell their label, background or video.

    With more than 20 groups the largest are told apart and the others are gray.

    Args:
        arrays: ``points`` (N, 2), ``video`` (N,), and ``label`` or ``background`` (N,) with their names.
        by: ``label``, ``background`` or ``video``; empty: all alike.
        ax: Where to draw.
        legend_columns: Columns of the legend below.
    """
    points = arrays["points"]
    codes, names = groups_of(arrays, by)
    size = float(np.clip(3000 / len(points), 5, 22))
    shown = largest_groups(codes)
    others = ~np.isin(codes, shown)
    if by == "video":
        _draw_threads(points, codes, ax)
    many = len(points) > 2000  # as pixels also in a drawing of lines
    x, y = points[others].T
    ax.scatter(x, y, s=0.6 * size, color=_OTHERS, linewidths=0, rasterized=many)
    handles = []
    for place, code in enumerate(shown):
        color, marker = COLOR_CYCLE[place % len(COLOR_CYCLE)], MARKERS[place % len(MARKERS)]
        x, y = points[codes == code].T
        ax.scatter(
            x, y, s=size, marker=marker, facecolors=color, edgecolors="black", linewidths=0.25, rasterized=many,
            zorder=3,
        )  # fmt: skip
        mark = Line2D([], [], linestyle="", marker=marker, color=color, markersize=4)
        mark.set(markeredgecolor="black", markeredgewidth=0.25, label=shortened(str(names[code]), 17))
        handles.append(mark)
    if others.any() and len(shown):
        label = f"{len(np.unique(codes[others]))} others"
        handles.append(Line2D([], [], linestyle="", marker="o", markersize=3, color=_OTHERS, label=label))
    if handles:
        legend = ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(-0.03, -0.09), ncols=legend_columns, frameon=False,
            fontsize=6.3, handletextpad=0.1, columnspacing=0.8, labelspacing=0.25, borderaxespad=0,
        )  # fmt: skip
        legend.set_in_layout(False)  # a wide one takes nothing from the map
    ax.set_title(f"by {by}" if by else "neither labels nor backgrounds known", pad=4)
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ("top", "right"):
        ax.spines[side].set_visible(True)
    for spine in ax.spines.values():
        spine.set_color("#b0b0b0")
    ax.set_box_aspect(1)
    ax.set_anchor("N")
    ax.margins(0.06)
    return ax


def groups_of(arrays: dict[str, np.ndarray], by: str) -> tuple[np.ndarray, np.ndarray]:
    """Group of each clip ``(N,)`` and the names of the groups; -1 everywhere where there are none."""
    if not by:
        return np.full(len(arrays["points"]), -1), np.array([])
    return arrays[by], arrays["video_id" if by == "video" else f"{by}_name"]


def largest_groups(codes: np.ndarray, most: int = _MOST_GROUPS) -> list[int]:
    """The groups that are told apart, in their own order: the largest, of equals the first."""
    present, counts = np.unique(codes[codes >= 0], return_counts=True)
    return sorted(present[np.argsort(-counts, kind="stable")[:most]].tolist())


def _draw_threads(points: np.ndarray, codes: np.ndarray, ax: Axes) -> None:
    """Clips of a video follow each other along a thin line."""
    for code in np.unique(codes):
        x, y = points[codes == code].T
        ax.plot(x, y, color="#9a9a9a", linewidth=0.4, zorder=1)


def _legend_columns(maps: int) -> int:
    return 2 if maps == 2 else 3


def _legend_rows(arrays: dict[str, np.ndarray], by: str, maps: int) -> int:
    groups = len(np.unique(groups_of(arrays, by)[0])) if by else 0
    entries = min(groups, _MOST_GROUPS) + (groups > _MOST_GROUPS)
    return -(-entries // _legend_columns(maps))


_ROWS = {
    "knn_label": (COLORS["aligned"], "o"),
    "knn_background": (COLORS["misaligned"], "D"),
    "silhouette_label": (COLORS["aligned"], "o"),
    "silhouette_background": (COLORS["misaligned"], "D"),
    "silhouette_video": (COLORS["disjoint"], "s"),
}


def draw_scores(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Each score with its 95 % interval over videos and its chance level, in a row of its own.

    Args:
        arrays: ``summary_*`` (mean, low, high, chance) of the scores that there are.
        ax: Where to draw.
    """
    rows = [name for name in _ROWS if f"summary_{name}" in arrays]
    for at, name in enumerate(rows):
        text, (color, marker) = find_score("embedding", name).label, _ROWS[name]
        mean, low, high, *_ = arrays[f"summary_{name}"]
        draw_mean(arrays[f"summary_{name}"], at, ax, along="x", color=color, marker=marker, chance=0.24)
        interval = f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else ""
        number = minus(f"{mean:.2f}{interval}")
        ax.text(0, at - 0.29, f"{text}: {number}", transform=ax.get_yaxis_transform(), color=color, va="bottom",
                fontsize=7, linespacing=1.05,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
    values = np.concatenate([arrays[f"summary_{name}"] for name in rows])
    ax.set_xlim(min(0.0, np.nanmin(values)) - 0.06, max(0.5, np.nanmax(values)) + 0.06)
    ax.axvline(0, color="#dddddd", linewidth=0.6, zorder=0)
    ax.set_ylim(max(len(rows), 4) - 0.6, -0.75)  # few rows stay close together
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(
        "nearest: of other videos' clips, share\nsilhouette: in [−1, 1], of all clips\n"
        "bar: 95 % over videos; dashes: shuffled",
        fontsize=7,
    )
    return ax
