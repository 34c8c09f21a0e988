"""The sanity check of attribution maps: with randomized weights, a map must change.

Source: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018. The weights are made by
`analysis.inputs.backbone.randomized`.
"""

from __future__ import annotations

import torch
from scipy.stats import rankdata
from torch import Tensor

from analysis.measures.common.agreement import map_correlation

__all__ = ["can_differ", "rank_correlation"]


def rank_correlation(first: Tensor, second: Tensor, where: Tensor | None = None) -> Tensor:
    """Spearman's correlation of absolute maps.

    Args:
        first: ``(N, T, H, W)``.
        second: The same shape.
        where: Bool of that shape, positions that count; by default all.

    Returns:
        ``(N,)`` float64 in [-1, 1], 0 by chance; NaN where a map is flat.

    Source: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, section 3.
    """
    counted = torch.ones_like(first, dtype=torch.bool) if where is None else where
    correlations = []
    for a, b, inside in zip(first, second, counted, strict=True):
        ranks = (torch.from_numpy(rankdata(x[inside].abs().numpy()))[None] for x in (a, b))
        correlations.append(map_correlation(*ranks))
    return torch.cat(correlations)


def can_differ(clip: Tensor, baseline: Tensor, method: str) -> Tensor:
    """Positions ``(N, T, H, W)``, bool on the CPU, where a map says something of the network.

    What equals its baseline gets no attribution (next to none by gradient SHAP and occlusion) whatever the network:
    before a resting background a frozen baseline would make all maps alike. Grad-CAM has no baseline.
    """
    if method == "grad_cam":
        return torch.ones_like(clip[:, 0], dtype=torch.bool).cpu()
    return (clip != baseline).any(dim=1).cpu()
