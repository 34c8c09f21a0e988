"""A detection run from its configuration to its number: train what is not trained yet, test, and put it together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from fima.checkpoints import LoadedBackbone
from fima.checkpoints.shipped import checkpoint_name
from fima.data.datasets.layouts.ava import AvaDataset
from fima.engine.callbacks.progress import RunProgress
from fima.engine.data import RunData
from fima.engine.folder import TRAINED, opened_run
from fima.engine.loop import fit
from fima.engine.resume import check_same_run, find_resume
from fima.engine.trainer import make_trainer
from fima.errors import InputError
from fima.files.writing import write_csv, write_json
from fima.tasks.detect.clips import ReaderPool
from fima.tasks.detect.config import DetectConfig
from fima.tasks.detect.data import KeyframeBatch, training_batches
from fima.tasks.detect.detector import Detector
from fima.tasks.detect.module import DetectModule
from fima.tasks.detect.testing import measure, score_keyframes, write_detections

__all__ = ["detect"]

_RESULTS = ("detections.csv", "skipped.csv", "result.json")


def detect(
    config: DetectConfig,
    data: AvaDataset,
    loaded: LoadedBackbone,
    device: torch.device,
    *,
    command: str = "",
    inputs: Sequence[str] = (),
    tested: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Train a detector, or go on training it, and measure it.

    What a run leaves is in ``config.out``: config.yaml, metrics.csv, checkpoints, the newest as last.ckpt,
    detections.csv, result.json, and skipped.csv if something could not be read.

    Args:
        config: Configuration of the run.
        data: Keyframes, boxes and films.
        loaded: The backbone; it is trained itself, not a copy.
        device: Where to train and test.
        command: As typed, for the result.
        inputs: Files that are read, which are never replaced.
        tested: Called with (keyframes tested, keyframes in all).

    Returns:
        What is in result.json.

    Raises:
        InputError: If there is nothing to train on, or the checkpoint to go on from is of another run.
        TrainingError: If training cannot go on; says what it can go on from.
        Interrupted: After a signal, with a checkpoint saved.
    """
    readers = ReaderPool(data.videos, data.last_seconds, start_second=config.start_second)
    keyframes = [frame for frame in data.train if frame.video in data.videos]
    if not keyframes:
        raise InputError("no keyframe is left to train on")
    resume = find_resume(Path(config.out), config.resume)
    trainer = make_trainer(config, resume, devices=None if device.type == "cpu" else [device.index or 0])
    start = {"start": loaded.sha256 or f"random {loaded.arch}"}
    module = DetectModule(_detector(config, loaded), config, num_keyframes=len(keyframes), data=start)
    run = module.run(1)
    if resume is not None:
        check_same_run(resume, config, run, command="detect", weights=module.content()["state_dict"])

    def batches(trainer: pl.Trainer) -> Iterable[KeyframeBatch]:
        begin, threads = trainer.global_step, config.threads
        return training_batches(
            keyframes, readers, config.preset, loaded.input, seed=config.seed, begin=begin, threads=threads
        )

    settings, names = run["decisive"] | run["data"], (*TRAINED, *_RESULTS)
    with opened_run(config, "detect", settings, names=names, inputs=inputs, resume=resume) as folder:
        fit(trainer, module, RunData(batches), folder, resume=resume, progress=RunProgress(config.log.progress))
        result = _tested(config, data, module, readers, device, tested)
        result |= {"steps": trainer.global_step, **_about(config, data, loaded), "command": command}
        write_json(folder.path / "result.json", result)
    readers.close()
    return result


def _tested(
    config: DetectConfig,
    data: AvaDataset,
    module: DetectModule,
    readers: ReaderPool,
    device: torch.device,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """What the trained detector is worth; writes its detections, and what could not be read."""
    folder, frames = Path(config.out), [frame for frame in data.test if frame.video in data.videos]
    detector = module.detector.to(device)
    scored, skipped = score_keyframes(
        detector, frames, readers, config.preset, threads=config.threads, progress=progress
    )
    write_detections(folder / "detections.csv", scored, data.class_ids, data.evaluated)
    unread = {"train": module.skipped, "test": skipped}
    _write_skipped(folder / "skipped.csv", unread, data.missing)
    trained = [frame for frame in data.train if frame.video in data.videos]
    keyframes = {"train": trained, "test": frames, "truth": data.truth}
    return measure(data, scored, skipped) | _counts(data, keyframes, unread)


def _write_skipped(path: Path, unread: Mapping[str, Mapping[str, str]], missing: Sequence[str]) -> None:
    rows = [(split, *key.rsplit(",", 1), reason) for split, own in unread.items() for key, reason in own.items()]
    rows += [("", film, "", "is not there") for film in missing]
    if rows:
        write_csv(path, ("split", "video", "second", "reason"), rows)
    else:
        path.unlink(missing_ok=True)


def _detector(config: DetectConfig, loaded: LoadedBackbone) -> Detector:
    """With a head that depends on the seed alone."""
    preset = config.preset
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        return Detector(
            loaded, len(config.classes), finer_map=preset.finer_map, freeze=config.freeze,
            resolution=preset.resolution, dropout=preset.dropout,
        )  # fmt: skip


def _counts(data: AvaDataset, keyframes: dict[str, Sequence[Any]], unread: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {
        "keyframes": {split: len(own) for split, own in keyframes.items()},
        "boxes": {split: sum(len(frame.boxes) for frame in own) for split, own in keyframes.items()},
        "excluded_keyframes": dict(zip(("train", "val"), data.excluded, strict=True)),
        "excluded_files": list(data.excluded_files),
        "unread_keyframes": {split: len(own) for split, own in unread.items()},
        "unread_videos": {s: dict(Counter(key.rpartition(",")[0] for key in own)) for s, own in unread.items()},
        "missing_videos": list(data.missing),
        "person_boxes": data.boxes,
    }


def _about(config: DetectConfig, data: AvaDataset, loaded: LoadedBackbone) -> dict[str, Any]:
    return {
        "data": config.data,
        "input": loaded.input.to_dict(),
        "preset": config.preset.settings(),
        "preset_source": config.preset.source,
        "preset_notes": list(config.preset.notes),
        "checkpoint": None if loaded.path is None else checkpoint_name(loaded.path),
        "seed": config.seed,
        "freeze": config.freeze,
        "arch": loaded.arch,
        "sha256": loaded.sha256,
        "version": data.version,
        "classes": list(data.class_ids),
        "start_second": config.start_second,
    }
