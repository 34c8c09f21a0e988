"""What ``fima knn`` and ``fima retrieve`` share. Imports no torch by itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fima.commands.flags import (
    SOME_SKIPPED,
    add_backbone_flags,
    add_protocol_flags,
    decisive,
    feature_request,
    inputs_of,
)
from fima.errors import InputError
from fima.files.claims import results_folder
from fima.files.writing import write_csv, write_json
from fima.progress import Progress

if TYPE_CHECKING:
    from fima.evaluation.neighbor_sets import Sets
    from fima.presets.retrieval import RetrievalPreset

__all__ = ["add_flags", "claimed", "finish", "open_sets", "positive", "save"]

_SHOWN = 3


def add_flags(parser: argparse.ArgumentParser, *, center: str) -> None:
    """Two sets of videos, how they are compared, and where to write."""
    add_backbone_flags(parser, required=False)
    parser.add_argument("--train-split", default="train", metavar="S", help="the gallery (default: train)")
    parser.add_argument("--test-split", default="test", metavar="S", help="the queries (default: test)")
    parser.add_argument("--features-train", metavar="FILE", help="instead of --ckpt and --data: of fima extract")
    parser.add_argument("--features-test", metavar="FILE", help="the queries' features")
    add_protocol_flags(parser)
    parser.add_argument("--center", metavar="HOW", help=f"none, train or each (default: {center})")
    parser.add_argument("--out", metavar="DIR", required=True, help="the folder to write into; made if missing")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier run wrote there")


def open_sets(args: argparse.Namespace, chosen: RetrievalPreset, inputs: Sequence[str]) -> Sets:
    """The two sets of videos that the flags name.

    Raises:
        InputError: if they do not fit together, or what they name does not.
    """
    from fima.evaluation.neighbor_sets import sets_of_checkpoint, sets_of_tables

    tables = args.features_train, args.features_test
    if any(tables) == bool(args.ckpt or args.data) or (any(tables) and not all(tables)):
        raise InputError("give --ckpt and --data, or --features-train and --features-test")
    if all(tables):
        if tuple(inputs) != ("rgb",):
            raise InputError("--inputs needs --ckpt and --data: a table holds the features of one input")
        return sets_of_tables(Path(args.features_train), Path(args.features_test), chosen)
    if not (args.ckpt and args.data):
        raise InputError(f"--{'data' if args.ckpt else 'ckpt'} is missing")
    splits = args.train_split, args.test_split
    return sets_of_checkpoint(
        feature_request(args), args.data, splits, chosen, inputs, partial(Progress, unit="videos")
    )


def positive(numbers: list[int], flag: str) -> list[int]:
    """The numbers, each once and ascending.

    Raises:
        InputError: if one is less than 1.
    """
    if min(numbers) < 1:
        raise InputError(f"{flag} must be at least 1, got {min(numbers)}")
    return sorted(set(numbers))


def claimed(args: argparse.Namespace, kind: str, *names: str) -> AbstractContextManager[Path]:
    """A scratch folder of the results' folder, with the files that both commands write and these."""
    return results_folder(
        args.out, kind, decisive(args), names=(f"{kind}.json", *names, "duplicates.csv", "skipped.csv"),
        inputs=inputs_of(args), overwrite=args.overwrite,
    )  # fmt: skip


def save(folder: Path, kind: str, content: Mapping[str, Any], sets: Sets) -> None:
    """Write the result, and what is to be warned of."""
    write_csv(folder / "duplicates.csv", ("test", "train"), ((test, train) for train, test in sets.duplicates))
    write_csv(folder / "skipped.csv", ("video", "reason"), sets.skipped)
    write_json(folder / f"{kind}.json", content)


def finish(folder: Path, content: Mapping[str, Any], sets: Sets) -> int:
    """Say what came out; returns the exit code."""
    from fima.evaluation.neighbor_report import score_lines

    duplicates = sets.duplicates
    if duplicates:
        first = ", ".join(f"{test} = {train}" for train, test in duplicates[:_SHOWN])
        more = ", …" if len(duplicates) > _SHOWN else ""
        place = folder / "duplicates.csv"
        sys.stderr.write(f"warning: {len(duplicates)} test videos are training videos too: {first}{more}; {place}\n")
    sys.stdout.writelines(f"{line}\n" for line in score_lines(content["scores"]))
    sys.stdout.write(f"{content['test']['used']} queries, {content['train']['used']} in the gallery: {folder}\n")
    if sets.skipped:
        sys.stdout.write(f"{len(sets.skipped)} videos cannot be read, listed in {folder / 'skipped.csv'}\n")
    return SOME_SKIPPED if sets.skipped else 0
