"""Cutting videos into training, validation and test, recordings kept whole, and writing that as lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.downstream.plan import SPLIT
from analysis.downstream.videos import Videos
from analysis.measures.common.probing import cut_folds, smallest_class
from fima.errors import InputError
from fima.files.writing import write_text

__all__ = ["Parts", "cut", "make_scopes", "write_lists"]

Ints = NDArray[np.int64]

_SEED = 0
_VALIDATION = 6
"""One in six training videos is held out to choose rates and epochs on."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Places of videos; no two parts share one.

    Attributes:
        train: that weights are trained on.
        validation: that rates and epochs are chosen on. Neighbors choose nothing: their gallery is both.
        test: that scores are of.
    """

    train: Ints
    validation: Ints
    test: Ints

    @property
    def gallery(self) -> Ints:
        """Training and validation, ascending."""
        return np.sort(np.concatenate([self.train, self.validation]))


def make_scopes(videos: Videos, folds: int | Literal["groups"]) -> dict[str, Parts]:
    """The data set's own split, and folds over all of its videos.

    Args:
        videos: of the data set.
        folds: K; 0: none; "groups": every recording is left out once.

    Returns:
        Scope → its parts; validation comes out of training, by the same rule as the folds. Equal videos give equal
        parts.

    Raises:
        InputError: if a class has too few videos or recordings.
    """
    everything = np.arange(len(videos))
    tests = {SPLIT: videos.test} if len(videos.test) else {}
    tests |= {f"fold{n + 1}": part for n, part in enumerate(_tests(videos, folds))}
    if not tests:
        raise InputError("--folds 0: the data set has no split of its own, so there is nothing to test on")
    scopes = {}
    for scope, test in tests.items():
        rest = videos.train if scope == SPLIT else np.setdiff1d(everything, test)
        held = rest[_validation(videos, rest)]
        scopes[scope] = Parts(np.setdiff1d(rest, held), held, test)
    return scopes


def _tests(videos: Videos, folds: int | Literal["groups"]) -> list[Ints]:
    """What is tested in each fold."""
    if folds == "groups":
        if videos.groups is None or len(np.unique(videos.groups)) < 3:
            raise InputError("--folds groups: needs at least three source recordings or people (--group)")
        return [np.flatnonzero(videos.groups == group) for group in np.unique(videos.groups)]
    if folds == 1 or folds < 0:
        raise InputError(f"--folds must be 0 (none), at least 2, or groups, got {folds}")
    return cut(videos.labels, videos.groups, folds) if folds else []


def cut(labels: Ints, groups: Ints | None, folds: int) -> list[Ints]:
    """K parts, each class spread over them as evenly as whole recordings allow.

    Args:
        labels: ``(V,)``.
        groups: ``(V,)`` recordings, which are not torn; None: every video is one of its own.
        folds: K, at least 2.

    Returns:
        K ascending arrays of places that together hold each video once.

    Raises:
        InputError: if a class has fewer than K recordings.

    Source: scikit-learn's StratifiedGroupKFold and StratifiedKFold, shuffled by a fixed seed.
    """
    least = smallest_class(labels, groups)
    if least < folds:
        what = "videos" if groups is None else "source recordings"
        raise InputError(f"--folds {folds}: the smallest class has only {least} {what}")
    return cut_folds(labels, groups, folds, seed=_SEED)


def _validation(videos: Videos, rest: Ints) -> Ints:
    """Which of some videos are held out: of six parts the one most like the whole in size and classes."""
    labels = videos.labels[rest]
    groups = None if videos.groups is None else videos.groups[rest]
    whole = np.bincount(labels, minlength=len(videos.class_names))
    least = smallest_class(labels, groups)
    if least < 2:
        raise InputError("a class has one training video or recording; to hold out validation it needs two")
    parts = cut(labels, groups, min(_VALIDATION, least))
    distance = [np.abs(np.bincount(labels[part], minlength=len(whole)) - whole / len(parts)).sum() for part in parts]
    return parts[int(np.argmin(distance))]


def write_lists(folder: Path, videos: Videos, scopes: Mapping[str, Parts]) -> None:
    """Write ``all.csv`` and, for each scope, a folder of train.csv, val.csv and test.csv (rows of path, class).

    A file that is there and says the same is left alone.

    Raises:
        InputError: for a path or a class with a comma in it, or lists that are there and say something else: jobs in
            that folder belong to other videos.
    """
    everything = np.arange(len(videos))
    wanted = {folder / "all.csv": _rows(videos, everything)}
    for scope, parts in scopes.items():
        for name, places in (("train", parts.train), ("val", parts.validation), ("test", parts.test)):
            wanted[folder / scope / f"{name}.csv"] = _rows(videos, places)
    for path, text in wanted.items():
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{path}: is of other videos or folds; give another --runs, or the same --data and --group"
            )
    for path, text in wanted.items():
        if not path.is_file():
            write_text(path, text, errors="surrogateescape")


def _rows(videos: Videos, places: Ints) -> str:
    lines = []
    for place in places:
        path, name = str(videos.paths[place]), videos.class_names[videos.labels[place]]
        if any(sign in path + name for sign in (",", "\t", "::", "\n")):
            raise InputError(f"{path}: a comma, tab or :: in its path or in its class {name!r} cannot be listed")
        lines.append(f"{path},{name}\n")
    return "".join(lines)
