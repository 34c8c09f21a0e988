"""Features of many layers from one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.inputs.backbone.features import FeatureExtractor, Features
from analysis.inputs.sessions import Session
from fima.errors import InputError
from fima.models.capture import find_tap, read_maps
from fima.models.registry import FeatureTap
from fima.transforms.motion import frame_difference

__all__ = ["features_at", "find_taps", "pooled_at", "sessions_at"]


def find_taps(extractor: FeatureExtractor, layers: str) -> list[FeatureTap]:
    """The layers to read, from input to output.

    Args:
        extractor: Of the backbone.
        layers: ``all``, those that the backbone publishes; or names, with commas between them.

    Raises:
        InputError: If there is no such layer, or ``all`` is the output alone.
    """
    if layers != "all":
        return [
            find_tap(extractor.backbone, name.strip(), extractor.info, arch=extractor.loaded.arch)
            for name in layers.split(",")
        ]
    if len(extractor.info.taps) < 2:
        raise InputError(
            f"--layers all: {extractor.loaded.arch} publishes its output alone; name layers, such as --layers a,b"
        )
    return list(extractor.info.taps)


def features_at(extractor: FeatureExtractor, clip: Tensor, taps: Sequence[FeatureTap]) -> list[Features]:
    """Features of every layer from one pass of the clips and one of their frame difference.

    Args:
        extractor: Of the backbone.
        clip: ``(N, 3, T, H, W)`` in [0, 1].
        taps: Of `find_taps`.

    Returns:
        For each layer its features, averaged to the grid of the last one: the same question, with the same chance
        level, at every depth.

    Raises:
        InputError: As of the extractor.
    """
    clip = extractor.as_clip(clip)
    motion = frame_difference(clip, boundary=extractor.boundary)
    with torch.no_grad():
        if len(clip) == 1:  # as the extractor does: a batch of one is slow
            both = _read(extractor, torch.cat((clip, motion)), taps)
            return [Features(maps[:1], maps[1:]) for maps in both]
        rgb, moved = (_read(extractor, inputs, taps) for inputs in (clip, motion))
    return [Features(*maps) for maps in zip(rgb, moved, strict=True)]


def pooled_at(extractor: FeatureExtractor, clip: Tensor, taps: Sequence[FeatureTap]) -> list[Tensor]:
    """Features of every layer, averaged over time and cells, from one pass of the clips: ``(N, C)`` each.

    Args:
        extractor: Of the backbone.
        clip: ``(N, 3, T, H, W)`` in [0, 1].
        taps: Of `find_taps`.
    """
    with torch.no_grad():
        return [maps.mean(dim=(2, 3, 4)) for maps in _read(extractor, extractor.as_clip(clip), taps)]


def _read(extractor: FeatureExtractor, clip: Tensor, taps: Sequence[FeatureTap]) -> list[Tensor]:
    inputs = extractor.prepare(clip)
    found = extractor.fitting(inputs, lambda: read_maps(extractor.backbone, inputs, taps))
    grid = found[taps[-1].layer].shape[2:]
    maps = [found[tap.layer] for tap in taps]
    return [extractor.finite(m if m.shape[2:] == grid else F.adaptive_avg_pool3d(m, grid)) for m in maps]


@dataclass(frozen=True)
class _Given:
    """Stands for an extractor whose features of the clips at hand are known."""

    extractor: FeatureExtractor
    features: Features

    def __call__(self, clip: Tensor) -> Features:
        return self.features

    def __getattr__(self, name: str) -> Any:
        return getattr(self.extractor, name)


def sessions_at(session: Session, clip: Tensor, taps: Sequence[FeatureTap]) -> list[Session]:
    """The session once for each layer, with an extractor that gives the features of these clips there.

    Args:
        session: Of the backbone.
        clip: ``(N, 3, T, H, W)``: the only clips that the sessions' extractors may be asked about.
        taps: Of `find_taps`.
    """
    features = features_at(session.extractor, clip, taps)
    return [replace(session, extractor=cast(FeatureExtractor, _Given(session.extractor, of))) for of in features]
