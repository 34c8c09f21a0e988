"""Scores over depth, of one or several backbones: the figure of ``--layers all``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.measures.registry import find_measure, find_score
from analysis.plotting.style import COLORS, GRAY, caption, counted, new_figure, printed, shortened

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["curve_of", "draw_depth", "draw_layers"]

_MOST = 3  # panels
_NAMED = 16  # layers that an axis names at most
_LINES = (("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "D", "-."), ("#CC79A7", "^", ":"))


def draw_layers(study: Study) -> Figure:
    """Main scores of a measure over the layers of a backbone."""
    return draw_depth({"": study})


def draw_depth(studies: Mapping[str, Study]) -> Figure:
    """Main scores of a measure over the layers of one or several backbones, in the same axes.

    Args:
        studies: Name of the backbone → its study of ``--layers``; all of one measure. Where their layers differ, the
            horizontal axis is the share of the way from input to output.
    """
    first = next(iter(studies.values()))
    names = _shown(first)
    with printed():
        figure = new_figure(3.6 + 0.12 * len(studies))
        axes = figure.subplots(1, len(names), squeeze=False)[0]
        same = len({tuple(study.arrays["layer"].tolist()) for study in studies.values()}) == 1
        for ax, name in zip(axes, names, strict=True):
            for place, (label, study) in enumerate(studies.items()):
                _draw_curve(study, name, ax, place, label, same)
            _label(ax, find_score(first.provenance["measured"], name).title, first.arrays["layer"].tolist(), same)
        if len(studies) > 1 or first.has_twin:
            axes[0].legend(frameon=False, fontsize=6.5)
        title = find_measure(first.provenance["measured"]).title
        videos = counted(len(first.arrays["video_id"]), "video")
        what = f"{title} at every depth, from input to output\nBand: 95 % interval, {videos}; dashed: chance"
        told = caption(first, what) if len(studies) == 1 else f"{what}\n{', '.join(shortened(n, 30) for n in studies)}"
        figure.suptitle(told)
    return figure


def curve_of(study: Study, name: str) -> np.ndarray:
    """``(L, 4)`` mean, low, high, chance of a score at every layer; with a twin ``(L, 7)``; NaN where it has none.

    Args:
        study: Of ``--layers``.
        name: Of the score.
    """
    rows = [study.arrays.get(f"summary_{name}@{layer}", np.full(4, np.nan)) for layer in study.arrays["layer"]]
    width = max(map(len, rows))
    return np.stack([np.pad(row, (0, width - len(row)), constant_values=np.nan) for row in rows])


def _shown(study: Study) -> list[str]:
    """The main scores of the measure that there are, otherwise its first ones."""
    had = list(dict.fromkeys(name.rpartition("@")[0] for name in study.scores))
    main = [name for name in find_measure(study.provenance["measured"]).main if name in had]
    return (main or had)[:_MOST]


def _draw_curve(study: Study, name: str, ax: Axes, place: int, label: str, same: bool) -> None:
    curve = curve_of(study, name)
    mean, low, high, chance = curve[:, :4].T
    color, marker, style = _LINES[place % len(_LINES)]
    x = np.arange(len(mean)) if same else np.linspace(0, 1, len(mean))
    ax.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    ax.plot(
        x, mean, color=color, marker=marker, linestyle=style, markersize=4, linewidth=1.4, label=label or "backbone"
    )
    ax.plot(x, chance, color=COLORS["chance"], linestyle=(0, (4, 3)), linewidth=0.8, zorder=1)
    if curve.shape[1] == 7:
        twin = curve[:, 4:].T
        ax.fill_between(x, twin[1], twin[2], color=GRAY, alpha=0.15, linewidth=0)
        ax.plot(x, twin[0], color=GRAY, marker="D", markerfacecolor="white", markersize=3.5, linewidth=1,
                label="untrained twin" if place == 0 else None)  # fmt: skip


def _label(ax: Axes, title: str, layers: list[str], same: bool) -> None:
    ax.set_title(textwrap.fill(title, 26), pad=4)
    ax.margins(y=0.1)
    if not same:
        ax.set_xlabel("share of the way\nfrom input to output")
        return
    step = -(-len(layers) // _NAMED)
    places = list(range(0, len(layers), step))
    ax.set_xticks(places, [shortened(layers[place], 14) for place in places], rotation=40, ha="right", fontsize=6.5)
    ax.set_xlabel("layer")
