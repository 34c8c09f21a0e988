"""Single videos behind a mean."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

__all__ = ["draw_videos"]

_GOLDEN = 0.618034


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
        size: Of a dot, in points squared.
    """
    finite = values[np.isfinite(values)]
    # Multiples of the golden ratio instead of random jitter: even, and equal runs give equal pictures.
    aside = at + ((np.arange(len(finite)) * _GOLDEN) % 1 - 0.5) * spread * (len(finite) > 1)
    x, y = (finite, aside) if along == "x" else (aside, finite)
    ax.scatter(x, y, s=size, color="#9a9a9a", linewidths=0, alpha=0.7, zorder=2)
