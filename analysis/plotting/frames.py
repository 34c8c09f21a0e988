"""Video frames with something drawn over them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from analysis.plotting.style import ACTIVATION_CMAP, COLORS

__all__ = ["mark_cell", "outline_box", "overlay_map", "show_frame"]


def show_frame(frame: np.ndarray, *, ax: Axes) -> Axes:
    """A frame ``(H, W, 3)`` or ``(H, W)`` uint8 without ticks."""
    ax.imshow(frame, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def overlay_map(
    values: np.ndarray,
    shape: tuple[int, int],
    *,
    ax: Axes,
    limits: tuple[float, float] = (0.0, 1.0),
    cmap: str = ACTIVATION_CMAP,
    alpha: float = 0.5,
    **kwargs: Any,
) -> AxesImage:
    """A map ``(h, w)`` stretched over a frame of ``shape`` (H, W) that is already shown.

    Returns:
        The image, for a color bar.
    """
    height, width = shape
    return ax.imshow(
        values, cmap=cmap, vmin=limits[0], vmax=limits[1], alpha=alpha,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5), **{"interpolation": "bilinear", **kwargs},
    )  # fmt: skip


def outline_box(box: np.ndarray, shape: tuple[int, int], *, ax: Axes, **kwargs: Any) -> None:
    """A box ``(x1, y1, x2, y2)`` in [0, 1] of a frame of ``shape``; NaN draws nothing."""
    if not np.isfinite(box).all():
        return
    height, width = shape
    x1, y1, x2, y2 = box * np.array([width - 1, height - 1] * 2)
    style = {"fill": False, "edgecolor": "white", "linewidth": 0.9, **kwargs}
    ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **style))


def mark_cell(position: int, grid: tuple[int, int], shape: tuple[int, int], *, ax: Axes, **kwargs: Any) -> None:
    """Outline cell ``position`` (row-major) of a grid laid over a frame of ``shape``."""
    row, column = divmod(position, grid[1])
    height, width = shape[0] / grid[0], shape[1] / grid[1]
    style = {"fill": False, "edgecolor": COLORS["mark"], "linewidth": 1.4, **kwargs}
    ax.add_patch(Rectangle((column * width - 0.5, row * height - 0.5), width, height, **style))
