"""Where a result comes from: enough to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from analysis.inputs.sessions import Session
from analysis.output import versions

__all__ = ["provenance"]


def provenance(session: Session, measure: str, still: Sequence[str] = ()) -> dict[str, Any]:
    """Where a result comes from: enough to repeat it.

    Args:
        session: Backbone and videos.
        measure: Its name.
        still: Videos with clips in which nothing moves.
    """
    loaded, settings = session.loaded, session.settings
    report, pathway = loaded.report, session.extractor.pathway
    given = [video.path for video in session.videos] if settings.data is None else None
    return {
        "checkpoint": {
            "path": settings.checkpoint if loaded.trained else None,
            "sha256": loaded.sha256,
            "trained": loaded.trained,
            "arch": loaded.arch,
            "format": report.format,
            "load_report": report.to_dict(),
        },
        "input": loaded.input.to_dict(),
        "inputs": {
            "video": ["procedural" if path is None else path for path in given] if given is not None else None,
            "data": settings.data,
            "split": settings.split,
            "num_videos": len(session.videos),
            "concealed_frames": session.concealed,  # by the decoder, of damaged files
            "copies": {video.video_id: video.copy_of for video in session.videos if video.copy_of},
            "still": list(still),
            "groups": {video.video_id: video.group for video in session.videos if video.group is not None},
        },
        "grid": _grid(session),
        "flat": _after_plain_norm(session),
        "space": settings.space,
        "motion_input": "frame_difference" if pathway is None else f"{pathway.motion_input}, motion pathway",
        "settings": settings.changed(),
        "normalize": settings.normalize if measure == "cam" else None,
        "dense": {"factor": settings.dense, "passes": settings.dense**2},
        "boundary": settings.boundary if pathway is None else None,
        "layer": settings.layer or "output",
        "crop": "short side scaled to size, central square",
        "device": str(session.extractor.device),
        "seed": settings.seed,
        "versions": versions(),
        "command": settings.command(measure),
    }


def _after_plain_norm(session: Session) -> bool:
    """Whether features are read after a layer norm that has learnt nothing: the mean of its channels is 0."""
    layer = dict(session.extractor.backbone.named_modules()).get(session.extractor.tap.layer)
    if not isinstance(layer, nn.LayerNorm) or layer.weight is None or layer.bias is None:
        return isinstance(layer, nn.LayerNorm)
    return bool((layer.weight == 1).all() and (layer.bias == 0).all())


def _grid(session: Session) -> list[int] | None:
    """Slices, rows and columns of the feature map, as its layer's strides have it; None where they are not known."""
    tap, spec = session.extractor.tap, session.loaded.input
    if not tap.temporal_stride:
        return None
    side = max(1, round(spec.size / tap.spatial_stride)) * session.settings.dense
    return [max(1, round(spec.num_frames / tap.temporal_stride)), side, side]
