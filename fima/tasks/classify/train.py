"""The training of a supervised run: Lightning's trainer with this project's order of samples and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Trainer

from fima.checkpoints import LoadedBackbone
from fima.checkpoints.files import read_checkpoint
from fima.engine.batches import steps_per_epoch
from fima.engine.checkpoints import CheckpointKeeper
from fima.engine.guards import one_line_errors
from fima.engine.interruption import Interruption
from fima.engine.progress import RunProgress
from fima.engine.record import MetricsFile
from fima.engine.watch import FailureWatch
from fima.errors import CheckpointError, InputError
from fima.tasks.classify.classifier import Classifier
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.data import ClipDataModule
from fima.tasks.classify.module import SupervisedModule
from fima.tasks.classify.sources import Videos, identity, training_spec
from fima.tasks.classify.watch import EpochChoice, SupervisedRecorder

__all__ = ["Fitted", "fit"]


@dataclass(frozen=True)
class Fitted:
    """What training came to.

    Attributes:
        finished: whether its last epoch is over; not if ``trainer.max_steps`` came before.
        choice: what chose the epoch; None: the last one.
    """

    finished: bool
    choice: EpochChoice | None


def fit(
    trainer: Trainer,
    classifier: Classifier,
    loaded: LoadedBackbone,
    videos: Videos,
    config: SupervisedConfig,
    resume_from: Path | None,
) -> Fitted:
    """Train a classifier in place, or go on training it.

    Raises:
        InputError: if an epoch has not one step, or the run to go on with is another.
        TrainingError: if the run has to stop; what it saved is good.
        Interrupted: after a signal, with a checkpoint saved.
    """
    folder, options = Path(config.out), config.optimizer
    samples = len(videos.train) * config.input.clips_per_epoch
    per_epoch = steps_per_epoch(samples, options.batch_size * options.accumulate)
    whole = options.epochs * per_epoch
    last_step = min(whole, config.trainer.max_steps or whole)
    known = identity(videos, loaded)
    if resume_from is not None:
        _check_same_run(read_checkpoint(resume_from, trust=False), config, known, resume_from)
    module = SupervisedModule(
        classifier,
        config,
        arch=loaded.arch,
        spec=training_spec(loaded, config),
        class_names=videos.class_names,
        steps_per_epoch=per_epoch,
        identity=known,
    )
    module.train()  # a loaded backbone is in eval mode, and Lightning leaves modes as they are
    if config.trainer.compile:
        classifier.backbone.compile()
    progress = RunProgress(config.log.progress, last_step=last_step, epochs=options.epochs)
    recorder = SupervisedRecorder(MetricsFile(folder / "metrics.csv"), config, (progress,))
    failures = FailureWatch(folder / "failures.csv", len(videos.train), config.loader.max_failed, progress.tell)
    keeper = CheckpointKeeper(
        folder, config.checkpoints, cast(Any, recorder), steps_per_epoch=per_epoch, last_step=last_step
    )
    choice = _epoch_choice(videos, config, progress)
    # In this order: rows and evaluations are added before the state is saved, and all before anything can stop the run.
    callbacks = [failures, progress, recorder, choice, keeper, Interruption(keeper, options.accumulate)]
    trainer.callbacks += [one for one in callbacks if one is not None]  # type: ignore[attr-defined]
    trainer.fit_loop.epoch_loop.max_steps = last_step
    progress.tell(
        f"{config.task} of {loaded.arch}: {len(videos.train)} training, {len(videos.validation)} validation and "
        f"{len(videos.test)} test videos of {len(videos.class_names)} classes; {per_epoch} steps an epoch, "
        f"{last_step} steps; into {folder}" + (f"\ngoing on from {resume_from}" if resume_from else "")
    )
    data = ClipDataModule(videos.train, training_spec(loaded, config), config, last_step)
    with one_line_errors(folder):
        trainer.fit(module, datamodule=data, ckpt_path=resume_from)
    if trainer.global_step < whole:
        progress.tell(f"stopped by trainer.max_steps at step {trainer.global_step} of {whole}; not tested")
    return Fitted(trainer.global_step >= whole, choice)


def _epoch_choice(videos: Videos, config: SupervisedConfig, progress: RunProgress) -> EpochChoice | None:
    """What chooses the epoch on the way; None where the last one is taken."""
    if config.validation.choose == "last":
        return None
    protocol, on = config.test.protocol(), videos.test
    if config.validation.choose == "val":
        protocol, on = replace(protocol, clips=config.validation.clips, crops=1, placement="uniform"), videos.validation
    return EpochChoice(Path(config.out), on, protocol, config, progress.tell)


def _check_same_run(content: Any, config: SupervisedConfig, known: dict[str, Any], path: Path) -> None:
    """Refuse to go on with other settings, other videos or another start."""
    if not isinstance(content, Mapping) or not isinstance(content.get("run"), Mapping):
        raise CheckpointError(f"{path}: is no checkpoint of fima {config.task}; to start from its weights use --ckpt")
    theirs, ours = content["run"]["decisive"], config.decisive()
    for name in sorted(theirs.keys() | ours.keys()):
        if theirs.get(name) != ours.get(name):
            raise InputError(
                f"--resume {path}: the run was begun with {name} = {theirs.get(name)}, not {ours.get(name)}; a run "
                "goes on as it began"
            )
    for name, value in known.items():
        if content["run"]["data"].get(name) != value:
            what = {"start": "another --ckpt"}.get(name, f"other {name} videos")
            raise InputError(f"--resume {path}: the run was begun with {what}; a run goes on as it began")
