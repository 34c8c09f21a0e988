"""Run the same studies of the same clips for several checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from analysis.compare.columns import StepProgress, Steps, measure_columns
from analysis.compare.result import Comparison
from analysis.compare.training import TrainingStep
from analysis.inputs.backbone.checkpoints import DEFAULT_CHECKPOINTS, Plan, Source, plan_sources
from analysis.inputs.backbone.twins import untrained_twins
from analysis.inputs.sessions import open_sessions
from analysis.inputs.video.sharing import share_videos
from analysis.inputs.video.videos import VideoList, list_videos
from analysis.settings import Settings, as_names
from analysis.studies import CORE, STUDIES, Study, run
from analysis.studies.common.differences import compare_scores
from fima.errors import InputError

__all__ = ["compare"]


def compare(
    settings: Settings,
    checkpoints: Sequence[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    measures: Sequence[str] | None = None,
    untrained: bool = True,
    progress: StepProgress | None = None,
) -> Comparison:
    """Compare checkpoints on the same clips; the first is the baseline.

    Args:
        settings: Videos, clips and how to measure; its ``ckpt`` is not used.
        checkpoints: Files, folders of training runs (whose checkpoints make curves over steps), ``random`` or
            ``random:SEED`` (an untrained backbone of the others' architecture); None is ``DEFAULT_CHECKPOINTS``.
        names: One for each, instead of those made from the paths.
        measures: Keys of ``analysis.studies.STUDIES``; None is those of ``CORE`` that apply.
        untrained: Where no checkpoint is untrained, also compare with their untrained twins, the last columns; with
            ``settings.twin`` those stand beside the scores instead.
        progress: Called after each video with (videos done, in all, name of the step); a video counts once for each
            study.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    wanted = _measures(measures)
    given = as_names("ckpts", checkpoints) or DEFAULT_CHECKPOINTS
    plan = plan_sources(given, names, seed=settings.seed, trust=settings.trust_checkpoint)
    listed = share_videos(list_videos(settings))
    sessions = open_sessions(settings, plan.columns, videos=listed)
    twins = untrained_twins(sessions) if untrained and not settings.twin else {}
    later = [step for steps in plan.runs.values() for step in steps if step.key not in {s.key for s in plan.columns}]
    steps = Steps(progress, len(wanted) * (len(sessions) + len(twins) + len(later)))
    studies, left_out = measure_columns({**sessions, **twins}, wanted, steps=steps, asked=measures or (), for_all=True)
    return Comparison(
        columns=[*plan.columns, *(Source(name, None, seed=settings.seed) for name in twins)],
        studies=studies,
        differences=[d for of in studies.values() for d in compare_scores(of)],
        training=_training(plan, settings, listed, studies, steps),
        left_out={measure: "; ".join(f"{n}: {why}" for n, why in of.items()) for measure, of in left_out.items()},
        settings=settings,
        command=_command(settings, given, names, measures, untrained=untrained),
    )


def _measures(wanted: Sequence[str] | None) -> list[str]:
    if unknown := sorted(set(wanted or ()) - set(STUDIES)):
        raise InputError(f"--measure {unknown[0]}: there is no such measure; known: {', '.join(STUDIES)}")
    return [measure for measure in STUDIES if measure in (wanted or CORE)]


def _training(
    plan: Plan, settings: Settings, listed: VideoList, studies: dict[str, dict[str, Study]], steps: Steps
) -> dict[str, list[TrainingStep]]:
    """Run → its scores step by step; a step that is also a column is not measured again."""
    columns = {source.key: source.name for source in plan.columns}
    runs: dict[str, list[TrainingStep]] = {}
    for name, checkpoints in plan.runs.items():
        runs[name] = []
        for source in checkpoints:
            if source.key in columns:
                done = {measure: column[columns[source.key]] for measure, column in studies.items()}
            else:
                (session,) = open_sessions(settings, [source], videos=listed).values()
                done = {
                    measure: run(measure, session, steps.begin(f"{measure} of {source.name}")) for measure in studies
                }
            runs[name].append(TrainingStep.of(source, done))
    return runs


def _command(
    settings: Settings,
    given: Sequence[str],
    names: Sequence[str] | None,
    measures: Sequence[str] | None,
    *,
    untrained: bool,
) -> str:
    """The command line that repeats the comparison, but for ``--out``."""
    import shlex

    words: list[Any] = ["--ckpt", *given]
    words += ["--name", *names] if names else []
    words += ["--measure", *measures] if measures else []
    words += [] if untrained else ["--no-untrained"]
    return replace(settings, ckpt=None).command("compare") + " " + shlex.join(words)
