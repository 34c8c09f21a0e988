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

    One or two clips take a row each; more stand two by two, with half the moments each, to fit a page; an odd one is
    last in a row of its own.
    """
    if "whole_video_id" in study.arrays:
        return draw_whole(study)
    arrays = study.arrays
    count, length = arrays["example_frames"].shape[:2]
    beside = 1 if count <= 2 else 2
    columns = min(_COLUMNS // beside, length)
    rows = -(-count // beside)
    with printed():
        side = (WIDTH - 1.0 - 0.2 * beside) / (beside * columns + _GAP * (beside - 1))
        figure = new_figure(0.62 + rows * (3 * side + 0.34))
        figure.set_layout_engine("constrained", h_pad=0.025, w_pad=0.025, hspace=0, wspace=0)  # frames close together
        blocks = _blocks(figure, count, beside, columns)
        for i, block in enumerate(blocks):
            times = np.linspace(0, length - 1, block.shape[1]).round().astype(int)
            image = draw_strip({name: arrays[f"example_{name}"][i] for name in _STRIP}, times, block)
        axes = [ax for block in blocks for ax in block.ravel()]
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


def _blocks(figure: Figure, count: int, beside: int, columns: int) -> list[np.ndarray]:
    """Axes ``(3, columns)`` for each clip, in reading order with a gap between neighbors; the last may have a row."""
    widths = ([*[1.0] * columns, _GAP] * beside)[:-1]
    grid = figure.add_gridspec(3 * -(-count // beside), len(widths), width_ratios=widths)
    places = [place for place, width in enumerate(widths) if width == 1.0]
    blocks = []
    for i in range(count):
        row, at = divmod(i, beside)
        own = places if i == count - 1 and at == 0 else places[at * columns : (at + 1) * columns]  # no hole beside it
        strips = [[figure.add_subplot(grid[3 * row + strip, place]) for place in own] for strip in range(3)]
        blocks.append(np.array(strips))
    return blocks


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
