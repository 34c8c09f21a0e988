"""``fima-analyze worlds``."""

from __future__ import annotations

import argparse
import sys

from analysis.commands.flags import add_out_flag, results
from fima.commands.flags import decisive
from fima.data.shapes.world import REGIMES
from fima.errors import InputError

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "what drawn worlds look like and what is known of them: frames, outlines, flow"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        "worlds", nargs="*", metavar="WORLD", help=f"shapes:REGIME[,KNOB=VALUE...] (default: {', '.join(REGIMES)})"
    )
    parser.add_argument("--split", help="train, val or test (default: test)", default="test")
    parser.add_argument("--number", type=int, default=0, help="which video of its split (default: 0)")
    parser.add_argument("--columns", type=int, default=4, help="frames of each, 1 to 8 (default: 4)")
    add_out_flag(parser, "worlds")


def run(args: argparse.Namespace) -> int:
    """Draw the worlds' figure.

    Raises:
        InputError: For a world, split or number that is none.
    """
    if not 1 <= args.columns <= 8:
        raise InputError(f"--columns must be 1 to 8, got {args.columns}")
    from analysis.plotting.style import save_figure
    from analysis.plotting.worlds import draw_worlds
    from fima.data.shapes import open_shapes

    videos = {}
    for text in args.worlds or [f"shapes:{regime}" for regime in REGIMES]:
        if not text.startswith("shapes:"):
            raise InputError(f"WORLD must be shapes:REGIME[,KNOB=VALUE...], got {text!r}")
        records = open_shapes(text, split=args.split).records
        if not 0 <= args.number < len(records):
            raise InputError(f"--number must be 0 to {len(records) - 1} of {text}, got {args.number}")
        videos[text.removeprefix("shapes:")] = records[args.number].draw()
    formats = tuple(dict.fromkeys(args.format))
    names = [f"worlds.{kind}" for kind in formats]
    with results(args, "worlds", decisive(args), names) as folder:
        figure = draw_worlds(videos, args.columns)
        for kind, name in zip(formats, names, strict=True):
            save_figure(figure, folder / name, kind)
    sys.stdout.write("".join(f"{args.out}/{name}\n" for name in names))
    return 0
