"""What drawn worlds look like, and what is known of them: the figure of ``fima-analyze worlds``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from analysis.plotting.common.frames import COPY, TRUTH, faded, outline_mask, show_frame
from analysis.plotting.style import WIDTH, new_figure, printed, shortened
from fima.data.shapes import ShapesVideo

__all__ = ["draw_worlds"]

_NAMES = 1.25  # inches for the names of rows
_ARROWS = 9  # along a side


def draw_worlds(videos: Mapping[str, ShapesVideo], columns: int = 4) -> Figure:
    """A video of each world: frames with the true outlines, and the true flow.

    Args:
        videos: Name → video.
        columns: Frames of each, spread over it.

    Returns:
        A row for each world.
    """
    side = (WIDTH - _NAMES) / (columns + 1)
    with printed():
        figure = new_figure(len(videos) * (side + 0.2) + 0.6)
        axes = figure.subplots(len(videos), columns + 1, squeeze=False)
        for row, (name, video) in zip(axes, videos.items(), strict=True):
            times = np.linspace(0, len(video) - 1, columns + 2).round().astype(int)[1:-1]
            _show_frames(video, times, row[:-1])
            _show_flow(video, times[columns // 2], row[-1])
            row[0].set_ylabel(_label(name), rotation=0, ha="right", va="center", labelpad=4)
        copies = "; orange: its copy at rest" if any(video.copy for video in videos.values()) else ""
        figure.suptitle(
            f"Drawn worlds, and what is known of each pixel. Cyan: the object that moves by itself{copies}.\n"
            "Right: how what is seen moves until the next frame, the longest arrow as said; cyan where it is the object"
        )
    return figure


def _label(name: str) -> str:
    """A world's regime and knobs, one a line, five lines at most."""
    regime, *knobs = (shortened(part, 18) for part in name.split(","))
    return "\n".join([regime, *knobs[: 4 if len(knobs) < 5 else 3], *(["…"] if len(knobs) > 4 else [])])


def _show_frames(video: ShapesVideo, times: np.ndarray, row: np.ndarray) -> None:
    """Frames with the outlines of the object and of its copy."""
    frames, masks, copies = video.frames(times), video.masks(times), video.copy_masks(times)
    for ax, time, frame, mask, copy in zip(row, times, frames, masks, copies, strict=True):
        show_frame(frame, ax=ax)
        outline_mask(mask, ax=ax)
        outline_mask(copy, ax=ax, color=COPY)
        ax.set_title(f"{time / video.world.fps:.2f} s", pad=2)


def _show_flow(video: ShapesVideo, time: int, ax: Axes) -> None:
    """The flow of a frame as arrows over it."""
    at = np.array([time])
    flow, mask = video.flow(at)[0], video.masks(at)[0]
    size = video.world.size
    show_frame(faded(video.frames(at)[0]), ax=ax)
    places = ((np.arange(_ARROWS) + 0.5) * size / _ARROWS).astype(int)
    columns, rows = (grid.ravel() for grid in np.meshgrid(places, places))
    right, down = flow[:, rows, columns]
    longest = float(np.hypot(right, down).max())
    per_pixel = longest / (1.6 * size / _ARROWS) if longest > 0 else 1.0
    colors = np.where(mask[rows, columns], TRUTH, "white")
    ax.quiver(
        columns, rows, right, down, color=colors, angles="xy", scale_units="xy", scale=per_pixel, pivot="tail",
        width=0.014, headwidth=3.5, headlength=3.5, headaxislength=3.2, minlength=0.4,
        path_effects=[withStroke(linewidth=1.3, foreground="black")],
    )  # fmt: skip
    ax.set_xlim(-0.5, size - 0.5)
    ax.set_ylim(size - 0.5, -0.5)
    ax.set_title(f"{longest:.1f} px a frame", pad=2)
