"""Make a report: plan, claim its folder, measure, write the page last."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from analysis.report.measuring import measure_all
from analysis.report.page import render_page
from analysis.report.plan import Plan, Report, make_plan
from fima.errors import InputError
from fima.files import make_folder, remove_empty, write_text
from fima.results import RECORDS, claim_output

__all__ = ["MadeReport", "make_report"]

_UNFINISHED = ".unfinished"
_ENDINGS = ("png", "npz", "json", "ipynb", "html", "notebook.html")


@dataclass(frozen=True)
class MadeReport:
    """A finished report: its page, and how many videos were skipped in any measure."""

    index: Path
    skipped: int


def make_report(report: Report, progress: Callable[[int, int], None] | None = None) -> MadeReport:
    """Run every measure for every checkpoint and write ``index.html`` last.

    Args:
        report: What to run.
        progress: Called with (measures done, measures in all).

    Raises:
        InputError: Before anything is run, for an unknown parameter, a folder in use, or input that cannot be read.
    """
    plan = make_plan(report)
    made = _claim(report)
    try:
        with _claimed(report, plan):
            measured = measure_all(plan, progress)
            index = report.out / "index.html"
            write_text(index, render_page(plan, measured, report.out), errors="xmlcharrefreplace")
            return MadeReport(index, len(measured.skipped))
    except BaseException:
        if made:
            shutil.rmtree(report.out, ignore_errors=True)
            remove_empty(made)
        raise
    finally:
        (report.out / _UNFINISHED).unlink(missing_ok=True)


@contextmanager
def _claimed(report: Report, plan: Plan) -> Iterator[None]:
    """The files of a report are its own; an earlier report's are removed."""
    labels = [column.label for column in plan.columns]
    files = [f"{label}/{measure}.{kind}" for label in labels for measure in plan.measures for kind in _ENDINGS]
    names = ["index.html", *files, *(f"compare-{measure}.png" for measure in plan.measures)]
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
