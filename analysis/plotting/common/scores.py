"""Scores over videos: every video a dot, the mean with its interval, the chance level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.measures.common.numbers import number
from analysis.measures.common.statistics import Summary
from analysis.plotting.common.dots import draw_mean, draw_videos

__all__ = ["draw_score"]

_MOST_VALUES = 4  # groups whose means are also written as numbers


def draw_score(
    groups: Sequence[tuple[np.ndarray, Summary] | None],
    *,
    ax: Axes,
    labels: Sequence[str] = (),
    looks: Sequence[dict[str, Any]] = (),
) -> Axes:
    """One score of some groups, such as checkpoints, side by side; the mean as a number below each.

    Args:
        groups: Of each the values per video ``(V,)``, NaN left out, and their summary; None for one that has none.
        ax: Where to draw.
        labels: Of the groups, below the numbers.
        looks: ``color`` and ``marker`` of the groups.
    """
    for at, group in enumerate(groups):
        if group is not None:
            draw_videos(group[0], at, ax, size=4)
            look = looks[at] if looks else {}
            draw_mean(group[1].row, at, ax, size=18, width=1.6, caps=0.2, chance=0.45, **look)
    written = ["–" if group is None else number(group[1].mean) for group in groups]
    written = written if len(groups) <= _MOST_VALUES else [""] * len(groups)
    below = [f"{text}\n{label}" for text, label in zip(written, labels, strict=True)] if labels else written
    ax.set_xticks(range(len(groups)), below)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(groups) - 0.4)
    ax.margins(y=0.1)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.ticklabel_format(axis="y", useOffset=False)
    return ax
