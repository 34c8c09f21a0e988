"""``fima-analyze bias``."""

from __future__ import annotations

import argparse
import shlex
import sys

from analysis.commands.flags import (
    add_backbone_flags,
    add_out_flag,
    enough_memory,
    results,
    settings_from,
    show_progress,
)
from analysis.measures.registry import MEASURES
from fima.commands.flags import decisive

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = MEASURES["bias"].summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    from fima.data.shapes import REGIMES

    add_backbone_flags(parser, several="one or several")
    group = parser.add_argument_group("drawn videos")
    group.add_argument(
        "--regime", default="camera", metavar="NAME",
        help=f"their world: {', '.join(REGIMES)}; with knobs natural,textures=DIR (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--videos", nargs=2, type=int, default=[800, 500], metavar=("TRAIN", "TEST"),
        help="how many; half as many as of TEST choose the probe's regularization (default: 800 500)",
    )  # fmt: skip
    group.add_argument(
        "--correlation", type=float, default=0.9, metavar="P",
        help="share of the videos whose background tells the class, in [0, 1] (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--batch-size", type=int, default=32, metavar="N", help="clips per forward pass (default: 32)")
    group.add_argument("--seed", type=int, default=0, help="seed of untrained weights")
    add_out_flag(parser, "bias")


def run(args: argparse.Namespace) -> int:
    """Measure the gaps, and save figure and numbers."""
    checkpoints, args.ckpt = args.ckpt, None
    settings = settings_from(args)
    from analysis.inputs.allocator import return_large_blocks
    from analysis.studies.bias.result import BIAS_FILES, compare_bias

    return_large_blocks()
    asked = decisive(args) | {"ckpt": checkpoints}
    names = [*BIAS_FILES, *(f"bias.{kind}" for kind in args.format)]
    with enough_memory(), results(args, "bias", asked, names, checkpoints) as folder:
        with show_progress("bias") as progress:
            result = compare_bias(
                settings, checkpoints, regime=args.regime, videos=tuple(args.videos), correlation=args.correlation,
                command=shlex.join(["fima-analyze", *sys.argv[1:]]), progress=progress,
            )  # fmt: skip
        files = result.save(args.out, tuple(dict.fromkeys(args.format)), into=folder)
    notes = result.lines()
    if result.untrained:
        notes.append(f"untrained weights: {', '.join(result.untrained)}")
    sys.stdout.write("\n".join([*notes, *map(str, files)]) + "\n")
    return 0
