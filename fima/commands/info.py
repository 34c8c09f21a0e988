"""``fima info``: what a checkpoint is, what it expects, and where each of its entries goes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fima.checkpoints import LoadedBackbone

__all__ = ["add_arguments", "run"]

_EXAMPLES = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima info``."""
    parser.add_argument("checkpoint", metavar="CKPT", help="a checkpoint file")
    parser.add_argument(
        "--arch", metavar="NAME", help="architecture, or package.module:factory; default: from the keys"
    )
    parser.add_argument(
        "--input-spec", metavar="SPEC", help="a .json or .yaml file, or words such as num_frames=8;size=224"
    )
    parser.add_argument("--trust-checkpoint", action="store_true", help="read the file even if that runs code in it")
    parser.add_argument("--json", action="store_true", help="print everything, as JSON")


def run(args: argparse.Namespace) -> int:
    """Print what is known of the checkpoint; also of one that does not fill its backbone, which then is an error.

    Raises:
        InputError: if the file cannot be used.
    """
    from fima.checkpoints import IncompleteCheckpointError, load_backbone

    try:
        loaded = load_backbone(args.checkpoint, args.arch, trust=args.trust_checkpoint, input_spec=args.input_spec)
    except IncompleteCheckpointError as error:
        _show(error.partial, as_json=args.json)
        raise
    _show(loaded, as_json=args.json)
    return 0


def _show(loaded: LoadedBackbone, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(_facts(loaded), indent=2) + "\n")
    else:
        _print_table(loaded)
    sys.stdout.flush()


def _facts(loaded: LoadedBackbone) -> dict[str, Any]:
    return {
        "path": str(loaded.path),
        "sha256": loaded.sha256,
        "format": loaded.report.format,
        "arch": loaded.arch,
        "settings": loaded.settings,
        "parameters": _parameters(loaded),
        "epoch": loaded.epoch,
        "input": loaded.input.to_dict(),
        "feature_map": _feature_map(loaded),
        "layers": [tap.layer for tap in loaded.info.taps],
        "complete": loaded.report.complete,
        "report": loaded.report.to_dict(),
    }


_WIDE = 400


def _print_table(loaded: LoadedBackbone) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(loaded):
        # Text, because a key may hold square brackets, which rich would take for its markup.
        table.add_row(name, Text(value))
    console = Console()
    if not console.is_terminal:  # in a pipe a line is a line, whatever its length
        console = Console(width=_WIDE)
    console.print(table)


def _rows(loaded: LoadedBackbone) -> Iterable[tuple[str, str]]:
    report, spec = loaded.report, loaded.input
    yield "checkpoint", str(loaded.path)
    yield "SHA-256", str(loaded.sha256)
    yield "format", report.format
    said = {key: value for key, value in loaded.settings.items() if value not in (None, False)}
    yield "architecture", loaded.arch + "".join(f", {key}={value}" for key, value in said.items())
    yield "parameters", f"{_parameters(loaded):,}"
    if loaded.epoch is not None:
        yield "epoch", str(loaded.epoch)
    yield "frames", f"{spec.num_frames} × stride {spec.frame_stride}, {spec.size} × {spec.size} pixels"
    yield "colors", f"{spec.channel_order.upper()}, mean {spec.mean}, std {spec.std}"
    yield "feature map", " × ".join(map(str, _feature_map(loaded))) + " (channels, slices, rows, columns)"
    yield "layers", _count(tap.layer or "the output" for tap in loaded.info.taps)
    yield "loaded", _count(report.loaded)
    yield "missing", _count(report.missing) + (" (only counters: harmless)" if _only_counters(loaded) else "")
    yield "unexpected", _count(report.unexpected)
    yield "shape mismatch", _count(str(item) for item in report.shape_mismatch)
    yield "ignored", str(len(report.ignored))
    for reason in dict.fromkeys(report.ignored.values()):
        yield f"  {reason}", _count(key for key, why in report.ignored.items() if why == reason)
    if report.not_finite:
        yield "not finite", _count(report.not_finite)
    for note in report.notes:
        yield "note", note


def _feature_map(loaded: LoadedBackbone) -> list[int]:
    """``[C, T', H', W']`` for a clip as the backbone expects it."""
    info, spec = loaded.info, loaded.input
    return [info.channels, spec.num_frames // info.temporal_stride, *[spec.size // info.spatial_stride] * 2]


def _count(names: Iterable[str]) -> str:
    listed = list(names)
    more = ", …" if len(listed) > _EXAMPLES else ""
    return f"{len(listed)}" + (f": {', '.join(listed[:_EXAMPLES])}{more}" if listed else "")


def _only_counters(loaded: LoadedBackbone) -> bool:
    missing = loaded.report.missing
    return bool(missing) and missing == loaded.report.tolerated


def _parameters(loaded: LoadedBackbone) -> int:
    return sum(parameter.numel() for parameter in loaded.backbone.parameters())
