"""Scores over the steps of training runs: the curves of ``fima-analyze compare``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.plotting.common.marks import CHANCE, Marks
from analysis.plotting.compare.scores import (
    BESIDE,
    compared_caption,
    grid_height,
    panel_grid,
    score_names,
    score_title,
)
from analysis.plotting.style import new_figure, printed, shortened

if TYPE_CHECKING:
    from analysis.compare.training import TrainingStep
    from analysis.measures.common.statistics import Summary
    from analysis.studies.common.study import Study

__all__ = ["draw_curve", "draw_level", "draw_training", "finish_panel", "training_legend"]

_DOTS: Any = (0, (1, 1.2))


def draw_training(
    training: Mapping[str, Sequence[TrainingStep]],
    measures: Mapping[str, Mapping[str, Study]],
    references: Sequence[str],
) -> Figure:
    """Every score over the optimizer's steps, one line for each run.

    Args:
        training: Run → its checkpoints by step.
        measures: Measure → name → study, of the same videos.
        references: Names of checkpoints that are of no run, drawn as dotted levels.
    """
    wanted = [(m, score) for m, studies in measures.items() for score in score_names(studies)]
    untrained = [n for n in references if any(of[n].untrained for of in measures.values() if n in of)]
    marks = Marks([*training, *references], untrained)
    with printed():
        figure = new_figure(grid_height(len(wanted)) * 1.1 + 0.75)
        for at, (ax, (measure, score)) in enumerate(zip(panel_grid(figure, len(wanted)), wanted, strict=True)):
            for run, steps in training.items():
                draw_curve([(s.step, s.scores[measure].get(score)) for s in steps], run, marks, ax)
            for name in references:
                _draw_reference(measures[measure][name], score, marks.color(name), ax)
            _draw_chance(measures[measure], score, ax)
            ax.set_title(f"{measure}\n{score_title(measure, score)}")
            finish_panel(ax, lowest=at >= len(wanted) - BESIDE)
        training_legend(figure, training, references, marks)
        first = next(iter(measures.values()))
        figure.suptitle(compared_caption(first, "Scores over training: mean over videos with 95 % band"))
    return figure


def finish_panel(ax: Axes, *, lowest: bool) -> None:
    """Few ticks, and steps named below a column's lowest panel."""
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.ticklabel_format(axis="y", useOffset=False)
    if lowest:
        ax.set_xlabel("optimizer step")


def draw_curve(points: Sequence[tuple[int, Summary | None]], run: str, marks: Marks, ax: Axes) -> None:
    """One run's mean over steps, with its 95 % band.

    Args:
        points: Step and what is known of it.
        run: Its name.
        marks: Of all runs.
        ax: To draw in.
    """
    known = [(step, s.mean, s.low, s.high) for step, s in points if s is not None and np.isfinite(s.mean)]
    if not known:
        return
    step, mean, low, high = np.array(known).T
    color = marks.color(run)
    if len(known) == 1:
        ax.vlines(step, low, high, color=color, linewidth=2)
    ax.fill_between(step, low, high, color=color, alpha=0.2, linewidth=0)
    ax.plot(step, mean, color=color, linewidth=1.2, linestyle=marks.line(run), marker=marks.marker(run), markersize=3.5)


def _draw_reference(study: Study, score: str, color: str, ax: Axes) -> None:
    if score in study.scores and np.isfinite(study.scores[score].mean):
        draw_level(study.scores[score].mean, color, ax)


def draw_level(mean: float, color: str, ax: Axes) -> None:
    """The dotted level of what has no steps."""
    ax.axhline(mean, color=color, linestyle=_DOTS, linewidth=1.2)


def _draw_chance(studies: Mapping[str, Study], score: str, ax: Axes) -> None:
    """Where all checkpoints share it; a chance level that depends on the features has no single line."""
    levels = {study.scores[score].chance for study in studies.values() if score in study.scores}
    level = levels.pop() if len(levels) == 1 else None
    if level is not None and np.isfinite(level):
        ax.axhline(level, **CHANCE)


def training_legend(figure: Any, training: Iterable[str], references: Sequence[str], marks: Marks) -> None:
    """Names of runs and references below a figure, and the chance level.

    Args:
        figure: To draw in.
        training: Names of runs.
        references: Names of what is drawn as a dotted level.
        marks: Of all of them.
    """
    handles = [marks.handle(run, shortened(run, 36), markersize=3.5) for run in training]
    handles += [marks.handle(name, shortened(name, 36), linestyle=_DOTS) for name in references]
    handles.append(Line2D([], [], label="chance", **CHANCE))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False, handlelength=2.6
    )
