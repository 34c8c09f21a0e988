"""A backbone with what it expects and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from torch import nn

from fima.checkpoints.report import LoadReport
from fima.errors import CheckpointError
from fima.input_spec import InputSpec
from fima.models.registry import BackboneInfo, backbone_info

__all__ = ["IncompleteCheckpointError", "LoadedBackbone", "epoch_of"]


class IncompleteCheckpointError(CheckpointError):
    """A checkpoint that does not fill its backbone.

    Attributes:
        partial: everything known of the file; its ``backbone`` is not to be used, its ``report`` says why.
    """

    def __init__(self, message: str, partial: LoadedBackbone) -> None:
        super().__init__(message)
        self.partial = partial


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A backbone with what it expects and where it comes from.

    Attributes:
        backbone: in eval mode: normalized clip ``(N, 3, T, H, W)`` → ``(N, C, T', H', W')``.
        arch: its name for `fima.models.create_backbone`.
        input: the clip it expects.
        report: where every entry of the file went.
        settings: keyword arguments it was built with.
        path, sha256: the file; None for random weights.
        trained: whether the weights come from a file.
        epoch: the epoch the file gives, if it does.
        extra: what was saved beside the backbone by `save_backbone`.
    """

    backbone: nn.Module
    arch: str
    input: InputSpec
    report: LoadReport
    settings: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    sha256: str | None = None
    trained: bool = True
    epoch: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def info(self) -> BackboneInfo:
        """Channels, strides and taps for a clip of this input."""
        return backbone_info(self.backbone, self.input)

    def _repr_html_(self) -> str:
        """For the last line of a notebook's cell: what it is, what it expects, where every entry went."""
        info, spec, report = self.info, self.input, self.report
        parameters = sum(p.numel() for p in self.backbone.parameters())
        slices, cells = spec.num_frames // info.temporal_stride, spec.size // info.spatial_stride
        rows = {
            "architecture": f"{self.arch}, {parameters / 1e6:.2f} M parameters",
            "weights": f"{self.path} ({report.format})" if self.trained else "random, untrained",
            "SHA-256": f"{self.sha256[:16]}…" if self.sha256 else "",
            "clip": f"{spec.num_frames} frames, stride {spec.frame_stride}, {spec.size} × {spec.size} px, "
            f"{spec.channel_order.upper()}, mean {spec.mean}, std {spec.std}",
            "feature map": f"{info.channels} channels, {slices} slices of {cells} × {cells} cells",
            "entries of the file": f"{len(report.loaded)} in the backbone, {len(report.ignored)} left aside",
            "notes": "; ".join((*report.problems, *report.notes)),
        }
        cells_of = (f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows.items() if text)
        return "<table>" + "".join(cells_of) + "</table>"


def epoch_of(metadata: Mapping[str, Any]) -> int | None:
    """The epoch that a file gives beside its weights; None if it gives none."""
    epoch = metadata.get("epoch")
    return epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else None
