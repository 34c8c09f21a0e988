"""The first picture of a comparison: paired differences of the headline scores, better to the right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

from analysis.compare.headlines import headline_scores, verdict
from analysis.measures.common.numbers import interval, minus
from analysis.measures.common.statistics import Summary
from analysis.measures.registry import find_measure, find_score
from analysis.pages.forest import Effect, ForestGroup, forest_group
from analysis.pages.strips import Line, Scale, mark, strip
from analysis.pages.words import number
from analysis.studies import Study
from analysis.studies.common.differences import Difference

__all__ = ["forest", "level_scales"]


def forest(differences: Sequence[Difference], places: Mapping[str, int]) -> list[ForestGroup]:
    """Groups in the order of the differences.

    Args:
        differences: Of headline scores, those of a measure one after the other.
        places: Name of the checkpoint → its place, which gives its mark.
    """
    return [
        forest_group(measure, find_measure(measure).title, [_effect(one, places[one.other]) for one in some])
        for measure, some in groupby(differences, key=lambda one: one.measure)
    ]


def _effect(one: Difference, place: int) -> Effect:
    return Effect(
        find_score(one.measure, one.score).title,
        one.other,
        place,
        f"{number(one.baseline_mean)} → {number(one.other_mean)}",
        one.difference,
        one.low,
        one.high,
        verdict(one),
        one.better == "lower",
    )


def level_scales(studies: Mapping[str, Mapping[str, Study]], places: Mapping[str, int]) -> list[Scale]:
    """The headline scores themselves with their chance levels, an axis for each measure.

    Args:
        studies: Measure → name of the checkpoint → study.
        places: Name of the checkpoint → its place, which gives its mark.
    """
    scales = []
    for measure, some in groupby(headline_scores(studies), key=lambda pair: pair[0]):
        scores = [score for _, score in some]
        shown = [(score, name, of.scores[score.name]) for score in scores for name, of in studies[measure].items()
                 if score.name in of.scores]  # fmt: skip
        own = scores[0].axis
        limits = _limits([summary for _, _, summary in shown]) if own is None else own
        lines = [
            Line(
                score.title if len(places) == 1 else f"{score.title}, {name}",
                mark(places[name]),
                _level_text(summary),
                strip(summary.mean, summary.low, summary.high, limits=limits, reference=summary.chance,
                      place=places[name]),
            )
            for score, name, summary in shown
        ]  # fmt: skip
        scales.append(Scale(find_measure(measure).title, [], (_end(limits[0]), _end(limits[1])), lines))
    return scales


def _end(value: float) -> str:
    """Of an axis: 1 rather than 1.000."""
    return minus(f"{value:.2g}")


def _level_text(summary: Summary) -> str:
    chance = "" if summary.chance is None else f", chance {number(summary.chance)}"
    return interval(summary) + chance


def _limits(summaries: Sequence[Summary]) -> tuple[float, float]:
    """0 and all that is shown, with a little room."""
    shown = [v for s in summaries for v in (s.mean, s.low, s.high, s.chance) if v is not None and math.isfinite(v)]
    low, high = min(0.0, *shown, 0.0), max(0.0, *shown, 0.0)
    room = 0.06 * (high - low or 1.0)
    return (low - room if low < 0 else 0.0), (high + room if high > 0 else 0.0)
