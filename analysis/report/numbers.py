"""Numbers of the page: cells of text, and strips that show intervals and chance on one axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from analysis.measures import numbers
from analysis.measures.registry import Score, find_measure, find_score
from analysis.measures.statistics import Summary
from analysis.studies import Study

__all__ = ["MarkedScore", "ScoreRow", "interval", "mark", "score_rows", "score_table", "signed"]

# Okabe and Ito's colors with a shape each: two ways to tell checkpoints apart.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_SHAPES = (
    '<circle r="5"/>',
    '<rect x="-4.5" y="-4.5" width="9" height="9"/>',
    '<path d="M0-6 6 5-6 5Z"/>',
    '<path d="M0-6.5 6.5 0 0 6.5-6.5 0Z"/>',
    '<path d="M0 6 6-5-6-5Z"/>',
)


@dataclass(frozen=True)
class MarkedScore:
    """One checkpoint's number: its name, mark, text and strip."""

    label: str
    mark: Markup
    text: str
    videos: int
    strip: Markup


@dataclass(frozen=True)
class ScoreRow:
    """A main score of all checkpoints, with its chance level and the ends of its axis."""

    name: str
    remarks: list[str]
    low: str
    high: str
    of: list[MarkedScore]


def interval(summary: Summary) -> str:
    """``0.829 [0.779, 0.871]``, with minus signs that are one."""
    return numbers.interval(summary).replace("-", "−")


def signed(value: float) -> str:
    """A number with a minus sign that is one."""
    return numbers.number(value).replace("-", "−")


def mark(place: int) -> Markup:
    """The sign of the checkpoint at a place; a reader of the page has its name beside it."""
    return Markup('<svg class="mark" viewBox="-8 -8 16 16" aria-hidden="true">{}</svg>').format(_shape(place))


def _shape(place: int) -> Markup:
    return Markup(f'<g fill="{_COLORS[place % len(_COLORS)]}">{_SHAPES[place % len(_SHAPES)]}</g>')


def score_rows(studies: Mapping[str, Study], labels: Sequence[str]) -> list[ScoreRow]:
    """The main numbers of a measure, as far as any checkpoint has them.

    Args:
        studies: Label → study.
        labels: Labels of all checkpoints: a checkpoint's place among them gives its mark.
    """
    first = next(iter(studies.values()))
    rows = []
    for name in find_measure(first.measure).main or list(first.scores)[:3]:
        summaries = {label: study.scores[name] for label, study in studies.items() if name in study.scores}
        if any(math.isfinite(summary.mean) for summary in summaries.values()):
            rows.append(_row(find_score(first.measure, name), summaries, labels))
    return rows


def _row(score: Score, summaries: Mapping[str, Summary], labels: Sequence[str]) -> ScoreRow:
    low, high = score.axis or _limits(summaries)
    chances = list(dict.fromkeys(signed(s.chance) for s in summaries.values() if s.chance is not None))
    remarks = [f"chance {' / '.join(chances)}"] if chances else []
    return ScoreRow(
        name=score.title,
        remarks=remarks + ([f"{score.better} is better"] if score.better else []),
        low=_end(low),
        high=_end(high),
        of=[
            MarkedScore(
                label, mark(labels.index(label)), interval(s), s.num_videos, _strip(s, low, high, labels.index(label))
            )
            for label, s in summaries.items()
        ],
    )


def _end(value: float) -> str:
    """Of an axis: 1 rather than 1.000."""
    return f"{value:.2g}".replace("-", "−")


def _limits(found: Mapping[str, Summary]) -> tuple[float, float]:
    """0 and all that is shown, with a little room."""
    shown = [v for s in found.values() for v in (s.mean, s.low, s.high, s.chance) if v is not None and math.isfinite(v)]
    low, high = min(0.0, *shown), max(0.0, *shown)
    room = 0.06 * (high - low or 1.0)
    return (low - room if low < 0 else 0.0), (high + room if high > 0 else 0.0)


def _strip(summary: Summary, low: float, high: float, place: int) -> Markup:
    """Interval, mean and chance along one axis."""

    def at(value: float) -> str:
        return f"{min(max((value - low) / (high - low), 0.0), 1.0) * 100:.2f}%"

    drawn = Markup('<line class="axis" x1="0" x2="100%" y1="11" y2="11"/>')
    if summary.chance is not None and math.isfinite(summary.chance):
        x = at(summary.chance)
        drawn += Markup('<line class="chance" x1="{0}" x2="{0}" y1="1" y2="21"/>').format(x)
    if math.isfinite(summary.mean):
        if math.isfinite(summary.low):
            drawn += Markup('<line stroke="{}" stroke-width="3" x1="{}" x2="{}" y1="11" y2="11"/>').format(
                _COLORS[place % len(_COLORS)], at(summary.low), at(summary.high)
            )
        drawn += Markup('<svg x="{}" y="11" overflow="visible">{}</svg>').format(at(summary.mean), _shape(place))
    return Markup('<svg class="strip" height="22" aria-hidden="true">{}</svg>').format(drawn)


def score_table(studies: Mapping[str, Study]) -> list[tuple[str, str, list[str]]]:
    """Every score: name, chance, and a cell for each checkpoint."""
    names = list(dict.fromkeys(name for study in studies.values() for name in study.scores))
    rows = []
    for name in names:
        found = [study.scores.get(name) for study in studies.values()]
        levels = dict.fromkeys(signed(s.chance) for s in found if s is not None and s.chance is not None)
        cells = ["–" if s is None else interval(s) for s in found]
        rows.append((find_score(next(iter(studies.values())).measure, name).title, " / ".join(levels) or "–", cells))
    return rows
