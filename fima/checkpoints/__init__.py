"""Backbones in and out of files: formats by table, safe reading, a report that accounts for every key.

A file is read (`files`), its weights are found in whatever holds them (`containers`), the table says whose it is
(`formats`; `hub` for transformers), and every entry gets its place (`filling`); `loading` goes that way.

What needs torch is imported when it is asked for, so that the names of shipped checkpoints do not.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fima.checkpoints.shipped import SHIPPED

if TYPE_CHECKING:
    from fima.checkpoints.loading import (
        IncompleteCheckpointError,
        LoadedBackbone,
        load_backbone,
        save_backbone,
        untrained_backbone,
        with_input,
    )
    from fima.checkpoints.report import LoadReport

__all__ = [
    "SHIPPED",
    "IncompleteCheckpointError",
    "LoadReport",
    "LoadedBackbone",
    "load_backbone",
    "save_backbone",
    "untrained_backbone",
    "with_input",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "report" if name == "LoadReport" else "loading"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
