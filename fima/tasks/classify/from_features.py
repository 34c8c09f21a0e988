"""A linear probe on two tables of ``fima extract``: as on cached features, but that they are there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fima.checkpoints.files import write_checkpoint
from fima.checkpoints.shipped import checkpoint_name
from fima.engine.callbacks.progress import RunProgress
from fima.engine.folder import opened_run
from fima.evaluation.checks import hold_out, take_examples
from fima.evaluation.feature_store import FeatureSet, read_clip_vectors
from fima.evaluation.features import ClipFeatures
from fima.evaluation.neighbor_sets import sets_of_tables
from fima.presets.retrieval import retrieval_preset
from fima.tasks.classify.classifier import ClassifierHead, classifier_extra
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.probe import Trial, head_scores, sweep_heads
from fima.tasks.classify.results import RESULTS, describe, explain_choice, write_results
from fima.tasks.classify.start import check_cache, fit_batch, needs_validation
from fima.tasks.classify.testing import VideoScores

__all__ = ["HEAD", "run_on_tables"]

HEAD = "head.ckpt"
"""The trained head alone: ``chosen.ckpt`` would need the backbone, which is not here."""
_NAMES = ("config.yaml", HEAD, *RESULTS)


@dataclass(frozen=True, eq=False)
class _Tables:
    """Both tables; ``train`` and ``test`` are of all their videos, ``warnings`` what the result repeats."""

    train: FeatureSet
    test: FeatureSet
    train_clips: ClipFeatures
    test_clips: ClipFeatures
    warnings: tuple[str, ...]


def run_on_tables(config: SupervisedConfig, *, command: str = "", batch_given: bool = True) -> Path:
    """Train a head on ``config.features_train``, choose it on videos held out of it, test it on the other table.

    The same numbers as ``fima linear --features true`` gives from the videos with the tables' clips and crops, unless
    videos cannot be read: which are held out is drawn among those that the table holds.

    Args:
        config: of the run; writes config.yaml, head.ckpt, result.json, predictions.csv and confusion.csv into its
            ``out``, none of them before the probe is trained.
        command: as typed, for the result.
        batch_given: as of `fima.tasks.classify.run.run_supervised`.

    Returns:
        result.json.

    Raises:
        FileNotFoundError, InputError: for tables that cannot be read or are of different features or classes, or
            settings that do not fit.
        TrainingError: if no learning rate gives a finite loss.
    """
    as_typed = config
    config = replace(config, features=True)
    check_cache(config)
    tables = _read(config)
    config = _as_in(config, tables)
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    train, validation = _split(config, tables.train_clips)
    clips = sum(map(len, train.vectors))
    config, note = fit_batch(config, len(train.labels), clips=clips, given=batch_given)
    warnings = [*tables.warnings, *([note] if note else [])]
    tell = RunProgress(config.log.progress).tell
    for line in warnings:
        tell(f"warning: {line}")
    given = [str(config.features_train), str(config.features_test)]
    settings = config.decisive() | {"tables": given, "sha256": tables.test.metadata.get("sha256")}
    with opened_run(as_typed, config.task, settings, names=_NAMES, inputs=given) as folder:
        channels, classes = tables.train.vectors.shape[1], len(tables.train.class_names)
        head = ClassifierHead.seeded(channels, classes, config.head, config.seed)
        trial, trials = sweep_heads(head, train, validation, config, tell)
        folder.begin()
        extra = classifier_extra(trial.head, tables.train.class_names, epoch=trial.epoch)
        write_checkpoint(folder.path / HEAD, extra)
        held = 0 if validation is None else len(validation.labels)
        result = write_results(
            folder.path,
            config,
            _test(trial, tables, config),
            tables.test.class_names,
            chosen=explain_choice(config, trial.epoch, trial.top1, trial.history, validation=held, held_out=True),
            checkpoint=_checkpoint(tables.test),
            input=dict(tables.test.metadata.get("input") or {}),
            protocol=config.test.protocol(),
            missing=int(_data(tables.test).get("missing") or 0),
            warnings=warnings,
            command=command,
            extra=_about(config, tables, trial, trials),
        )
    tell(describe(result))
    return result


def _about(config: SupervisedConfig, tables: _Tables, trial: Trial, trials: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "features": {
            "train": str(config.features_train),
            "test": str(config.features_test),
            "layer": tables.test.metadata.get("layer") or "output",
            "shown": tables.test.metadata.get("shown", "rgb"),
            "data": {"train": _data(tables.train), "test": _data(tables.test)},
        },
        "sweep": {"lr": trial.lr, "weight_decay": trial.weight_decay, "chosen_on": "validation", "trials": trials},
        "unreadable_in_training": {"train": dict(tables.train.skipped), "validation": {}},
    }


def _read(config: SupervisedConfig) -> _Tables:
    paths = Path(str(config.features_train)), Path(str(config.features_test))
    sets = sets_of_tables(*paths, retrieval_preset("fima"))
    (train,), (test,) = sets.train.values(), sets.test.values()
    warnings: tuple[str, ...] = ()
    if sets.duplicates:
        ours, theirs = sets.duplicates[0]
        warnings = (
            f"{len(sets.duplicates)} of the {len(test)} test videos are training videos too, such as {theirs} "
            f"({ours}); the result is too good",
        )
    parts = [
        ClipFeatures(one.video_ids, one.labels, read_clip_vectors(path, one.video_ids), {})
        for path, one in zip(paths, (train, test), strict=True)
    ]
    return _Tables(train, test, parts[0], parts[1], warnings)


def _as_in(config: SupervisedConfig, tables: _Tables) -> SupervisedConfig:
    """The settings with what the tables say of their clips, so that the result tells them and not the preset's."""
    about = tables.test.metadata.get("protocol") or {}
    own = {name: about[name] for name in ("clips", "crops", "placement", "crop_fraction") if name in about}
    test = replace(config.test, **own)
    if "clips" not in own:  # somebody else's table
        test = replace(test, clips=int(tables.test.clips.max()))
    spec = tables.train.metadata.get("input") or {}
    shape = {name: spec[name] for name in ("num_frames", "frame_stride", "size") if name in spec}
    each = int(tables.train.clips.max())
    return replace(
        config,
        test=test,
        input=replace(config.input, augmented=False, clips_per_epoch=each, **shape),
        validation=replace(config.validation, clips=each),
    )


def _split(config: SupervisedConfig, clips: ClipFeatures) -> tuple[ClipFeatures, ClipFeatures | None]:
    """Training and validation videos, drawn as `fima.tasks.classify.sources.open_videos` draws them."""
    if config.examples is not None:
        clips = clips.pick(take_examples(clips.labels, config.examples, config.seed))
    if not needs_validation(config):
        return clips, None
    kept, out = hold_out(clips.labels, config.validation.fraction, config.seed)
    return clips.pick(kept), clips.pick(out)


def _test(trial: Trial, tables: _Tables, config: SupervisedConfig) -> VideoScores:
    scores = head_scores(trial.head, tables.test_clips, config.test.average)
    return VideoScores(tables.test.video_ids, tables.test.labels, scores, dict(tables.test.skipped))


def _checkpoint(features: FeatureSet) -> dict[str, Any]:
    about = features.metadata
    name = about.get("checkpoint")
    path = None if name in (None, "random") else checkpoint_name(name)
    found = {"path": path, "sha256": about.get("sha256"), "arch": about.get("arch")}
    return {**found, "format": "features"}


def _data(features: FeatureSet) -> dict[str, Any]:
    return dict(features.metadata.get("data") or {})
