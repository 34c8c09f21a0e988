"""The page of a reproduction, and the same as Markdown: what the claims come to, then every score."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.measures.common.numbers import interval_text, markdown_table
from analysis.output import timestamp, versions
from analysis.pages.environment import render
from analysis.pages.forest import Effect, ForestGroup, forest_group
from analysis.pages.pictures import picture
from analysis.pages.words import listed, number, plural
from analysis.reproduction.plan import METHODS, Budget, Run
from analysis.reproduction.table import CLAIMS, Claim, Table, judge, score_rows, to_markdown

__all__ = ["Reproduced", "conclude", "render_markdown", "render_reproduction"]

_CELLS = (
    "Each cell: mean and 95 % interval over test videos; with several seeds, a video's value is its mean over seeds, "
    "and the range of the seeds follows."
)
_VERDICTS = ("holds", "fails", "open")


@dataclass(frozen=True)
class Reproduced:
    """What came of a reproduction.

    Attributes:
        table: Of the finished runs.
        runs: That were asked for.
        budget: Of all of them.
        pictures: Title → path below the page's folder.
    """

    table: Table
    runs: Sequence[Run]
    budget: Budget
    pictures: Mapping[str, str]

    @property
    def missing(self) -> list[Run]:
        """Runs that are not finished."""
        return [run for run in self.runs if not run.finished]

    @property
    def about(self) -> str:
        """What was done, in two sentences."""
        return (
            f"Budget {self.budget.name}: {self.budget.epochs} epochs over {self.budget.videos} videos for every "
            "method, with one recipe but for what makes the method. docs/reproduction.md says what was tuned, and how."
        )

    @property
    def notes(self) -> list[str]:
        """What a reader must know before the numbers."""
        names = [f"{run.method} ({run.regime}, seed {run.seed})" for run in self.missing]
        return [
            *filter(None, [self.budget.warning]),
            *([f"Not trained yet, so left out: {listed(names)}."] * bool(names)),
        ]

    def verdicts(self) -> list[tuple[Claim, dict[str, tuple[str, str]]]]:
        """Every claim, and regime → verdict and difference as text; an en dash where it is not claimed."""
        return [(claim, {regime: _judged(claim, regime, self.table) for regime in self.table}) for claim in CLAIMS]


def _judged(claim: Claim, regime: str, table: Table) -> tuple[str, str]:
    if not claim.about(regime):
        return "–", ""
    verdict, difference = judge(claim, table[regime])
    if difference is None:
        return verdict, ""
    return verdict, f"{number(difference.mean)} [{number(difference.low)}, {number(difference.high)}]"


def conclude(made: Reproduced) -> list[str]:
    """What may be concluded, by rule: at most six sentences."""
    sentences = []
    for regime in list(made.table)[:3]:
        found: dict[str, list[str]] = {}
        for claim, verdicts in made.verdicts():
            found.setdefault(verdicts[regime][0], []).append(claim.text)
        told = [f"{len(found[word])} {_plural(word, len(found[word]))} ({'; '.join(found[word])})"
                for word in _VERDICTS if word in found]  # fmt: skip
        sentences.append(
            f"In {regime}, of the claims written down before: {', '.join(told) or 'none can be judged yet'}."
        )
    cells = [cell for methods in made.table.values() for of in methods.values() for cell in of.values()]
    seeds = max(len(cell.seeds) for cell in cells)
    if seeds == 1:
        sentences.append("Every method was trained once: how much another seed would change is not known here.")
    else:
        sentences.append(f"Every method was trained from up to {plural(seeds, 'seed')}; the intervals are over videos.")
    sentences.append("The numbers are of this drawn world alone; none compares with a published one.")
    return sentences


def _plural(verdict: str, count: int) -> str:
    if verdict == "open":
        return "is open" if count == 1 else "are open"
    return verdict if count == 1 else verdict.removesuffix("s")


def render_reproduction(made: Reproduced, folder: Path, *, command: str = "") -> str:
    """The text of ``index.html``.

    Args:
        made: What came of it.
        folder: Holds ``scores.png`` and the pictures.
        command: What makes the page again.
    """
    return render(
        "reproduction.html",
        title=f"Methods trained alike on moving shapes: {', '.join(made.table)}",
        about=made.about,
        warnings=made.notes,
        findings=conclude(made),
        command=command,
        forest=_forest(made.table),
        not_run=[claim.text for claim, of in made.verdicts() if {word for word, _ in of.values()} <= {"not run", "–"}],
        regimes={regime: list(zip(*score_rows(methods), strict=True)) for regime, methods in made.table.items()},
        cells=_CELLS,
        scores=picture(folder / "scores.png"),
        pictures={title: picture(folder / path) for title, path in made.pictures.items()},
        versions=versions(),
    )


def _forest(table: Table) -> list[ForestGroup]:
    """The claims of each regime with what was found, those of a ratio on an axis of their own; 0 is what is claimed."""
    groups = []
    for regime, methods in table.items():
        found: dict[str, list[Effect]] = {regime: [], f"{regime}, × chance": []}
        for claim in CLAIMS:
            verdict, one = judge(claim, methods)
            if one is None or not claim.about(regime):
                continue
            told = interval_text(one.mean, one.low, one.high)
            mean, low, high = (bound - claim.least for bound in (one.mean, one.low, one.high))
            own = regime if claim.second else f"{regime}, × chance"
            found[own].append(Effect(claim.text, "", list(METHODS).index(claim.first), told, mean, low, high, verdict))
        groups += [forest_group("", title, effects) for title, effects in found.items() if effects]
    return groups


def render_markdown(made: Reproduced) -> str:
    """The same for readers of a repository."""
    lines = ["# Miniature reproduction on moving shapes", "", *(f"**{note}**\n" for note in made.notes), made.about, ""]
    lines += [*(f"- {sentence}" for sentence in conclude(made)), "", "## The hypothesis", ""]
    verdicts = [
        [claim.text, *(f"{verdict}: {text}" if text else verdict for verdict, text in found.values())]
        for claim, found in made.verdicts()
    ]
    lines.append(markdown_table(["claim", *made.table], verdicts))
    lines += ["", "![Scores by method and regime](scores.png)", "", _CELLS, "", to_markdown(made.table)]
    for title, path in made.pictures.items():
        lines += [f"## {title}", "", f"![{title}]({path})", ""]
    lines += [f"Made {timestamp()} with {platform.machine()}, {json.dumps(versions())}.", ""]
    return "\n".join(lines)
