"""``fima linear``: train a classifier on a frozen backbone, and test it on many clips."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fima.commands.finetune import parse_task, run

__all__ = ["parse", "run"]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the flags by their types; ``config`` is None if there is nothing to run."""
    return parse_task(arguments, "linear")
