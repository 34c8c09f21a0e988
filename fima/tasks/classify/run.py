"""Fine-tuning or a linear probe, from its configuration to its result."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from fima.checkpoints import LoadedBackbone
from fima.checkpoints.shipped import checkpoint_name
from fima.engine.callbacks.progress import RunProgress
from fima.engine.folder import TRAINED, RunFolder, opened_run
from fima.engine.resume import ResumePoint, check_same_run, find_resume, fingerprint
from fima.engine.trainer import make_trainer
from fima.errors import CheckpointError, InputError
from fima.evaluation.features import clip_features
from fima.files.reading import read_json
from fima.files.writing import write_json
from fima.models.registry import backbone_info
from fima.tasks.classify.choice import CHOSEN
from fima.tasks.classify.classifier import (
    Classifier,
    ClassifierHead,
    LoadedClassifier,
    load_classifier,
    save_classifier,
)
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.data import fixed_protocol
from fima.tasks.classify.from_features import run_on_tables
from fima.tasks.classify.probe import Trial, sweep_heads
from fima.tasks.classify.results import RESULTS, describe, explain_choice, write_results
from fima.tasks.classify.sources import Videos, identity, training_spec
from fima.tasks.classify.start import Start, fit_batch, open_start
from fima.tasks.classify.testing import classify_videos
from fima.tasks.classify.train import Fitted, train_classifier

__all__ = ["run_supervised"]

SWEEP = "sweep.json"
_NAMES = (*TRAINED, CHOSEN, "chosen-epoch-*.ckpt", SWEEP, *RESULTS)


def run_supervised(config: SupervisedConfig, *, command: str = "", batch_given: bool = True) -> Path | None:
    """Train a classifier, or go on training it, and test it.

    All that a run leaves is in ``config.out``: config.yaml, metrics.csv, checkpoints, the tested one as chosen.ckpt,
    and result.json, predictions.csv and confusion.csv.

    Args:
        config: of the run.
        command: as typed, for the result.
        batch_given: whether the batch was asked for; a preset's is made to fit a small training set, and said so.

    Returns:
        result.json; None if ``trainer.max_steps`` stopped the training before its end.

    Raises:
        FileNotFoundError: for a path that is not there.
        InputError: for settings that do not fit together, the checkpoint or the data.
        TrainingError: if the run has to stop; what it saved is good.
        Interrupted: after Ctrl-C, SIGTERM or SIGUSR1, with a checkpoint saved.
    """
    if config.features_train is not None:
        return run_on_tables(config, command=command, batch_given=batch_given)
    if config.trainer.devices == "auto":
        config = replace(config, trainer=replace(config.trainer, devices=1))
    if config.trainer.devices != 1 or config.trainer.nodes != 1:
        raise InputError("trainer.devices: fine-tuning and probes run in one process; raise optimizer.accumulate")
    if (config.test_only or config.features) and config.resume not in ("auto", "never"):
        raise InputError(f"--resume {config.resume}: there is nothing to go on with where no backbone is trained")
    resume = None if config.test_only or config.features else find_resume(Path(config.out), config.resume)
    trainer = make_trainer(config, resume)
    start, notes = open_start(config, trainer.strategy.root_device), list[str]()
    if start.trained is None:
        config, note = fit_batch(config, len(start.videos.train), given=batch_given)
        notes += [note] if note else []
    known = identity(start.videos, start.loaded)
    settings = config.decisive() | known | {"test": fingerprint(start.videos.test), "test_only": config.test_only}
    if resume is not None:
        sweep = _earlier_sweep(config)
        config = _with_rate(config, sweep)
        if config.optimizer.lr is not None:  # else the sweep comes first, and the check with it
            ours = {"decisive": config.decisive(), "data": known, "world": 1}
            check_same_run(resume, config, ours, command=config.task)
    inputs = [config.data, *([] if config.ckpt == "random" else [config.ckpt])]
    with opened_run(config, config.task, settings, names=_NAMES, inputs=inputs, resume=resume) as folder:
        return _Run(config, trainer, resume, command, notes, folder).go(start)


class _Run:
    """The steps of one run, in order."""

    def __init__(
        self,
        config: SupervisedConfig,
        trainer: Trainer,
        resume: ResumePoint | None,
        command: str,
        notes: list[str],
        folder: RunFolder,
    ) -> None:
        self.config, self.trainer, self.resume, self.command = config, trainer, resume, command
        self.notes, self.claimed = notes, folder
        self.folder, self.device = folder.path, trainer.strategy.root_device
        self.progress = RunProgress(config.log.progress)
        self.tell = self.progress.tell

    def go(self, start: Start) -> Path | None:
        config, videos, loaded = self.config, start.videos, start.loaded
        if start.trained is not None:
            self.claimed.begin()
            return self.test(start.trained, videos, loaded, {"how": "as in the checkpoint"}, {})
        for line in (*videos.warnings, *self.notes):
            self.tell(f"warning: {line}")
        classifier = self.make_classifier(loaded, videos)
        if config.features:
            chosen, extra = self.probe(classifier, loaded, videos)
        else:
            extra = self.choose_rate(classifier, loaded, videos)
            fitted = train_classifier(
                self.trainer, classifier, loaded, videos, self.config, self.claimed, self.resume, self.progress
            )
            if not fitted.finished:
                return None
            chosen = self.chosen(fitted, classifier, loaded, videos)
        trained = load_classifier(self.folder / CHOSEN, device=self.device)
        return self.test(trained, videos, loaded, chosen, extra)

    def make_classifier(self, loaded: LoadedBackbone, videos: Videos) -> Classifier:
        """With a head that depends on the seed alone."""
        config = self.config
        channels = backbone_info(loaded.backbone, training_spec(loaded, config)).channels
        head = ClassifierHead.seeded(channels, len(videos.class_names), config.head, config.seed)
        return Classifier(
            loaded.backbone, head, frozen=config.task == "linear", backbone_mode=config.head.backbone_mode
        )

    def chosen(self, fitted: Fitted, classifier: Classifier, loaded: LoadedBackbone, videos: Videos) -> dict[str, Any]:
        """How the tested weights were chosen; writes the last ones if they are."""
        if fitted.choice is None:
            self.save(classifier, loaded, videos, self.config.optimizer.epochs)
            return {"epoch": self.config.optimizer.epochs, "by": "last", "how": "last epoch"}
        best = fitted.choice.best
        if best is None:
            raise InputError(f"{self.folder}: no epoch was evaluated; give another --out to begin anew")
        return self.explained(int(best["epoch"]), best["top1"], fitted.choice.history, videos)

    def explained(self, epoch: int, top1: float | None, history: Any, videos: Videos) -> dict[str, Any]:
        validation, held_out = len(videos.validation), videos.held_out
        return explain_choice(self.config, epoch, top1, history, validation=validation, held_out=held_out)

    def probe(
        self, classifier: Classifier, loaded: LoadedBackbone, videos: Videos
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Train heads on cached features and save the best."""
        trial, extra = self.sweep(classifier, loaded, videos)
        self.claimed.begin()
        classifier.head.load_state_dict(trial.head.state_dict())
        self.save(classifier, loaded, videos, trial.epoch)
        chosen = self.explained(trial.epoch, trial.top1, trial.history, videos)
        return chosen, extra

    def sweep(self, classifier: Classifier, loaded: LoadedBackbone, videos: Videos) -> tuple[Trial, dict[str, Any]]:
        config, spec = self.config, training_spec(loaded, self.config)
        test_spec = spec.replace(size=config.test.size or spec.size)
        protocol = replace(fixed_protocol(config), clips=config.validation.clips)
        features = partial(clip_features, batch_size=config.test.batch_size, device=self.device)
        self.tell(f"features of {len(videos.train)} training and {len(videos.validation)} validation videos …")
        train = features(replace(loaded, input=spec), videos.train, fixed_protocol(config))
        tested = replace(loaded, input=test_spec)
        validation = features(tested, videos.validation, protocol) if videos.validation else None
        config, note = fit_batch(config, len(train.labels), given=False)  # fewer than listed if some are unreadable
        self.notes += [note] if note else []
        classifier.head.to("cpu")
        trial, table = sweep_heads(classifier.head, train, validation, config, self.tell)
        classifier.head.to(self.device)
        skipped = {"train": train.skipped, "validation": validation.skipped if validation else {}}
        found = {"lr": trial.lr, "weight_decay": trial.weight_decay, "chosen_on": "validation", "trials": table}
        return trial, {"sweep": found, "unreadable_in_training": skipped}

    def choose_rate(self, classifier: Classifier, loaded: LoadedBackbone, videos: Videos) -> dict[str, Any]:
        """Where no rate is given: the best of the sweep on cached features, kept for a run that goes on."""
        extra = _earlier_sweep(self.config) if self.resume is not None else {}
        if self.config.optimizer.lr is None:
            _, extra = self.sweep(classifier, loaded, videos)
            self.claimed.begin()
            write_json(self.folder / SWEEP, extra)
            self.config = _with_rate(self.config, extra)
        if extra:
            lr, decay = (extra["sweep"][name] for name in ("lr", "weight_decay"))
            self.tell(f"lr {lr:g}, weight decay {decay:g}, chosen on validation")
        return extra

    def save(self, classifier: Classifier, loaded: LoadedBackbone, videos: Videos, epoch: int) -> None:
        save_classifier(
            self.folder / CHOSEN,
            classifier,
            arch=loaded.arch,
            input=training_spec(loaded, self.config),
            class_names=videos.class_names,
            extra={"epoch": epoch, "chosen": {"by": self.config.validation.choose}},
        )

    def test(
        self,
        trained: LoadedClassifier,
        videos: Videos,
        start: LoadedBackbone,
        chosen: dict[str, Any],
        extra: dict[str, Any],
    ) -> Path:
        """The multi-clip test."""
        config = self.config
        epoch = trained.source.epoch
        if "epoch" in chosen and epoch != chosen["epoch"]:
            raise CheckpointError(f"{self.folder / CHOSEN}: is of epoch {epoch}, expected {chosen['epoch']}")
        spec = training_spec(trained.source, config)
        spec = spec.replace(size=config.test.size or spec.size)
        protocol = config.test.protocol()
        self.tell(f"testing {len(videos.test)} videos, {protocol.clips} clips × {protocol.crops} crops …")
        found = classify_videos(
            trained.classifier, videos.test, spec, protocol, batch_size=config.test.batch_size, device=self.device
        )
        result = write_results(
            self.folder,
            config,
            found,
            videos.class_names,
            chosen={"epoch": epoch, **chosen},
            checkpoint={
                "path": None if start.path is None else checkpoint_name(start.path),
                "sha256": start.sha256,
                "arch": start.arch,
                "format": start.report.format,
            },
            input=spec.to_dict(),
            protocol=protocol,
            missing=videos.missing,
            warnings=[*videos.warnings, *self.notes, *_warnings(config)],
            command=self.command,
            extra=extra,
        )
        self.tell(describe(result))
        return result


def _earlier_sweep(config: SupervisedConfig) -> dict[str, Any]:
    """What the sweep of a run found that goes on; empty if it had none."""
    file = Path(config.out) / SWEEP
    return read_json(file) if file.is_file() else {}


def _with_rate(config: SupervisedConfig, sweep: dict[str, Any]) -> SupervisedConfig:
    if not sweep or config.optimizer.lr is not None:
        return config
    found = {name: sweep["sweep"][name] for name in ("lr", "weight_decay")}
    return replace(config, optimizer=replace(config.optimizer, **found))


def _warnings(config: SupervisedConfig) -> list[str]:
    if config.validation.choose == "test" and not config.test_only:
        return ["the epoch was chosen on the test split: these numbers are optimistic"]
    return []
