"""Run the measures of several checkpoints, checkpoint after checkpoint, since its measures share its features."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from analysis.inputs.sessions import Progress, Session
from analysis.studies import Study, run
from fima.errors import CheckpointError, InputError, VideoError

__all__ = ["LeftOut", "RunMeasure", "StepProgress", "Steps", "Studies", "measure_columns"]

Studies = dict[str, dict[str, Study]]
"""Measure → name of the checkpoint → study."""
LeftOut = dict[str, dict[str, str]]
"""Measure → name of the checkpoint → why it does not apply."""
RunMeasure = Callable[[str, str, Session, Progress | None], Study]
"""Takes measure, name of the checkpoint, its session, and progress."""
StepProgress = Callable[[int, int, str], None]
"""Called with (videos measured, in all, name of the step)."""


class Steps:
    """Progress over studies that each count their own videos.

    Args:
        progress: Told after each video, if given.
        studies: Number of studies in all.
    """

    def __init__(self, progress: StepProgress | None, studies: int) -> None:
        self._progress, self._studies, self._begun = progress, studies, 0

    def begin(self, name: str) -> Progress | None:
        """The progress of one more study.

        Args:
            name: Of the study.
        """
        progress, before = self._progress, self._begun
        self._begun += 1
        if progress is None:
            return None
        progress(before, self._studies, name)
        return lambda done, total: progress(before * total + done, self._studies * total, name)


def run_measure(measure: str, name: str, session: Session, progress: Progress | None) -> Study:
    """Run a measure and keep it in memory."""
    return run(measure, session, progress)


def measure_columns(
    sessions: Mapping[str, Session],
    measures: Sequence[str],
    *,
    steps: Steps,
    asked: Collection[str] = (),
    for_all: bool = False,
    run_one: RunMeasure = run_measure,
) -> tuple[Studies, LeftOut]:
    """Studies of every checkpoint, and which measures do not apply to which checkpoint.

    Args:
        sessions: Name of the checkpoint → session.
        measures: In the order of the result.
        steps: Told of each study.
        asked: Measures that were asked for by name: where one does not apply, that is an error.
        for_all: Leave a measure out of all once it does not apply to one.
        run_one: What runs a measure.

    Returns:
        The studies, without measures that apply to no checkpoint, and what was left out.

    Raises:
        InputError: If a measure that was asked for does not apply, or none of all does.
        CheckpointError, VideoError: For what breaks half-way.
    """
    studies: Studies = {measure: {} for measure in measures}
    left_out: LeftOut = {}
    for name, session in sessions.items():
        for measure in measures:
            progress = steps.begin(f"{measure} of {name}")
            if for_all and measure in left_out:
                continue
            try:
                studies[measure][name] = run_one(measure, name, session, progress)
            except (VideoError, CheckpointError):
                raise
            except InputError as error:
                if measure in asked:
                    raise
                # The checkpoint is named anyway.
                left_out.setdefault(measure, {})[name] = str(error).removeprefix(f"{session.loaded.path}: ")
        session.forget()
    studies = {measure: of for measure, of in studies.items() if of and not (for_all and measure in left_out)}
    if not studies:
        raise InputError(next(iter(next(iter(left_out.values())).values())))
    return studies, left_out
