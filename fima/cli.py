"""The command ``fima``. Subcommands are imported when they are asked for, so that ``fima --help`` is quick."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fima.commands.base import Parser, add_global_flags, begin, run

__all__ = ["COMMANDS", "Command", "main"]


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        name: what is typed.
        summary: one line for ``fima --help``.
        module: has ``add_arguments(parser)`` and ``run(args) -> int``; what is slow to import it imports in ``run``.
        typed: its flags are a typed configuration: the module has ``parse(arguments) -> args`` instead.
    """

    name: str
    summary: str
    module: str
    typed: bool = False


COMMANDS: tuple[Command, ...] = (
    Command("pretrain", "train a method by a recipe, or go on training it", "fima.commands.pretrain", typed=True),
    Command("export", "write a checkpoint as the reference code does, or its backbone alone", "fima.commands.export"),
    Command(
        "prepare", "re-encode a data set for training: small videos that are quick to seek in", "fima.commands.prepare"
    ),
    Command("shapes", "write a procedural data set whose truth is known: videos, masks, flow", "fima.commands.shapes"),
    Command(
        "finetune", "train a backbone with a classifier and test it on many clips", "fima.commands.finetune", typed=True
    ),
    Command(
        "linear",
        "train a classifier on a frozen backbone and test it on many clips",
        "fima.commands.linear",
        typed=True,
    ),
    Command("extract", "the features of a data set's videos, as a table", "fima.commands.extract"),
    Command("knn", "classify test videos by their nearest training videos' classes", "fima.commands.knn"),
    Command("retrieve", "find training videos of the same class as each test video", "fima.commands.retrieve"),
    Command("detect", "train an action detector on AVA and measure its frame-mAP", "fima.commands.detect"),
    Command("table", "results of several checkpoints in one table: Markdown, LaTeX or csv", "fima.commands.table"),
    Command("info", "what a checkpoint is, what it expects, and where each of its entries goes", "fima.commands.info"),
    Command("doctor", "whether what is installed works together, and what is missing for what", "fima.commands.doctor"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fima``.

    Args:
        argv: without the program's name; by default those of the process.

    Returns:
        The exit code: 0 done, 2 bad input (one line on stderr), others as `fima.commands.base` has them.
    """
    arguments, shown = begin(argv)
    typed = next((c for c in COMMANDS if c.typed and arguments[:1] == [c.name]), None)
    if typed is not None:
        module = importlib.import_module(typed.module)
        rest = argparse.Namespace(arguments=arguments[1:], traceback=shown)
        return run(lambda args: module.run(module.parse(args.arguments)), rest, f"fima {typed.name}")
    try:
        args = _parser(arguments).parse_args(arguments)
    except SystemExit as stop:  # argparse leaves this way after --help and after its own errors
        return int(stop.code or 0)
    args.traceback = shown
    return run(args.run, args, f"fima {args.command}")


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(prog="fima", description="Train a motion-aware video representation; look into checkpoints.")
    add_global_flags(parser)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.summary, description=command.summary)
        if command.name in arguments:
            module = importlib.import_module(command.module)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
