"""``fima-analyze gallery``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from analysis.commands.flags import SOME_SKIPPED, add_folder_flags, enough_memory, results, show_progress
from analysis.settings import DEFAULT_CKPT
from fima.commands.flags import add_backbone_flags, add_protocol_flags, decisive, feature_request
from fima.errors import InputError

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "retrieval gallery: queries with their nearest training videos, and whether appearance alone finds the same"

_EPILOG = """\
DIR gets index.html (one file; hover or focus plays a clip), gallery.json (the numbers), neighbors.csv (all queries)
and skipped.csv. Every query is looked for three times with the same backbone: as it is, with its middle frame only,
and with its frame difference only.

examples:
  fima-analyze gallery --data shapes:camera,videos=200
  fima-analyze gallery --data UCF101 --train-split train1 --test-split test1 --ckpt runs/x/last.ckpt --queries 40
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    add_backbone_flags(parser, required=False)
    parser.set_defaults(ckpt=DEFAULT_CKPT)
    parser.add_argument("--train-split", default="train", metavar="SPLIT", help="searched in (default: train)")
    parser.add_argument("--test-split", default="test", metavar="SPLIT", help="queries (default: test)")
    add_protocol_flags(parser)
    parser.add_argument("--center", metavar="HOW", help="none, train or each (default: the preset's)")
    parser.add_argument(
        "--queries", type=int, default=24, metavar="N", help="on the page, of all classes alike (default: 24)"
    )
    add_folder_flags(parser, "retrieval")


def run(args: argparse.Namespace) -> int:
    """Search, write and print.

    Raises:
        InputError: If a flag, the checkpoint or the videos cannot be used.
    """
    if args.data is None:
        raise InputError("--data is missing: a data set of videos with labels, or shapes:REGIME")
    if args.queries < 1:
        raise InputError(f"--queries must be at least 1, got {args.queries}")
    from analysis.gallery.building import build_gallery
    from fima.evaluation.neighbor_report import score_lines
    from fima.presets.retrieval import retrieval_preset

    chosen = retrieval_preset(args.preset, clips=args.clips, center=args.center)
    given = None if args.ckpt == DEFAULT_CKPT else [args.ckpt]
    certain = ("index.html", "gallery.json", "neighbors.csv", "skipped.csv")
    with enough_memory(), results(args, "gallery", decisive(args), certain, given) as folder:
        gallery = build_gallery(
            feature_request(args), args.data, (args.train_split, args.test_split), chosen, show_progress,
            queries=args.queries, command=["fima-analyze", *sys.argv[1:]],
        )  # fmt: skip
        gallery.save(folder)
        names = sorted(path.name for path in folder.iterdir())
    lines = [*score_lines(gallery.content["scores"]), *(str(Path(args.out) / name) for name in names)]
    if gallery.content["duplicates"]:
        pairs = ", ".join(f"{test} = {train}" for train, test in gallery.content["duplicates"][:3])
        lines.append(f"warning: {len(gallery.content['duplicates'])} queries are training videos too, such as {pairs}")
    lines += [f"skipped {video}: {reason}" for video, reason in gallery.skipped.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return SOME_SKIPPED if gallery.skipped else 0
