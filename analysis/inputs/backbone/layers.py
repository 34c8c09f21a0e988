"""Which layers of a backbone can be read, and what they give."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from analysis.inputs.sessions import Session
from fima.models.capture import capture, find_tap

__all__ = ["Layer", "list_layers", "print_layers"]


@dataclass(frozen=True)
class Layer:
    """A layer that ``--layer`` takes.

    Attributes:
        name: What to write after ``--layer``.
        shape: ``(C, T', H', W')`` for one clip of the backbone's input.
        tap: Whether the backbone publishes it (others work too, if they give a 5-D tensor).
    """

    name: str
    shape: tuple[int, ...]
    tap: bool


def list_layers(session: Session) -> list[Layer]:
    """Every module whose output is a feature map, in the order in which they run."""
    spec, extractor = session.spec, session.extractor
    taps = {tap.layer for tap in extractor.info.taps}
    clip = torch.full((1, 3, spec.num_frames, spec.size, spec.size), 0.5, device=extractor.device)
    names = [name for name, _ in extractor.backbone.named_modules() if name]
    with capture(extractor.backbone, names) as seen:
        extractor.feature_map(clip)
    layers = []
    for name, runs in seen.items():
        to_ncthw = find_tap(extractor.backbone, name, extractor.info).to_ncthw
        shape = _shape(runs[0], to_ncthw) if len(runs) == 1 else None
        if shape is not None:
            layers.append(Layer(name, shape, name in taps))
    return layers


def _shape(output: Any, to_ncthw: Callable[[Any], Tensor] | None) -> tuple[int, ...] | None:
    """``(C, T', H', W')`` of what a layer gave; None if that is no feature map."""
    try:
        found = output if to_ncthw is None else to_ncthw(output)
    except Exception:  # a layer inside a module from elsewhere, which its to_ncthw knows nothing of
        return None
    return tuple(found.shape[1:]) if isinstance(found, Tensor) and found.ndim == 5 else None


def _about_size(last: Layer, size: int) -> str:
    """What ``--size`` does to the grid."""
    rows, columns = last.shape[-2:]
    cell, double = size / max(rows, columns), 2 * size
    return (
        f"at {size} px the last has {rows} x {columns} cells, one for {cell:.3g} pixels of the clip; where the "
        f"backbone takes other sizes, --size {double} gives {2 * rows} x {2 * columns}: finer maps, of numbers that "
        "compare with those of the same size only"
    )


def print_layers(layers: list[Layer], size: int, *, as_json: bool = False) -> None:
    """Print layers to stdout: the published taps as a table, or all of them as JSON.

    Args:
        layers: Of `list_layers`.
        size: Pixels of the square clip that they are of.
        as_json: Print all of them, as JSON.
    """
    if as_json:
        sys.stdout.write(json.dumps([asdict(layer) for layer in layers], indent=2) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("--layer", "channels", "T'", "H' x W'")
    taps = [layer for layer in layers if layer.tap]
    for layer in taps or layers:
        c, t, h, w = layer.shape
        table.add_row(layer.name, str(c), str(t), f"{h} x {w}")
    console = Console(soft_wrap=True)
    console.print(table)
    if layers:
        console.print(_about_size(layers[-1], size))
    if taps:
        console.print(f"{len(layers) - len(taps)} further modules can be read too: --json lists them")
