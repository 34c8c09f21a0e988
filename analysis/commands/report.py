"""``fima-analyze report``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from analysis.commands.flags import (
    SOME_SKIPPED,
    add_backbone_flags,
    add_hop_flag,
    add_normalize_flag,
    add_video_flags,
    settings_from,
    show_progress,
)
from analysis.commands.study import SUMMARIES

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "run the notebooks for checkpoints and videos, with one index page"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add_backbone_flags(parser)
    add_video_flags(parser)
    for action in parser._actions:
        if action.dest == "ckpt":
            action.nargs = "+"
            action.help = "checkpoints, each with its own pages (default: tiny-fima)"
    add_hop_flag(parser)
    add_normalize_flag(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="the report's folder")
    parser.add_argument("--notebook", nargs="+", choices=tuple(SUMMARIES), default=tuple(SUMMARIES), help="which ones")
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="a notebook parameter that has no flag",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report in the folder")


def run(args: argparse.Namespace) -> int:
    """Execute the notebooks and write the index."""
    from analysis.report import Report, make_report

    checkpoints: tuple[str | None, ...] = tuple(args.ckpt or (None,))
    args.ckpt = checkpoints[0]
    report = Report(
        settings=settings_from(args), checkpoints=checkpoints, notebooks=tuple(args.notebook),
        parameters=dict(args.parameter), out=Path(args.out), overwrite=args.overwrite,
    )  # fmt: skip
    with show_progress("report") as progress:
        made = make_report(report, progress)
    sys.stdout.write(f"report: {made.index}\n")
    return SOME_SKIPPED if made.skipped else 0
