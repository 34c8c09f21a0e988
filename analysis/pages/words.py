"""Numbers and notes as pages write them: typographic minus, per cent, intervals, lists that do not run on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from analysis.measures.common.numbers import minus, number

__all__ = [
    "compared", "data_title", "interval", "listed", "number", "percent", "percent_interval", "plural", "points",
    "signed", "skipped_note", "typographic",
]  # fmt: skip


def typographic() -> dict[str, Callable[..., Any]]:
    """The filters of all templates."""
    return {
        "number": number,
        "percent": percent,
        "points": points,
        "interval": interval,
        "listed": listed,
        "plural": plural,
        "signed": signed,
    }


def signed(value: float) -> str:
    """``number`` with a plus sign where it is above 0, as of a difference."""
    return f"+{number(value)}" if value > 0 else number(value)


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent, without the sign."""
    return minus(f"{100 * share:.{digits}f}") if math.isfinite(share) else "–"


def points(share: float) -> str:
    """A difference of shares in points, with its sign."""
    return minus(f"{100 * share:+.1f}") if math.isfinite(share) else "–"


def interval(score: Mapping[str, float]) -> str:
    """Of a share, in per cent: ``51.2 to 63.0``, from its ``low`` and ``high``."""
    return f"{percent(score['low'])} to {percent(score['high'])}"


def percent_interval(share: float, low: float, high: float) -> str:
    """``57.1 % [51.2, 63.0]`` of shares; without the interval where there is none.

    Args:
        share: The mean.
        low: Lower end.
        high: Upper end.
    """
    return f"{percent(share)} %" + (f" [{percent(low)}, {percent(high)}]" if math.isfinite(low) else "")


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 video``, ``2 videos``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names with commas, those beyond ``most`` as their number."""
    more = f" … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def compared(names: Sequence[str]) -> str:
    """Who stands in a title: ``b, c against a``, of which ``a`` is the first; one alone by its name."""
    return f"{listed(names[1:], 4)} against {names[0]}" if len(names) > 1 else names[0]


def data_title(data: str, split: str | None) -> str:
    """A data set's short name, such as ``UCF101 (test1)``.

    Args:
        data: As typed: a folder, a list file, or drawn data.
        split: Its split, if any.
    """
    return PurePath(data.partition(",")[0]).name + (f" ({split})" if split else "")


def skipped_note(names: Sequence[str], where: str) -> list[str]:
    """A line that says which videos could not be read; none if all could.

    Args:
        names: Of the videos.
        where: The file that holds the reasons.
    """
    if not names:
        return []
    are = "is" if len(names) == 1 else "are"
    return [
        f"{plural(len(names), 'video')} could not be read and {are} left out: {listed(names)} (reasons in {where})."
    ]
