"""Pairs of windows: similarity over their offset, and how aligned and misaligned ones spread; of all figures alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from analysis.plotting.style import COLORS, counted, pair_look

__all__ = [
    "KINDS",
    "SMALLEST_RANGE",
    "draw_offset_curve",
    "draw_shares",
    "offset_axis",
    "pair_shares",
    "similarity_range",
]

Arrays = Mapping[str, np.ndarray]

KINDS = {"aligned": "Δ = 0", "misaligned": "|Δ| ≥ ½ window", "disjoint": "no shared frame"}
"""Kinds of pairs and their names."""
SMALLEST_RANGE = 1e-3
"""Of similarities: below it, differences are rounding and are shown flat."""


def offset_axis(every: Iterable[Arrays]) -> tuple[str, str]:
    """The array of offsets and its unit: seconds where all videos share their frames per second, otherwise frames."""
    seconds = all(np.isfinite(arrays["offset_seconds"]).all() for arrays in every)
    return ("offset_seconds", "s") if seconds else ("offset_frames", "frames")


def draw_offset_curve(arrays: Arrays, offset: np.ndarray, *, ax: Axes, color: str, **line: Any) -> None:
    """How similarity changes with the offset, each video against its own Δ = 0, with the 95 % band.

    Args:
        arrays: ``offset_change``, ``offset_change_low``, ``offset_change_high``, as long as ``offset``.
        offset: In the unit of the axis.
        ax: Where to draw; its zero lines are drawn with the first curve.
        color: Of the checkpoint.
        **line: Look of the curve.
    """
    if not ax.lines:
        for draw in (ax.axvline, ax.axhline):
            draw(0, color=COLORS["chance"], linewidth=0.6, linestyle=(0, (3, 2)))
    band = arrays["offset_change_low"], arrays["offset_change_high"]
    ax.fill_between(offset, *band, color=color, alpha=0.2, linewidth=0)
    for edge in band:  # in print without color, bands are told apart by their edges alone
        ax.plot(offset, edge, color=color, linewidth=0.35, linestyle=line.get("linestyle", "-"))
    ax.plot(offset, arrays["offset_change"], color=color, **{"linewidth": 1.2, **line})


def similarity_range(every: Sequence[Arrays]) -> tuple[float, float]:
    """The similarities that occur with any checkpoint, with a margin."""
    lows, highs = [], []
    for arrays in every:
        edges = arrays["density_edges"]
        held = np.flatnonzero(sum(np.nan_to_num(arrays[f"density_{kind}"]) for kind in KINDS))
        lows.append(float(edges[held[0]]))
        highs.append(float(edges[held[-1] + 1]))
    low, high = min(lows), max(highs)
    margin = max(0.03 * (high - low), (SMALLEST_RANGE - (high - low)) / 2)
    return low - margin, min(1.0, high + margin) if high <= 1 else high + margin


def pair_shares(arrays: Arrays, bins: np.ndarray) -> dict[str, np.ndarray]:
    """How the pairs of each kind spread over similarities ``(B,)``, in percent, every video weighing alike.

    Args:
        arrays: ``density_edges``; ``density_<kind>`` and ``density_<kind>_videos``.
        bins: Edges ``(B + 1,)``, the same for all checkpoints.

    Returns:
        Of the kinds that some video has.
    """
    edges = arrays["density_edges"]
    centers, widths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    return {
        kind: np.histogram(centers, bins, weights=arrays[f"density_{kind}"] * widths)[0] * 100
        for kind in KINDS
        if arrays[f"density_{kind}_videos"]
    }


def draw_shares(shares: Arrays, bins: np.ndarray, arrays: Arrays, *, ax: Axes, color: str) -> None:
    """Histograms of `pair_shares`: filled, hatched, dashed.

    Args:
        shares: Kind → ``(B,)``.
        bins: Edges ``(B + 1,)``.
        arrays: ``density_<kind>_videos``, for a legend.
        ax: Where to draw.
        color: Of the checkpoint.
    """
    for kind, share in shares.items():
        videos = counted(int(arrays[f"density_{kind}_videos"]), "video")
        ax.stairs(share, bins, label=f"{KINDS[kind]} ({videos})", **pair_look(kind, color))
