"""What the commands that read features share: flags, the exit code for skipped videos. Imports no torch."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fima.checkpoints.shipped import SHIPPED
from fima.presets.loader import preset_names

if TYPE_CHECKING:
    from fima.evaluation.backbone import FeatureRequest

__all__ = [
    "CKPT_HELP",
    "SOME_SKIPPED",
    "add_backbone_flags",
    "add_protocol_flags",
    "decisive",
    "feature_request",
    "inputs_of",
]

CKPT_HELP = f"a file, {', '.join(SHIPPED)}, or random"
"""What ``--ckpt`` takes, in words."""

SOME_SKIPPED = 3
"""Exit code of a run that is complete but for videos that cannot be read (listed beside what it writes)."""


def add_backbone_flags(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Which backbone, which videos, and how they are run."""
    parser.add_argument("--ckpt", metavar="CKPT", required=required, help=CKPT_HELP)
    parser.add_argument("--arch", metavar="NAME", help="architecture; default: from the file (random: tiny)")
    parser.add_argument("--input-spec", metavar="SPEC", help="a file, or words such as num_frames=8;size=224")
    parser.add_argument("--trust-checkpoint", action="store_true", help="read the file even if that runs code in it")
    parser.add_argument(
        "--data", metavar="DIR", required=required, help="a data set or list, or shapes:REGIME (see docs/datasets.md)"
    )
    parser.add_argument("--layer", metavar="NAME", help="whose feature map is averaged (default: the output)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, … (default: auto)")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="views at a time (default: 32)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="that decode (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of random weights and draws (default: 0)")


def feature_request(args: argparse.Namespace, *, device: str | None = None) -> FeatureRequest:
    """What the flags of `add_backbone_flags` ask for; ``device``: instead of the flag's."""
    from fima.evaluation.backbone import FeatureRequest

    return FeatureRequest(
        args.ckpt, args.arch, args.input_spec, args.trust_checkpoint, device or args.device, args.seed, args.layer,
        args.batch_size, args.threads,
    )  # fmt: skip


def add_protocol_flags(parser: argparse.ArgumentParser) -> None:
    """Which clips and crops."""
    presets = ", ".join(preset_names("retrieval"))
    parser.add_argument("--preset", default="fima", metavar="NAME", help=f"one of {presets} (default: fima)")
    parser.add_argument("--clips", type=int, metavar="K", help="of a video, evenly spread (default: the preset's)")


_NOT_DECISIVE = {"out", "overwrite", "device", "threads", "batch_size", "workers", "lanes", "format", "show"}
_NOT_DECISIVE |= {"command", "run", "traceback", "trust_checkpoint", "no_training"}


_READ = ("average", "ckpt", "checkpoint", "video", "data", "masks", "features", "features_train", "features_test",
         "runs", "boxes")  # fmt: skip


def decisive(args: argparse.Namespace) -> dict[str, Any]:
    """The flags that a result depends on, for its claim."""
    return {name: value for name, value in vars(args).items() if name not in _NOT_DECISIVE}


def inputs_of(args: argparse.Namespace) -> list[str]:
    """The files that were named on the command line to be read; some are given as NAME=FILE."""
    given = (getattr(args, name, None) for name in _READ)
    words = [str(word) for value in given if value for word in (value if isinstance(value, list | tuple) else [value])]
    return words + [word.partition("=")[2] for word in words if "=" in word]
