"""Activation along whole videos: the figure of ``fima-analyze cam --whole``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.plotting.common.frames import show_activation
from analysis.plotting.style import COLORS, WIDTH, caption, colorbar, new_figure, printed, shortened

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.common.study import Study

__all__ = ["draw_along", "draw_moments", "draw_whole"]

_CURVES = {
    "activation": ("activation\n(no unit)", "aligned"),
    "energy": ("motion energy\n(share of white)", "misaligned"),
}


def draw_whole(study: Study) -> Figure:
    """Moments of each video with the maps over them, and under them activation and motion energy over seconds."""
    arrays = study.arrays
    videos = [_of(arrays, i) for i in range(len(arrays["whole_video_id"]))]
    with printed():
        columns = max(len(video["moments"]) for video in videos)
        side = (WIDTH - 1.2) / columns
        highs = [side * video["frames"].shape[1] / video["frames"].shape[2] for video in videos]
        figure = new_figure(0.8 + sum(2 * high + 2.2 for high in highs))
        heights = [height for high in highs for height in (high, high, 0.75, 0.75)]
        grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
        for i, video in enumerate(videos):
            count = len(video["moments"])
            axes = np.array([[figure.add_subplot(grid[4 * i + row, j]) for j in range(count)] for row in (0, 1)])
            image = draw_moments(video, axes)
            label = f"activation, min–max\nper {study.provenance['normalize']} (no unit)"
            colorbar(figure, image, list(axes[:, -1]), label, pad=0.03)
            draw_along(video, [figure.add_subplot(grid[4 * i + row, :]) for row in (2, 3)])
        figure.suptitle(
            caption(study, f"Activation along whole videos; below, its mean and the motion over time{_square(study)}")
        )
    return figure


def _square(study: Study) -> str:
    return "" if study.provenance["crop"] == "whole frame" else ".\nThe square is what the backbone sees"


def _of(arrays: dict[str, np.ndarray], i: int) -> dict[str, Any]:
    """What was kept of a video, without the prefix."""
    prefix = f"whole_{i}_"
    own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    return {"video_id": str(arrays["whole_video_id"][i]), **own}


def draw_moments(video: dict[str, Any], axes: np.ndarray) -> AxesImage:
    """Frames with the RGB activation over them, and the same frames with the motion activation.

    Args:
        video: What `analysis.studies.cam.whole.whole_arrays` keeps of it, and its ``video_id``.
        axes: ``(2, K)``.

    Returns:
        An overlay image, for the color bar.
    """
    for row, name in enumerate(("rgb_map", "motion_map")):
        for ax, frame, moment in zip(axes[row], video["frames"], video["moments"], strict=True):
            top, left, height, width = video["region"] * np.tile(frame.shape[:2], 2)
            values = video[name][moment].astype(np.float32)
            extent = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
            image = show_activation(frame, values, ax=ax, outline=False, extent=extent)
            if width < frame.shape[1] or height < frame.shape[0]:
                ax.add_patch(
                    Rectangle((left, top), width - 1, height - 1, fill=False, edgecolor="white", linewidth=0.8)
                )
            ax.set_xlim(-0.5, frame.shape[1] - 0.5)
            ax.set_ylim(frame.shape[0] - 0.5, -0.5)
            if row == 0:
                ax.set_title(f"{video['seconds'][moment]:.2f} s", pad=2)
    axes[0, 0].set_ylabel(f"{shortened(video['video_id'], 16)}\nRGB")
    axes[1, 0].set_ylabel("motion")
    return image


def draw_along(video: dict[str, Any], axes: list[Axes]) -> None:
    """Mean activation, and motion energy, of every frame over the seconds at which it is shown.

    Args:
        video: As of ``draw_moments``.
        axes: Two, one below the other.
    """
    seconds = video["seconds"]
    for ax, (name, (label, color)) in zip(axes, _CURVES.items(), strict=True):
        ax.plot(seconds, video[name], color=COLORS[color], linewidth=1.2)
        for moment in video["moments"]:
            ax.axvline(seconds[moment], color=COLORS["chance"], linewidth=0.6, linestyle=(0, (3, 2)), zorder=1)
        ax.set_xlim(seconds[0], seconds[-1] if len(seconds) > 1 else seconds[0] + 1)
        ax.set_ylabel(label)
        ax.margins(y=0.12)
    axes[0].tick_params(labelbottom=False)
    axes[1].set_xlabel("time in the video (s); dashed: the frames above")
