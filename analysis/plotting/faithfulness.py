"""Maps, and what becomes of the feature in their order: the figure of ``fima-analyze faithfulness``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting.common.dots import draw_mean
from analysis.plotting.common.frames import example_of, show_activation, show_frame
from analysis.plotting.style import COLORS, GRAY, WIDTH, caption, colorbar, counted, new_figure, printed, shortened

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.common.study import Study

__all__ = ["draw_curves", "draw_faithfulness", "draw_gains", "draw_ranked"]

# Line style and marker as well as color tell the maps apart.
KINDS = {
    "": ("RGB activation", COLORS["aligned"], "-", "o"),
    "motion_": ("motion activation", COLORS["misaligned"], "--", "s"),
    "attention_": ("attention", "#CC79A7", ":", "P"),
    "attribution_": ("attribution", "#009E73", "-.", "D"),
    "center_": ("centered map", GRAY, (0, (1, 1)), "v"),
    "random": ("random order", "black", (0, (5, 2)), ""),
}


def draw_faithfulness(study: Study) -> Figure:
    """The maps of the shown clips by rank; deletion and insertion over videos; gains; rank correlation by layer."""
    arrays = study.arrays
    count = len(arrays["example_frame"])
    kinds = [kind for kind in KINDS if f"example_map_{kind}" in arrays]
    with printed():
        side = (WIDTH - 1.0) / (len(kinds) + 1)
        figure = new_figure(0.9 + count * (side + 0.12) + 3.9)
        above, below = cast(Any, figure.subfigures(2, 1, height_ratios=[count * (side + 0.12) + 0.9, 3.9]))
        axes = above.subplots(count, len(kinds) + 1, squeeze=False)
        for i in range(count):
            image = draw_ranked(example_of(arrays, i), kinds, axes[i])
        for ax, kind in zip(axes[0, 1:], kinds, strict=True):
            ax.set_title(KINDS[kind][0], pad=3)
        colorbar(above, image, list(axes.ravel()), "rank of a cell in its\nframe (1: strongest)", pad=0.01)
        parts = below.subplots(2, 2)
        for ax, name in zip(parts[0], ("deletion", "insertion"), strict=True):
            draw_curves(arrays, name, ax=ax)
        parts[0, 0].legend(frameon=False, fontsize=6.5, handlelength=2.6)
        draw_gains(arrays, ax=parts[1, 0])
        draw_randomized(arrays, ax=parts[1, 1])
        what = (
            "Do the cells that a map ranks first carry the feature? Deletion should fall, and insertion rise, before\n"
            f"random order does; mean, 95 % interval, {counted(len(arrays['video_id']), 'video')}. "
            f"Cells are replaced by the clip {_WORDS[study.provenance['replaced_by']]}"
        )
        figure.suptitle(caption(study, what))
    return figure


_WORDS = {"blurred": "blurred", "frozen": "at rest", "black": "in black"}


def draw_ranked(example: dict[str, np.ndarray], kinds: list[str], axes: np.ndarray) -> AxesImage:
    """A frame, and beside it the ranks of its cells by every map.

    Args:
        example: ``frame`` uint8 (H, W, 3), ``map_<kind>`` (H', W') in [0, 1], ``video_id``, ``seconds``.
        kinds: Prefixes of the maps.
        axes: ``(1 + len(kinds),)``.

    Returns:
        An overlay image, for the color bar.
    """
    frame = example["frame"]
    show_frame(frame, ax=axes[0]).set_ylabel(
        f"{shortened(str(example['video_id']), 14)}\n{float(example['seconds']):.2f} s"
    )
    for ax, kind in zip(axes[1:], kinds, strict=True):
        image = show_activation(frame, example[f"map_{kind}"], ax=ax, outline=False, interpolation="nearest")
    return image


def draw_curves(arrays: dict[str, np.ndarray], name: str, *, ax: Axes) -> Axes:
    """Mean cosine with the intact feature over the share of cells.

    Args:
        arrays: ``curve_<name>_<kind>`` (S + 1,) of each kind that there is, and of ``random``.
        name: ``deletion`` or ``insertion``.
        ax: Where to draw.
    """
    for kind, (label, color, style, _) in KINDS.items():
        if f"curve_{name}_{kind}" in arrays:
            curve = arrays[f"curve_{name}_{kind}"]
            ax.plot(
                100 * np.linspace(0, 1, len(curve)), curve, color=color, linestyle=style, linewidth=1.4, label=label
            )
    ax.set_xlabel({"deletion": "cells taken away (%)", "insertion": "cells put back (%)"}[name])
    ax.set_ylabel("cosine with intact feature")
    ax.set_title(name, pad=3)
    ax.set_xlim(0, 100)
    return ax


def draw_gains(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Insertion minus deletion of every map with its interval; 0 is random order.

    Args:
        arrays: ``summary_<kind>gain``: mean, low, high, chance.
        ax: Where to draw.
    """
    kinds = [kind for kind in KINDS if f"summary_{kind}gain" in arrays]
    ax.axvline(0, color=COLORS["chance"], linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for row, kind in enumerate(kinds):
        _, color, _, marker = KINDS[kind]
        draw_mean(arrays[f"summary_{kind}gain"], row, ax, along="x", color=color, marker=marker, chance=0)
    ax.set_yticks(range(len(kinds)), [KINDS[kind][0] for kind in kinds])
    ax.set_ylim(len(kinds) - 0.5, -0.5)
    ax.set_xlabel("insertion − deletion (0: random order)")
    return ax


def draw_randomized(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Rank correlation of every map as more and more layers get random weights; mean of the shown clips.

    Args:
        arrays: ``sanity_layers`` (S + 1,), ``example_sanity_<kind>`` (K, S + 1).
        ax: Where to draw.
    """
    ax.axhline(0, color=COLORS["chance"], linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for kind, (label, color, style, marker) in KINDS.items():
        if f"example_sanity_{kind}" in arrays:
            mean = np.ma.masked_invalid(arrays[f"example_sanity_{kind}"]).mean(axis=0).filled(np.nan)
            ax.plot(
                arrays["sanity_layers"], mean, color=color, linestyle=style, marker=marker, markersize=4, linewidth=1.4,
                label=label,
            )  # fmt: skip
    ax.set_xlabel("layers with random weights, from the top")
    ax.set_ylabel("rank correlation\nwith the map")
    ax.set_ylim(-1.05, 1.05)
    return ax
