"""Scores over videos: every video a dot, the mean with its interval, the chance level."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from analysis.measures.common.statistics import Summary
from analysis.plotting.common.dots import draw_mean, draw_videos

__all__ = ["draw_score"]


def draw_score(groups: dict[str, np.ndarray], summaries: dict[str, Summary], *, title: str, ax: Axes) -> Axes:
    """One score for some groups side by side.

    Args:
        groups: Label → values per video ``(V,)``; NaN are left out.
        summaries: The same labels → their mean, interval and chance level.
        title: Name and unit of the score.
        ax: Where to draw.

    Returns:
        ``ax``.
    """
    for at, (label, values) in enumerate(groups.items()):
        draw_videos(values, at, ax, spread=0.36, size=7)
        draw_mean(summaries[label].row, at, ax)
    ax.set_xticks(range(len(groups)), [f"{_text(summaries[label].mean)}\n{label}" for label in groups])
    ax.set_xlim(-0.6, len(groups) - 0.4)
    ax.set_title(title)
    ax.margins(y=0.12)
    return ax


def _text(value: float) -> str:
    if not np.isfinite(value):
        return "none"
    if abs(value) < 1e-3:
        return "≈ 0"
    digits = "#.3g" if 0.945 <= abs(value) < 1 else "#.2g"  # 0.995 is not 1.0
    return f"{value:{digits}}".replace("-", "−")
