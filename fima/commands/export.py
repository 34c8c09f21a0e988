"""``fima export``: a checkpoint of ours in a form that other programs read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from fima.commands.flags import inputs_of
from fima.errors import InputError
from fima.files.claims import claim_file

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima export``."""
    parser.add_argument("checkpoint", metavar="CKPT", help="a checkpoint of fima pretrain, or any that fima info reads")
    parser.add_argument("out", metavar="OUT", help="the file to write")
    parser.add_argument(
        "--format",
        choices=("fima", "backbone"),
        required=True,
        help="fima: the whole method as the reference code writes it; backbone: the query encoder alone",
    )
    parser.add_argument("--arch", metavar="NAME", help="architecture, for files whose keys do not tell")
    parser.add_argument(
        "--input-spec", metavar="SPEC", help="what the backbone is to be fed instead, such as size=112 (backbone)"
    )
    parser.add_argument(
        "--average", metavar="CKPT", nargs="+", default=[], help="the mean of the weights with these runs' (backbone)"
    )
    parser.add_argument("--trust-checkpoint", action="store_true", help="read the file even if that runs code in it")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if an earlier export wrote it")


def run(args: argparse.Namespace) -> int:
    """Write the file.

    Raises:
        InputError: if the checkpoint cannot be used, or OUT is there.
    """
    out = Path(args.out)
    if args.input_spec and args.format == "fima":
        raise InputError("--input-spec: goes with --format backbone; a method's file says how it was trained")
    if args.average and args.format == "fima":
        raise InputError("--average: goes with --format backbone; a method's networks and queues have no mean")
    if out.exists() and not args.overwrite:
        raise InputError(f"{out}: is there already; choose another name, or --overwrite")
    export = _export_method if args.format == "fima" else _export_backbone
    with claim_file(out, "fima export", inputs=inputs_of(args), overwrite=args.overwrite):
        export(args, out)
    sys.stdout.write(f"{out}\n")
    return 0


def _export_method(args: argparse.Namespace, out: Path) -> None:
    from fima.checkpoints.files import read_checkpoint
    from fima.methods import export_method, load_method

    overrides = {"arch": args.arch} if args.arch else {}
    method = load_method(args.checkpoint, trust=args.trust_checkpoint, **overrides)
    content = read_checkpoint(Path(args.checkpoint), trust=args.trust_checkpoint)
    epoch = content.get("epoch", 0) if isinstance(content, dict) else 0
    export_method(out, method, epoch=epoch if isinstance(epoch, int) else 0)


def _export_backbone(args: argparse.Namespace, out: Path) -> None:
    from fima.checkpoints import load_backbone, save_backbone
    from fima.checkpoints.averaging import average_weights

    options = {"trust": args.trust_checkpoint, "input_spec": args.input_spec}
    loaded, *others = [load_backbone(path, args.arch, **options) for path in (args.checkpoint, *args.average)]
    backbone = average_weights([loaded, *others]) if others else loaded.backbone
    extra: dict[str, Any] = {"source": str(loaded.report.format)}
    extra |= {} if loaded.epoch is None else {"epoch": loaded.epoch}
    extra |= {"mean_of": [one.sha256 for one in (loaded, *others)]} if others else {}
    save_backbone(out, backbone, arch=loaded.arch, input=loaded.input, extra=extra)
