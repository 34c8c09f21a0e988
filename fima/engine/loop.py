"""A run from its first step to its last: what surrounds a task's module, the same for every task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as pl

from fima.engine.callbacks.agreement import AgreementWatch
from fima.engine.callbacks.checkpoints import CheckpointKeeper
from fima.engine.callbacks.failures import FailureWatch
from fima.engine.callbacks.health import CollapseWatch
from fima.engine.callbacks.interruption import Interruption
from fima.engine.callbacks.progress import RunProgress
from fima.engine.callbacks.record import MetricsFile, Recorder
from fima.engine.data import RunData
from fima.engine.folder import RunFolder
from fima.engine.module import Evaluation, TaskModule
from fima.engine.resume import ResumePoint, saved_state
from fima.engine.trainer import quiet_lightning
from fima.errors import CheckpointError, InputError, TrainingError, VideoError, one_line

__all__ = ["fit"]


def fit(
    trainer: pl.Trainer,
    module: TaskModule,
    data: RunData,
    folder: RunFolder,
    *,
    resume: ResumePoint | None,
    progress: RunProgress,
    num_videos: int | None = None,
    evaluation: Evaluation | None = None,
    watches: Sequence[pl.Callback] = (),
) -> None:
    """Train until the module's last step, or go on training.

    Args:
        trainer: As `fima.engine.trainer.make_trainer` made it.
        module: What is trained; it is put into train mode.
        data: Its batches.
        folder: Where the run writes.
        resume: Where to go on.
        progress: Shows how it goes.
        num_videos: Videos of the data set, whose failures are listed and counted; None: the task lists its own.
        evaluation: What is evaluated at epochs' ends, before the state is saved.
        watches: What looks at the module after steps, before their row is written.

    Raises:
        InputError: If no video can be read.
        TrainingError: If the run has to stop; says what it can go on from.
        Interrupted: After a signal, with a checkpoint saved.
    """
    config = module.config
    folder.begin()
    progress.begin(module.last_step, config.optimizer.epochs)
    recorder = Recorder(
        MetricsFile(folder.path / "metrics.csv"), config, (progress, CollapseWatch(config.log.collapse, progress.tell))
    )
    keeper = CheckpointKeeper(
        folder,
        config.checkpoints,
        recorder,
        steps_per_epoch=module.steps_per_epoch,
        last_step=module.last_step,
    )
    # In this order: rows and evaluations are added before the state is saved, and all before anything stops the run.
    callbacks: list[pl.Callback] = [progress, *watches, recorder, AgreementWatch(config.log.every_steps)]
    if num_videos is not None:
        callbacks.insert(
            0, FailureWatch(folder.path / "failures.csv", num_videos, config.loader.max_failed, progress.tell)
        )
    if evaluation is not None:
        callbacks.append(evaluation)
        keeper.after_save.append(evaluation.settle)
    trainer.callbacks += [*callbacks, keeper, Interruption(keeper, config.optimizer.accumulate)]  # type: ignore[attr-defined]
    trainer.fit_loop.epoch_loop.max_steps = module.last_step
    if resume is not None:
        progress.tell("\n".join([*([resume.note] if resume.note else []), f"going on from {resume.path}"]))
    module.train()  # a loaded backbone is in eval mode, and Lightning leaves modes as they are
    with quiet_lightning(), _one_line_errors(folder.path):
        try:
            trainer.fit(module, datamodule=data, ckpt_path=None if resume is None else resume.path)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if resume is None or keeper.saved_step >= 0 or isinstance(error, InputError | TrainingError):
                raise  # not of what the checkpoint restores
            raise CheckpointError(f"{resume.path}: cannot be gone on with ({one_line(str(error))[:200]})") from error
    if evaluation is not None:
        evaluation.settle()  # a run that was finished before has saved nothing now
    share = recorder.total_wait / max(recorder.total_seconds, 1e-9)
    progress.tell(f"trained to step {trainer.global_step}, waiting for data {share:.1%} of the time; in {folder.path}")


@contextmanager
def _one_line_errors(folder: Path) -> Iterator[None]:
    """Turns what a run can die of into our errors, with what it can go on from."""
    try:
        yield
    except VideoError as error:
        # A worker's error carries its traceback as text; the last line is what it says.
        raise VideoError(str(error).strip().splitlines()[-1].split("VideoError: ")[-1]) from error
    except SystemExit as stop:  # Lightning's way out of Ctrl-C
        raise KeyboardInterrupt from stop
    except TrainingError as error:
        raise TrainingError(f"{error}; {saved_state(folder)}") from error
    except RuntimeError as error:
        text = one_line(str(error))
        cause = next((words for sign, words in _CAUSES.items() if sign in text.lower()), None)
        if cause is None:
            raise
        raise TrainingError(f"{cause} ({text[:200]}); {saved_state(folder)}") from error


_CAUSES = {
    "dataloader worker": "a worker that decodes videos died",
    "connection closed by peer": "another process of the run is gone",
    "connection reset": "another process of the run is gone",
    "gloo": "the connection to another process of the run broke",
    "nccl": "the connection to another process of the run broke",
    "out of memory": "too little memory: lower optimizer.batch_size and raise optimizer.accumulate",
}
