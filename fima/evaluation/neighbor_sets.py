"""The two sets of features that nearest neighbors are looked for in: from a checkpoint, or from tables."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fima.data.datasets import VideoDataset, open_dataset
from fima.data.duplicates import same_videos
from fima.errors import InputError
from fima.evaluation.backbone import open_backbone
from fima.evaluation.checks import duplicates
from fima.evaluation.extract import describe_features
from fima.evaluation.feature_store import FeatureSet, FeatureSetBuilder, read_features
from fima.evaluation.features import iterate_features
from fima.presets.retrieval import RetrievalPreset

__all__ = ["Sets", "check_sets", "open_sets", "sets_of_checkpoint", "sets_of_tables"]

Tell = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]

_ALIKE = ("sha256", "seed", "arch", "settings", "input", "layer", "shown")


@dataclass(frozen=True)
class Sets:
    """Training and test videos, each with one vector per video and input.

    Attributes:
        train: input ("rgb", …) → the gallery.
        test: input → the queries.
        duplicates: ``(training, test)`` ids of videos that are in both, told by their content.
    """

    train: dict[str, FeatureSet]
    test: dict[str, FeatureSet]
    duplicates: list[tuple[str, str]]

    @property
    def skipped(self) -> dict[str, str]:
        """Videos of both that could not be read, with the reason."""
        first = next(iter(self.train))
        return {**self.train[first].skipped, **self.test[first].skipped}


def open_sets(args: argparse.Namespace, chosen: RetrievalPreset, inputs: Sequence[str], tell: Tell) -> Sets:
    """What the flags of ``fima knn`` and ``fima retrieve`` name.

    Raises:
        InputError: if they do not fit together, or what they name does not.
    """
    tables = args.features_train, args.features_test
    if any(tables) == bool(args.ckpt or args.data) or (any(tables) and not all(tables)):
        raise InputError("give --ckpt and --data, or --features-train and --features-test")
    if all(tables):
        if tuple(inputs) != ("rgb",):
            raise InputError("--inputs needs --ckpt and --data: a table holds the features of one input")
        return sets_of_tables(Path(args.features_train), Path(args.features_test), chosen)
    if not (args.ckpt and args.data):
        raise InputError(f"--{'data' if args.ckpt else 'ckpt'} is missing")
    return sets_of_checkpoint(args, chosen, inputs, tell)


def sets_of_tables(train: Path, test: Path, chosen: RetrievalPreset) -> Sets:
    """The sets of two tables of ``fima extract``.

    Raises:
        InputError: if they are not of one backbone, or `check_sets` finds something.
    """
    sets = [read_features(path, unit_clips=chosen.unit_clips) for path in (train, test)]
    first, second = (one.metadata for one in sets)
    for key in _ALIKE:
        if first and second and first.get(key) != second.get(key):
            raise InputError(f"{test}: {key} is {second.get(key)}, but that of {train} is {first.get(key)}")
    shown = str(first.get("shown", "rgb"))
    source = _source(first)
    one_source = source is not None and source == _source(second)
    contents = [dict(zip(one.video_ids, one.contents, strict=True)) for one in sets]
    twins = same_videos(*contents, one_source=one_source)
    return _checked(Sets({shown: sets[0]}, {shown: sets[1]}, twins), (str(train), str(test)))


def sets_of_checkpoint(args: argparse.Namespace, chosen: RetrievalPreset, inputs: Sequence[str], tell: Tell) -> Sets:
    """The sets of two splits, whose features are computed here.

    Raises:
        InputError: if no video can be read, or `check_sets` finds something.
    """
    data = [open_dataset(args.data, split=split) for split in (args.train_split, args.test_split)]
    names = [f"{args.data}, split {split}" for split in (args.train_split, args.test_split)]
    for part, name in zip(data, names, strict=True):
        if not len(part):
            raise InputError(f"{name}: there is no video in it")
    _check_classes(data[0].class_names, data[1].class_names, (names[0], names[1]))
    loaded, device = open_backbone(
        args.ckpt, arch=args.arch, seed=args.seed, trust=args.trust_checkpoint, input_spec=args.input_spec,
        device=args.device,
    )  # fmt: skip
    if chosen.input and args.input_spec is None:
        loaded = replace(loaded, input=loaded.input.replace(**chosen.input))

    def features(part: VideoDataset, split: str) -> dict[str, FeatureSet]:
        builders = {name: FeatureSetBuilder(unit_clips=chosen.unit_clips) for name in inputs}
        skipped: dict[str, str] = {}
        with tell(split) as progress:
            for one in iterate_features(
                loaded, part.records, chosen.protocol, inputs=inputs, layer=args.layer, batch_size=args.batch_size,
                device=device, threads=args.threads,
            ):  # fmt: skip
                if one.reason is not None:
                    skipped[one.record.video_id] = one.reason
                for name, vectors in one.vectors.items():
                    builders[name].add(one.record.video_id, one.record.label, vectors)
                progress(one.place + 1, len(part))
        if len(skipped) == len(part):
            raise InputError(f"none of the {len(part)} videos can be read; the first: {next(iter(skipped.values()))}")
        source = {"path": str(args.data), "split": split}
        return {
            name: builder.finish(part.class_names, _describe(loaded, part, chosen, source, name, args), skipped)
            for name, builder in builders.items()
        }

    train, test = features(data[0], args.train_split), features(data[1], args.test_split)
    return _checked(Sets(train, test, duplicates(*data)), (names[0], names[1]))


def check_sets(train: FeatureSet, test: FeatureSet, names: tuple[str, str]) -> None:
    """Refuse sets that cannot be compared.

    Args:
        train: the gallery.
        test: the queries.
        names: of both, for the message.

    Raises:
        InputError: if one is empty, a video has no label or one outside the classes, classes differ, or vectors are of
            other lengths.
    """
    for one, name in ((train, names[0]), (test, names[1])):
        if not len(one):
            raise InputError(f"{name}: there is no video in it")
        wrong = (one.labels < 0) | (one.labels >= len(one.class_names))
        if wrong.any():
            place = int(wrong.argmax())
            found = one.labels[place]
            what = "has no label" if found < 0 else f"has label {found}, expected 0 to {len(one.class_names) - 1}"
            raise InputError(f"{name}: {one.video_ids[place]} {what}")
    _check_classes(train.class_names, test.class_names, names)
    if train.vectors.shape[1] != test.vectors.shape[1]:
        lengths = f"{test.vectors.shape[1]} numbers, those of {names[0]} {train.vectors.shape[1]}"
        raise InputError(f"{names[1]}: its vectors have {lengths}")


def _checked(sets: Sets, names: tuple[str, str]) -> Sets:
    for shown, train in sets.train.items():
        check_sets(train, sets.test[shown], names)
    return sets


def _source(metadata: Mapping[str, Any]) -> Any:
    return (metadata.get("data") or {}).get("path")


def _check_classes(train: Sequence[str], test: Sequence[str], names: tuple[str, str]) -> None:
    if list(train) == list(test):
        return
    for label in range(max(len(train), len(test))):
        here, there = (repr(part[label]) if label < len(part) else "none" for part in (train, test))
        if here != there:
            raise InputError(f"classes disagree: label {label} is {here} in {names[0]}, {there} in {names[1]}")


def _describe(
    loaded: Any,
    part: VideoDataset,
    chosen: RetrievalPreset,
    source: dict[str, Any],
    shown: str,
    args: argparse.Namespace,
) -> dict[str, Any]:
    return describe_features(
        loaded, part, chosen.protocol, source=source, shown=shown, layer=args.layer, preset=chosen.name,
        seed=args.seed,
    )  # fmt: skip
