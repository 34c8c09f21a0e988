"""What the table of real clips says of the aims: a level to reach, or something to be above of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.reproduction.rows import Row
from analysis.studies.common.differences import Difference

__all__ = ["Verdict", "judge_aims", "verdict"]

LEVELS = {("localize", "auroc"): 0.85, ("mover", "picture"): 0.80, ("mover", "world"): 0.65}
"""Measure and score → what a backbone that sees motion in real clips should reach."""
_NAMES = {"auroc": "AUROC", "picture": "mover in the picture", "world": "mover in the world"}
_NEAR = 0.1
"""How far from 0.5 the mean of an untrained twin may be."""
_MORE = math.ulp(0.0)


@dataclass(frozen=True)
class Verdict:
    """What came of one aim.

    Attributes:
        checkpoint: Of which.
        aim: In words.
        mean: The score, or the mean paired difference.
        low: Lower end of its 95 % interval; NaN for few videos.
        high: Upper end.
        says: ``met``, ``met by the mean …``, ``missed by the mean …`` or ``missed``.
    """

    checkpoint: str
    aim: str
    mean: float
    low: float
    high: float
    says: str


def judge_aims(rows: Sequence[Row], differences: Sequence[Difference]) -> list[Verdict]:
    """Verdicts on every trained checkpoint.

    Args:
        rows: Of the table.
        differences: Of checkpoints and what they are compared with.
    """
    own = [row for row in rows if row.checkpoint == row.name]
    return [one for row in own for one in (*_levels(row, rows), *_above(row, differences), *_twin(row))]


def verdict(mean: float, low: float, high: float, least: float) -> str:
    """Whether a number is at least what it should be, and whether its interval is too.

    Args:
        mean: The number.
        low: Lower end of its interval; NaN: there is none.
        high: Upper end.
        least: What it should be at least.

    >>> verdict(0.9, 0.86, 0.95, 0.85), verdict(0.9, 0.8, 0.95, 0.85)
    ('met', 'met by the mean; open by its interval')
    >>> verdict(0.8, 0.7, 0.9, 0.85), verdict(0.6, 0.5, 0.7, 0.85)
    ('missed by the mean; open by its interval', 'missed')
    """
    if mean >= least:
        return "met" if low >= least else "met by the mean; open by its interval"
    return "missed by the mean; open by its interval" if high >= least else "missed"


def _levels(row: Row, rows: Sequence[Row]) -> Iterator[Verdict]:
    for (measure, score), least in LEVELS.items():
        for of in rows:
            found = of.studies[measure].scores.get(score) if measure in of.studies else None
            if of.checkpoint == row.name and found is not None:
                which = of.name.removeprefix(row.name)
                says = verdict(found.mean, found.low, found.high, least)
                yield Verdict(
                    row.name, f"{_NAMES[score]}{which} ≥ {least:.2f}", found.mean, found.low, found.high, says
                )


def _above(row: Row, differences: Sequence[Difference]) -> Iterator[Verdict]:
    for _, score in LEVELS:
        for d in differences:
            if d.other == row.name and d.score == score:
                says = verdict(d.difference, d.low, d.high, _MORE)
                yield Verdict(row.name, f"{_NAMES[score]} above {d.baseline}", d.difference, d.low, d.high, says)


def _twin(row: Row) -> Iterator[Verdict]:
    """Its mover near chance: then it is training that the trained one's comes from."""
    for label, studies in row.against.items():
        for score in ("picture", "world"):
            found = studies["mover"].scores.get(score) if label.startswith("untrained") and "mover" in studies else None
            if found is not None:
                inside = found.low <= 0.5 <= found.high
                near = "met" if inside else "met by the mean; open by its interval"
                far = "missed by the mean; open by its interval" if inside else "missed"
                says = near if abs(found.mean - 0.5) <= _NEAR else far
                yield Verdict(row.name, f"{_NAMES[score]} of {label} near 0.5", found.mean, found.low, found.high, says)
