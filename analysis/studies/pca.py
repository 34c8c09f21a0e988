"""Feature colors of clips of many videos, and how much of them position, brightness and motion tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, to_batch
from analysis.measures.common.agreement import motion_energy
from analysis.measures.pca import (
    Basis,
    Moments,
    component_colors,
    fit_basis,
    principal_components,
    share_explained_by,
)
from analysis.studies.common.collecting import Collector, Measured
from analysis.studies.common.display import display_clip, shown_film
from analysis.studies.common.study import Study
from fima.transforms.colors import LUMA

__all__ = ["run"]


def run(session: Session, progress: Progress | None = None) -> Study:
    """The first three principal components of all cells' features, of each clip or of the whole set.

    Scores, per video: ``explained``, ``explained_first``, ``explained_motion`` (shares of variance), and what of the
    three components ``position``, ``brightness`` and ``motion_energy`` tell (`analysis.measures.pca`); the chance level
    of the last two is the same with three other videos.

    Args:
        session: Backbone and videos; ``settings.fit`` is ``clip``, or ``set``: one basis for all clips, which takes a
            second pass over the videos.
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_rgb_colors"]`` and ``["example_motion_colors"]`` are ``(K, T', H', W', 3)`` in
        [0, 1].
    """
    basis = _of_the_set(session) if session.settings.fit == "set" else None
    collector = Collector(session, example=partial(_example, session), against=_told)
    collector.run(partial(_measure, session, basis), progress)
    return collector.study("pca", source={"fit": session.settings.fit})


@dataclass(frozen=True)
class _Kept:
    """Of one clip: components ``(1, 3, T', H', W')``, colors, and maps ``(1, 1, T', H', W')`` that may tell them."""

    components: Tensor
    colors: dict[str, Tensor]
    told_by: Mapping[str, Tensor]
    explained: Tensor


def _of_the_set(session: Session) -> Basis:
    moments = Moments()

    def add(batch: list[Clip]) -> list[Measured]:
        moments.add(session.extractor(to_batch(batch, session.extractor.device)).rgb)
        return [Measured()] * len(batch)

    for _ in Collector(session).read(add, None):
        pass
    return moments.basis()


def _measure(session: Session, basis: Basis | None, batch: list[Clip]) -> list[Measured]:
    clip = to_batch(batch, session.extractor.device)
    features = session.extractor(clip)
    size = (features.rgb.shape[2], features.rgb.shape[3], features.rgb.shape[4])
    luma = torch.einsum("ncthw,c->nthw", clip, torch.tensor(LUMA, device=clip.device))
    maps = {
        "brightness": torch.nn.functional.adaptive_avg_pool3d(luma, size)[:, None].cpu(),
        "motion_energy": motion_energy(clip, size=size, boundary=session.settings.boundary)[:, None].cpu(),
    }
    return [
        _of_clip(
            features.rgb[i : i + 1], features.motion[i : i + 1], basis, {n: of[i : i + 1] for n, of in maps.items()}
        )
        for i in range(len(batch))
    ]


def _of_clip(rgb: Tensor, motion: Tensor, basis: Basis | None, told_by: dict[str, Tensor]) -> Measured:
    basis = fit_basis(rgb) if basis is None else basis
    components, moved = principal_components(rgb, basis), principal_components(motion, basis)
    shares = _explained(rgb, components)
    kept = _Kept(
        components,
        {"rgb": component_colors(components, basis), "motion": component_colors(moved, basis)},
        told_by,
        shares,
    )
    place = _coordinates(components)
    scores = {
        "explained": float(shares.sum()),
        "explained_first": float(shares[0]),
        "explained_motion": float(_explained(motion, moved).sum()),
        "position": float(share_explained_by(components, place)),
        **_told(kept, kept),
    }
    cells = components[0, 0].numel()
    return Measured(scores, {"position": min(1.0, place.shape[1] / (cells - 1))}, kept)


def _told(kept: _Kept, other: _Kept) -> dict[str, float]:
    """What of a clip's components brightness and motion tell, of another clip or of the same."""
    return {name: float(share_explained_by(kept.components, maps)) for name, maps in other.told_by.items()}


def _explained(feature_map: Tensor, components: Tensor) -> Tensor:
    """``(3,)``: share of the features' variance along each component; NaN for constant features."""
    total = feature_map.double().cpu().var(dim=(0, 2, 3, 4), unbiased=False).sum()
    along = components.var(dim=(0, 2, 3, 4), unbiased=False)
    return torch.where(total > 0, along / total, torch.nan)


def _coordinates(components: Tensor) -> Tensor:
    """``(1, 5, T', H', W')``: time, place, and how far each cell is from the picture's center and from its axes."""
    steps, height, width = components.shape[2:]
    t, y, x = torch.meshgrid(
        *(torch.linspace(-1, 1, n, dtype=torch.float64) for n in (steps, height, width)), indexing="ij"
    )
    return torch.stack((t, y, x, y**2, x**2))[None]


def _example(session: Session, clip: Clip, measured: Measured) -> dict[str, Any]:
    frames, _ = display_clip(session, clip)
    kept = measured.kept
    return {
        **shown_film(session, clip, frames),
        **{f"{name}_colors": colors[0].movedim(0, -1).float().numpy() for name, colors in kept.colors.items()},
        "explained": kept.explained.numpy(),
    }
