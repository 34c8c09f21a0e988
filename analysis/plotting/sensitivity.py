"""Distances under changes of motion and of appearance: the figures of ``fima-analyze sensitivity``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.measures.registry import find_score
from analysis.measures.sensitivity import APPEARANCE_CHANGES, MOTION_CHANGES
from analysis.plotting.common.dots import draw_mean, draw_videos
from analysis.plotting.common.frames import show_frame
from analysis.plotting.style import COLORS, caption, new_figure, printed, shortened

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = [
    "altered_names",
    "battery_names",
    "draw_distances",
    "draw_sensitivity",
    "draw_sensitivity_alterations",
    "draw_sensitivity_battery",
    "draw_strips",
]

_GROUPS = {
    "motion changed": (MOTION_CHANGES, COLORS["aligned"], "o"),
    "appearance changed": (APPEARANCE_CHANGES, COLORS["misaligned"], "D"),
}
_BATTERY = ("probe_ordered", "probe_shuffled", "probe_reversed", "probe_frozen", "arrow_of_time", "chirality")
_SIDE = 0.85  # inches, of a frame


def draw_sensitivity(study: Study) -> Figure:
    """How far each alteration moves the features."""
    arrays = study.arrays
    with printed():
        figure = new_figure(1.6 + 0.24 * len(altered_names(arrays)))
        draw_distances(arrays, ax=figure.subplots())
        figure.suptitle(caption(study, "Motion sensitivity: which changes move the features?"))
    return figure


def draw_sensitivity_alterations(study: Study) -> Figure:
    """A clip under every alteration."""
    rows, columns = study.arrays["example_frames"].shape[:2]
    with printed():
        figure = new_figure(0.75 + rows * (_SIDE + 0.03), max(5.0, 1.0 + columns * (_SIDE + 0.03)))
        figure.set_layout_engine("constrained", h_pad=0.025, w_pad=0.025, hspace=0, wspace=0)  # frames close together
        draw_strips(study.arrays, figure.subplots(rows, columns, squeeze=False))
        figure.suptitle(caption(study, "A clip and its alterations"))
    return figure


def altered_names(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The alterations that a study has, changes of motion first, in the order of the figure."""
    return [name for names, *_ in _GROUPS.values() for name in names if f"summary_{name}" in arrays]


def battery_names(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The scores of the temporal battery that a study has, in the order of the figure."""
    names = [name for name in _BATTERY if f"summary_{name}" in arrays]
    return names + sorted(name[8:] for name in arrays if name.startswith("summary_chirality_"))


def draw_sensitivity_battery(study: Study) -> Figure | None:
    """What linear probes know of time; None for a study without the temporal battery."""
    if not (names := battery_names(study.arrays)):
        return None
    with printed():
        figure = new_figure(2.6)
        draw_battery(study.arrays, names, ax=figure.add_subplot())
        figure.suptitle(caption(study, "Temporal battery: what do linear probes of the features know of time?"))
    return figure


def draw_battery(arrays: dict[str, np.ndarray], names: Sequence[str], *, ax: Axes) -> Axes:
    """Accuracies of the temporal battery with 95 % intervals, in percent; dashed lines are chance.

    Args:
        arrays: ``summary_<score>``: mean, low, high, chance.
        names: The scores, from left to right.
        ax: Where to draw.
    """
    for place, name in enumerate(names):
        summary = 100 * arrays[f"summary_{name}"]
        color = COLORS["aligned"] if name in ("probe_ordered", *_BATTERY[4:]) or "chir" in name else COLORS["disjoint"]
        draw_mean(summary, place, ax, color=color)
        ax.annotate(
            f"{summary[0]:.0f}", (place, np.nanmax(summary[[0, 2]])), (0, 3), textcoords="offset points", ha="center"
        )
    said = [find_score("sensitivity", name).label.replace("chirality ", "").replace(" vs ", "\nvs ") for name in names]
    ax.set_xticks(range(len(names)), [label.replace(", ", ",\n") for label in said])
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_ylim(0, 108)
    ax.set_ylabel("right (% of videos)")
    ax.set_title("each probe is trained and tested on clips so altered; dashed: chance", pad=4)
    return ax


def draw_strips(arrays: dict[str, np.ndarray], axes: np.ndarray) -> None:
    """Moments of one clip, a row for the original and for each alteration.

    Args:
        arrays: ``example_frames`` (R, K, H, W, 3), ``example_name`` (R,), ``example_seconds`` (K,) from its start,
            ``example_video_id``.
        axes: ``(R, K)``.
    """
    for row, name in enumerate(arrays["example_name"].tolist()):
        for column, frame in enumerate(arrays["example_frames"][row]):
            show_frame(frame, ax=axes[row, column])
        color = next((color for names, color, _ in _GROUPS.values() if name in names), "black")
        label = name.replace("_", "\n" if len(name) > 13 else " ")
        axes[row, 0].set_ylabel(label, rotation=0, ha="right", va="center", color=color, labelpad=4)
    for ax, seconds in zip(axes[0], arrays["example_seconds"], strict=True):
        ax.set_title(f"{seconds:.2f} s", pad=2)
    axes[-1, 0].set_xlabel(shortened(str(arrays["example_video_id"]), 40), loc="left", labelpad=3)


def draw_distances(arrays: dict[str, np.ndarray], *, ax: Axes) -> Axes:
    """Mean distance with its 95 % interval, a row for each alteration; another video's as a line.

    Args:
        arrays: ``score_*`` (V,) and ``summary_*`` (mean, low, high, chance) of each alteration, of ``other_video`` and
            of ``motion_share`` where there are any; ``video_id``.
        ax: Where to draw.
    """
    rows = altered_names(arrays)
    for names, color, marker in _GROUPS.values():
        for name in (name for name in names if name in rows):
            _draw_row(arrays[f"score_{name}"], arrays[f"summary_{name}"], rows.index(name), color, marker, ax)
    if "summary_other_video" in arrays:
        _draw_other(arrays["summary_other_video"], len(rows), ax)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, ax.get_xlim()[1])
    ax.set_yticks(range(len(rows)), [find_score("sensitivity", name).label.removeprefix("distance, ") for name in rows])
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    several = "; bar: 95 % interval, gray: videos" if len(arrays["video_id"]) > 1 else ""
    ax.set_xlabel(f"cosine distance to the unchanged clip (0: the same features){several}")
    ax.set_title(_share(arrays), pad=4)
    ax.figure.legend(handles=_legend(arrays), loc="outside lower center", ncols=3, frameon=False)
    return ax


def _draw_row(values: np.ndarray, summary: np.ndarray, at: int, color: str, marker: str, ax: Axes) -> None:
    """Videos as gray dots below the interval, the mean, and its number at the right."""
    draw_videos(values, at, ax, along="x")
    draw_mean(summary, at, ax, along="x", color=color, marker=marker, chance=0)
    ax.text(1.02, at, _text(float(summary[0])), transform=ax.get_yaxis_transform(), va="center", color=color)


def _draw_other(summary: np.ndarray, rows: int, ax: Axes) -> None:
    """A line through all rows, with its interval as a band."""
    mean, low, high, *_ = summary
    color = COLORS["chance"]
    if np.isfinite(low):
        ax.fill_betweenx([-0.5, rows - 0.5], low, high, color=color, alpha=0.15, linewidth=0, zorder=1)
    ax.vlines(mean, -0.5, rows - 0.5, color=color, linewidth=1, linestyle=(0, (3, 2)), zorder=1)


def _legend(arrays: dict[str, np.ndarray]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=color, marker=marker, linewidth=2, markersize=4.5, label=label)
        for label, (_, color, marker) in _GROUPS.items()
    ]
    if "summary_other_video" in arrays:
        label = f"another video: {_text(arrays['summary_other_video'][0])}"
        handles.append(Line2D([], [], color=COLORS["chance"], linewidth=1, linestyle=(0, (3, 2)), label=label))
    return handles


def _share(arrays: dict[str, np.ndarray]) -> str:
    """The motion share in words, or why there is none."""
    if "summary_motion_share" not in arrays:
        return "no motion share: it needs masks and another video"
    mean, low, high, even, *_ = arrays["summary_motion_share"]
    if not np.isfinite(mean):
        return "no motion share: neither motion nor background matters"
    interval = f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else ""
    return f"motion share {mean:.2f}{interval} ({even:.1f}: as much as the background)"


def _text(value: float) -> str:
    if not np.isfinite(value):
        return "none"
    return "0" if value == 0 else f"{value:.0e}" if value < 1e-3 else f"{value:#.2g}"
