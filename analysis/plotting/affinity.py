"""Affinity of RGB positions to motion positions: the figure of ``fima-analyze affinity``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from analysis.measures.registry import find_score
from analysis.plotting.common.frames import mark_cell, overlay_map, show_frame
from analysis.plotting.common.scores import draw_score
from analysis.plotting.style import SIMILARITY_CMAP, WIDTH, caption, colorbar, new_figure, printed, shortened

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["affinity_limits", "draw_affinity", "draw_matrix", "draw_row"]

_SCORES = ("contrast", "top1_agreement", "displacement", "auroc")
_MOST_SLICES = 4


def draw_affinity(study: Study) -> Figure:
    """Mean matrix, one patch's row over the motion frame of some clips, and the four scores over videos."""
    arrays = study.arrays
    count, slices = arrays["example_affinity_slices"].shape[:2]
    shown = np.linspace(0, slices - 1, min(slices, _MOST_SLICES)).round().astype(int)
    with printed():
        side = (WIDTH - 1.3) / (2 + len(shown))
        heights = [2.7, count * (side + 0.12) + 0.4]
        figure = new_figure(sum(heights) + 0.5)
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
        matrix_ax, *score_axes = _top_axes(above)
        limits = affinity_limits(arrays)
        image = draw_matrix(arrays["affinity_mean"], tuple(arrays["grid"]), limits=limits, ax=matrix_ax)
        colorbar(above, image, matrix_ax, "cosine similarity")
        _draw_scores(study, score_axes)
        rows = below.subplots(count, 2 + len(shown), squeeze=False)
        for i in range(count):
            example = {name: arrays[f"example_{name}"][i] for name in _EXAMPLE}
            _draw_example(example, rows[i], shown, limits)
        for ax, title in zip(rows[0], ["RGB", "mean", *[f"slice {i + 1} of {slices}" for i in shown]], strict=True):
            ax.set_title(title)
        colorbar(below, image, list(rows.ravel()), "cosine similarity", aspect=20 * count)
        title = (
            "Spatial affinity: does an RGB position match the motion of the same place? A bright diagonal means yes\n"
            "Below: the most active RGB patch and its affinity, over the motion; × marks the best match"
        )
        figure.suptitle(caption(study, title))
    return figure


_EXAMPLE = (
    "video_id", "seconds", "frame", "motion_frame", "slice_seconds", "slice_motion_frame", "affinity",
    "affinity_slices", "patch", "mask",
)  # fmt: skip


def affinity_limits(arrays: dict[str, np.ndarray]) -> tuple[float, float]:
    """One color range for every panel of the figure."""
    drawn = [arrays["affinity_mean"], arrays["example_affinity"], arrays["example_affinity_slices"]]
    return min(float(a.min()) for a in drawn), max(float(a.max()) for a in drawn)


def _top_axes(figure: Any) -> list[Axes]:
    grid = figure.add_gridspec(1, 5, width_ratios=[2.6, 1, 1, 1, 1])
    return [figure.add_subplot(grid[0, i]) for i in range(5)]


def draw_matrix(
    affinity: np.ndarray, grid: tuple[int, int], *, ax: Axes, limits: tuple[float, float] | None = None
) -> AxesImage:
    """An affinity matrix ``(P, P)``; ticks where a new row of the grid begins.

    Returns:
        The image, for a color bar.
    """
    low, high = limits or (float(affinity.min()), float(affinity.max()))
    image = ax.imshow(affinity, cmap=SIMILARITY_CMAP, vmin=low, vmax=high, interpolation="nearest")
    rows, columns = grid
    step = max(1, rows // 7) * columns
    ticks = np.arange(0, rows * columns, step)
    ax.set_xticks(ticks, [str(t // columns) for t in ticks])
    ax.set_yticks(ticks, [str(t // columns) for t in ticks])
    ax.set_xlabel(f"motion position (grid row of {columns} cells)")
    ax.set_ylabel("RGB position (grid row)")
    ax.set_title("mean affinity")
    return image


def _draw_scores(study: Study, axes: list[Axes]) -> None:
    for ax, name in zip(axes, _SCORES, strict=True):
        groups = [(study.arrays[f"score_{key}"], study.scores[key]) for key in (name, f"{name}_foreground")]
        draw_score(groups, ax=ax, labels=("all", "fore-\nground"))
        ax.set_title(textwrap.fill(find_score("affinity", name).title, 14))
    axes[0].set_ylabel("dashed: chance, gray: videos")


def draw_row(
    affinity: np.ndarray,
    patch: int,
    motion_frame: np.ndarray,
    grid: tuple[int, int],
    *,
    ax: Axes,
    limits: tuple[float, float],
) -> AxesImage:
    """One row of an affinity matrix over the motion frame: the patch outlined, its best match a cross.

    Args:
        affinity: ``(P, P)``.
        patch: The RGB position, row-major.
        motion_frame: uint8 ``(H, W)``.
        grid: ``(H', W')``.
        ax: Where to draw.
        limits: Color range.
    """
    shape = motion_frame.shape
    show_frame(motion_frame, ax=ax)
    row = affinity[patch].reshape(grid)
    image = overlay_map(row, shape, ax=ax, limits=limits, cmap=SIMILARITY_CMAP, alpha=0.75, interpolation="nearest")
    mark_cell(patch, grid, shape, ax=ax)
    best_row, best_column = divmod(int(affinity[patch].argmax()), grid[1])
    x, y = (best_column + 0.5) * shape[1] / grid[1] - 0.5, (best_row + 0.5) * shape[0] / grid[0] - 0.5
    ax.plot(x, y, "x", color="white", markersize=6, markeredgewidth=2.6, clip_on=False)
    ax.plot(x, y, "x", color="black", markersize=5, markeredgewidth=1.2, clip_on=False)
    return image


def _draw_example(
    example: dict[str, np.ndarray], axes: np.ndarray, shown: np.ndarray, limits: tuple[float, float]
) -> None:
    grid, patch = example["mask"].shape, int(example["patch"])
    show_frame(example["frame"], ax=axes[0])
    mark_cell(patch, grid, example["frame"].shape[:2], ax=axes[0])
    panels = [(example["affinity"], example["motion_frame"], example["seconds"])]
    panels += [
        (example["affinity_slices"][i], example["slice_motion_frame"][i], example["slice_seconds"][i]) for i in shown
    ]
    for ax, (affinity, frame, seconds) in zip(axes[1:], panels, strict=True):
        draw_row(affinity, patch, frame, grid, ax=ax, limits=limits)
        ax.set_xlabel(f"{float(seconds):.2f} s", labelpad=1)
    axes[0].set_xlabel(f"{float(example['seconds']):.2f} s", labelpad=1)
    axes[0].set_ylabel(shortened(str(example["video_id"]), 20))
