"""The two sets of features that nearest neighbors are looked for in: from a checkpoint, or from tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fima.checkpoints import LoadedBackbone
from fima.data.datasets import VideoDataset, open_dataset
from fima.data.duplicates import same_videos
from fima.errors import InputError
from fima.evaluation.backbone import FeatureRequest
from fima.evaluation.checks import check_same_classes, duplicates
from fima.evaluation.extract import describe_features
from fima.evaluation.feature_store import FeatureSet, FeatureSetBuilder, read_features
from fima.evaluation.features import iterate_features
from fima.presets.retrieval import RetrievalPreset

__all__ = ["Sets", "check_sets", "sets_of_checkpoint", "sets_of_tables"]

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


def sets_of_checkpoint(
    request: FeatureRequest, data: str, splits: tuple[str, str], chosen: RetrievalPreset, inputs: Sequence[str],
    tell: Tell,
) -> Sets:  # fmt: skip
    """The sets of two splits, whose features are computed here.

    Args:
        request: the backbone.
        data: the data set.
        splits: of training and of test.
        chosen: which clips, and how they are averaged.
        inputs: what of a clip the backbone is shown, each for itself.
        tell: name of a split → a context that gives a function of (videos done, videos in all).

    Raises:
        InputError: if no video can be read, or `check_sets` finds something.
    """
    train, test = (open_dataset(data, split=split) for split in splits)
    names = f"{data}, split {splits[0]}", f"{data}, split {splits[1]}"
    for part, name in zip((train, test), names, strict=True):
        if not len(part):
            raise InputError(f"{name}: there is no video in it")
    check_same_classes(train.class_names, test.class_names, f"the classes of {names[0]} and {names[1]}")
    loaded, device = request.open(chosen.input)
    request = replace(request, device=str(device))
    sets = []
    for part, split in zip((train, test), splits, strict=True):
        about = partial(
            describe_features, loaded, part, chosen.protocol, source={"path": str(data), "split": split},
            layer=request.layer, preset=chosen.name, seed=request.seed,
        )  # fmt: skip
        with tell(split) as progress:
            sets.append(
                _features(request, loaded, part, chosen, {shown: about(shown=shown) for shown in inputs}, progress)
            )
    return _checked(Sets(sets[0], sets[1], duplicates(train, test)), names)


def _features(
    request: FeatureRequest,
    loaded: LoadedBackbone,
    part: VideoDataset,
    chosen: RetrievalPreset,
    about: Mapping[str, Mapping[str, Any]],
    progress: Callable[[int, int], None],
) -> dict[str, FeatureSet]:
    """One vector for each video and input, in constant memory but for those; ``about``: input → its metadata."""
    builders = {shown: FeatureSetBuilder(unit_clips=chosen.unit_clips) for shown in about}
    skipped: dict[str, str] = {}
    for video in iterate_features(
        loaded, part.records, chosen.protocol, inputs=tuple(about), layer=request.layer, batch_size=request.batch_size,
        device=request.device, threads=request.threads,
    ):  # fmt: skip
        if video.reason is not None:
            skipped[video.record.video_id] = video.reason
        for shown, vectors in video.vectors.items():
            builders[shown].add(video.record.video_id, video.record.label, vectors)
        progress(video.place + 1, len(part))
    if len(skipped) == len(part):
        raise InputError(f"none of the {len(part)} videos can be read; the first: {next(iter(skipped.values()))}")
    return {shown: builder.finish(part.class_names, about[shown], skipped) for shown, builder in builders.items()}


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
    check_same_classes(train.class_names, test.class_names, f"the classes of {names[0]} and {names[1]}")
    if train.vectors.shape[1] != test.vectors.shape[1]:
        lengths = f"{test.vectors.shape[1]} numbers, those of {names[0]} {train.vectors.shape[1]}"
        raise InputError(f"{names[1]}: its vectors have {lengths}")


def _checked(sets: Sets, names: tuple[str, str]) -> Sets:
    for shown, train in sets.train.items():
        check_sets(train, sets.test[shown], names)
    return sets


def _source(metadata: Mapping[str, Any]) -> Any:
    return (metadata.get("data") or {}).get("path")
