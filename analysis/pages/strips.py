"""Numbers drawn along an axis in a page: a mark for each checkpoint, its interval, and what it is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from analysis.plotting.style import PALETTE
from analysis.plotting.style import REFERENCE as GRAY

__all__ = ["REFERENCE", "Condition", "Line", "Scale", "mark", "places_of", "strip"]

REFERENCE = -1
"""The place of untrained weights among trained ones: a gray that no checkpoint has."""
_SHAPES = (
    '<circle r="5"/>',
    '<rect x="-4.5" y="-4.5" width="9" height="9"/>',
    '<path d="M0-6 6 5-6 5Z"/>',
    '<path d="M0-6.5 6.5 0 0 6.5-6.5 0Z"/>',
    '<path d="M0 6 6-5-6-5Z"/>',
)


@dataclass(frozen=True)
class Condition:
    """The place of something that is varied of one checkpoint: told by shape and fill, since hues are checkpoints."""

    place: int


@dataclass(frozen=True)
class Line:
    """One number on an axis.

    Attributes:
        label: Whose it is.
        mark: Its sign; empty for none.
        text: The number in words.
        strip: Where it lies on the axis.
    """

    label: str
    mark: Markup
    text: str
    strip: Markup


@dataclass(frozen=True)
class Scale:
    """Numbers on one axis.

    Attributes:
        name: Of what they are.
        remarks: Such as its chance level.
        ends: Of the axis, as text.
        lines: The numbers.
    """

    name: str
    remarks: list[str]
    ends: tuple[str, str]
    lines: list[Line]


def places_of(names: Sequence[str], untrained: Sequence[str]) -> dict[str, int]:
    """Name of the checkpoint → its place; untrained weights among trained ones are the gray reference.

    Args:
        names: Of all checkpoints, in their order.
        untrained: Of those with random weights.
    """
    twins = untrained if len(untrained) < len(names) else ()
    return {name: REFERENCE if name in twins else place for place, name in enumerate(names)}


def mark(place: int | Condition, *, hollow: bool = False) -> Markup:
    """The sign of a checkpoint (or of ``REFERENCE``, or a condition); a reader of the page has its name beside it.

    Args:
        place: Whose it is.
        hollow: Only its outline: of two conditions of one checkpoint, the one that is changed.
    """
    return Markup('<svg class="mark" viewBox="-8 -8 16 16" aria-hidden="true">{}</svg>').format(_shape(place, hollow))


def strip(
    value: float,
    low: float,
    high: float,
    *,
    limits: tuple[float, float],
    reference: float | None,
    place: int | Condition,
    hollow: bool = False,
) -> Markup:
    """Interval, mean and reference along one axis.

    Args:
        value: The mean; nothing is drawn of it if it is not finite.
        low: Lower end of its interval; none is drawn if it is not finite.
        high: Upper end.
        limits: Ends of the axis; what lies beyond is drawn at the end.
        reference: Chance, or 0 for a difference, drawn as a dashed line; None for none.
        place: Of the checkpoint, which gives color and shape.
        hollow: Draw only the outline of the mark.
    """
    left, right = limits

    def at(x: float) -> str:
        return f"{min(max((x - left) / (right - left), 0.0), 1.0) * 100:.2f}%"

    drawn = Markup('<line class="axis" x1="0" x2="100%" y1="11" y2="11"/>')
    if reference is not None and math.isfinite(reference):
        drawn += Markup('<line class="chance" x1="{0}" x2="{0}" y1="1" y2="21"/>').format(at(reference))
    if math.isfinite(value):
        if math.isfinite(low):
            drawn += Markup('<line stroke="{}" stroke-width="3" x1="{}" x2="{}" y1="11" y2="11"/>').format(
                _color(place), at(low), at(high)
            )
        drawn += Markup('<svg x="{}" y="11" overflow="visible">{}</svg>').format(at(value), _shape(place, hollow))
    return Markup('<svg class="axis-strip" height="22" aria-hidden="true">{}</svg>').format(drawn)


def _color(place: int | Condition) -> str:
    if isinstance(place, Condition):
        return "currentColor"
    return GRAY if place == REFERENCE else PALETTE[place % len(PALETTE)]


def _shape(place: int | Condition, hollow: bool) -> Markup:
    number = place.place if isinstance(place, Condition) else max(place, 0)
    open_mark = hollow or (isinstance(place, Condition) and number % 2 == 1)
    fill = "var(--paper)" if open_mark else _color(place)
    return Markup(f'<g fill="{fill}" stroke="{_color(place)}" stroke-width="1.5">{_SHAPES[number % len(_SHAPES)]}</g>')
