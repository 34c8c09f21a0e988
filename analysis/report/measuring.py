"""Run every measure once for every checkpoint, save it, and read back what was saved."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.inputs.sharing import SharedExtractor
from analysis.measures.statistics import Summary
from analysis.report.notebooks import execute
from analysis.report.plan import Column, Plan
from analysis.studies import STUDIES, Session, Study
from fima.errors import CheckpointError, InputError, VideoError
from fima.legacy import american_keys

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Measured", "load_study", "measure_all"]


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
        if measure == plan.measures[-1] and isinstance(column.session.extractor, SharedExtractor):
            column.session.extractor.forget()
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
        study = STUDIES[measure](session, None)
        # The page plays the clips itself; films in files would take longer to write than all else of the measure.
        study.films = {name: write for name, write in study.films.items() if not name.endswith(".mp4")}
        study.save(column.folder)
    else:
        given = {**_plain(session.settings.changed()), **plan.parameters, "out": column.folder.as_posix()}
        execute(measure, column.folder, {n: v for n, v in given.items() if n in names}, of=column.label)
    return load_study(column.folder, measure)


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


def load_study(folder: Path, measure: str) -> Study:
    """A saved study; its figure is the file beside, and its ``draw`` refuses.

    Args:
        folder: Holds ``<measure>.json`` and ``<measure>.npz``.
        measure: Its name.
    """
    content = american_keys(json.loads((folder / f"{measure}.json").read_text(encoding="utf-8")))
    with np.load(folder / f"{measure}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    scores = {name: _summary(values) for name, values in content["scores"].items()}
    per_video = {"video_id": arrays["video_id"], **{name: arrays[f"score_{name}"] for name in scores}}
    return Study(
        measure=measure,
        arrays=arrays,
        scores=scores,
        per_video=per_video,
        provenance=content["provenance"],
        skipped=content["skipped"],
        draw=_drawn_already,
        repeated=content["repeated"],
        references=frozenset(content["references"]),
    )


def _summary(values: Mapping[str, Any]) -> Summary:
    """Not-a-number is null in JSON."""
    known = {field.name for field in dataclasses.fields(Summary)}
    floats = {n: math.nan if values[n] is None else float(values[n]) for n in ("mean", "std", "low", "high")}
    return Summary(**{name: value for name, value in values.items() if name in known} | floats)


def _drawn_already(study: Study) -> Figure:
    raise RuntimeError(f"{study.measure}: its figure was saved with it")
