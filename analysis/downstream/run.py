"""A whole downstream study: lists, features, probes, neighbors, fine-tuning, and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from analysis.downstream.answers import gather
from analysis.downstream.cached import run_cached
from analysis.downstream.floor import metadata_floor
from analysis.downstream.folds import Parts, make_scopes, write_lists
from analysis.downstream.identity import Known, identity, look, write_result
from analysis.downstream.page import FILES, Report, write_report
from analysis.downstream.plan import FEATURES, Checkpoint, Job, plan_jobs
from analysis.downstream.table import collect, compare
from analysis.downstream.videos import Videos
from analysis.jobs import SOME_SKIPPED, Process, Tell, claim, run_processes
from analysis.output import output_folder

__all__ = ["study"]


def study(
    videos: Videos,
    checkpoints: Sequence[Checkpoint],
    runs: Path,
    out: Path,
    *,
    tasks: Sequence[str],
    seeds: Sequence[int],
    fold_seeds: Sequence[int],
    folds: int | Literal["groups"],
    shown: Sequence[str] = ("rgb",),
    arch: str | None = None,
    lanes: int = 1,
    threads: int = 1,
    device: str = "cpu",
    training: bool = True,
    data: str = "",
    command: str = "",
    overwrite: bool = False,
    tell: Tell,
) -> Report:
    """Do what is not done, and write the page of what is.

    Args:
        videos: of the data set.
        checkpoints: that take part.
        runs: folder of the jobs; a study that was killed goes on there.
        out: folder of the page.
        tasks: some of `analysis.downstream.plan.ASKED`.
        seeds: of every task; on the folds, of all but fine-tuning.
        fold_seeds: of fine-tuning on the folds.
        folds: K; 0: the data set's own split alone; "groups": as many as there are recordings, one left out in each.
        shown: keys of `analysis.downstream.plan.SHOWN`: what the features of the cheap tasks are of.
        arch: of random weights; None: as the first trained checkpoint's.
        lanes: processes at a time.
        threads: of the processor, for each.
        device: that features are computed and backbones fine-tuned on.
        training: False takes only what is finished by now.
        data: as typed, for the page.
        command: likewise.
        overwrite: replace the page of another study.
        tell: takes lines of progress.

    Returns:
        What the page shows; it is ``out/index.html``.

    Raises:
        FileNotFoundError, CheckpointError: for a checkpoint that cannot be read.
        InputError: for settings that do not fit, or jobs in ``runs`` that were begun with others.
        TrainingError: if a job fails.
    """
    scopes = make_scopes(videos, folds)
    jobs = plan_jobs(
        checkpoints, runs, tasks=tasks, scopes=list(scopes), seeds=seeds, fold_seeds=fold_seeds, shown=shown
    )
    known = look(list(checkpoints), arch)
    asked = {"data": data, "checkpoints": {one.name: str(one.path) for one in checkpoints}, "runs": str(runs)}
    with output_folder(out, "downstream", asked, names=FILES, overwrite=overwrite) as folder:
        write_lists(runs / "lists", videos, scopes)
        for job in jobs:
            if training or job.folder.exists():
                claim(job.folder, identity(job, runs, known[job.checkpoint]))
        if training:
            _work(jobs, runs, videos, scopes, known, lanes=lanes, threads=threads, device=device, tell=tell)
        table = collect(gather(jobs, videos, scopes), videos, scopes, [one.name for one in checkpoints])
        report = Report(
            data, command, videos, scopes, tuple(checkpoints), known, tuple(jobs), table, compare(table, videos),
            metadata_floor(videos, scopes, runs / "lists" / "facts.csv"),
        )  # fmt: skip
        write_report(folder, report)
    return report


def _work(
    jobs: Sequence[Job],
    runs: Path,
    videos: Videos,
    scopes: Mapping[str, Parts],
    known: Mapping[Checkpoint, Known],
    *,
    lanes: int,
    threads: int,
    device: str,
    tell: Tell,
) -> None:
    """Features, what is made of them, then fine-tuning."""

    def command(job: Job) -> list[str]:
        return job.command(runs, known[job.checkpoint].arch, threads, device)

    def process(job: Job) -> Process:
        return Process(job.label, job.folder, command(job), partial(_finish, job))

    def processes(task: str) -> None:
        todo = [process(job) for job in jobs if job.task == task and not job.finished]
        run_processes(todo, lanes=lanes, threads=threads, tell=tell)

    of = [job for job in jobs if job.task == FEATURES]
    features = {(job.checkpoint, job.shown, job.seed): job.folder / "features.parquet" for job in of}
    first = {(checkpoint, shown): path for (checkpoint, shown, _), path in reversed(features.items())}
    processes(FEATURES)
    for job in jobs:
        if job.task not in (FEATURES, "finetune") and not job.finished:
            own = features.get((job.checkpoint, job.shown, job.seed)) if not job.checkpoint.trained else None
            table = own or first[job.checkpoint, job.shown]
            run_cached(job, table, videos, scopes[job.scope], command(job), tell)
    processes("finetune")


def _finish(job: Job, code: int) -> None:
    """Features are finished when their command is; the others write their result themselves."""
    if job.task == FEATURES:
        write_result(job, {"task": job.task, "some_unreadable": code == SOME_SKIPPED})
