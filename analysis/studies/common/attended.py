"""The attention that the cells of a token network receive, as a map that is measured like any other."""

from __future__ import annotations

from torch import Tensor

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.measures.attention import received_attention
from fima.errors import InputError
from fima.models.attention import attention_between_slices, attention_layers, layers_of_block

__all__ = ["attention_map"]


def attention_map(extractor: FeatureExtractor, clip: Tensor, layer: str | None = None) -> Tensor | None:
    """Attention that every cell receives, mean over heads.

    Args:
        extractor: Of the backbone.
        clip: In [0, 1], ``(N, 3, T, H, W)``.
        layer: A block or an attention layer; None: the last block.

    Returns:
        ``(N, T', H', W')``; None where the backbone, or that layer of it, has no attention over its cells.
    """
    try:
        layers_of_block(extractor.backbone, attention_layers(extractor.backbone), layer)
    except InputError:
        return None
    return received_attention(attention_between_slices(extractor.backbone, extractor.prepare(clip), layer)).mean(dim=1)
