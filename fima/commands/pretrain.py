"""``fima pretrain``: train a method by a recipe, or go on training it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

__all__ = ["parse", "run"]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the flags by their types (`fima.tasks.pretrain.recipes`); ``config`` is None if there is nothing to run."""
    from fima.tasks.pretrain.recipes import parse_pretrain

    return argparse.Namespace(config=parse_pretrain(arguments))


def run(args: argparse.Namespace) -> int:
    """Train.

    Raises:
        InputError: as `fima.tasks.pretrain.run.pretrain`.
        TrainingError: likewise.
    """
    if args.config is None:
        return 0
    from fima.tasks.pretrain.run import pretrain

    pretrain(args.config)
    return 0
