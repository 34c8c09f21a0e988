"""Feature colors under their frames: the figure of ``fima-analyze pca``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting.common.frames import example_of, frame_of_slice, show_frame
from analysis.plotting.style import WIDTH, caption, new_figure, printed, shortened

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["draw_pca"]

_COLUMNS = 8
_LEAST_WIDTH = 5.5  # of a row, in panels
_ROWS = ("frames", "rgb_colors", "motion_colors")
_GAP, _ASIDE = 0.25, 0.6  # between clips one below and one beside the other, in panels


def draw_pca(study: Study) -> Figure:
    """Three strips per clip: frames, colors of the RGB and of the motion features; short ones side by side."""
    arrays = study.arrays
    count, steps = arrays["example_rgb_colors"].shape[:2]
    slices = np.linspace(0, steps - 1, min(_COLUMNS, steps)).round().astype(int)
    beside = max(1, min(count, _COLUMNS // (len(slices) + 1)))
    with printed():
        widths = [*[*[1.0] * len(slices), _ASIDE] * beside]
        widths[-1] = max(0.01, _LEAST_WIDTH - sum(widths[:-1]))  # panels of a usual size also where there are few
        rows, side = -(-count // beside), (WIDTH - 0.5) / sum(widths)
        figure = new_figure(0.9 + rows * ((3 + _GAP) * (side + 0.06) + 0.12))
        heights = ([*[1.0] * 3, _GAP] * rows)[:-1]
        grid = figure.add_gridspec(len(heights), len(widths), height_ratios=heights, width_ratios=widths)
        for i in range(count):
            row, block = divmod(i, beside)
            places = [[grid[4 * row + r, block * (len(slices) + 1) + c] for c in range(len(slices))] for r in range(3)]
            axes = np.array([[figure.add_subplot(cell) for cell in cells] for cells in places])
            _draw_strip(example_of(arrays, i), slices, axes)
        basis = "of the whole set" if study.provenance["fit"] == "set" else "of each clip"
        what = (
            f"Feature colors: the first three principal components {basis} as red, green and blue.\n"
            "Cells of one color have alike features; percentages: variance that each color holds"
        )
        figure.suptitle(caption(study, what))
    return figure


def _draw_strip(example: dict[str, np.ndarray], slices: np.ndarray, axes: np.ndarray) -> None:
    steps, length = len(example["rgb_colors"]), len(example["frames"])
    for t, column in zip(slices, axes.T, strict=True):
        place = frame_of_slice(t, steps, length)
        show_frame(example["frames"][place], ax=column[0]).set_title(f"{example['seconds'][place]:.2f} s", pad=2)
        for name, ax in zip(_ROWS[1:], column[1:], strict=True):
            _show_colors(example[name][t], ax)
    first, second, third = (f"{100 * share:.0f}" for share in example["explained"])
    labels = (
        shortened(str(example["video_id"]), 14),
        f"RGB features\n{first} + {second} + {third} %",
        "motion features",
    )
    for ax, label in zip(axes[:, 0], labels, strict=True):
        ax.set_ylabel(label)


def _show_colors(colors: np.ndarray, ax: Axes) -> None:
    """Colors ``(H', W', 3)``; cells keep their edges, since a network says nothing between them."""
    ax.imshow(colors, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
