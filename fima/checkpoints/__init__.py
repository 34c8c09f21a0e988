"""Backbones in and out of files: formats by table, safe reading, a report that accounts for every key."""

from fima.checkpoints.loading import (
    IncompleteCheckpointError,
    LoadedBackbone,
    load_backbone,
    save_backbone,
    untrained_backbone,
)
from fima.checkpoints.report import LoadReport
from fima.checkpoints.shipped import SHIPPED

__all__ = [
    "SHIPPED",
    "IncompleteCheckpointError",
    "LoadReport",
    "LoadedBackbone",
    "load_backbone",
    "save_backbone",
    "untrained_backbone",
]
