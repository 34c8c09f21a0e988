"""A score over videos: single videos as dots, their mean with its interval, the chance level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import offset_copy

from analysis.plotting.style import COLORS, GRAY

__all__ = ["draw_mean", "draw_videos"]

_GOLDEN = 0.618034
_ASIDE = 4.5  # points


def draw_videos(
    values: np.ndarray, at: float, ax: Axes, *, along: str = "y", spread: float = 0.5, size: float = 5
) -> None:
    """A gray dot for each video, beside one another where there are several.

    Args:
        values: ``(V,)``; what is not finite is left out.
        at: Place on the other axis.
        ax: Where to draw.
        along: The axis of the values, ``x`` or ``y``.
        spread: Width that the dots take.
        size: Size of a dot, in points squared.
    """
    finite = values[np.isfinite(values)]
    # Multiples of the golden ratio instead of random jitter: even, and equal runs give equal pictures.
    aside = at + ((np.arange(len(finite)) * _GOLDEN) % 1 - 0.5) * spread * (len(finite) > 1)
    x, y = (finite, aside) if along == "x" else (aside, finite)
    ax.scatter(x, y, s=size, color="#9a9a9a", linewidths=0, alpha=0.7, zorder=2)


def draw_mean(
    summary: np.ndarray | Sequence[float],
    at: float,
    ax: Axes,
    *,
    along: str = "y",
    color: str = COLORS["aligned"],
    marker: str = "o",
    size: float = 26,
    width: float = 2.0,
    caps: float = 0.0,
    chance: float = 0.4,
) -> None:
    """The mean with its 95 % interval, and the chance level as a dashed line; what is not finite is left out.

    An untrained twin is a hollow gray diamond beside it.

    Args:
        summary: Mean, low, high, chance; of a study with an untrained twin also the twin's mean, low and high.
        at: Place on the other axis.
        ax: Where to draw.
        along: The axis of the values, ``x`` or ``y``.
        color: Color of mean and interval.
        marker: Marker of the mean.
        size: Size of the marker, in points squared.
        width: Width of the interval's line, in points.
        caps: Half the length of the lines at the interval's ends, so that a narrow one shows beside the marker.
        chance: Half the length of the line of chance; 0 for none.
    """
    mean, low, high, level, *twin = summary
    lengthwise, across = (ax.hlines, ax.vlines) if along == "x" else (ax.vlines, ax.hlines)
    if np.isfinite(low):
        lengthwise(at, low, high, color=color, linewidth=width, zorder=3)
        if caps:
            across([low, high], at - caps, at + caps, color=color, linewidth=0.75 * width, zorder=3)
    if np.isfinite(mean):
        x, y = (mean, at) if along == "x" else (at, mean)
        ax.scatter([x], [y], s=size, color=color, marker=marker, edgecolors="white", linewidths=0.4, zorder=4)
    if twin:
        _draw_twin(twin, at, ax, along)
    if chance and np.isfinite(level):
        across(level, at - chance, at + chance, color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=1)


def _draw_twin(summary: Sequence[float], at: float, ax: Axes, along: str) -> None:
    """Mean and interval of the untrained twin, a little aside."""
    mean, low, high = summary
    aside = {"x": 0.0, "y": -_ASIDE} if along == "x" else {"x": _ASIDE, "y": 0.0}
    place = offset_copy(ax.transData, fig=ax.get_figure(root=True), units="points", **aside)
    lengthwise = ax.hlines if along == "x" else ax.vlines
    if np.isfinite(low):
        lengthwise(at, low, high, color=GRAY, linewidth=1, transform=place, zorder=3)
    if np.isfinite(mean):
        x, y = (mean, at) if along == "x" else (at, mean)
        ax.scatter([x], [y], s=14, marker="D", facecolors="white", edgecolors=GRAY, transform=place, zorder=4)
