"""Numbers and notes as pages write them: typographic minus, per cent, intervals, lists that do not run on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["interval", "listed", "number", "percent", "plural", "points", "score_name", "skipped_note", "typographic"]


def typographic() -> dict[str, Callable[..., Any]]:
    """The filters of all templates."""
    return {
        "number": number,
        "percent": percent,
        "points": points,
        "interval": interval,
        "listed": listed,
        "plural": plural,
        "score_name": score_name,
    }


def number(value: float) -> str:
    """Three decimals; two digits of what is smaller than that; an en dash for not-a-number."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.3f}" if value == 0 or abs(value) >= 0.0095 else f"{value:.2g}"
    return text.replace("-", "−")


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent, without the sign."""
    return f"{100 * share:.{digits}f}".replace("-", "−") if math.isfinite(share) else "–"


def points(share: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−") if math.isfinite(share) else "–"


def interval(score: Mapping[str, float]) -> str:
    """Of a share, in per cent: ``51.2 to 63.0``, from its ``low`` and ``high``."""
    return f"{percent(score['low'])} to {percent(score['high'])}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 video``, ``2 videos``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names with commas, those beyond ``most`` as their number."""
    more = f" … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


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


def score_name(score: str) -> str:
    """A score's name for readers."""
    text = score.replace("_", " ")
    for short, usual in (("auroc", "AUROC"), ("iou", "IoU"), ("d prime", "d′"), ("rgb", "RGB")):
        text = re.sub(rf"\b{short}\b", usual, text)
    return text
