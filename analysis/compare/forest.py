"""The first picture of a comparison: paired differences of the headline scores, better to the right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from analysis.compare.headlines import headline_scores, verdict
from analysis.measures.registry import find_measure, find_score
from analysis.measures.statistics import Summary
from analysis.pages.strips import Line, Scale, mark, strip
from analysis.pages.words import number, signed
from analysis.studies import Study
from analysis.studies.differences import Difference

__all__ = ["ForestGroup", "ForestRow", "forest", "interval_text", "level_scales"]


@dataclass(frozen=True)
class ForestRow:
    """One difference.

    Attributes:
        label: Of the score; empty where it is that of the row above.
        remark: Such as that lower is better.
        mark: Sign of the checkpoint that is compared with the baseline.
        other: Its name.
        values: Baseline's and other's mean.
        text: The difference, with its interval if it has one.
        verdict: ``better``, ``worse``, or empty.
        strip: The drawing; empty without an interval.
    """

    label: str
    remark: str
    mark: Markup
    other: str
    values: str
    text: str
    verdict: str
    strip: Markup


@dataclass(frozen=True)
class ForestGroup:
    """The differences of one measure, on one axis."""

    measure: str
    title: str
    end: str
    rows: list[ForestRow]


def forest(differences: Sequence[Difference], places: Mapping[str, int]) -> list[ForestGroup]:
    """Groups in the order of the differences.

    Args:
        differences: Of headline scores, those of a measure one after the other.
        places: Name of the checkpoint → its place, which gives its mark.
    """
    groups = []
    for measure, some in groupby(differences, key=lambda one: one.measure):
        own = list(some)
        ends = [abs(x) for one in own for x in (one.difference, one.low, one.high) if math.isfinite(x)]
        end = max(ends, default=0.0) * 1.08 or 1.0
        drawn = any(math.isfinite(one.low) for one in own)
        rows = [_row(one, before, end, places) for before, one in zip([None, *own], own, strict=False)]
        groups.append(ForestGroup(measure, find_measure(measure).title, f"{end:.2g}" if drawn else "", rows))
    return groups


def _row(one: Difference, before: Difference | None, end: float, places: Mapping[str, int]) -> ForestRow:
    place = places[one.other]
    score = find_score(one.measure, one.score)
    sign = -1.0 if one.better == "lower" else 1.0
    low, high = sorted((sign * one.low, sign * one.high))
    drawn = Markup()
    if math.isfinite(one.low):
        drawn = strip(sign * one.difference, low, high, limits=(-end, end), reference=0.0, place=place)
    same = before is not None and before.score == one.score
    return ForestRow(
        label="" if same else score.title,
        remark="" if same or one.better != "lower" else "lower is better",
        mark=mark(place),
        other=one.other,
        values=f"{number(one.baseline_mean)} → {number(one.other_mean)}",
        text=interval_text(one.difference, one.low, one.high, signs=True),
        verdict=verdict(one),
        strip=drawn,
    )


def interval_text(value: float, low: float, high: float, *, signs: bool = False) -> str:
    """``0.829 [0.779, 0.871]``; without the interval where there is none.

    Args:
        value: The mean.
        low: Lower end.
        high: Upper end.
        signs: Write a plus sign too, as of a difference.
    """
    write = signed if signs else number
    return f"{write(value)} [{write(low)}, {write(high)}]" if math.isfinite(low) else write(value)


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
    return f"{value:.2g}".replace("-", "−")


def _level_text(summary: Summary) -> str:
    chance = "" if summary.chance is None else f", chance {number(summary.chance)}"
    return interval_text(summary.mean, summary.low, summary.high) + chance


def _limits(summaries: Sequence[Summary]) -> tuple[float, float]:
    """0 and all that is shown, with a little room."""
    shown = [v for s in summaries for v in (s.mean, s.low, s.high, s.chance) if v is not None and math.isfinite(v)]
    low, high = min(0.0, *shown, 0.0), max(0.0, *shown, 0.0)
    room = 0.06 * (high - low or 1.0)
    return (low - room if low < 0 else 0.0), (high + room if high > 0 else 0.0)
