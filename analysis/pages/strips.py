"""Numbers drawn along an axis in a page: a mark for each checkpoint, its interval, and what it is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

__all__ = ["REFERENCE", "Line", "Scale", "mark", "strip"]

# Okabe and Ito's colors with a shape each: two ways to tell checkpoints apart.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_GRAY = "#8a8f98"
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


def mark(place: int) -> Markup:
    """The sign of the checkpoint at a place (or at ``REFERENCE``); a reader of the page has its name beside it."""
    return Markup('<svg class="mark" viewBox="-8 -8 16 16" aria-hidden="true">{}</svg>').format(_shape(place))


def strip(
    value: float, low: float, high: float, *, limits: tuple[float, float], reference: float | None, place: int
) -> Markup:
    """Interval, mean and reference along one axis.

    Args:
        value: The mean; nothing is drawn of it if it is not finite.
        low: Lower end of its interval; none is drawn if it is not finite.
        high: Upper end.
        limits: Ends of the axis; what lies beyond is drawn at the end.
        reference: Chance, or 0 for a difference, drawn as a dashed line; None for none.
        place: Of the checkpoint, which gives color and shape.
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
        drawn += Markup('<svg x="{}" y="11" overflow="visible">{}</svg>').format(at(value), _shape(place))
    return Markup('<svg class="axis-strip" height="22" aria-hidden="true">{}</svg>').format(drawn)


def _color(place: int) -> str:
    return _GRAY if place == REFERENCE else _COLORS[place % len(_COLORS)]


def _shape(place: int) -> Markup:
    shape = _SHAPES[0 if place == REFERENCE else place % len(_SHAPES)]
    return Markup(f'<g fill="{_color(place)}">{shape}</g>')
