"""Scores of several checkpoints side by side, a panel each."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.measures.registry import find_measure, find_score
from analysis.plotting.common.dots import draw_mean, draw_videos
from analysis.plotting.style import (
    COLORS,
    MARKERS,
    PALETTE,
    REFERENCE,
    WIDTH,
    counted,
    data_name,
    new_figure,
    note_lines,
    printed,
    read_at,
    shortened,
)

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = [
    "BESIDE",
    "Marks",
    "add_legend",
    "compared_caption",
    "draw_compared_score",
    "draw_compared_scores",
    "draw_score_grid",
    "grid_height",
    "panel_grid",
    "readable",
    "score_names",
    "score_title",
]

BESIDE = 4
"""Panels in a row."""
_ROW = 1.55  # inches
_TITLE = 22  # characters in a line
_MOST_VALUES = 4  # checkpoints whose means are also written as numbers
_LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))


class Marks:
    """A color, a marker and a dash pattern for each name, so that color is never alone in telling them apart.

    Args:
        names: Of the checkpoints, in their order.
        untrained: Those of random weights: among trained ones they are the gray reference.
    """

    def __init__(self, names: Sequence[str], untrained: Collection[str] = ()) -> None:
        self._places = {name: at for at, name in enumerate(names)}
        self._gray = set(untrained) if len(set(untrained)) < len(names) else set()

    @classmethod
    def of(cls, studies: Mapping[str, Study]) -> Marks:
        """Of the checkpoints of a measure's studies."""
        return cls(list(studies), [name for name, study in studies.items() if study.untrained])

    def color(self, name: str) -> str:
        """Gray for the reference; otherwise seven of them, then again."""
        return REFERENCE if name in self._gray else PALETTE[self._places[name] % len(PALETTE)]

    def marker(self, name: str) -> str:
        """Another order on every round of the colors."""
        at = self._places[name]
        return MARKERS[(at + at // len(PALETTE)) % len(MARKERS)]

    def line(self, name: str) -> Any:
        """Four patterns, then again."""
        return _LINES[self._places[name] % len(_LINES)]


def readable(name: str, study: Study, most: int) -> str:
    """A checkpoint's name for a figure, with a word on untrained weights where the name does not say so."""
    said = name.lower().startswith(("untrained", "random"))
    note = " (untrained)" if study.untrained and not said else ""
    return shortened(name, max(4, most - len(note))) + note


def compared_caption(studies: Mapping[str, Study], what: str) -> str:
    """Title of a figure: what to see, of what; untrained weights alone are named in capitals."""
    first = next(iter(studies.values()))
    specs = [study.provenance["input"] for study in studies.values()]
    sizes = " / ".join(dict.fromkeys(f"{spec['size']}" for spec in specs))
    clips = " / ".join(dict.fromkeys(f"{spec['num_frames']} frames, stride {spec['frame_stride']}" for spec in specs))
    same = "seconds" if " / " in clips else "clips"
    videos = len(first.video_scores["video_id"])
    data, read = data_name(first), read_at(first, "backbone output")
    lines = [
        what,
        f"{f'{data}, ' if data else ''}{counted(videos, 'video')}, the same {same} for all",
        f"{clips}, {sizes} px; {read}",
    ]
    lines += note_lines(first)
    if all(study.untrained for study in studies.values()):
        lines.append("UNTRAINED weights: this shows how to read the figure, not a result")
    return "\n".join(lines)


def add_legend(figure: Any, studies: Mapping[str, Study], marks: Marks, *, more: Sequence[Line2D] = ()) -> None:
    """Names of the checkpoints below a figure."""
    handles = [
        Line2D([], [], color=marks.color(name), marker=marks.marker(name), linestyle=marks.line(name), markersize=4.5,
               linewidth=1.2, label=readable(name, study, 36))
        for name, study in studies.items()
    ]  # fmt: skip
    handles += more or [
        Line2D([], [], color="#9a9a9a", marker="o", linestyle="", markersize=3, label="one video"),
        Line2D([], [], color=COLORS["chance"], linestyle=(0, (3, 2)), linewidth=1, label="chance"),
    ]
    longest = max(len(handle.get_label()) for handle in handles)  # type: ignore[arg-type]
    columns = max(1, min(len(handles), int(WIDTH / (0.06 * longest + 0.5))))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.6)


def grid_height(panels: int) -> float:
    """Inches of a grid of so many scores, with its legend."""
    return -(-panels // BESIDE) * _ROW + 0.35


def draw_compared_scores(measures: Mapping[str, Mapping[str, Study]]) -> Figure:
    """Every score of every measure, a panel each."""
    first = next(iter(measures.values()))
    panels = sum(len(score_names(studies)) for studies in measures.values())
    with printed():
        figure = new_figure(grid_height(panels) + 0.75)
        draw_score_grid(measures, figure, names=len(measures) > 1)
        figure.suptitle(compared_caption(first, "Scores over videos: mean with 95 % interval"))
    return figure


def draw_score_grid(
    measures: Mapping[str, Mapping[str, Study]],
    figure: Any,
    *,
    names: bool,
    only: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
) -> None:
    """Panels of scores with one legend.

    Args:
        measures: Measure → name of the checkpoint → study.
        figure: Or a part of one.
        names: Write the measure above each score.
        only: Names of the scores; None is all.
        axes: Where to draw; made in rows of four if left out.
    """
    wanted = [
        (m, score) for m, studies in measures.items() for score in score_names(studies) if not only or score in only
    ]
    places = list(axes or panel_grid(figure, len(wanted)))
    for ax, (measure, score) in zip(places, wanted, strict=True):
        draw_compared_score(measures[measure], score, ax=ax)
        above = f"{textwrap.fill(find_measure(measure).title, _TITLE)}:\n" if names else ""
        ax.set_title(above + score_title(measure, score))
    studies = next(iter(measures.values()))
    add_legend(figure, studies, Marks.of(studies))


def score_names(studies: Mapping[str, Study]) -> list[str]:
    """That any of the checkpoints has on some video."""
    return list(
        dict.fromkeys(
            name
            for study in studies.values()
            for name, score in study.scores.items()
            if name not in study.references and score.num_videos
        )
    )


def panel_grid(figure: Any, panels: int) -> list[Axes]:
    """So many axes in rows of ``BESIDE``, in reading order."""
    columns = min(BESIDE, panels)
    axes = list(figure.subplots(-(-panels // columns), columns, squeeze=False).ravel())
    for ax in axes[panels:]:
        ax.remove()
    return axes[:panels]


def score_title(measure: str, score: str) -> str:
    """A score's label with its unit, in lines that fit a panel."""
    return textwrap.fill(find_score(measure, score).title, _TITLE)


def draw_compared_score(studies: Mapping[str, Study], score: str, *, ax: Axes) -> Axes:
    """One score: videos as gray dots, every checkpoint's mean with its interval and chance level.

    Args:
        studies: Name → study.
        score: Its name.
        ax: Where to draw.
    """
    marks = Marks.of(studies)
    written = []
    for at, (name, study) in enumerate(studies.items()):
        if score not in study.scores:
            written.append("–")
            continue
        summary = study.scores[score]
        draw_videos(study.video_scores[score], at, ax, size=3)
        draw_mean(
            summary.row, at, ax, color=marks.color(name), marker=marks.marker(name), size=18, width=1.6, caps=0.2,
            chance=0.45,
        )  # fmt: skip
        written.append(_text(summary.mean))
    many = len(studies) > _MOST_VALUES
    ax.set_xticks(range(len(studies)), [""] * len(studies) if many else written)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(studies) - 0.4)
    ax.margins(y=0.1)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.ticklabel_format(axis="y", useOffset=False)
    return ax


def _text(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    digits = ".2g" if 0 < abs(value) < 0.0095 else ".3f" if abs(value) < 10 else ".1f"
    return f"{value:{digits}}".replace("-", "−")
