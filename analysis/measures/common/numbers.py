"""Numbers as text: one way to write a score, for tables, captions and pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.measures.common.statistics import Summary

__all__ = ["capital", "interval", "interval_text", "markdown_table", "minus", "number", "twin_interval"]

_ROUNDING = 1e-12


def capital(text: str) -> str:
    """A text that begins with a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def minus(text: str) -> str:
    """Numbers as text with the sign for minus, which a hyphen is not; never for files that are parsed."""
    return text.replace("-", "−")


def number(value: float | None) -> str:
    """Three decimals; two digits of what is smaller than that; an en dash for not-a-number and None.

    What only rounding left of 0 is 0.

    >>> number(0.8294), number(0.00123), number(-0.5), number(float("nan")), number(-2.3e-18)
    ('0.829', '0.0012', '−0.500', '–', '0.000')
    """
    if value is None or not math.isfinite(value):
        return "–"
    value = 0.0 if abs(value) < _ROUNDING else value
    text = f"{value:.3f}" if value == 0 or abs(value) >= 0.0095 else f"{value:.2g}"
    return minus(text)


def interval(summary: Summary) -> str:
    """The mean with its 95 % interval where it has one: ``0.829 [0.779, 0.871]``."""
    return interval_text(summary.mean, summary.low, summary.high)


def interval_text(value: float, low: float, high: float, write: Callable[[float], str] = number) -> str:
    """``0.829 [0.779, 0.871]``; without the interval where there is none.

    Args:
        value: The mean.
        low: Lower end.
        high: Upper end.
        write: Writes each of them.
    """
    return f"{write(value)} [{write(low)}, {write(high)}]" if math.isfinite(low) else write(value)


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines of a Markdown table; a bar in a cell is written as a slash."""
    first, *others = (f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in (heads, *rows))
    return "\n".join([first, f"|{'---|' * len(heads)}", *others])


def twin_interval(summary: Summary) -> str:
    """The same of the untrained twin; empty where there is none."""
    if summary.twin_mean is None:
        return ""
    low, high = (math.nan if end is None else end for end in (summary.twin_low, summary.twin_high))
    return interval_text(summary.twin_mean, low, high)
