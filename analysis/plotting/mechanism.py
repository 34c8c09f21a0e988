"""Two views, their pairs, attention and predicted motion: the figure of ``fima-analyze mechanism``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import ConnectionPatch, Rectangle

from analysis.plotting.frames import mark_cell, overlay_map, show_frame
from analysis.plotting.style import (
    COLOURS,
    SIMILARITY_CMAP,
    caption,
    colourbar,
    counted,
    new_figure,
    printed,
    shortened,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.base import Study

__all__ = [
    "chosen_cell",
    "draw_attention",
    "draw_cosines",
    "draw_mechanism",
    "draw_scores",
    "draw_source",
    "draw_views",
]

_VIEWS = {"m": COLOURS["aligned"], "n": COLOURS["misaligned"]}
_PAIR = "#009E73"  # Okabe and Ito's green: seen on pictures and on paper
_SCORES = {
    "prediction_cosine": "predicted with matching motion\n(cosine; dashed: another video)",
    "elsewhere_cosine": "with other cells of n (cosine)",
    "rank_one": "most similar cell of n matches",
    "foreground_overlap": "foregrounds of m and n agree (IoU)",
    "attention_on_foreground": "attention on foreground",
    "token_on_foreground": "the class token's",
    "attention_on_match": "attention on matching cells",
}


def draw_mechanism(study: Study) -> Figure:
    """Three rows: the views and their pairs; what the decoder looks at; predicted against true motion, and scores."""
    arrays = study.arrays
    looks = "example_attention" in arrays
    with printed():
        title = "FIMA's mechanism: two views of a video, the decoder's attention, predicted against true motion"
        text = caption(study, title)
        height = 7.5 if looks else 5.3
        figure = new_figure(height)
        # The layout leaves no room for a title above parts of a figure.
        room = 1 - (0.06 + 0.16 * len(text.splitlines())) / height
        spaces = {"h_pad": 0.03, "w_pad": 0.03, "hspace": 0.01, "wspace": 0.01}
        figure.set_layout_engine("constrained", rect=(0, 0, 1, room), **spaces)
        figure.suptitle(text, y=1 - 0.05 / height, va="top").set_in_layout(False)
        rows: Any = figure.subfigures(3, 1, height_ratios=[2.35, 2.7 if looks else 0.4, 2.0])
        top = _subplots(rows[0], [1.15, 1, 1])
        draw_source(arrays, ax=top[0])
        draw_views(arrays, axes=top[1:])
        if looks:
            draw_attention(arrays, figure=rows[1])
        else:
            rows[1].text(0.5, 0.5, "no motion decoder: nothing to look at, and RGB features stand in for predictions",
                         ha="center", va="center")  # fmt: skip
        _draw_bottom(arrays, figure=rows[2])
    return figure


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
    for (name, colour), box in zip(_VIEWS.items(), arrays["example_boxes"], strict=True):
        (x1, y1), (x2, y2) = box.reshape(2, 2) * size
        ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.6))
        label = f"{name}, flipped" if x1 > x2 else name
        corner = (min(x1, x2), y1) if name == "m" else (max(x1, x2), y2)
        sides = {"ha": "left", "va": "top"} if name == "m" else {"ha": "right", "va": "bottom"}
        _badge(label, corner, colour, ax, **sides)
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
    for at, (name, colour) in enumerate(_VIEWS.items()):
        _show_view(views[at], colour, ax=axes[at])
        _outline_cells(masks[at], shape, ax=axes[at])
        axes[at].set_title(f"view {name}, {arrays['example_seconds'][at]:.2f} s\nbright: foreground", pad=3)
    cell = chosen_cell(pairs)
    for m, n in np.argwhere(pairs):
        followed = m == cell
        line = ConnectionPatch(_centre(m, grid, shape), _centre(n, grid, shape), "data", axesA=axes[0], axesB=axes[1])
        line.set(color=COLOURS["mark"] if followed else _PAIR, linewidth=1.3 if followed else 0.6, zorder=5 + followed)
        axes[0].figure.add_artist(line)
    axes[0].set_xlabel(f"{counted(int(pairs.sum()), 'positive pair')}: lines")
    mark_cell(cell, grid, shape, ax=axes[0], zorder=7)
    axes[1].set_xlabel("orange: pairs of the cell below")


def draw_attention(arrays: dict[str, np.ndarray], *, figure: SubFigure) -> None:
    """What a cell of m, and the class token, look at in n: for each layer the mean over heads, and every head.

    Args:
        arrays: ``example_attention`` (layers, heads, S, P), ``example_pairs`` (P, P), ``example_views``,
            ``example_masks``.
        figure: Where to draw.
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
    _bar(figure, image, "attention over n (1: even)", extend="max", shrink=0.8)


def _draw_asking(cell: int | None, view: np.ndarray, grid: tuple[int, int], ax: Axes) -> None:
    """Who looks: a cell of m, or (None) the class token."""
    if cell is None:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "class token:\nsums up the\nslice of n,\nknows nothing\nof m", ha="center", va="center")
        return
    _show_view(view, _VIEWS["m"], ax=ax)
    mark_cell(cell, grid, view.shape[:2], ax=ax)
    ax.set_title("a cell of m looks at n", pad=3)


def draw_cosines(arrays: dict[str, np.ndarray], *, axes: Sequence[Axes]) -> AxesImage:
    """Cosine of the motion predicted at each cell of m with true motion, over the view.

    Args:
        arrays: ``example_similarity`` (P, P), ``example_other_similarity`` (P, P) or, without another video, (P, 0);
            ``example_pairs``, ``example_views``, ``example_masks``.
        axes: Three: matching cells, other cells, the other video.

    Returns:
        One of the maps, for a colour bar.
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
        _show_view(view, _VIEWS["m"], ax=ax)
        image = overlay_map(
            values.reshape(grid), view.shape[:2], ax=ax, limits=(-1, 1), cmap=SIMILARITY_CMAP, alpha=0.75,
            interpolation="nearest",
        )  # fmt: skip
        mark_cell(chosen_cell(pairs), grid, view.shape[:2], ax=ax)
        mean = f"{np.nanmean(values):.2f}" if pairs.any() else "no pair"
        ax.set_title(f"{name}\n(mean {mean})", pad=3)
    return image


def draw_scores(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Every score a row: videos as grey dots, mean with 95 % interval, chance level dashed.

    Args:
        arrays: ``score_*`` (V,) and ``summary_*`` (mean, low, high, chance).
        ax: Where to draw.
    """
    names = [name for name in _SCORES if f"summary_{name}" in arrays]
    for at, name in enumerate(names):
        mean, low, high, chance = arrays[f"summary_{name}"].tolist()
        values = arrays[f"score_{name}"][np.isfinite(arrays[f"score_{name}"])]
        if len(values) > 1:
            # A fixed spiral of offsets instead of random jitter: equal runs give equal pictures.
            spread = ((np.arange(len(values)) * 0.618034) % 1 - 0.5) * 0.5
            ax.scatter(values, at + spread, s=5, color="#9a9a9a", linewidths=0, alpha=0.7, zorder=2)
        if np.isfinite(low):
            ax.hlines(at, low, high, color=COLOURS["aligned"], linewidth=2, zorder=3)
        ax.scatter([mean], [at], s=22, color=COLOURS["aligned"], zorder=4)
        ax.vlines(chance, at - 0.4, at + 0.4, color=COLOURS["chance"], linestyle=(0, (3, 1.5)), linewidth=1.1, zorder=3)
        number = "none" if np.isnan(mean) else f"{mean:.2f}".replace("-", "−")
        ax.text(1.02, at, number, transform=ax.get_yaxis_transform(), va="center")
    ax.set_yticks(range(len(names)), [_SCORES[name] for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(min(0.0, ax.get_xlim()[0]), 1.02)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"{counted(len(arrays['video_id']), 'video')}; dashed: chance")
    return ax


def _draw_bottom(arrays: dict[str, np.ndarray], *, figure: SubFigure) -> None:
    """Maps of cosines beside the scores of all videos."""
    parts: Any = figure.subfigures(1, 2, width_ratios=[3, 3.1])
    left, right = parts
    axes = _subplots(left, [1, 1, 1])
    image = draw_cosines(arrays, axes=axes)
    axes[0].set_ylabel("view m")
    _bar(left, image, "cosine of the motion predicted at a cell of m\nwith true motion", location="bottom")
    draw_scores(arrays, ax=right.add_subplot())


def _bar(figure: SubFigure, image: AxesImage, label: str, **kwargs: Any) -> None:
    """A colour bar beside all axes that a part of the figure has."""
    axes: Any = figure.axes
    colourbar(axes[0].figure, image, axes, label, **kwargs)


def _subplots(figure: SubFigure, widths: list[float]) -> list[Axes]:
    """Axes side by side."""
    grid = figure.add_gridspec(1, len(widths), width_ratios=widths)
    return [figure.add_subplot(grid[0, column]) for column in range(len(widths))]


def _show_view(view: np.ndarray, colour: str, *, ax: Axes) -> None:
    """A view in a frame of its colour."""
    show_frame(view, ax=ax)
    for spine in ax.spines.values():
        spine.set(visible=True, edgecolor=colour, linewidth=1.6)


def _attended(
    values: np.ndarray, view: np.ndarray, grid: tuple[int, int], limits: tuple[float, float], ax: Axes
) -> AxesImage:
    _show_view(view, _VIEWS["n"], ax=ax)
    weights = values.reshape(grid)
    image = overlay_map(weights, view.shape[:2], ax=ax, limits=limits, interpolation="nearest")
    image.set_alpha(0.45 + 0.5 * np.clip(weights / limits[1], 0, 1))  # what is not looked at stays visible
    return image


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


def _centre(cell: int, grid: tuple[int, int], shape: tuple[int, int]) -> tuple[float, float]:
    row, column = divmod(int(cell), grid[1])
    return (column + 0.5) * shape[1] / grid[1] - 0.5, (row + 0.5) * shape[0] / grid[0] - 0.5


def _badge(text: str, place: tuple[float, float], colour: str, ax: Axes, **sides: Any) -> None:
    box = {"facecolor": colour, "edgecolor": "none", "pad": 1.2}
    ax.text(*place, text, color="white", fontsize=7, bbox=box, **sides)


def _mean_where(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean of the chosen entries of each row; NaN where there is none."""
    count = chosen.sum(axis=1)
    return np.where(count > 0, np.where(chosen, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
