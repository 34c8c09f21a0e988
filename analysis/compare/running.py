"""Run the same studies of the same clips for several checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from analysis.compare.result import Comparison
from analysis.compare.training import TrainingStep
from analysis.inputs.checkpoints import DEFAULT_CHECKPOINTS, Plan, plan_sources
from analysis.inputs.sessions import open_sessions
from analysis.inputs.sharing import share_videos
from analysis.inputs.videos import VideoList, list_videos
from analysis.settings import Settings
from analysis.studies import CORE, STUDIES, Progress, Session, Study, run
from analysis.studies.differences import compare_scores
from fima.errors import CheckpointError, InputError, VideoError

__all__ = ["compare"]


def compare(
    settings: Settings,
    checkpoints: Sequence[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    measures: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare checkpoints on the same clips; the first is the baseline.

    Args:
        settings: Videos, clips and how to measure; its ``ckpt`` is not used.
        checkpoints: Files, folders of training runs (whose checkpoints make curves over steps), ``random`` or
            ``random:SEED`` (an untrained backbone of the others' architecture); None is ``DEFAULT_CHECKPOINTS``.
        names: One for each, instead of those made from the paths.
        measures: Keys of ``analysis.studies.STUDIES``; None is those of ``CORE`` that apply.
        progress: Called with (steps done, steps in all) after each video; a step is a video of a study.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    wanted = _measures(measures)
    given = tuple(checkpoints or DEFAULT_CHECKPOINTS)
    plan = plan_sources(given, names, seed=settings.seed, trust=settings.trust_checkpoint)
    listed = share_videos(list_videos(settings))
    sessions = open_sessions(settings, plan.columns, videos=listed)
    later = [step for steps in plan.runs.values() for step in steps if step.key not in {s.key for s in plan.columns}]
    counter = _Counter(progress, len(wanted) * (len(sessions) + len(later)))
    studies, left_out = _run_columns(sessions, wanted, counter, explicit=bool(measures))
    return Comparison(
        columns=plan.columns,
        studies=studies,
        differences=[d for columns in studies.values() for d in compare_scores(columns, seed=settings.seed)],
        training=_training(plan, settings, listed, studies, counter),
        left_out=left_out,
        settings=settings,
        command=_command(settings, given, names, measures),
    )


def _measures(wanted: Sequence[str] | None) -> list[str]:
    if unknown := sorted(set(wanted or ()) - set(STUDIES)):
        raise InputError(f"--measure {unknown[0]}: there is no such measure; known: {', '.join(STUDIES)}")
    return [measure for measure in STUDIES if measure in (wanted or CORE)]


class _Counter:
    """Progress over studies that each count their own videos."""

    def __init__(self, progress: Progress | None, studies: int) -> None:
        self._progress, self._studies, self._done = progress, studies, 0

    def study(self) -> Callable[[int, int], None] | None:
        """For one more study."""
        if self._progress is None:
            return None
        progress, before = self._progress, self._done
        self._done += 1
        return lambda done, total: progress(before * total + done, self._studies * total)


def _run_columns(
    sessions: dict[str, Session], wanted: list[str], counter: _Counter, *, explicit: bool
) -> tuple[dict[str, dict[str, Study]], dict[str, str]]:
    """Measure → name → study, and why a measure was left out that does not apply to one of the checkpoints."""
    studies: dict[str, dict[str, Study]] = {measure: {} for measure in wanted}
    left_out: dict[str, str] = {}
    for name, session in sessions.items():
        for measure in wanted:
            if measure in left_out:
                continue
            try:
                studies[measure][name] = run(measure, session, counter.study())
            except (VideoError, CheckpointError):
                raise
            except InputError as error:
                if explicit or len(left_out) + 1 == len(wanted):
                    raise
                left_out[measure] = f"{name}: {error}"
        session.forget()
    return {measure: columns for measure, columns in studies.items() if measure not in left_out}, left_out


def _training(
    plan: Plan, settings: Settings, listed: VideoList, studies: dict[str, dict[str, Study]], counter: _Counter
) -> dict[str, list[TrainingStep]]:
    """Run → its scores step by step; a step that is also a column is not measured again."""
    columns = {source.key: source.name for source in plan.columns}
    runs: dict[str, list[TrainingStep]] = {}
    for name, steps in plan.runs.items():
        runs[name] = []
        for source in steps:
            if source.key in columns:
                done = {measure: column[columns[source.key]] for measure, column in studies.items()}
            else:
                (session,) = open_sessions(settings, [source], videos=listed).values()
                done = {measure: run(measure, session, counter.study()) for measure in studies}
            runs[name].append(TrainingStep.of(source, done))
    return runs


def _command(
    settings: Settings, given: Sequence[str], names: Sequence[str] | None, measures: Sequence[str] | None
) -> str:
    """The command line that repeats the comparison, but for ``--out``."""
    import shlex

    words: list[Any] = ["--ckpt", *given]
    words += ["--name", *names] if names else []
    words += ["--measure", *measures] if measures else []
    return replace(settings, ckpt=None).command("compare") + " " + shlex.join(words)
