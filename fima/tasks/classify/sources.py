"""What a supervised run starts from: its videos, split by split, and its backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.checkpoints import LoadedBackbone, load_backbone, untrained_backbone
from fima.data.datasets import VideoDataset, VideoRecord
from fima.engine.data import open_split
from fima.engine.resume import fingerprint
from fima.errors import InputError
from fima.evaluation.checks import check_labels, check_same_classes, duplicates, hold_out, take_examples
from fima.input_spec import InputSpec
from fima.models.registry import backbone_names
from fima.presets.supervised import preset
from fima.tasks.classify.config import SupervisedConfig

__all__ = ["Videos", "identity", "open_backbone", "open_test", "open_videos", "training_spec"]


@dataclass(frozen=True)
class Videos:
    """The videos of a run.

    Attributes:
        train, test: of training and of the test.
        validation: of the choice; empty if nothing is chosen on it.
        class_names: by label.
        warnings: lines that every result repeats.
        missing: listed test videos that the disk does not hold.
        held_out: whether validation was taken out of training.
    """

    train: tuple[VideoRecord, ...]
    validation: tuple[VideoRecord, ...]
    test: tuple[VideoRecord, ...]
    class_names: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    missing: int = 0
    held_out: bool = False


def open_videos(config: SupervisedConfig, *, validation: bool) -> Videos:
    """The training, validation and test videos.

    Args:
        config: of the run.
        validation: whether videos are needed to choose something on.

    Raises:
        FileNotFoundError: if there is no such data.
        InputError: for an empty split, videos without labels, or splits whose classes disagree.
    """
    train, test = _open(config, "train"), _open(config, "test")
    check_same_classes(train.class_names, test.class_names, "the classes of --train-split and --test-split")
    records = train.records
    if config.examples is not None:
        records = _pick(records, take_examples(_labels(records), config.examples, config.seed))
    held: tuple[VideoRecord, ...] = ()
    if validation and config.val_split is not None:
        split = _open(config, "val")
        check_same_classes(train.class_names, split.class_names, "the classes of --train-split and --val-split")
        held = split.records
    elif validation:
        kept, out = hold_out(_labels(records), config.validation.fraction, config.seed)
        records, held = _pick(records, kept), _pick(records, out)
    warnings = [
        *_shared("training", records, "test", test.records),
        *_shared("validation", held, "test", test.records),
        *_shared("training", records, "validation", held),
    ]
    return Videos(
        records,
        held,
        test.records,
        train.class_names,
        tuple(warnings),
        len(test.missing),
        validation and config.val_split is None,
    )


def open_test(config: SupervisedConfig, class_names: Sequence[str]) -> Videos:
    """The test videos alone, of a classifier that is trained.

    Raises:
        InputError: also if the classes disagree with the checkpoint's.
    """
    test = _open(config, "test")
    check_same_classes(class_names, test.class_names, f"the classes of {config.ckpt} and of --data")
    return Videos((), (), test.records, test.class_names, missing=len(test.missing))


def open_backbone(config: SupervisedConfig) -> LoadedBackbone:
    """The backbone that ``config.ckpt`` names.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it cannot be loaded, or "random" is given without an architecture.
    """
    if config.ckpt != "random":
        return load_backbone(config.ckpt, config.arch, trust=config.trust_checkpoint)
    arch = config.arch or preset(config.preset, config.task).arch
    if arch is None or (config.arch is None and arch not in backbone_names()):
        raise InputError(f"--ckpt random: needs --arch, one of {', '.join(backbone_names())}")
    return untrained_backbone(arch, seed=config.seed)


def training_spec(loaded: LoadedBackbone, config: SupervisedConfig) -> InputSpec:
    """What the backbone expects, with the frames, stride and size of the configuration."""
    given = {name: getattr(config.input, name) for name in ("num_frames", "frame_stride", "size")}
    return loaded.input.replace(**{name: value for name, value in given.items() if value is not None})


def identity(videos: Videos, loaded: LoadedBackbone) -> dict[str, Any]:
    """What tells a run's data and start from others'."""
    return {
        "train": fingerprint(videos.train),
        "validation": fingerprint(videos.validation),
        "start": loaded.sha256 or f"random {loaded.arch}",
    }


def _open(config: SupervisedConfig, which: str) -> VideoDataset:
    split = getattr(config, f"{which}_split")
    videos = open_split(config, split)
    check_labels(videos, f"{config.data}, --{which}-split {split}")
    return videos


def _labels(records: Sequence[VideoRecord]) -> NDArray[np.int64]:
    return np.array([record.label for record in records], np.int64)


def _pick(records: tuple[VideoRecord, ...], places: NDArray[np.int64]) -> tuple[VideoRecord, ...]:
    return tuple(records[place] for place in places)


def _shared(first: str, ours: Sequence[VideoRecord], second: str, theirs: Sequence[VideoRecord]) -> list[str]:
    pairs = duplicates(ours, theirs) if ours and theirs else []
    if not pairs:
        return []
    return [
        f"{len(pairs)} of the {len(theirs)} {second} videos are {first} videos too, such as {pairs[0][1]} "
        f"({pairs[0][0]}); the result is too good"
    ]
