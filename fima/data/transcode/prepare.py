"""A data set re-encoded for training, in several processes; what a stopped run has done is not done again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fima.data.transcode.encode import WriteError
from fima.data.transcode.manifest import FOLDER, Done, Manifest
from fima.data.transcode.parallel import ProcessDiedError, run_each, stopping
from fima.data.transcode.preparation import FAILED, Job, Plan
from fima.data.transcode.reencode import Encoding, reencode
from fima.errors import InputError
from fima.files.locks import exclusive
from fima.files.writing import write_csv

__all__ = ["Failed", "prepare"]


@dataclass(frozen=True)
class Failed:
    """A video that could not be re-encoded, and why, in one line."""

    name: str
    reason: str


def prepare(todo: Plan, *, workers: int) -> Generator[Done | Failed, None, None]:
    """Does what is planned, in several processes.

    Every file appears whole and checked, or not at all. Whatever ends the run (closing the generator, Ctrl-C, a kill),
    a new plan goes on where it stopped. At the end `FAILED` lists the videos that failed; it is removed if none did.

    Args:
        todo: the plan.
        workers: processes, each of one thread.

    Yields:
        What became of each video, as it is finished, in no particular order.

    Raises:
        InputError: if another process is preparing the same folder.
        WriteError: if there is no room left, or no permission to write; everything done is kept.
    """
    scratch = todo.folder / FOLDER / "tmp"
    (todo.folder / FOLDER).mkdir(parents=True, exist_ok=True)
    failures: list[Failed] = []
    with exclusive(todo.folder / FOLDER / "lock", str(todo.folder)):
        shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
        scratch.mkdir()
        try:
            manifest = Manifest(todo.folder, todo.encoding.to_dict(), todo.done, _planned(todo))
            _keep_changed(todo)
            _copy(todo, scratch)
            with closing(_outcomes(todo, scratch, workers)) as outcomes:
                for outcome in outcomes:
                    if isinstance(outcome, Done):
                        manifest.add(outcome)
                    else:
                        failures.append(outcome)
                    yield outcome
            _write_failures(todo.folder, failures)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _planned(todo: Plan) -> list[str]:
    return [*(job.output for job in todo.jobs), *todo.copies, FAILED]


def _keep_changed(todo: Plan) -> None:
    """Files that are not as they were written move aside: they may be somebody's work."""
    for name in todo.changed:
        path = todo.folder / name
        kept = (path.with_name(f"{path.name}.changed{number or ''}") for number in count())
        path.rename(next(place for place in kept if not place.exists()))


def _copy(todo: Plan, scratch: Path) -> None:
    for name in todo.copies:
        target = todo.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(todo.source / name, scratch / "copy")
        (scratch / "copy").replace(target)


@dataclass(frozen=True)
class _Task:
    job: Job
    folder: Path
    scratch: Path
    encoding: Encoding


def _outcomes(todo: Plan, scratch: Path, workers: int) -> Generator[Done | Failed, None, None]:
    tasks = (_Task(job, todo.folder.absolute(), scratch.absolute(), todo.encoding) for job in todo.jobs)
    workers = max(1, min(workers, len(todo.jobs)))
    with closing(run_each(_do, tasks, workers=workers, preload=(__name__,))) as results:
        for task, result in results:
            if isinstance(result, ProcessDiedError):
                yield _failed(task, str(result))
            else:
                yield result


def _do(task: _Task) -> Done | Failed:
    """In a worker: one video, from reading to its place."""
    if stopping():
        raise KeyboardInterrupt
    job, target = task.job, task.folder / task.job.output
    temporary = task.scratch / f"{os.getpid()}.mp4"
    try:
        made = reencode(job.path, temporary, task.encoding, stopped=stopping)
    except WriteError as error:
        raise WriteError(str(error).replace(str(temporary), str(target))) from None
    except Exception as error:  # whatever a strange file provokes, the others are to be done
        kind = "" if isinstance(error, InputError | FileNotFoundError) else f"{type(error).__name__}: "
        return _failed(task, kind + str(error).removeprefix(f"{job.path}: ").replace(str(temporary), "the new file"))
    target.parent.mkdir(parents=True, exist_ok=True)
    size = temporary.stat().st_size
    temporary.replace(target)
    return Done(
        source=job.name,
        source_bytes=job.size_bytes,
        source_mtime_ns=job.mtime_ns,
        output=job.output,
        output_bytes=size,
        num_frames=made.num_frames,
        fps=made.fps,
        height=made.height,
        width=made.width,
    )


def _failed(task: _Task, reason: str) -> Failed:
    """Also removes what an earlier version of the source had become."""
    (task.folder / task.job.output).unlink(missing_ok=True)
    return Failed(task.job.name, " ".join(reason.split()))


def _write_failures(folder: Path, failures: list[Failed]) -> None:
    if not failures:
        (folder / FAILED).unlink(missing_ok=True)
        return
    rows = sorted((failure.name, failure.reason) for failure in failures)
    write_csv(folder / FAILED, ("path", "reason"), rows, errors="surrogateescape")
