"""Scores of several checkpoints side by side, a panel each."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.measures.registry import find_measure, find_score
from analysis.plotting.common.marks import CHANCE, Marks
from analysis.plotting.common.page import fit, names_of, text_width
from analysis.plotting.common.scores import draw_score
from analysis.plotting.style import WIDTH, clips_of, counted, data_name, new_figure, note_lines, printed

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = [
    "BESIDE",
    "add_legend",
    "compared_caption",
    "draw_compared_scores",
    "draw_score_grid",
    "grid_height",
    "panel_grid",
    "score_names",
    "score_title",
]

BESIDE = 4
"""Panels in a row."""
_ROW = 1.55  # inches
_TITLE = 22  # characters in a line


def compared_caption(studies: Mapping[str, Study], what: str) -> str:
    """Title of a figure: what to see, of what; untrained weights alone are named in capitals."""
    first = next(iter(studies.values()))
    clips = clips_of(studies)
    same = "seconds" if " / " in clips.partition(" px")[0].rpartition(",")[0] else "clips"
    data, videos = data_name(first), counted(len(first.video_scores["video_id"]), "video")
    lines = [what, f"{f'{data}, ' if data else ''}{videos}, the same {same} for all", clips, *note_lines(first)]
    if all(study.untrained for study in studies.values()):
        lines.append("UNTRAINED weights: this shows how to read the figure, not a result")
    return "\n".join(lines)


def add_legend(figure: Any, studies: Mapping[str, Study], marks: Marks) -> None:
    """Names of the checkpoints below a figure."""
    handles = [marks.handle(name, fit(2.4, *names_of(name, study)), markersize=4.5) for name, study in studies.items()]
    handles += [
        Line2D([], [], color="#9a9a9a", marker="o", linestyle="", markersize=3, label="one video"),
        Line2D([], [], label="chance", **CHANCE),
    ]
    columns = max(1, min(len(handles), int(WIDTH / (max(text_width(str(h.get_label())) for h in handles) + 0.6))))
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
        of = measures[measure]
        marks = Marks.of(of)
        groups = [(s.video_scores[score], s.scores[score]) if score in s.scores else None for s in of.values()]
        draw_score(groups, ax=ax, looks=[{"color": marks.color(name), "marker": marks.marker(name)} for name in of])
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


def panel_grid(figure: Any, panels: int, **shared: bool) -> list[Axes]:
    """So many axes in rows of ``BESIDE``, in reading order; ``shared`` as of ``Figure.subplots``."""
    columns = min(BESIDE, panels)
    axes = list(figure.subplots(-(-panels // columns), columns, squeeze=False, **shared).ravel())
    for ax in axes[panels:]:
        ax.remove()
    return axes[:panels]


def score_title(measure: str, score: str) -> str:
    """A score's label with its unit, in lines that fit a panel."""
    return textwrap.fill(find_score(measure, score).title, _TITLE)
