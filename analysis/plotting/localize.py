"""Activation over frames with the true outline, and the scores: the figure of ``fima-analyze localize``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.measures.registry import MEASURES, find_score
from analysis.plotting.common.dots import draw_mean
from analysis.plotting.common.frames import outline_mask, show_activation
from analysis.plotting.style import COLORS, GRAY, WIDTH, caption, colorbar, counted, new_figure, printed, shortened

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.common.study import Study

__all__ = ["draw_localize", "draw_located", "draw_location_scores"]

_COLUMNS = 5
SCORES = tuple(MEASURES["localize"].scores)
# Shape as well as color tells the maps apart.
MAPS = {
    "": ("backbone, RGB", "o", COLORS["aligned"]),
    "motion_": ("backbone, motion", "s", COLORS["misaligned"]),
    "difference_": ("frame difference", "^", GRAY),
    "center_": ("centered Gaussian", "v", GRAY),
}


def draw_localize(study: Study) -> Figure:
    """Strips of clips with the object's outline, and every score of four maps beside the uniform one."""
    arrays = study.arrays
    count, length = arrays["example_frames"].shape[:2]
    times = np.linspace(0, length - 1, min(_COLUMNS, length)).round().astype(int)
    with printed():
        side = (WIDTH - 1.1) / len(times)
        figure = new_figure(0.65 + count * (side + 0.16) + 2.3)
        grid = figure.add_gridspec(count + 1, len(times), height_ratios=[*[side] * count, 1.9])
        axes = np.array([[figure.add_subplot(grid[i, j]) for j in range(len(times))] for i in range(count)])
        for i in range(count):
            example = {
                name: arrays[f"example_{name}"][i]
                for name in ("video_id", "seconds", "frames", "map", "mask", "known", "energy", "chance")
            }
            image = draw_located(example, times, axes[i])
        colorbar(
            figure, image, list(axes.ravel()), "activation, min–max per frame (no unit)", shrink=min(1, 1.6 / count)
        )
        draw_location_scores(arrays, ax=figure.add_subplot(grid[count, :]))
        videos = len(arrays["video_id"])
        spread = "mean, 95 % interval, " if np.isfinite(arrays["summary_energy"][1]) else ""
        what = (
            "Localization: activation should lie inside the cyan outline of the object.\n"
            f"Below: {spread}{counted(videos, 'video')}; bars are chance, what a uniform map scores"
        )
        figure.suptitle(caption(study, what))
    return figure


def draw_located(example: dict[str, np.ndarray], times: np.ndarray, axes: np.ndarray) -> AxesImage:
    """One clip: its RGB activation over some frames, and the outline of the mask.

    Args:
        example: ``frames`` (T, H, W, 3), ``map`` (T, h, w), ``mask`` bool (T, H, W), ``known`` bool (T,), ``seconds``
            (T,), and the clip's ``energy`` and ``chance``.
        times: Which frames, one per axes.
        axes: ``(len(times),)``.

    Returns:
        An overlay image, for the color bar.
    """
    for ax, t in zip(axes, times, strict=True):
        image = show_activation(example["frames"][t], example["map"][t], ax=ax, outline=False)
        ax.set_title(f"{example['seconds'][t]:.2f} s", pad=2)
        outline_mask(example["mask"][t], ax=ax)
    label, energy, chance = find_score("localize", "energy").label, float(example["energy"]), float(example["chance"])
    axes[0].set_ylabel(f"{shortened(str(example['video_id']), 16)}\n{label} {energy:.2f}\n(chance {chance:.2f})")
    return image


def draw_location_scores(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Every score of the four maps with its interval; the bar behind them is chance.

    Args:
        arrays: ``summary_<map><score>``: mean, low, high, chance.
        ax: Where to draw.
    """
    shown = [name for name in SCORES if f"summary_{name}" in arrays]
    for place, name in enumerate(shown):
        ax.bar(place, arrays[f"summary_{name}"][3], width=0.92, color="#e4e4e4", zorder=1)
        for step, (prefix, (_, marker, color)) in enumerate(MAPS.items()):
            summary = arrays[f"summary_{prefix}{name}"]
            x = place + (step - 1.5) * 0.23
            draw_mean(summary, x, ax, color=color, marker=marker, size=20, width=1.4, chance=0)
            ax.annotate(
                f"{summary[0]:.2f}", (x, np.fmax.reduce(np.delete(summary, 3))), (0, 3),
                textcoords="offset points", ha="center", va="bottom", fontsize=6.5,
            )  # fmt: skip
    ax.set_xticks(range(len(shown)), [textwrap.fill(find_score("localize", name).label, 12) for name in shown])
    ax.set_ylabel("score (no unit)")
    ax.set_ylim(0, 1.08)
    handles = [
        Line2D([], [], color=color, marker=marker, linewidth=1.4, markersize=4.5, label=label)
        for label, marker, color in MAPS.values()
    ]
    ax.legend(handles=handles, ncols=4, loc="upper center", frameon=False, bbox_to_anchor=(0.5, 1.14))
    return ax
