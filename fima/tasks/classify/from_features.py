"""A linear probe on two tables of ``fima extract``: as on cached features, but that they are there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fima.checkpoints.files import write_checkpoint
from fima.checkpoints.shipped import checkpoint_name
from fima.engine.progress import RunProgress
from fima.evaluation.checks import hold_out, take_examples
from fima.evaluation.feature_store import FeatureSet, read_clip_vectors
from fima.evaluation.metrics import average_logits
from fima.evaluation.neighbor_sets import sets_of_tables
from fima.presets.retrieval import retrieval_preset
from fima.tasks.classify.classifier import ClassifierHead, classifier_extra
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.probe import ClipFeatures, Trial, sweep_heads
from fima.tasks.classify.results import describe, explain_choice, write_config, write_results
from fima.tasks.classify.start import check_cache, fit_batch, needs_validation
from fima.tasks.classify.testing import VideoScores

__all__ = ["HEAD", "run_on_tables"]

HEAD = "head.ckpt"
"""The trained head alone: ``chosen.ckpt`` would need the backbone, which is not here."""


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
    progress = RunProgress(config.log.progress, last_step=0, epochs=config.optimizer.epochs)

    def tell(line: str) -> None:
        if config.log.progress != "none":
            progress.tell(line)

    for line in warnings:
        tell(f"warning: {line}")
    trial, trials = sweep_heads(_head(config, tables.train), train, validation, config, tell)
    history, held = trial.history, 0 if validation is None else len(validation.labels)
    chosen = explain_choice(config, trial.epoch, trial.top1, history, validation=held, held_out=True)
    folder = Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder / "config.yaml", as_typed)
    write_checkpoint(folder / HEAD, classifier_extra(trial.head, tables.train.class_names, epoch=trial.epoch))
    result = write_results(
        folder,
        config,
        _test(trial, tables, config),
        tables.test.class_names,
        chosen=chosen,
        checkpoint=_checkpoint(tables.test),
        input=dict(tables.test.metadata.get("input") or {}),
        protocol=config.test.protocol(),
        missing=int(_data(tables.test).get("missing") or 0),
        warnings=warnings,
        command=command,
        extra={
            "features": {
                "train": str(config.features_train),
                "test": str(config.features_test),
                "layer": tables.test.metadata.get("layer") or "output",
                "shown": tables.test.metadata.get("shown", "rgb"),
                "data": {"train": _data(tables.train), "test": _data(tables.test)},
            },
            "sweep": {"lr": trial.lr, "weight_decay": trial.weight_decay, "chosen_on": "validation", "trials": trials},
            "unreadable_in_training": {"train": dict(tables.train.skipped), "validation": {}},
        },
    )
    tell(describe(result))
    return result


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
        ClipFeatures(tuple(map(torch.from_numpy, read_clip_vectors(path, one.video_ids))), one.labels, {})
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
        clips = _pick(clips, take_examples(clips.labels, config.examples, config.seed))
    if not needs_validation(config):
        return clips, None
    kept, out = hold_out(clips.labels, config.validation.fraction, config.seed)
    return _pick(clips, kept), _pick(clips, out)


def _pick(clips: ClipFeatures, places: NDArray[np.int64]) -> ClipFeatures:
    return ClipFeatures(tuple(clips.vectors[place] for place in places), clips.labels[places], {})


def _head(config: SupervisedConfig, train: FeatureSet) -> ClassifierHead:
    torch.manual_seed(config.seed)
    options = {name: getattr(config.head, name) for name in ("dropout", "l2_norm", "batch_norm")}
    return ClassifierHead(train.vectors.shape[1], len(train.class_names), **options)


@torch.no_grad()
def _test(trial: Trial, tables: _Tables, config: SupervisedConfig) -> VideoScores:
    logits = [trial.head(vectors).numpy() for vectors in tables.test_clips.vectors]
    scores = np.stack([average_logits(rows, config.test.average) for rows in logits])
    return VideoScores(tables.test.video_ids, tables.test.labels, scores, dict(tables.test.skipped))


def _checkpoint(features: FeatureSet) -> dict[str, Any]:
    about = features.metadata
    name = about.get("checkpoint")
    path = None if name in (None, "random") else checkpoint_name(name)
    found = {"path": path, "sha256": about.get("sha256"), "arch": about.get("arch")}
    return {**found, "format": "features"}


def _data(features: FeatureSet) -> dict[str, Any]:
    return dict(features.metadata.get("data") or {})
