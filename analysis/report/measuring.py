"""Run every measure once for every checkpoint, save it, and read back what was saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.report.notebooks import execute
from analysis.report.plan import Column, Plan
from analysis.studies import Session, Study, load_study, run
from fima.errors import CheckpointError, InputError, VideoError

__all__ = ["Measured", "measure_all"]


@dataclass
class Measured:
    """What was measured.

    Attributes:
        studies: Measure → label of the checkpoint → study, without measures that applied to no checkpoint.
        left_out: Measure → label → why it does not apply.
    """

    studies: dict[str, dict[str, Study]] = field(default_factory=dict)
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def skipped(self) -> dict[str, str]:
        """Broken videos of a data set and why."""
        every = (study for of in self.studies.values() for study in of.values())
        return {video: why for study in every for video, why in study.skipped.items()}


def measure_all(plan: Plan, progress: Callable[[int, int], None] | None = None) -> Measured:
    """Checkpoint after checkpoint, since a checkpoint's measures share its features.

    Args:
        plan: What to run.
        progress: Called with (measures done, measures in all).

    Raises:
        InputError: If a measure that was asked for does not apply to a checkpoint, or none of all does.
    """
    measured = Measured()
    jobs = [(column, measure) for column in plan.columns for measure in plan.measures]
    for done, (column, measure) in enumerate(jobs):
        if progress is not None:
            progress(done, len(jobs))
        try:
            study = _measure(plan, column, measure)
        except (VideoError, CheckpointError):
            raise
        except InputError as error:
            if measure in plan.asked:
                raise
            why = str(error).removeprefix(f"{column.session.loaded.path}: ")  # the checkpoint is named anyway
            measured.left_out.setdefault(measure, {})[column.label] = why
        else:
            measured.studies.setdefault(measure, {})[column.label] = study
        if measure == plan.measures[-1]:
            column.session.forget()
    if not measured.studies:
        raise InputError(next(iter(next(iter(measured.left_out.values())).values())))
    if progress is not None:
        progress(len(jobs), len(jobs))
    measured.studies = {name: measured.studies[name] for name in plan.measures if name in measured.studies}
    return measured


def _measure(plan: Plan, column: Column, measure: str) -> Study:
    session = column.session
    if measure == "embedding":
        _check_labels(session)
    if (names := plan.notebooks.get(measure)) is None:
        # The page plays the clips itself; films in files would take longer to write than all else of the measure.
        run(measure, session).save(column.folder, films=False)
    else:
        given = {**_plain(session.settings.changed()), **plan.parameters, "out": column.folder.as_posix()}
        execute(measure, column.folder, {n: v for n, v in given.items() if n in names}, of=column.label)
    return load_study(column.folder / measure)


def _check_labels(session: Session) -> None:
    """The map of a few unlabeled videos says nothing."""
    data = session.settings.data
    if data is None:
        raise InputError("needs a data set whose videos have labels (--data)")
    if any(video.label is None for video in session.videos):
        raise InputError(f"{data}: needs videos with labels")


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """As papermill can write them into a cell."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in parameters.items()}
