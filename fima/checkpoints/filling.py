"""Copying a file's entries into a backbone, and saying where each of them went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fima.checkpoints.containers import Unwrapped
from fima.checkpoints.hub.transformer_names import join
from fima.checkpoints.report import LoadReport, ShapeMismatch

__all__ = ["Placing", "fill"]


class Placing(Protocol):
    """What is known of a file's keys."""

    @property
    def arch(self) -> str:
        """The architecture."""

    @property
    def source(self) -> Unwrapped:
        """The state dict."""

    def place(self, key: str) -> str | None:
        """The name of an entry in the backbone (``name#k``: a third of it); None if it is outside its part."""

    def reason(self, key: str) -> str:
        """Why an entry outside the backbone is left aside."""


def fill(backbone: nn.Module, found: Placing, format_name: str, *, notes: tuple[str, ...] = ()) -> LoadReport:
    """Copy what fits into the backbone and say where every entry went; values become the backbone's own dtype.

    Args:
        backbone: as ``found`` says.
        found: the entries and their names.
        format_name: of the file's family, for the report.
        notes: for the report.
    """
    wanted = backbone.state_dict()
    inside = {name.split(".")[0] for name in wanted}
    values, keys, unexpected, ignored = dict[str, Tensor](), dict[str, str](), list[str](), dict[str, str]()
    for key, value in found.source.state.items():
        name = found.place(key)
        if not isinstance(value, Tensor):
            ignored[key] = f"not a tensor but a {type(value).__name__}"
        elif name is not None and name.partition("#")[0] in wanted:
            values[name], keys[key] = value, name.partition("#")[0]
        elif name is not None and name.split(".")[0] in inside:
            unexpected.append(key)
        else:
            ignored[key] = found.reason(key)
    joined = join(values)
    mismatched = tuple(
        ShapeMismatch(_key_of(name, keys), name, tuple(wanted[name].shape), tuple(value.shape))
        for name, value in joined.items()
        if value.shape != wanted[name].shape
    )
    other_type = tuple(
        f"{name} ({str(value.dtype).removeprefix('torch.')})"
        for name, value in joined.items()
        if wanted[name].is_floating_point() and not value.is_floating_point()
    )
    wrong = {item.name for item in mismatched}
    fitting = {name: value for name, value in joined.items() if name not in wrong}
    ignored |= {key: "a part whose other parts are missing" for key, name in keys.items() if name not in joined}
    # Complex numbers would be cut down to real ones; what the report says of them keeps the backbone from being used.
    backbone.load_state_dict({name: value for name, value in fitting.items() if not value.is_complex()}, strict=False)
    return LoadReport(
        format_name,
        found.arch,
        {key: name for key, name in keys.items() if name in fitting},
        tuple(name for name in wanted if name not in joined),
        tuple(unexpected),
        mismatched,
        ignored | found.source.beside,
        tuple(name for name, value in fitting.items() if not (value.is_meta or torch.isfinite(value).all())),
        notes,
        other_type,
    )


def _key_of(name: str, keys: Mapping[str, Any]) -> str:
    return next(key for key, one in keys.items() if one == name)
