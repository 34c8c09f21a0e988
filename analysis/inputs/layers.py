"""Which layers of a backbone can be read, and what they give."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from analysis.studies.base import Session

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
    spec, backbone = session.spec, session.extractor.backbone
    taps = {tap.layer for tap in session.extractor.info.taps}
    layers: list[Layer] = []

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 5:
            layers.append(Layer(name, tuple(output.shape[1:]), name in taps))

    def hook(name: str) -> Any:
        return lambda _module, _inputs, output: note(name, output)

    handles = [module.register_forward_hook(hook(name)) for name, module in _named(backbone)]
    try:
        session.extractor.feature_map(
            torch.full((1, 3, spec.num_frames, spec.size, spec.size), 0.5, device=session.extractor.device)
        )
    finally:
        for handle in handles:
            handle.remove()
    return layers


def _named(backbone: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, module) for name, module in backbone.named_modules() if name]


def print_layers(layers: list[Layer], *, as_json: bool = False) -> None:
    """Print layers to stdout: the published taps as a table, or all of them as JSON."""
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
    if taps:
        console.print(f"{len(layers) - len(taps)} further modules can be read too: --json lists them")
