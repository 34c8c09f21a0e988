"""A FIMA method's forward pass as its losses see it, for every cell of two views."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.measures.mechanism import Trace
from fima.checkpoints import LoadedBackbone
from fima.methods import FIMA
from fima.methods.activation import foreground_mask
from fima.methods.losses import unit
from fima.transforms.views import Views

__all__ = ["Mechanism"]


class Mechanism:
    """A FIMA method's forward pass as its losses see it, with the decoder's attention; in eval mode, without gradient.

    Args:
        method: The method; it is moved to ``device`` and put in eval mode.
        loaded: Says how the backbone's input is normalized.
        boundary: First frame of the frame difference; training wraps.
        device: Where to compute.

    Source: FIMA, sections 3.1–3.4, as ``fima.methods.FIMA`` has it.
    """

    def __init__(self, method: FIMA, loaded: LoadedBackbone, *, boundary: str, device: torch.device) -> None:
        self.method = method.eval().to(device)
        self._query, self._key = (
            FeatureExtractor(replace(loaded, backbone=backbone), boundary=boundary, device=device)
            for backbone in (self.method.encoder_q, self.method.encoder_k)
        )

    @torch.no_grad()
    def __call__(self, views: Views) -> Trace:
        """Trace N videos; the result is on the CPU, in float32."""
        method = self.method
        clips = views.global_clips.flatten(0, 1).to(self._key.device)
        features = self._key(clips)
        rgb, motion = (torch.stack(maps.chunk(2)) for maps in (features.rgb, features.motion))
        masks = torch.ones_like(rgb[:, :, 0, 0], dtype=torch.bool)
        if method.foreground:
            masks = torch.stack([foreground_mask(*maps) for maps in zip(rgb, motion, strict=True)])
        rows = _rows(torch.stack(self._query.feature_map(clips).chunk(2)))
        predicted, attention = rows, None
        if method.decoder is not None:
            embedded = method.decoder.embed(rows)
            asked, memory = embedded.flatten(0, 2), embedded.flip(0).flatten(0, 2)
            decoded = method.decoder(asked, memory, attention=True)
            predicted = decoded.positions.reshape(*rows.shape[:4], -1)
            attention = decoded.attention.reshape(*rows.shape[:3], *decoded.attention.shape[1:]).float().cpu()
        return Trace(
            boxes=views.boxes.cpu(),
            masks=masks.cpu(),
            predicted=unit(method.projector_dense.project(predicted)).cpu(),
            keys=unit(method.projector_dense_k.project(_rows(motion))).cpu(),
            attention=attention,
        )


def _rows(maps: Tensor) -> Tensor:
    """``(2, N, C, T', H', W')`` → ``(2, T', N, P, C)``."""
    return maps.flatten(4).permute(0, 3, 1, 4, 2)
