"""``fima-analyze report``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from analysis.commands.flags import (
    SOME_SKIPPED,
    add_backbone_flags,
    add_video_flags,
    enough_memory,
    settings_from,
    show_progress,
)
from analysis.commands.own_flags import add_own_flags
from analysis.measures.registry import STUDIES

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "every measure of some checkpoints as one page to send around, with figures and numbers beside it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add_backbone_flags(parser, several="checkpoints side by side, differences from the first")
    add_video_flags(parser)
    add_own_flags(parser)
    group = parser.add_argument_group("report")
    group.add_argument("--out", required=True, metavar="DIR", help="the report's folder; its page is index.html")
    group.add_argument(
        "--measure", action="extend", nargs="+", choices=STUDIES, metavar="MEASURE",
        help=f"which of {', '.join(STUDIES)} (default: all that apply, but faithfulness)",
    )  # fmt: skip
    notebooks = group.add_mutually_exclusive_group()
    notebooks.add_argument(
        "--notebooks", action="store_true", help="run every measure as its notebook and keep it (several times as long)"
    )
    notebooks.add_argument(
        "--notebook", action="extend", nargs="+", choices=STUDIES, metavar="MEASURE", help="the same for some measures",
    )  # fmt: skip
    notebooks.add_argument("--no-notebooks", action="store_true", help=argparse.SUPPRESS)  # the default by now
    group.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="a setting that has no flag",
    )  # fmt: skip
    group.add_argument("--overwrite", action="store_true", help="replace an earlier report in the folder")


def run(args: argparse.Namespace) -> int:
    """Measure, and write page, notebooks and results."""
    from analysis.inputs.allocator import return_large_blocks
    from analysis.report import Report, make_report

    if args.data:
        return_large_blocks()
    checkpoints: tuple[str | None, ...] = tuple(args.ckpt or (None,))
    args.ckpt = None
    notebooks = None if args.notebooks else tuple(args.notebook or ())
    report = Report(
        settings=settings_from(args), checkpoints=checkpoints, notebooks=notebooks, parameters=dict(args.parameter),
        out=Path(args.out), overwrite=args.overwrite, measures=args.measure and tuple(args.measure),
    )  # fmt: skip
    with enough_memory(), show_progress("report") as progress:
        made = make_report(report, progress, progress.tell)
    sys.stdout.write(f"report: {made.index}\n")
    return SOME_SKIPPED if made.skipped else 0
