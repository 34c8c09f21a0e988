"""Attention over frames, head by head: the figure of ``fima-analyze attention``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from analysis.plotting.common.frames import example_of, frame_of_slice, mark_cell, show_activation, show_frame
from analysis.plotting.style import ACTIVATION_CMAP, WIDTH, caption, new_figure, printed, shortened

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["above_even", "draw_attention", "largest_share", "scale_end"]

_MAPS = {
    "mean_map": "mean of heads",
    "cell_map": "of marked cell",
    "rollout_map": "all layers",
    "twin_map": "untrained twin",
}
_PANELS = 7  # side by side: moments and heads
_MOST_COLUMNS = 6  # of heads
_GAP = 0.25  # between clips, and between moments and heads, in panels
_LEAST = 1.25


def draw_attention(study: Study) -> Figure:
    """Per clip some moments of the maps, and all heads at one of them; colored is more than an even share.

    Up to two clips have a row for their frames and for every map, more have one for each of the first two maps.
    """
    arrays = study.arrays
    count, heads = arrays["example_heads"].shape[:2]
    names = [name for name in _MAPS if not np.isnan(arrays[f"example_{name}"]).all()]
    names = ["frames", *names] if count <= 2 else names[:2]
    columns = min(-(-heads // len(names)), _MOST_COLUMNS)
    times = max(3, _PANELS - columns)
    most = largest_share(arrays)
    with printed():
        side = (WIDTH - 1.1) / (times + columns + _GAP)
        figure = new_figure(0.9 + count * (len(names) * (side + 0.12) + _GAP * side))
        heights = [_GAP, *[1.0] * len(names)] * count
        widths = [*[1.0] * times, _GAP, *[1.0] * columns]
        grid = figure.add_gridspec(len(heights) - 1, len(widths), height_ratios=heights[1:], width_ratios=widths)
        for i in range(count):
            example = example_of(arrays, i)
            rows = range(i * (len(names) + 1), i * (len(names) + 1) + len(names))
            left = np.array([[figure.add_subplot(grid[row, c]) for c in range(times)] for row in rows])
            right = [figure.add_subplot(grid[row, times + 1 + c]) for row in rows for c in range(columns)]
            _draw_moments(example, names, most, left)
            _draw_heads(example, most, right)
        _scale(figure, most, len(names) * count)
        what = (
            "Attention that cells receive, in shares of an even spread; colored is more than even.\nLeft: at some "
            "moments, the marked cell in orange. Right: every head, at the marked moment"
        )
        figure.suptitle(caption(study, what, output="attention of its last block"))
    return figure


def largest_share(arrays: dict[str, np.ndarray]) -> float:
    """The end of the color scale that all panels share; see ``scale_end``."""
    return scale_end(np.concatenate([arrays[f"example_{name}"].ravel() for name in ("heads", *_MAPS)]))


def scale_end(shares: np.ndarray) -> float:
    """The end of a color scale of shares: what one cell in a thousand exceeds, at least 1.25."""
    found = shares[np.isfinite(shares)]
    return max(_LEAST, float(np.quantile(found, 0.999)))


def above_even(shares: np.ndarray, most: float) -> np.ndarray:
    """Shares of an even spread on a logarithmic scale: 0 at 1 and below, 1 at ``most``."""
    scaled: np.ndarray = np.log(np.clip(np.nan_to_num(shares, nan=1.0), 1, most)) / math.log(most)
    return scaled


def _draw_moments(example: dict[str, np.ndarray], names: list[str], most: float, axes: np.ndarray) -> None:
    steps, marked = len(example["mean_map"]), int(example["cell"][0])
    slices = np.linspace(0, steps - 1, min(axes.shape[1], steps)).round().astype(int)
    slices[np.abs(slices - marked).argmin()] = marked
    for ax in axes[:, len(slices) :].ravel():
        ax.remove()
    for t, column in zip(slices, axes.T, strict=False):
        place = frame_of_slice(t, steps, len(example["frames"]))
        column[0].set_title(f"{example['seconds'][place]:.2f} s", pad=2)
        for name, ax in zip(names, column, strict=True):
            if name == "frames":
                show_frame(example["frames"][place], ax=ax)
            else:
                show_activation(example["frames"][place], above_even(example[name][t], most), ax=ax, outline=False)
            if t == marked and name in ("frames", "cell_map"):
                _mark(example, ax)
    for name, ax in zip(names, axes[:, 0], strict=True):
        ax.set_ylabel(_MAPS.get(name, shortened(str(example["video_id"]), 14)))
    if names[0] != "frames":
        axes[0, 0].set_ylabel(f"{shortened(str(example['video_id']), 14)}\n{_MAPS[names[0]]}")


def _draw_heads(example: dict[str, np.ndarray], most: float, axes: list[Axes]) -> None:
    steps, t = len(example["mean_map"]), int(example["cell"][0])
    frame = example["frames"][frame_of_slice(t, steps, len(example["frames"]))]
    for number, (ax, head) in enumerate(zip(axes, example["heads"], strict=False), start=1):
        show_activation(frame, above_even(head[t], most), ax=ax, outline=False)
        ax.set_title(f"head {number}", pad=2)
    for ax in axes[len(example["heads"]) :]:
        ax.remove()


def _mark(example: dict[str, np.ndarray], ax: Axes) -> None:
    _, y, x = (int(place) for place in example["cell"])
    height, width = example["mean_map"].shape[1:]
    mark_cell(y * width + x, (height, width), example["frames"].shape[1:3], ax=ax)


def _scale(figure: Figure, most: float, rows: int) -> None:
    bar = figure.colorbar(
        ScalarMappable(LogNorm(1, most), ACTIVATION_CMAP), ax=figure.axes, fraction=0.046, pad=0.02, aspect=25,
        shrink=min(1.0, 4 / rows),
    )  # fmt: skip
    ticks = [2.0**power for power in range(int(math.log2(0.9 * most)) + 1)] + [most]
    bar.set_ticks(ticks)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}×"))
    bar.set_label("attention, times an even share")
    bar.outline.set_linewidth(0.4)
