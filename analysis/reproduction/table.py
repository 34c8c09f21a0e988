"""Scores of runs put together: one table for each regime, and what the paper's claims come to."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.measures.common.numbers import markdown_table, minus
from analysis.measures.common.statistics import PairedDifference, Summary, paired_difference, summarize
from analysis.reproduction.plan import METHODS, Run
from analysis.reproduction.score import SCORES

__all__ = ["CLAIMS", "Cell", "Claim", "collect", "curves_to_csv", "judge", "score_rows", "to_csv", "to_markdown"]

Array = NDArray[np.float64]
Scored = Mapping[Run, Mapping[str, Any]]

_PERCENT = {"linear", "nearest", "recall_at_5", "background", "bias_gap", "top1_agreement"}


@dataclass(frozen=True)
class Cell:
    """One score of one method in one regime.

    Attributes:
        summary: over test videos, each the mean over the seeds.
        seeds: the mean of every seed.
        values: ``(V,)``, what the summary is of.
    """

    summary: Summary
    seeds: tuple[float, ...]
    values: Array

    def text(self, *, percent: bool) -> str:
        """Mean and interval, and the range over the seeds if there are several."""
        factor, digits = (100, 1) if percent else (1, 3)
        s = self.summary
        text = f"{s.mean * factor:.{digits}f} [{s.low * factor:.{digits}f}, {s.high * factor:.{digits}f}]"
        if len(self.seeds) > 1:
            low, high = min(self.seeds) * factor, max(self.seeds) * factor
            text += f" ({low:.{digits}f}–{high:.{digits}f}, {len(self.seeds)} seeds)"
        return minus(text)


Table = dict[str, dict[str, dict[str, Cell]]]
"""Regime → method → score → cell."""


def collect(scored: Scored) -> Table:
    """Put the seeds of every method and regime together."""
    table: Table = {}
    for regime in dict.fromkeys(run.regime for run in scored):
        for method in METHODS:
            runs = [run for run in scored if (run.regime, run.method) == (regime, method)]
            if runs:
                cells = {name: _cell([scored[run] for run in runs], name) for name in SCORES}
                table.setdefault(regime, {})[method] = cells
    return table


def _cell(contents: Sequence[Mapping[str, Any]], name: str) -> Cell:
    values = np.array([content["values"][name] for content in contents], np.float64)
    per_video = values.mean(axis=0)
    chance = np.mean([content["chance"].get(name, math.nan) for content in contents])
    seeds = tuple(float(np.nanmean(row)) for row in values)
    return Cell(summarize(per_video, chance=float(chance)), seeds, per_video)


@dataclass(frozen=True)
class Claim:
    """A sentence that the numbers bear out or not.

    Attributes:
        text: what is claimed.
        score: of which score.
        first, second: the methods that are compared; ``first`` alone if ``second`` is empty.
        least: the difference (or value) claimed at least; the interval must lie above it.
        regimes: where; empty: everywhere.
    """

    text: str
    score: str
    first: str
    second: str = ""
    least: float = 0.0
    regimes: tuple[str, ...] = ()

    def about(self, regime: str) -> bool:
        """Whether it is claimed in a regime, which may be given with knobs."""
        return not self.regimes or regime.partition(",")[0] in self.regimes


_HARD = ("camera", "clutter", "changing", "natural", "outdoors")
CLAIMS = (
    Claim("Motion probe: MoCo + L_VD at least 40 points above MoCo", "linear", "vd", "moco", 0.4),
    Claim("Motion probe: FIMA at least 40 points above MoCo", "linear", "fima", "moco", 0.4),
    Claim("Motion probe: FIMA above MoCo + L_VD where alignment is weak", "linear", "fima", "vd", 0.0, _HARD),
    Claim("Energy inside: FIMA at least 1.8 × chance", "energy_ratio", "fima", "", 1.8),
    Claim("Energy inside: FIMA above MoCo + L_VD where alignment is weak", "energy", "fima", "vd", 0.0, _HARD),
    Claim("Top-1 agreement: FIMA above MoCo + L_VD", "top1_agreement", "fima", "vd"),
    Claim("AUROC of offsets: FIMA above MoCo + L_VD", "offset_auroc", "fima", "vd"),
    Claim("Background-bias gap: FIMA's at most half of MoCo's", "bias_gap", "fima", "moco"),
)  # fmt: skip
"""The hypothesis, as it was written down before the runs."""


def judge(claim: Claim, methods: Mapping[str, Mapping[str, Cell]]) -> tuple[str, PairedDifference | None]:
    """What a regime's numbers say of a claim.

    Returns:
        "holds" (the whole interval is beyond the mark), "fails" (the whole interval is short of it), "open", or
        "not run"; and the difference, first minus second (bias gap: half of the second's minus the first's).
    """
    if claim.first not in methods or (claim.second and claim.second not in methods):
        return "not run", None
    first = methods[claim.first][claim.score].values
    second = methods[claim.second][claim.score].values if claim.second else np.zeros_like(first)
    halved = claim.score == "bias_gap"
    difference = paired_difference(first, second / 2) if halved else paired_difference(second, first)
    verdict = "open"
    if difference.low > claim.least:
        verdict = "holds"
    elif difference.high < claim.least:
        verdict = "fails"
    return verdict, difference


def score_rows(methods: Mapping[str, Mapping[str, Cell]]) -> list[list[str]]:
    """The table of one regime as text: heads, chance levels, then a row for each method."""
    some = next(iter(methods.values()))
    heads = [f"{label}{' (%)' if name in _PERCENT else ''}" for name, label in SCORES.items()]
    chance = [_chance(some[name].summary.chance, percent=name in _PERCENT) for name in SCORES]
    rows = [
        [METHODS[method], *(cells[name].text(percent=name in _PERCENT) for name in SCORES)]
        for method, cells in methods.items()
    ]
    return [["", *heads], ["chance", *chance], *rows]


def to_markdown(table: Table) -> str:
    """One table for each regime, methods as rows."""
    parts = []
    for regime, methods in table.items():
        heads, *rows = score_rows(methods)
        parts.append("\n".join([f"### {regime}", "", markdown_table(heads, rows)]))
    return "\n\n".join(parts) + "\n"


def _chance(level: float | None, *, percent: bool) -> str:
    if level is None or math.isnan(level):
        return "–"
    return f"{level * 100:.1f}" if percent else f"{level:.3f}"


def to_csv(table: Table) -> str:
    """Every cell as a row."""
    return _csv(_HEADS, _cells(table))


def curves_to_csv(curves: Mapping[int, Table]) -> str:
    """Every cell of every step as a row."""
    return _csv(["step", *_HEADS], ([str(step), *row] for step, table in curves.items() for row in _cells(table)))


_HEADS = ["regime", "method", "score", "mean", "low", "high", "chance", "videos", "seeds"]


def _csv(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([heads, *rows])
    return text.getvalue()


def _cells(table: Table) -> Iterator[list[str]]:
    for regime, methods in table.items():
        for method, cells in methods.items():
            for name, cell in cells.items():
                s = cell.summary
                seeds = " ".join(f"{mean:.6g}" for mean in cell.seeds)
                numbers = (f"{v:.6g}" for v in (s.mean, s.low, s.high, s.chance))
                yield [regime, method, name, *numbers, str(s.num_videos), seeds]
