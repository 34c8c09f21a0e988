"""A whole reproduction: train, score, compare, write it down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from analysis import jobs
from analysis.inputs.backbone.checkpoints import run_checkpoints
from analysis.jobs import Process, Tell
from analysis.output import output_folder, timestamp, versions
from analysis.pages.environment import write_page
from analysis.plotting.style import save_figure
from analysis.reproduction.figures import draw_curves, draw_table
from analysis.reproduction.page import Reproduced, render_markdown, render_reproduction
from analysis.reproduction.plan import METHODS, Run
from analysis.reproduction.score import score
from analysis.reproduction.table import Scored, collect, curves_to_csv, to_csv
from analysis.settings import Settings
from fima.checkpoints import load_backbone, save_backbone
from fima.errors import InputError

__all__ = ["reproduce"]

_SHOWN = ("moco", "vd", "fima")
_PICTURES = {"cam": "Figure 3", "affinity": "Figure 5a", "temporal": "Figure 5b"}


_SHORT = "TOO SHORT to conclude from"
_FILES = ("index.html", "README.md", "scores.png", "scores.csv", "scores.json")


def reproduce(
    runs: Sequence[Run],
    out: str | Path,
    *,
    lanes: int,
    threads: int,
    device: str = "cpu",
    training: bool = True,
    overwrite: bool = False,
    curves: bool = False,
    command: str = "",
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
        curves: also score the checkpoints kept on the way, and draw every score over steps.
        command: as typed, for the page.
        tell: takes lines of progress.

    Returns:
        The page, ``out/index.html``; ``README.md`` beside it says the same.

    Raises:
        TrainingError: if a training fails.
        InputError: if nothing is trained yet, or ``out`` cannot be written.
    """
    budget = runs[0].budget
    asked = {"budget": budget.name, "runs": str(runs[0].folder.parent)}
    with output_folder(out, "reproduction", asked, names=_FILES, overwrite=overwrite) as folder:
        if training:
            _train(runs, lanes=lanes, threads=threads, tell=tell)
        done = [run for run in runs if run.finished]
        if not done:
            raise InputError(f"{runs[0].folder.parent}: no run is finished yet; leave --no-training out to train them")
        scored = {run: score(run, device=device, tell=tell) for run in done}
        table = collect(scored)
        save_figure(draw_table(table, budget.warning and _SHORT), folder / "scores.png", "png")
        (folder / "scores.csv").write_text(to_csv(table), encoding="utf-8")
        (folder / "scores.json").write_text(_json(scored, runs), encoding="utf-8")
        drawn = _over_training(scored, folder, device, tell) if curves else {}
        made = Reproduced(table, runs, budget, drawn | _pictures(done, folder, tell))
        (folder / "README.md").write_text(render_markdown(made), encoding="utf-8")
        write_page(folder / "index.html", render_reproduction(made, folder, command=command))
    return Path(out) / "index.html"


def _train(runs: Sequence[Run], *, lanes: int, threads: int, tell: Tell) -> None:
    """Train what is not finished; what was begun goes on."""
    todo = [run for run in runs if not run.finished]
    for run in todo:
        jobs.claim(run.folder, {"recipe": run.recipe, "seed": run.seed})
    processes = [Process(run.label, run.folder, run.command(threads), partial(_finish, run)) for run in todo]
    jobs.run_processes(processes, lanes=lanes, threads=threads, tell=tell)


def _finish(run: Run, code: int) -> None:
    """Of the checkpoints on the way only the backbones are kept: curves need no more, and a decoder is large."""
    for step in list(run_checkpoints(run.folder))[:-1]:
        loaded = load_backbone(run.at(step).checkpoint)
        save_backbone(run.at(step).checkpoint, loaded.backbone, arch=loaded.arch, input=loaded.input)
    (run.folder / "finished").touch()


def _over_training(scored: Scored, folder: Path, device: str, tell: Tell) -> dict[str, str]:
    """A figure of every score over steps for each regime, and its numbers; title → path."""
    at: dict[int, dict[Run, Any]] = {}
    for run in scored:
        *earlier, last = run_checkpoints(run.folder) if run.trained else [0]
        for step in earlier:
            at.setdefault(step, {})[run.at(step)] = score(run.at(step), device=device, tell=tell)
        at.setdefault(last, {})[run] = scored[run]
    curves, note = {step: collect(at[step]) for step in sorted(at)}, next(iter(scored)).budget.warning and _SHORT
    (folder / "curves.csv").write_text(curves_to_csv(curves), encoding="utf-8")
    pictures = {}
    for place, regime in enumerate(dict.fromkeys(run.regime for run in scored if run.trained)):
        name = f"curves-{place + 1}.png"
        save_figure(draw_curves(curves, regime, note), folder / name, "png")
        pictures[f"Scores over training, {regime}"] = name
    return pictures


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
            untrained=False,
        )
        made.save(folder / "compare", into=_made(folder / "compare"))
        names = {measure: f"compare/compare-{measure}.png" for measure in _PICTURES}
        return {f"{_PICTURES[m]}, {regime}": path for m, path in names.items() if (folder / path).exists()}
    return {}


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


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
