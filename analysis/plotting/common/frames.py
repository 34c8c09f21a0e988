"""Video frames with something drawn over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from analysis.plotting.style import ACTIVATION_CMAP, COLORS

__all__ = [
    "COPY",
    "MOST_OPAQUE",
    "TRUTH",
    "example_of",
    "faded",
    "frame_of_slice",
    "mark_cell",
    "outline_mask",
    "overlay_map",
    "show_activation",
    "show_frame",
]

MOST_OPAQUE = 0.9
"""How much of the strongest activation's color is the map's: it can be found on the color bar."""
TRUTH = "#56E0FF"
"""The edge of where an object truly is: cyan."""
COPY = "#FF9F40"
"""The edge of its copy at rest: orange."""
_LUMA = np.array([0.299, 0.587, 0.114])


def show_frame(frame: np.ndarray, *, ax: Axes) -> Axes:
    """A frame ``(H, W, 3)`` or ``(H, W)`` uint8 without ticks."""
    ax.imshow(frame, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def faded(frames: np.ndarray) -> np.ndarray:
    """Frames ``(..., H, W, 3)`` or gray ``(..., H, W)`` as RGB with half of their color: what a map is laid over."""
    color = frames if frames.shape[-1] == 3 else np.repeat(frames[..., None], 3, axis=-1)
    faint: np.ndarray = np.rint((color + (color @ _LUMA)[..., None]) / 2).astype(np.uint8)
    return faint


def show_activation(
    frame: np.ndarray, values: np.ndarray, *, ax: Axes, outline: bool = True, **kwargs: Any
) -> AxesImage:
    """An activation map over its frame: the stronger, the more opaque, so that a weak one hides nothing.

    Args:
        frame: ``(H, W, 3)`` or ``(H, W)`` uint8; shown with half of its color.
        values: ``(h, w)`` in [0, 1].
        ax: Where to draw.
        outline: Also draw the line at half of the maximum.
        **kwargs: Of `overlay_map`.

    Returns:
        The map, for a color bar.
    """
    show_frame(faded(frame), ax=ax)
    shape = frame.shape[:2]
    image = overlay_map(values, shape, ax=ax, alpha=MOST_OPAQUE * np.clip(np.nan_to_num(values), 0, 1), **kwargs)
    if outline and values.min() < values.max() / 2:
        rows, columns = ((np.arange(n) + 0.5) * size / n - 0.5 for n, size in zip(values.shape, shape, strict=True))
        for width, color in ((1.6, "black"), (0.8, "white")):
            ax.contour(columns, rows, values, levels=[values.max() / 2], colors=[color], linewidths=[width])
    return image


def overlay_map(
    values: np.ndarray,
    shape: tuple[int, int],
    *,
    ax: Axes,
    limits: tuple[float, float] = (0.0, 1.0),
    cmap: str = ACTIVATION_CMAP,
    alpha: float | np.ndarray = 0.5,
    **kwargs: Any,
) -> AxesImage:
    """A map ``(h, w)`` stretched over a frame of ``shape`` (H, W) that is already shown.

    Returns:
        The image, for a color bar.
    """
    height, width = shape
    return ax.imshow(
        values, cmap=cmap, vmin=limits[0], vmax=limits[1], alpha=alpha,
        **{"interpolation": "bilinear", "extent": (-0.5, width - 0.5, height - 0.5, -0.5), **kwargs},
    )  # fmt: skip


def example_of(arrays: Mapping[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    """What a study keeps of its shown clip ``i``, without the prefix ``example_``."""
    return {name.removeprefix("example_"): of[i] for name, of in arrays.items() if name.startswith("example_")}


def frame_of_slice(t: int, steps: int, length: int) -> int:
    """The middle frame of slice ``t`` of ``steps``, in a clip of ``length`` frames."""
    return min(length - 1, int((t + 0.5) * length / steps))


def mark_cell(position: int, grid: tuple[int, int], shape: tuple[int, int], *, ax: Axes, **kwargs: Any) -> None:
    """Outline cell ``position`` (row-major) of a grid laid over a frame of ``shape``."""
    row, column = divmod(position, grid[1])
    height, width = shape[0] / grid[0], shape[1] / grid[1]
    style = {"fill": False, "edgecolor": COLORS["mark"], "linewidth": 1.4, **kwargs}
    ax.add_patch(Rectangle((column * width - 0.5, row * height - 0.5), width, height, **style))


def outline_mask(mask: np.ndarray, *, ax: Axes, color: str = TRUTH) -> None:
    """The edge of a mask ``(H, W)`` over a frame of its size: a bright line on a dark one, seen on any ground."""
    if not mask.any():
        return
    for width, line in ((1.8, "black"), (0.9, color)):
        ax.contour(mask.astype(float), levels=[0.5], colors=[line], linewidths=[width])
