"""``fima-analyze embed``: the measure ``embedding``, of videos or of a table of features."""

from __future__ import annotations

import argparse

from analysis.commands import study
from analysis.commands.flags import SOME_SKIPPED, enough_memory, results, settings_from
from fima.errors import InputError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--features``, beside the flags of the measure."""
    parser.add_argument(
        "--features", metavar="FILE", help="instead of backbone and videos: a table that fima extract wrote"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the map and save it.

    Raises:
        InputError: for a table that cannot be used, or flags about videos beside one.
    """
    if args.features is None:
        return study.run(args)
    given = [name for name in settings_from(args).changed() if name != "seed"]
    if given:
        flag = given[0].replace("_", "-")
        raise InputError(
            f"--{flag}: is about a backbone and videos; --features {args.features} holds finished features"
        )
    from analysis.studies.common.files import study_names
    from analysis.studies.embedding.table import run_on_table

    asked = {"features": args.features, "seed": args.seed}
    with enough_memory(), results(args, args.measure, asked, study_names(args.measure, args.format)) as folder:
        made = run_on_table(args.features, seed=args.seed)
        files = made.save(args.out, tuple(dict.fromkeys(args.format)), into=folder)
    study.print_study(made, files)
    return SOME_SKIPPED if made.skipped else 0
