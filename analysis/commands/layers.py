"""``fima-analyze layers``."""

from __future__ import annotations

import argparse

from analysis.commands.flags import add_backbone_flags, settings_from

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "list the layers that --layer can read, with their shapes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add_backbone_flags(parser)
    parser.add_argument("--seed", type=int, default=0, help="seed of untrained weights")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print the layers."""
    from analysis.inputs.backbone.layers import list_layers, print_layers
    from analysis.studies import open_session

    session = open_session(settings_from(args))
    print_layers(list_layers(session), session.spec.size, as_json=args.json)
    return 0
