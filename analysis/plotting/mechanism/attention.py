"""What FIMA's motion decoder looks at, and how well it predicts motion, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.measures.common.numbers import minus
from analysis.plotting.common.frames import mark_cell, overlay_map
from analysis.plotting.mechanism.views import chosen_cell, show_view
from analysis.plotting.style import SIMILARITY_CMAP, colorbar

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

__all__ = ["draw_attention", "draw_cosines"]


def draw_attention(arrays: dict[str, np.ndarray], *, figure: Figure) -> None:
    """What a cell of m, and the class token, look at in n: for each layer the mean over heads, and every head.

    Args:
        arrays: ``example_attention`` (layers, heads, S, P), ``example_pairs`` (P, P), ``example_views``,
            ``example_masks``.
        figure: An empty one.
    """
    weights, pairs, views = (arrays[f"example_{name}"] for name in ("attention", "pairs", "views"))
    layers, heads, asked, cells = weights.shape
    cell, tokens = chosen_cell(pairs), asked - cells
    grid, shape = arrays["example_masks"].shape[1:], views.shape[1:3]
    queries = [cell + tokens] + [0] * tokens
    relative = weights[:, :, queries] * cells  # 1: even
    limits = (0.0, max(float(np.quantile(relative, 0.99)), 1.0))
    wide = -(-heads // 2)  # the heads of a layer in two lines
    places = figure.add_gridspec(2 * len(queries), 2 + layers * (2 + wide))
    for row in range(len(queries)):
        line = slice(2 * row, 2 * row + 2)
        _draw_asking(cell if row == 0 else None, views[0], grid, figure.add_subplot(places[line, :2]))
        for layer in range(layers):
            at = 2 + layer * (2 + wide)
            mean = figure.add_subplot(places[line, at : at + 2])
            image = _attended(relative[layer, :, row].mean(axis=0), views[1], grid, limits, mean)
            small = [figure.add_subplot(places[2 * row + h // wide, at + 2 + h % wide]) for h in range(heads)]
            for head, ax in enumerate(small):
                _attended(relative[layer, head, row], views[1], grid, limits, ax)
            if row == 0:
                mean.set_title(f"layer {layer + 1}, mean", pad=3)
                small[0].set_title(f"heads 1–{heads}", pad=3, loc="left")
                for n in np.flatnonzero(pairs[cell]):
                    mark_cell(int(n), grid, shape, ax=mean)
    colorbar(figure, image, list(figure.axes), "attention over n (1: even)", extend="max", shrink=0.8)


def _draw_asking(cell: int | None, view: np.ndarray, grid: tuple[int, int], ax: Axes) -> None:
    """Who looks: a cell of m, or (None) the class token."""
    if cell is None:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "class token:\nsums up the\nslice of n,\nknows nothing\nof m", ha="center", va="center")
        return
    show_view(view, "m", ax=ax)
    mark_cell(cell, grid, view.shape[:2], ax=ax)
    ax.set_title("a cell of m looks at n", pad=3)


def draw_cosines(arrays: dict[str, np.ndarray], *, axes: Sequence[Axes]) -> AxesImage:
    """Cosine of the motion predicted at each cell of m with true motion, over the view.

    Args:
        arrays: ``example_similarity`` (P, P), ``example_other_similarity`` (P, P) or, without another video, (P, 0);
            ``example_pairs``, ``example_views``, ``example_masks``.
        axes: Three: matching cells, other cells, the other video.

    Returns:
        One of the maps, for a color bar.
    """
    pairs, similarity, other = (arrays[f"example_{name}"] for name in ("pairs", "similarity", "other_similarity"))
    grid, view = arrays["example_masks"].shape[1:], arrays["example_views"][0]
    asked = pairs.any(axis=1, keepdims=True)
    maps = {"matching cells of n": _mean_where(similarity, pairs)}
    maps["other cells of n"] = _mean_where(similarity, asked & ~pairs)
    if other.shape[1]:
        maps["another video"] = _mean_where(other, pairs)
    else:
        axes[2].set_axis_off()
        axes[2].text(0.5, 0.5, "no other video\nto compare with", ha="center", va="center")
    for (name, values), ax in zip(maps.items(), axes, strict=False):
        show_view(view, "m", ax=ax)
        image = overlay_map(
            values.reshape(grid), view.shape[:2], ax=ax, limits=(-1, 1), cmap=SIMILARITY_CMAP, alpha=0.75,
            interpolation="nearest",
        )  # fmt: skip
        mark_cell(chosen_cell(pairs), grid, view.shape[:2], ax=ax)
        mean = minus(f"{np.nanmean(values):.2f}") if pairs.any() else "no pair"
        ax.set_title(f"{name}\n(mean {mean})", pad=3)
    return image


def _attended(
    values: np.ndarray, view: np.ndarray, grid: tuple[int, int], limits: tuple[float, float], ax: Axes
) -> AxesImage:
    show_view(view, "n", ax=ax)
    weights = values.reshape(grid)
    image = overlay_map(weights, view.shape[:2], ax=ax, limits=limits, interpolation="nearest")
    image.set_alpha(0.45 + 0.5 * np.clip(weights / limits[1], 0, 1))  # what is not looked at stays visible
    return image


def _mean_where(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean of the chosen entries of each row; NaN where there is none."""
    count = chosen.sum(axis=1)
    return np.where(count > 0, np.where(chosen, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
