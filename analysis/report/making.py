"""Make a report: plan, claim its folder, measure, write the page last."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analysis.compare.columns import StepProgress, Steps, measure_columns
from analysis.pages.environment import write_page
from analysis.report.measuring import measure_and_save
from analysis.report.page import render_report
from analysis.report.plan import Plan, Report, make_plan
from analysis.studies.common.files import figure_words
from fima.errors import InputError
from fima.files.claims import RECORDS, claim_output
from fima.files.writing import make_folder, remove_empty

__all__ = ["MadeReport", "make_report"]

_UNFINISHED = ".unfinished"
_ENDINGS = ("npz", "json", "ipynb", "html", "notebook.html")


@dataclass(frozen=True)
class MadeReport:
    """A finished report: its page, and how many videos were skipped in any measure."""

    index: Path
    skipped: int


def make_report(report: Report, progress: StepProgress | None = None) -> MadeReport:
    """Run every measure for every checkpoint and write ``index.html`` last.

    Args:
        report: What to run.
        progress: Called with (videos measured, in all, name of the step); a video counts once for each measure and
            checkpoint.

    Raises:
        InputError: Before anything is run, for an unknown parameter, a folder in use, or input that cannot be read.
    """
    plan = make_plan(report)
    made = _claim(report)
    try:
        with _claimed(report, plan):
            return _measure_and_write(plan, progress)
    except BaseException:
        if made:
            shutil.rmtree(report.out, ignore_errors=True)
            remove_empty(made)
        raise
    finally:
        (report.out / _UNFINISHED).unlink(missing_ok=True)


def _measure_and_write(plan: Plan, progress: StepProgress | None) -> MadeReport:
    studies, left_out = measure_columns(
        plan.sessions,
        plan.measures,
        steps=Steps(progress, len(plan.sessions) * len(plan.measures)),
        asked=plan.asked,
        run_one=partial(measure_and_save, plan),
    )
    index = plan.out / "index.html"
    write_page(index, render_report(plan, studies, left_out))
    skipped = {video for of in studies.values() for study in of.values() for video in study.skipped}
    return MadeReport(index, len(skipped))


@contextmanager
def _claimed(report: Report, plan: Plan) -> Iterator[None]:
    """The files of a report are its own; an earlier report's are removed."""
    own = [f"{measure}.{kind}" for measure in plan.measures for kind in _ENDINGS]
    own += [f"{stem}.png" for measure in plan.measures for stem in figure_words(measure)]
    names = [
        "index.html",
        *(f"{label}/{name}" for label in plan.sessions for name in own),
        *(f"compare-{measure}.png" for measure in plan.measures),
    ]
    inputs = [*report.settings.video, *filter(None, report.checkpoints)]
    asked = {"command": plan.command}
    with claim_output(report.out, "report", asked, names=names, inputs=inputs, overwrite=report.overwrite) as claim:
        for name in list(claim.files):
            claim.forget(name)
        claim.expect(*names)
        yield


def _claim(report: Report) -> list[Path]:
    """Make the folder and mark it unfinished; refuse one in use, unless it may be overwritten.

    A report that was killed left its mark: the same command takes its folder again.

    Returns:
        The folders made.
    """
    if report.out.exists() and not report.out.is_dir():
        raise InputError(f"--out {report.out}: is a file, expected a folder")
    unfinished = report.out / _UNFINISHED
    in_use = report.out.is_dir() and any(path.name != RECORDS for path in report.out.iterdir())
    in_use = in_use and not unfinished.exists()
    if in_use and not report.overwrite:
        raise InputError(f"--out {report.out}: is not empty; give another folder or --overwrite")
    made = make_folder(report.out)
    try:
        unfinished.touch()
    except OSError as error:
        remove_empty(made)
        raise InputError(f"--out {report.out}: cannot be written ({error.strerror})") from None
    return made
