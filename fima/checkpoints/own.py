"""The user's own module or callable as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from fima.checkpoints.loaded import LoadedBackbone
from fima.checkpoints.report import LoadReport
from fima.input_spec import FIMA_112, InputSpec
from fima.models.adapters import as_backbone

__all__ = ["UNKNOWN_INPUT", "overridden", "own_backbone"]

UNKNOWN_INPUT = "nothing says what this backbone expects: 16 frames of 112 pixels are assumed, see --input-spec"


def own_backbone(
    model: nn.Module | Callable[[Tensor], Any], input_spec: InputSpec | str | None, reading: Mapping[str, Any]
) -> LoadedBackbone:
    """The user's own module or callable as a backbone, where it is and in the mode it is in.

    Args:
        model: takes a clip ``(N, 3, T, H, W)``.
        input_spec: the clip it expects, where its ``input_spec`` does not say.
        reading: how its output is read (`fima.models.adapters.Adapter`).
    """
    backbone = as_backbone(model, **reading)
    known = getattr(backbone, "input_spec", None)
    spec = overridden(known if isinstance(known, InputSpec) else FIMA_112, input_spec)
    name = type(model).__name__ if isinstance(model, nn.Module) else getattr(model, "__name__", type(model).__name__)
    notes = () if known or input_spec else (UNKNOWN_INPUT,)
    return LoadedBackbone(backbone, name, spec, LoadReport("your own module", name, notes=notes))


def overridden(spec: InputSpec, change: InputSpec | str | None) -> InputSpec:
    """The spec, with what the user changes of it."""
    if isinstance(change, str):
        return InputSpec.parse(change, base=spec)
    return change or spec
