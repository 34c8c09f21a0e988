"""``fima-analyze reproduce``."""

from __future__ import annotations

import argparse
import shlex
import sys

from analysis.commands.flags import tell
from fima.errors import InputError

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "train all methods alike on moving shapes, and measure what they learnt (hours; goes on where it stopped)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    from analysis.reproduction.plan import BUDGETS, METHODS, WITHOUT

    parser.add_argument("--budget", choices=tuple(BUDGETS), default="small", help="how much to spend (default: small)")
    six = [name for name in METHODS if name not in WITHOUT]
    parser.add_argument(
        "--methods", nargs="+", default=six, metavar="NAME",
        help=f"default: {' '.join(six)}; FIMA without one part, if asked for: {' '.join(WITHOUT)}",
    )  # fmt: skip
    parser.add_argument(
        "--regimes", nargs="+", default=["camera"], metavar="NAME",
        help="with knobs: natural,textures=DIR of ten pictures or more (default: camera)",
    )  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="S", help="default: 0")
    parser.add_argument("--runs", default="runs/reproduction", metavar="DIR", help="trainings (default: %(default)s)")
    parser.add_argument("--out", default="reports/reproduction", metavar="DIR", help="the page (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace the page of another budget that is there")
    parser.add_argument("--lanes", type=int, default=2, metavar="N", help="trainings at a time (default: 2)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the processor, each (default: 1)")
    parser.add_argument("--device", default="cpu", help="to score on (default: cpu)")
    parser.add_argument("--no-training", action="store_true", help="only what is trained by now")
    parser.add_argument("--curves", action="store_true", help="also score the checkpoints kept on the way, and draw it")


def run(args: argparse.Namespace) -> int:
    """Train what is not trained, score it, and write the page."""
    from analysis.reproduction.plan import BUDGETS, plan_runs

    if args.lanes < 1 or args.threads < 1:
        raise InputError(f"--lanes and --threads must be at least 1, got {args.lanes} and {args.threads}")
    runs = plan_runs(BUDGETS[args.budget], args.runs, args.methods, args.regimes, args.seeds)
    from analysis.reproduction.run import reproduce

    page = reproduce(
        runs, args.out, lanes=args.lanes, threads=args.threads, device=args.device, training=not args.no_training,
        overwrite=args.overwrite, curves=args.curves, command=shlex.join(["fima-analyze", *sys.argv[1:]]), tell=tell,
    )  # fmt: skip
    sys.stdout.write(f"{page}\n")
    return 0
