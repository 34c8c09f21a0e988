"""Activation maps over frames: the figure of ``fima-analyze cam``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from analysis.plotting.common.frames import show_activation, show_frame
from analysis.plotting.style import WIDTH, caption, colorbar, new_figure, printed, shortened
from analysis.plotting.whole import draw_whole

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.common.study import Study

__all__ = ["draw_cam", "draw_strip"]

_COLUMNS = 6
_GAP = 0.18  # between blocks side by side, in frames


def draw_cam(study: Study) -> Figure:
    """Three strips per clip: frames, RGB activation over them, motion activation over the frame difference.

    One or two clips take a row each; more stand two by two, with half the moments each, to fit a page.
    """
    if "whole_video_id" in study.arrays:
        return draw_whole(study)
    arrays = study.arrays
    count, length = arrays["example_frames"].shape[:2]
    beside = 1 if count <= 2 else 2
    times = np.linspace(0, length - 1, min(_COLUMNS // beside, length)).round().astype(int)
    rows = -(-count // beside)
    with printed():
        side = (WIDTH - 1.0 - 0.2 * beside) / (beside * len(times) + _GAP * (beside - 1))
        figure = new_figure(0.62 + rows * (3 * side + 0.34))
        figure.set_layout_engine("constrained", h_pad=0.025, w_pad=0.025, hspace=0, wspace=0)  # frames close together
        blocks = _blocks(figure, rows, beside, len(times))
        for i in range(count):
            example = {name: arrays[f"example_{name}"][i] for name in _STRIP}
            image = draw_strip(example, times, blocks[i])
        for block in blocks[count:]:
            for ax in block.ravel():
                ax.remove()
        axes = [ax for block in blocks[:count] for ax in block.ravel()]
        colorbar(
            figure,
            image,
            axes,
            f"activation, min–max per {study.provenance['normalize']} (no unit)",
            shrink=min(1, 1.2 / rows),
        )
        title = "Class-agnostic activation: where the features are strong. Line: half of the maximum"
        figure.suptitle(caption(study, title))
    return figure


def _blocks(figure: Figure, rows: int, beside: int, columns: int) -> list[np.ndarray]:
    """Axes ``(3, columns)`` for each clip, blocks in reading order with a gap between neighbors."""
    widths = ([*[1.0] * columns, _GAP] * beside)[:-1]
    grid = figure.add_gridspec(3 * rows, len(widths), width_ratios=widths)
    return [
        np.array([
            [figure.add_subplot(grid[3 * row + strip, place * (columns + 1) + column]) for column in range(columns)]
            for strip in range(3)
        ])
        for row in range(rows)
        for place in range(beside)
    ]  # fmt: skip


_STRIP = ("video_id", "seconds", "frames", "motion_frames", "rgb_map", "motion_map")


def draw_strip(example: dict[str, np.ndarray], times: np.ndarray, axes: np.ndarray) -> AxesImage:
    """Three rows of axes for one clip.

    Args:
        example: ``frames`` (T, H, W, 3), ``motion_frames`` (T, H, W), maps (T, h, w), ``seconds`` (T,).
        times: Which frames to show, one per column.
        axes: ``(3, len(times))``.

    Returns:
        An overlay image, for the color bar.
    """
    for column, t in enumerate(times):
        top, middle, bottom = axes[:, column]
        show_frame(example["frames"][t], ax=top).set_title(f"{example['seconds'][t]:.2f} s", pad=2)
        image = show_activation(example["frames"][t], example["rgb_map"][t], ax=middle)
        show_activation(example["motion_frames"][t], example["motion_map"][t], ax=bottom)
    names = (shortened(str(example["video_id"]), 20), "RGB activation", "motion activation")
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(name)
    return image
