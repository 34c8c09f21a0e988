"""``fima finetune``: train a backbone with a classifier, or go on training it, and test it on many clips."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import Literal

__all__ = ["parse", "parse_task", "run"]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the flags by their types; ``config`` is None if there is nothing to run."""
    return parse_task(arguments, "finetune")


def parse_task(arguments: Sequence[str], task: Literal["finetune", "linear"]) -> argparse.Namespace:
    """The same for either command."""
    from fima.tasks.classify.parse import batch_is_given, parse_supervised

    command, config = shlex.join(["fima", task, *arguments]), parse_supervised(arguments, task)
    given = config is not None and batch_is_given(arguments, config)
    return argparse.Namespace(config=config, command=command, task=task, batch_given=given)


def run(args: argparse.Namespace) -> int:
    """Train and test.

    Raises:
        InputError: as `fima.tasks.classify.run.run_supervised`.
        TrainingError: likewise.
    """
    if args.config is None:
        return 0
    from fima.tasks.classify.run import run_supervised

    run_supervised(args.config, command=args.command, batch_given=args.batch_given)
    return 0
