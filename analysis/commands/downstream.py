"""``fima-analyze downstream``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from analysis.commands.flags import SOME_SKIPPED, tell
from fima.checkpoints.shipped import SHIPPED
from fima.commands.types import whole
from fima.errors import InputError

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "checkpoints on a labeled data set: probe, k-NN, retrieval, fine-tuning, in pairs (goes on where it stopped)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    from analysis.downstream.plan import ASKED, SHOWN

    parser.add_argument("--data", metavar="DIR", required=True, help="a data set with classes (docs/datasets.md)")
    parser.add_argument(
        "--ckpt",
        nargs="+",
        required=True,
        metavar="NAME=PATH",
        help=f"files by name; also random, {', '.join(SHIPPED)}",
    )
    parser.add_argument("--arch", metavar="NAME", help="of random weights (default: the first trained checkpoint's)")
    parser.add_argument("--train-split", metavar="S", help="of the data set (default: train, if it has one)")
    parser.add_argument("--test-split", metavar="S", help="of the data set (default: test, if it has one)")
    parser.add_argument(
        "--group", metavar="RULE",
        help="which recording a video is from: FILE.csv:COLUMN, a regular expression on its id (its first group), or "
        "none (default: the data set's annotations/groups.csv, if it has one)",
    )  # fmt: skip
    parser.add_argument("--tasks", nargs="+", default=list(ASKED), metavar="T", help=f"default: {' '.join(ASKED)}")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="S", help="default: 0 1 2")
    parser.add_argument(
        "--shown", nargs="+", default=["rgb"], choices=list(SHOWN), metavar="HOW",
        help="of the clips, to all tasks but fine-tuning: some of rgb (in order), shuffled, static (one frame)",
    )  # fmt: skip
    parser.add_argument(
        "--folds", type=_folds, default=5, metavar="K",
        help="over all videos; groups: each recording or person is left out once; 0: none (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--fold-seeds", nargs="+", type=int, metavar="S", help="of fine-tuning on folds (default: the first seed)"
    )
    parser.add_argument("--runs", default="runs/downstream", metavar="DIR", help="the jobs (default: %(default)s)")
    parser.add_argument("--out", default="reports/downstream", metavar="DIR", help="the page (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace the page of another study that is there")
    parser.add_argument("--lanes", type=int, default=1, metavar="N", help="processes at a time (default: 1)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the processor, each (default: 1)")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="of features and fine-tuning (default: cpu)"
    )
    parser.add_argument("--no-training", action="store_true", help="only what is finished by now")


def _folds(text: str) -> int | str:
    return text if text == "groups" else whole(text)


def run(args: argparse.Namespace) -> int:
    """Do what is not done, and write the page."""
    from analysis.downstream.plan import parse_checkpoints

    if args.lanes < 1 or args.threads < 1:
        raise InputError(f"--lanes and --threads must be at least 1, got {args.lanes} and {args.threads}")
    checkpoints = parse_checkpoints(args.ckpt)
    from analysis.downstream.run import study
    from analysis.downstream.videos import open_videos

    videos = open_videos(args.data, train_split=args.train_split, test_split=args.test_split, group=args.group)
    report = study(
        videos, checkpoints, Path(args.runs), Path(args.out), tasks=args.tasks, seeds=args.seeds,
        fold_seeds=args.fold_seeds or args.seeds[:1], folds=args.folds, shown=args.shown, arch=args.arch,
        lanes=args.lanes, threads=args.threads, device=args.device, training=not args.no_training, data=args.data,
        command=shlex.join(["fima-analyze", *sys.argv[1:]]), overwrite=args.overwrite, tell=tell,
    )  # fmt: skip
    sys.stdout.writelines(f"{line}\n" for line in report.conclusions)
    sys.stdout.write(f"{Path(args.out) / 'index.html'}\n")
    return SOME_SKIPPED if report.unreadable() else 0
