"""Make a report aside: plan, claim its folder, measure, write the page; then it takes the place of an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from analysis.compare.columns import StepProgress, Steps, measure_columns
from analysis.pages.environment import write_page
from analysis.report.measuring import Tell, measure_and_save
from analysis.report.page import render_report
from analysis.report.plan import Plan, Report, make_plan
from analysis.studies.common.files import figure_words
from fima.errors import InputError
from fima.files.claims import RECORDS, results_folder

__all__ = ["MadeReport", "make_report"]

_UNFINISHED = ".unfinished"
"""Mark of a report that was killed, by versions that wrote it in place: the same command takes its folder again."""
_ENDINGS = ("npz", "json", "ipynb", "html", "notebook.html")


@dataclass(frozen=True)
class MadeReport:
    """A finished report: its page, and how many videos were skipped in any measure."""

    index: Path
    skipped: int


def make_report(report: Report, progress: StepProgress | None = None, tell: Tell | None = None) -> MadeReport:
    """Run every measure for every checkpoint and write ``index.html`` last.

    Args:
        report: What to run.
        progress: Called with (videos measured, in all, name of the step); a video counts once for each measure and
            checkpoint.
        tell: Called with a line about a step that costs much, before it begins.

    Raises:
        InputError: Before anything is run, for an unknown parameter, a folder in use, or input that cannot be read.
    """
    plan = make_plan(report)
    _check_free(report)
    with _claimed(report, plan) as scratch:
        skipped = _measure_and_write(replace(plan, out=scratch), progress, tell)
    (report.out / _UNFINISHED).unlink(missing_ok=True)
    return MadeReport(report.out / "index.html", skipped)


def _measure_and_write(plan: Plan, progress: StepProgress | None, tell: Tell | None) -> int:
    """Returns how many videos were skipped."""
    steps = Steps(progress, len(plan.sessions) * len(plan.measures) + 1)
    studies, left_out = measure_columns(
        plan.sessions,
        plan.measures,
        steps=steps,
        asked=plan.asked,
        run_one=partial(measure_and_save, plan, tell=tell),
    )
    steps.begin("the page")
    write_page(plan.out / "index.html", render_report(plan, studies, left_out))
    return len({video for of in studies.values() for study in of.values() for video in study.skipped})


@contextmanager
def _claimed(report: Report, plan: Plan) -> Iterator[Path]:
    """A scratch folder, whose files take the place of an earlier report's when the block ends well."""
    own = [f"{measure}.{kind}" for measure in plan.measures for kind in _ENDINGS]
    own += [f"{stem}.png" for measure in plan.measures for stem in figure_words(measure)]
    names = [
        "index.html",
        *(f"{label}/{name}" for label in plan.sessions for name in own),
        *(f"compare-{measure}.png" for measure in plan.measures),
    ]
    inputs = [*report.settings.video, *filter(None, report.checkpoints)]
    asked = {"command": plan.command}
    with results_folder(report.out, "report", asked, names=names, inputs=inputs, overwrite=report.overwrite) as scratch:
        yield scratch
        for record in scratch.glob(f"*/{RECORDS}"):  # of notebooks, which claim folders of their own
            record.unlink()


def _check_free(report: Report) -> None:
    """Refuse a folder that is in use, unless it may be overwritten.

    Raises:
        InputError: Names --out.
    """
    if report.out.exists() and not report.out.is_dir():
        raise InputError(f"--out {report.out}: is a file, expected a folder")
    found = [path.name for path in report.out.iterdir()] if report.out.is_dir() else []
    if any(not name.startswith(".") for name in found) and _UNFINISHED not in found and not report.overwrite:
        raise InputError(f"--out {report.out}: is not empty; give another folder or --overwrite")
