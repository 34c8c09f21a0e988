"""``fima-analyze judge``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from analysis.commands.flags import (
    SOME_SKIPPED,
    add_backbone_flags,
    add_folder_flags,
    add_video_flags,
    enough_memory,
    results,
    settings_from,
    show_progress,
)
from analysis.settings import DENSE
from fima.commands.flags import decisive

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "do checkpoints see what moves in clips with masks? beside twins and plain maps (goes on where it stopped)"
_CHECKPOINTS = ("small-fima", "tiny-fima")
_DATA = "shapes:natural,videos=16,size=112,pan=0.05"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add_backbone_flags(parser, " ".join(_CHECKPOINTS), several="what is judged")
    add_video_flags(parser)
    parser.set_defaults(show=2)
    parser.add_argument(
        "--dense", type=int, choices=DENSE, default=4,
        help="localization also by maps of this many times finer cells; 1: not (default: 4)",
    )  # fmt: skip
    add_folder_flags(parser, "judge")


def run(args: argparse.Namespace) -> int:
    """Measure what is not measured, and write and print the table."""
    asked, checkpoints, dense = decisive(args), args.ckpt or list(_CHECKPOINTS), args.dense
    args.ckpt, args.dense = None, 1
    args.data = args.data or (None if args.video else _DATA)
    settings = settings_from(args)
    from analysis.inputs.allocator import return_large_blocks
    from analysis.output import write_json
    from analysis.reproduction.judge import judge
    from fima.files.writing import write_text

    return_large_blocks()
    stem = "judge"
    if args.out and args.out.endswith(".md"):  # a file, as earlier versions took
        stem, args.out = Path(args.out).stem, str(Path(args.out).parent)
    kind = "judge" if stem == "judge" else f"judge {stem}"
    with enough_memory(), results(args, kind, asked, (f"{stem}.md", f"{stem}.json"), asked["ckpt"]) as folder:
        kept = Path(args.out) / f"{stem}-studies"
        command = shlex.join(["fima-analyze", *sys.argv[1:]])
        with show_progress("judge") as progress:
            made = judge(checkpoints, settings, dense=dense, kept=kept, progress=progress, command=command)
        write_text(folder / f"{stem}.md", f"{made.text()}\n")
        write_json(folder / f"{stem}.json", made.report())
    sys.stdout.write(f"{made.text()}\n\n")
    sys.stdout.writelines(f"{Path(args.out) / name}\n" for name in (f"{stem}.md", f"{stem}.json"))
    sys.stdout.writelines(f"skipped {video}: {why}\n" for video, why in made.skipped.items())
    return SOME_SKIPPED if made.skipped else 0
