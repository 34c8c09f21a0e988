"""The training of a supervised run: what the engine needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lightning.pytorch import Trainer

from fima.checkpoints import LoadedBackbone
from fima.engine.batches import steps_per_epoch
from fima.engine.callbacks.progress import RunProgress
from fima.engine.data import loaded_batches
from fima.engine.folder import RunFolder
from fima.engine.loop import fit
from fima.engine.resume import ResumePoint, check_same_run
from fima.tasks.classify.choice import EpochChoice
from fima.tasks.classify.classifier import Classifier
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.data import clip_dataset, collate
from fima.tasks.classify.module import SupervisedModule
from fima.tasks.classify.sources import Videos, identity, training_spec

__all__ = ["Fitted", "train_classifier"]


@dataclass(frozen=True)
class Fitted:
    """What training came to.

    Attributes:
        finished: Whether its last epoch is over; not if ``trainer.max_steps`` came before.
        choice: What chose the epoch; None: the last one.
    """

    finished: bool
    choice: EpochChoice | None


def train_classifier(
    trainer: Trainer,
    classifier: Classifier,
    loaded: LoadedBackbone,
    videos: Videos,
    config: SupervisedConfig,
    folder: RunFolder,
    resume: ResumePoint | None,
    progress: RunProgress,
) -> Fitted:
    """Train a classifier in place, or go on training it.

    Raises:
        InputError: If an epoch has not one step, or the run to go on with is another.
        TrainingError: If the run has to stop; says what it can go on from.
        Interrupted: After a signal, with a checkpoint saved.
    """
    options, spec = config.optimizer, training_spec(loaded, config)
    samples = len(videos.train) * config.input.clips_per_epoch
    module = SupervisedModule(
        classifier,
        config,
        arch=loaded.arch,
        spec=spec,
        class_names=videos.class_names,
        steps_per_epoch=steps_per_epoch(samples, options.batch_size * options.accumulate),
        data=identity(videos, loaded),
    )
    if resume is not None:
        check_same_run(resume, config, module.run(1), command=config.task, weights=module.content()["state_dict"])
    if config.trainer.compile:
        classifier.backbone.compile()
    choice = _epoch_choice(videos, config, folder, progress)
    progress.tell(
        f"{config.task} of {loaded.arch}: {len(videos.train)} training, {len(videos.validation)} validation and "
        f"{len(videos.test)} test videos of {len(videos.class_names)} classes; {module.steps_per_epoch} steps an "
        f"epoch, {module.last_step} steps; into {config.out}"
    )
    data = loaded_batches(clip_dataset(videos.train, spec, config), collate, config, last_step=module.last_step)
    fit(
        trainer, module, data, folder, resume=resume, progress=progress, num_videos=len(videos.train), evaluation=choice
    )
    whole = options.epochs * module.steps_per_epoch
    if trainer.global_step < whole:
        progress.tell(f"stopped by trainer.max_steps at step {trainer.global_step} of {whole}; not tested")
    return Fitted(trainer.global_step >= whole, choice)


def _epoch_choice(
    videos: Videos, config: SupervisedConfig, folder: RunFolder, progress: RunProgress
) -> EpochChoice | None:
    """What chooses the epoch on the way; None where the last one is taken."""
    if config.validation.choose == "last":
        return None
    protocol, on = config.test.protocol(), videos.test
    if config.validation.choose == "val":
        protocol, on = replace(protocol, clips=config.validation.clips, crops=1, placement="uniform"), videos.validation
    return EpochChoice(folder, on, protocol, config, progress.tell)
