"""One measure of one checkpoint of a report: in this process, or as a notebook that is kept beside the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from analysis.measures.registry import find_measure
from analysis.report.plan import Plan
from analysis.studies import Progress, Session, Study, cost, load_study, run
from fima.errors import InputError

__all__ = ["Tell", "measure_and_save"]

Tell = Callable[[str], None]
"""Takes a line for the user."""


def measure_and_save(
    plan: Plan, measure: str, label: str, session: Session, progress: Progress | None, *, tell: Tell | None = None
) -> Study:
    """Run a measure and write its files below the report's folder.

    Args:
        plan: Of the report.
        measure: Its name.
        label: Of the checkpoint.
        session: Of the checkpoint.
        progress: Called after each video; not by a notebook.
        tell: Called with a line about what costs much, before it begins.

    Raises:
        InputError: If the measure does not apply.
    """
    folder = plan.out / label
    if find_measure(measure).twin and not plan.untrained:
        session = replace(session, settings=replace(session.settings, twin=True))
    if find_measure(measure).several and session.settings.data is None:
        raise InputError("needs a data set of several videos (--data)")
    if measure == "embedding":
        _check_labels(session)
    if tell is not None and (said := cost(measure, session)):
        tell(f"{measure} of {label}: {said}")
    if (names := plan.notebooks.get(measure)) is None:
        study = run(measure, session, progress)
        # The page plays the clips itself; films in files would take longer to write than all else of the measure.
        folder.mkdir(exist_ok=True)
        study.save(folder, into=folder, films=False)
        return study
    from analysis.report.notebooks import execute

    given = {**_plain(session.settings.changed()), **plan.parameters, "out": folder.as_posix()}
    execute(measure, folder, {name: value for name, value in given.items() if name in names}, of=label, aside=plan.out)
    return load_study(folder / measure)


def _check_labels(session: Session) -> None:
    """The map of a few unlabeled videos says nothing."""
    data = session.settings.data
    if any(video.label is None for video in session.videos):
        raise InputError(f"{data}: needs videos with labels")


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """As papermill can write them into a cell."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in parameters.items()}
