"""A mover and its still copy under the activation, and the scores: the figure of ``fima-analyze mover``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.measures.registry import find_score
from analysis.plotting.common.frames import COPY, example_of, outline_mask, show_activation, show_frame
from analysis.plotting.style import COLORS, GRAY, WIDTH, caption, colorbar, counted, new_figure, printed, shortened

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.common.study import Study

__all__ = ["draw_mover", "draw_mover_scores", "draw_two"]

KINDS = ("picture", "world", "control", "seam")
# Shape as well as color tells the maps apart.
MAPS = {
    "": ("backbone, RGB", "o", COLORS["aligned"]),
    "motion_": ("backbone, motion", "s", COLORS["misaligned"]),
    "attention_": ("attention received", "X", "#CC79A7"),
    "twin_": ("untrained twin", "D", GRAY),
    "difference_": ("frame difference", "^", GRAY),
    "contrast_": ("color contrast", "P", GRAY),
    "center_": ("centered Gaussian", "v", GRAY),
}


def draw_mover(study: Study) -> Figure:
    """Clips with the copy at rest in the picture and in the world, with and without activation; scores of all maps."""
    arrays = study.arrays
    count = len(arrays.get("example_frames", ()))
    with printed():
        columns = 2 * arrays["example_frames"].shape[2] if count else 4
        side = (WIDTH - 1.9) / columns  # without the color bar and the names of rows
        high = side * arrays["example_frames"].shape[3] / arrays["example_frames"].shape[4] if count else 0
        figure = new_figure(0.9 + 2 * count * (high + 0.13) + 2.3)
        heights = [*[high] * 2 * count, 1.8]
        grid = figure.add_gridspec(2 * count + 1, columns, height_ratios=heights)
        axes = np.array([[figure.add_subplot(grid[i, j]) for j in range(columns)] for i in range(2 * count)])
        for i in range(count):
            image = draw_two(example_of(arrays, i), axes[2 * i : 2 * i + 2])
        if count:
            # Beside the strips alone, and narrow, so that the scores keep the width.
            label, last = "activation, min–max per frame (no unit)", list(axes[:, -1])
            colorbar(figure, image, last, label, shrink=min(1, 1.6 / count), pad=0.01)
        draw_mover_scores(arrays, ax=figure.add_subplot(grid[-1, :]))
        what = (
            "Which of two alike is more active? Cyan: the mover; orange: its copy, at rest.\nBelow: mean, 95 % "
            f"interval, {counted(len(arrays['video_id']), 'video')}; the dashed line is chance"
        )
        figure.suptitle(caption(study, what))
    return figure


def draw_two(example: dict[str, np.ndarray], axes: np.ndarray) -> AxesImage:
    """A clip with its copy at rest in the picture, then in the world: outlines above, activation below.

    Args:
        example: ``frames`` uint8 (2, T, H, W, 3), ``mover`` and ``copy`` bool (2, T, H, W), ``map`` (2, T, H, W),
            ``seconds`` (T,), ``score`` (2,), ``video_id``.
        axes: ``(2, 2 T)``; the first half of the columns is for the first kind.

    Returns:
        An overlay image, for the color bar.
    """
    columns = axes.shape[1] // 2
    for place, (above, below) in enumerate(axes.T):
        kind, t = divmod(place, columns)
        show_frame(example["frames"][kind, t], ax=above)
        above.set_title(f"{('in the picture', 'in the world')[kind]}, {example['seconds'][t]:.2f} s", pad=2)
        outline_mask(example["mover"][kind, t], ax=above)
        outline_mask(example["copy"][kind, t], ax=above, color=COPY)
        image = show_activation(example["frames"][kind, t], example["map"][kind, t], ax=below, outline=False)
    axes[0, 0].set_ylabel(shortened(str(example["video_id"]), 14))
    for kind in (0, 1):
        axes[1, kind * columns].set_ylabel(f"score {float(example['score'][kind]):.2f}")
    return image


def draw_mover_scores(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Scores of all maps by kind of copy, with intervals; the line is chance.

    Args:
        arrays: ``summary_<map><kind>``: mean, low, high, chance.
        ax: Where to draw.
    """
    kinds = [kind for kind in KINDS if f"summary_{kind}" in arrays]
    found = {prefix: style for prefix, style in MAPS.items() if f"summary_{prefix}{kinds[0]}" in arrays}
    ax.axhline(0.5, color=COLORS["chance"], linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for place, kind in enumerate(kinds):
        for step, (prefix, (_, marker, color)) in enumerate(found.items()):
            mean, low, high, *_ = arrays[f"summary_{prefix}{kind}"]
            x = place + (step - (len(found) - 1) / 2) * 0.93 / max(6, len(found))
            ax.vlines(x, low, high, color=color, linewidth=1.4, zorder=3)
            ax.scatter([x], [mean], marker=marker, s=20, color=color, zorder=4)
            ax.annotate(
                f"{mean:.2f}", (x, max(mean, high if np.isfinite(high) else mean)), (0, 3),
                textcoords="offset points", ha="center", va="bottom", fontsize=min(6.5, 39 / len(found)),
            )  # fmt: skip
    ax.set_xticks(range(len(kinds)), [textwrap.fill(find_score("mover", kind).label, 14) for kind in kinds])
    ax.set_ylabel("mover more active than copy\n(probability)")
    ax.set_ylim(0, 1.1)
    handles = [
        Line2D([], [], color=color, marker=marker, linewidth=1.4, markersize=4.5, label=label)
        for label, marker, color in found.values()
    ]
    ax.legend(
        handles=handles,
        ncols=len(found) if len(found) < 7 else 4,
        loc="lower center",
        frameon=False,
        fontsize=6.5,
        columnspacing=1.0,
        handletextpad=0.4,
        bbox_to_anchor=(0.5, 1.0),
    )
    return ax
