"""The first picture of a page: paired differences on one axis a group, better to the right."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from analysis.measures.common.numbers import interval_text
from analysis.pages.strips import Condition, mark, strip
from analysis.pages.words import signed

__all__ = ["Effect", "ForestGroup", "ForestRow", "forest_group"]


@dataclass(frozen=True)
class Effect:
    """A paired difference from a baseline.

    Attributes:
        label: Of the score; the same as that of the effect before it is not written again.
        other: What is compared with the baseline.
        place: Its place, which gives its mark (`analysis.pages.strips.mark`).
        values: The baseline's value and the other's, in words.
        difference: Other minus baseline.
        low: Lower end of its interval; NaN for none.
        high: Upper end.
        verdict: ``better``, ``worse``, or empty.
        lower_is_better: Whether the drawing is turned, so that better lies to the right.
    """

    label: str
    other: str
    place: int | Condition
    values: str
    difference: float
    low: float
    high: float
    verdict: str = ""
    lower_is_better: bool = False


@dataclass(frozen=True)
class ForestRow:
    """An effect as the page shows it: its label, empty where it is that of the row above, its words and drawing."""

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
    """Effects on one axis.

    Attributes:
        anchor: Id of the part of the page that says more.
        title: Of what they are.
        end: The axis goes from minus this to plus this; empty where nothing is drawn.
        rows: The effects.
    """

    anchor: str
    title: str
    end: str
    rows: list[ForestRow]


def forest_group(
    anchor: str, title: str, effects: Sequence[Effect], write: Callable[[float], str] = signed
) -> ForestGroup:
    """Effects of one unit, which share an axis.

    Args:
        anchor: Id of the part of the page that says more.
        title: Of what they are, with the unit if they have one.
        effects: In their order.
        write: Writes a difference, with its sign.
    """
    ends = [abs(x) for one in effects for x in (one.difference, one.low, one.high) if math.isfinite(x)]
    end = max(ends, default=0.0) * 1.08 or 1.0
    drawn = any(math.isfinite(one.low) for one in effects)
    rows = [_row(one, before, end, write) for before, one in zip([None, *effects], effects, strict=False)]
    return ForestGroup(anchor, title, write(float(f"{end:.2g}")).lstrip("+") if drawn else "", rows)


def _row(one: Effect, before: Effect | None, end: float, write: Callable[[float], str]) -> ForestRow:
    sign = -1.0 if one.lower_is_better else 1.0
    low, high = sorted((sign * one.low, sign * one.high))
    drawn = Markup()
    if math.isfinite(one.low):
        drawn = strip(sign * one.difference, low, high, limits=(-end, end), reference=0.0, place=one.place)
    same = before is not None and before.label == one.label
    return ForestRow(
        label="" if same else one.label,
        remark="lower is better" if one.lower_is_better and not same else "",
        mark=mark(one.place),
        other=one.other,
        values=one.values,
        text=interval_text(one.difference, one.low, one.high, write),
        verdict=one.verdict,
        strip=drawn,
    )
