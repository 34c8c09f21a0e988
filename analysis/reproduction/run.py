"""A whole reproduction: train, score, compare, write it down."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from analysis import jobs
from analysis.jobs import Process, Tell
from analysis.output import output_folder, timestamp, versions
from analysis.plotting.style import save_figure
from analysis.reproduction.figures import draw_table
from analysis.reproduction.plan import METHODS, Budget, Run
from analysis.reproduction.score import score
from analysis.reproduction.table import CLAIMS, Scored, Table, collect, judge, to_csv, to_markdown
from analysis.settings import Settings
from fima.errors import InputError

__all__ = ["reproduce"]

_SHOWN = ("moco", "vd", "fima")
_PICTURES = {"cam": "Figure 3", "affinity": "Figure 5a", "temporal": "Figure 5b"}


def reproduce(
    runs: Sequence[Run],
    out: str | Path,
    *,
    lanes: int,
    threads: int,
    device: str = "cpu",
    training: bool = True,
    overwrite: bool = False,
    tell: Tell,
) -> Path:
    """Train what is not trained, score what is not scored, and write the page.

    Args:
        runs: of one budget.
        out: folder of the page.
        lanes: trainings at a time.
        threads: of the processor, for each of them.
        device: to score on.
        training: False takes only what is trained by now; what is not is left out and said so.
        overwrite: replace the page of another budget.
        tell: takes lines of progress.

    Returns:
        The page, ``out/README.md``.

    Raises:
        TrainingError: if a training fails.
        InputError: if nothing is trained yet, or ``out`` cannot be written.
    """
    if training:
        _train(runs, lanes=lanes, threads=threads, tell=tell)
    done = [run for run in runs if run.finished]
    if not done:
        raise InputError(f"{runs[0].folder.parent}: no run is finished yet; leave --no-training out to train them")
    scored = {run: score(run, device=device, tell=tell) for run in done}
    table = collect(scored)
    budget = runs[0].budget
    names = ("README.md", "scores.png", "scores.csv", "scores.json")
    asked = {"budget": budget.name, "runs": str(runs[0].folder.parent)}
    with output_folder(out, "reproduction", asked, names=names, overwrite=overwrite) as folder:
        save_figure(draw_table(table, budget.warning and "TOO SHORT to conclude from"), folder / "scores.png", "png")
        (folder / "scores.csv").write_text(to_csv(table), encoding="utf-8")
        (folder / "scores.json").write_text(_json(scored, runs), encoding="utf-8")
        pictures = _pictures(done, folder, tell)
        (folder / "README.md").write_text(_page(table, runs, budget, pictures), encoding="utf-8")
    return Path(out) / "README.md"


def _train(runs: Sequence[Run], *, lanes: int, threads: int, tell: Tell) -> None:
    """Train what is not finished; what was begun goes on."""
    todo = [run for run in runs if not run.finished]
    for run in todo:
        jobs.claim(run.folder, {"recipe": run.recipe, "seed": run.seed})
    processes = [Process(run.label, run.folder, run.command(threads), partial(_finish, run)) for run in todo]
    jobs.run_processes(processes, lanes=lanes, threads=threads, tell=tell)


def _finish(run: Run, code: int) -> None:
    (run.folder / "finished").touch()


def _pictures(done: Sequence[Run], folder: Path, tell: Tell) -> dict[str, str]:
    """The paper's Figures 3 and 5 for the methods it shows, in the first regime that has two, hard ones first."""
    from analysis.compare import compare

    regimes = sorted({run.regime for run in done}, key=lambda name: name == "easy")
    for regime in regimes:
        shown = {run.method: run for run in done if run.regime == regime and run.method in _SHOWN and run.trained}
        if len(shown) < 2:
            continue
        tell(f"drawing the comparison in {regime}")
        ordered = [shown[name] for name in _SHOWN if name in shown]
        settings = Settings(data=f"shapes:{regime},videos=40", split="test", show=4, batch_size=16)
        made = compare(
            settings,
            [str(run.checkpoint) for run in ordered],
            names=[METHODS[run.method] for run in ordered],
            measures=list(_PICTURES),
        )
        made.save(folder / "compare", into=_made(folder / "compare"))
        names = {measure: f"compare/compare-{measure}.png" for measure in _PICTURES}
        return {f"{_PICTURES[m]}, {regime}": path for m, path in names.items() if (folder / path).exists()}
    return {}


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _page(table: Table, runs: Sequence[Run], budget: Budget, pictures: Mapping[str, str]) -> str:
    missing = [run for run in runs if not run.finished]
    lines = ["# Miniature reproduction on moving shapes", ""]
    if budget.warning:
        lines += [f"**{budget.warning}**", ""]
    lines += [
        f"Budget `{budget.name}`: {budget.epochs} epochs over {budget.videos} videos for every method, with one recipe "
        "but for what makes the method. Numbers are of this world alone; none compares with a published one. "
        "docs/reproduction.md says what was tuned, how, and how to read it.",
        "",
        "Each cell: mean and 95 % interval over test videos; with several seeds, a video's value is its mean "
        "over seeds, and the range of the seeds follows.",
        "",
        to_markdown(table),
        "## The hypothesis",
        "",
        *_claims(table),
        "",
        "![Scores by method and regime](scores.png)",
        "",
    ]
    for title, path in pictures.items():
        lines += [f"## {title}", "", f"![{title}]({path})", ""]
    if missing:
        names = ", ".join(f"{run.method} ({run.regime}, seed {run.seed})" for run in missing)
        lines += [f"Not trained yet, so left out: {names}.", ""]
    lines += [f"Made {timestamp()} with {platform.machine()}, {json.dumps(versions())}.", ""]
    return "\n".join(lines)


def _claims(table: Table) -> list[str]:
    lines = ["| claim | " + " | ".join(table) + " |", "|---|" + "---|" * len(table)]
    for claim in CLAIMS:
        cells = []
        for regime, methods in table.items():
            if claim.regimes and regime not in claim.regimes:
                cells.append("–")
                continue
            verdict, difference = judge(claim, methods)
            number = (
                "" if difference is None else f": {difference.mean:.3f} [{difference.low:.3f}, {difference.high:.3f}]"
            )
            cells.append(f"{verdict}{number}".replace("-0.", "−0."))
        lines.append(f"| {claim.text} | {' | '.join(cells)} |")
    return lines


def _json(scored: Scored, runs: Sequence[Run]) -> str:
    content: dict[str, Any] = {
        "runs": [
            {
                "method": run.method,
                "regime": run.regime,
                "seed": run.seed,
                "budget": run.budget.name,
                "finished": run.finished,
                **({"scores": scored[run]} if run in scored else {}),
            }
            for run in runs
        ],
        "versions": versions(),
        "created": timestamp(),
    }
    return json.dumps(content) + "\n"
