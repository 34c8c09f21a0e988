"""``fima-analyze compare``."""

from __future__ import annotations

import argparse
import sys

from analysis.commands.flags import (
    SOME_SKIPPED,
    add_backbone_flags,
    add_out_flag,
    add_video_flags,
    enough_memory,
    results,
    settings_from,
    show_progress,
)
from analysis.commands.own_flags import add_own_flags
from analysis.inputs.backbone.checkpoints import DEFAULT_CHECKPOINTS
from fima.commands.flags import decisive

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "compare checkpoints on the same clips: figures side by side, paired intervals, curves over training"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add_backbone_flags(parser, " ".join(DEFAULT_CHECKPOINTS), several="the baseline, then others")
    add_video_flags(parser)
    add_own_flags(parser)
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--name", action="extend", nargs="+", metavar="NAME", help="of the checkpoints, in their order (default: files)"
    )
    group.add_argument(
        "--measure", action="extend", nargs="+", metavar="MEASURE",
        help="such as cam, affinity or attribution (default: cam, affinity, temporal, localize, mover, sensitivity)",
    )  # fmt: skip
    group.add_argument(
        "--no-untrained", dest="untrained", action="store_false",
        help="leave out the untrained twins, which are compared as well where no checkpoint is untrained",
    )  # fmt: skip
    add_out_flag(parser, "compare")


def run(args: argparse.Namespace) -> int:
    """Compare, and save figures, page and numbers."""
    checkpoints, args.ckpt = args.ckpt, None
    settings = settings_from(args)
    from analysis.compare import COMPARE_FILES, compare
    from analysis.inputs.allocator import return_large_blocks

    if args.data:
        return_large_blocks()
    asked = decisive(args) | {"ckpt": checkpoints}
    with enough_memory(), results(args, "compare", asked, COMPARE_FILES, checkpoints) as folder:
        with show_progress("compare") as progress:
            made = compare(
                settings, checkpoints, names=args.name, measures=args.measure, untrained=args.untrained,
                progress=progress,
            )  # fmt: skip
        files = made.save(args.out, tuple(args.format), into=folder)
    notes = [made.text(), ""]
    notes += [f"untrained weights: {', '.join(made.untrained)}"] if made.untrained else []
    notes += [f"left out: {measure}: {why}" for measure, why in made.left_out.items()]
    notes += [*map(str, files), *(f"skipped {video}: {reason}" for video, reason in made.skipped.items())]
    sys.stdout.write("\n".join(notes) + "\n")
    return SOME_SKIPPED if made.skipped else 0
