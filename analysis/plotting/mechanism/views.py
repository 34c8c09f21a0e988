"""Two views of a video: where they lie in the source frame, their foreground, and their positive pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import ConnectionPatch, Rectangle
from matplotlib.patheffects import withStroke

from analysis.plotting.common.frames import mark_cell, show_frame
from analysis.plotting.style import COLORS, counted, shortened

__all__ = ["VIEWS", "chosen_cell", "draw_source", "draw_views", "show_view"]

VIEWS: dict[str, Any] = {"m": "-", "n": (0, (3, 1.2))}
"""View → the dashes of its border: hues are checkpoints."""
_INK = "#333333"
_CASED = [withStroke(linewidth=3, foreground=_INK)]  # white on dark: seen on any picture
_PAIR = [withStroke(linewidth=1.2, foreground="white")]  # dark on white: seen on pictures and on paper


def chosen_cell(pairs: np.ndarray) -> int:
    """The cell of m that the figure follows: of those with a positive, the one nearest to their middle.

    Args:
        pairs: ``(P, P)`` bool, cell of m by cell of n, of a square grid.
    """
    side = math.isqrt(len(pairs))
    found = np.flatnonzero(pairs.any(axis=1))
    if not len(found):
        return side // 2 * (side + 1)
    places = np.stack(np.divmod(found, side), axis=1)
    nearest = ((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()
    return int(found[nearest])


def draw_source(arrays: dict[str, np.ndarray], *, ax: Axes) -> None:
    """The source frame with both views' boxes and what they have in common.

    Args:
        arrays: ``example_source`` (H, W, 3), ``example_boxes`` (2, 4), ``example_overlap`` (4,), ``example_video_id``.
        ax: Where to draw.
    """
    frame = arrays["example_source"]
    show_frame(frame, ax=ax)
    size = np.array([frame.shape[1] - 1, frame.shape[0] - 1])
    overlap = arrays["example_overlap"].reshape(2, 2) * size
    if np.isfinite(overlap).all():
        (x, y), (width, height) = overlap[0], overlap[1] - overlap[0]
        hatched = Rectangle((x, y), width, height, fill=False, hatch="////", edgecolor="white", alpha=0.55, linewidth=0)
        ax.add_patch(hatched)
    for (name, dashes), box in zip(VIEWS.items(), arrays["example_boxes"], strict=True):
        (x1, y1), (x2, y2) = box.reshape(2, 2) * size
        ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="white", linewidth=1.2,
                               linestyle=dashes, path_effects=_CASED))  # fmt: skip
        label = f"{name}, flipped" if x1 > x2 else name
        corner = (min(x1, x2), y1) if name == "m" else (max(x1, x2), y2)
        sides = {"ha": "left", "va": "top"} if name == "m" else {"ha": "right", "va": "bottom"}
        _badge(label, corner, ax, **sides)
    ax.set_title(f"source frame, {arrays['example_seconds'][0]:.2f} s\nhatched: both views show it", pad=3)
    ax.set_xlabel(shortened(str(arrays["example_video_id"]), 34))


def draw_views(arrays: dict[str, np.ndarray], *, axes: Sequence[Axes]) -> None:
    """Both views with their foreground outlined, and a line for every positive pair of cells.

    Args:
        arrays: ``example_views`` (2, S, S, 3), ``example_masks`` (2, H', W'), ``example_pairs`` (P, P),
            ``example_seconds`` (2,).
        axes: Two.
    """
    views, masks, pairs = (arrays[f"example_{name}"] for name in ("views", "masks", "pairs"))
    grid, shape = masks.shape[1:], views.shape[1:3]
    for at, name in enumerate(VIEWS):
        show_view(views[at], name, ax=axes[at])
        _outline_cells(masks[at], shape, ax=axes[at])
        axes[at].set_title(f"view {name}, {arrays['example_seconds'][at]:.2f} s\nbright: foreground", pad=3)
    cell = chosen_cell(pairs)
    for m, n in np.argwhere(pairs):
        followed = m == cell
        line = ConnectionPatch(_center(m, grid, shape), _center(n, grid, shape), "data", axesA=axes[0], axesB=axes[1])
        line.set(color=COLORS["mark"] if followed else _INK, linewidth=1.3 if followed else 0.6, zorder=5 + followed,
                 path_effects=_PAIR)  # fmt: skip
        axes[0].figure.add_artist(line)
    axes[0].set_xlabel(f"lines: {counted(int(pairs.sum()), 'positive pair')}")
    mark_cell(cell, grid, shape, ax=axes[0], zorder=7)
    axes[1].set_xlabel("orange: those of one cell")


def show_view(view: np.ndarray, name: str, *, ax: Axes) -> None:
    """A view in a border of its dashes; ``name`` is a key of ``VIEWS``."""
    show_frame(view, ax=ax)
    for spine in ax.spines.values():
        spine.set(visible=True, edgecolor=_INK, linewidth=1.6, linestyle=VIEWS[name])


def _outline_cells(mask: np.ndarray, shape: tuple[int, int], *, ax: Axes) -> None:
    """Darken the cells outside of a mask ``(H', W')``, and draw its border."""
    shade = np.zeros((*mask.shape, 4), np.uint8)
    shade[..., 3] = np.where(mask, 0, 140)
    height, width = shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(shade, extent=extent, interpolation="nearest")
    padded = np.pad(mask, 1)
    down, across = height / mask.shape[0], width / mask.shape[1]
    edges = [((x, y), (x + 1, y)) for y, x in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])]
    edges += [((x, y), (x, y + 1)) for y, x in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])]
    lines = [[(x * across - 0.5, y * down - 0.5) for x, y in edge] for edge in edges]
    ax.add_collection(LineCollection(lines, colors="white", linewidths=1.1))


def _center(cell: int, grid: tuple[int, int], shape: tuple[int, int]) -> tuple[float, float]:
    row, column = divmod(int(cell), grid[1])
    return (column + 0.5) * shape[1] / grid[1] - 0.5, (row + 0.5) * shape[0] / grid[0] - 0.5


def _badge(text: str, place: tuple[float, float], ax: Axes, **sides: Any) -> None:
    box = {"facecolor": _INK, "edgecolor": "none", "pad": 1.2}
    ax.text(*place, text, color="white", fontsize=7, bbox=box, **sides)
