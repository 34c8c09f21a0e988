"""``fima-analyze``: see inside a video backbone from the command line.

Importing this module, and ``--help``, import neither torch nor matplotlib.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from analysis.commands import embed, study
from analysis.measures.registry import MEASURES, STUDIES
from fima.commands.base import Parser, add_global_flags, begin, run

__all__ = ["COMMANDS", "main"]

COMMANDS = (
    "layers",
    "compare",
    "explore",
    "gallery",
    "figure",
    "downstream",
    "classes",
    "bias",
    "report",
    "reproduce",
    "judge",
    "worlds",
)
"""Beside the measures of the registry; each is a module of ``analysis.commands``."""
_ALIASES = {"embedding": ("embed",)}

_EPILOG = """\
examples:
  fima-analyze affinity                                  the backbone that comes along, on a drawn clip
  fima-analyze cam --ckpt fima.pth.tar --video my.mp4    your checkpoint on your video
  fima-analyze temporal --ckpt fima.pth.tar --data UCF101 --split test1
  fima-analyze report --ckpt fima.pth.tar --video a.mp4 b.mp4 --out reports/fima
  fima-analyze compare --ckpt random moco.pth.tar fima.pth.tar --data UCF101 --split test1
exit codes: 0 done, 2 bad input, 3 done but some videos of --data were skipped, 70 a fault of
  fima (--traceback shows it), 130 or 143 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fima-analyze``; returns the exit code."""
    arguments, shown = begin(argv)
    args = _parser().parse_args(arguments)
    args.traceback = shown
    return run(args.run, args, f"fima-analyze {args.command}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fima-analyze",
        description="See, and measure, what a video backbone attends to.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_global_flags(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for measure in STUDIES:
        words = MEASURES[measure].summary
        subparser = commands.add_parser(measure, aliases=_ALIASES.get(measure, ()), help=words, description=words)
        study.add_arguments(subparser, measure)
        subparser.set_defaults(run=study.run)
        if measure == "embedding":
            embed.add_arguments(subparser)
    for name in COMMANDS:
        module = importlib.import_module(f"analysis.commands.{name}")
        subparser = commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
