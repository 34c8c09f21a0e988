"""A small backbone of this project's own, quick to train and to run on two processor cores.

A residual 3-D network of about 0.4 M parameters for clips of 16 × 56²: it keeps every frame through the stem, where
motion is seen, and ends on the 2 × 7 × 7 grid that I3D has at 16 × 224², so all that is built on I3D's feature map
(local clips, masks, pairs of cells) works alike. It follows no paper and its numbers compare with nobody's.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from fima.input_spec import FIMA_TINY
from fima.models.blocks import Triple, conv_bn, conv_bn_relu
from fima.models.registry import FeatureTap, initialize_weights

__all__ = ["Tiny"]


class Tiny(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, 128, T/8, H/8, W/8)``; 16 × 56² gives 2 × 7 × 7."""

    channels = 128
    temporal_stride = 8
    spatial_stride = 8
    input_spec = FIMA_TINY
    taps: ClassVar[tuple[FeatureTap, ...]] = (
        FeatureTap("stem", 16, 1, 2),
        FeatureTap("stage1", 32, 2, 4),
        FeatureTap("stage2", 64, 4, 8),
        FeatureTap("stage3", 128, 8, 8),
    )

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}
        self.stem = conv_bn_relu(3, 16, (3, 5, 5), (1, 2, 2))
        self.stage1 = _Block(16, 32, stride=(2, 2, 2), second=(1, 3, 3))
        self.stage2 = _Block(32, 64, stride=(2, 2, 2), second=(1, 3, 3))
        # Space is at its final 7 × 7 here: the second convolution looks along time alone.
        self.stage3 = _Block(64, 128, stride=(2, 1, 1), second=(3, 1, 1))
        initialize_weights(self)

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip; no value is negative."""
        x = clip
        for stage in self.children():
            x = stage(x)
        return x


class _Block(nn.Module):
    """A strided 3×3×3 convolution, a cheaper second one, and a strided 1×1×1 shortcut."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: Triple, second: Triple) -> None:
        super().__init__()
        self.first = conv_bn_relu(in_channels, out_channels, (3, 3, 3), stride)
        self.second = conv_bn(out_channels, out_channels, second, (1, 1, 1))
        self.shortcut = conv_bn(in_channels, out_channels, (1, 1, 1), stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))
