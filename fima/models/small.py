"""A backbone of this project's own for real clips, trained in hours on a few processor cores.

A residual 3-D network of 0.5 M parameters for clips of 16 × 112²: it keeps every frame through the stem, where
motion is seen, ends on a 4 × 14 × 14 grid, and looks far around each place in its last two stages, whose convolutions
along space are dilated: whether something moves by itself or with the camera shows only beside its surroundings. It
follows no paper and its numbers compare with nobody's.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from fima.input_spec import FIMA_112
from fima.models.blocks import Triple, conv_bn, conv_bn_relu
from fima.models.registry import FeatureTap, initialize_weights

__all__ = ["Small"]


class Small(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, 128, T/4, H/8, W/8)``; 16 × 112² gives 4 × 14 × 14."""

    channels = 128
    temporal_stride = 4
    spatial_stride = 8
    input_spec = FIMA_112
    taps: ClassVar[tuple[FeatureTap, ...]] = (
        FeatureTap("stem", 16, 1, 2),
        FeatureTap("stage1", 32, 2, 4),
        FeatureTap("stage2", 96, 4, 8),
        FeatureTap("stage3", 128, 4, 8),
        FeatureTap("stage4", 128, 4, 8),
    )

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}
        self.stem = conv_bn_relu(3, 16, (3, 5, 5), stride=(1, 2, 2))
        self.stage1 = _Block(16, 32, (3, 3, 3), stride=(2, 2, 2))
        self.stage2 = _Block(32, 96, (3, 3, 3), stride=(2, 2, 2))
        self.stage3 = _Block(96, 128, (1, 3, 3), dilation=2)
        self.stage4 = _Block(128, 128, (1, 3, 3), dilation=3)
        initialize_weights(self)

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip; no value is negative."""
        x = clip
        for stage in self.children():
            x = stage(x)
        return x


class _Block(nn.Module):
    """A convolution, a second one along time alone, and a shortcut."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Triple, *, stride: Triple = (1, 1, 1), dilation: int = 1
    ) -> None:
        super().__init__()
        self.first = conv_bn_relu(in_channels, out_channels, kernel, stride=stride, dilation=dilation)
        self.second = conv_bn(out_channels, out_channels, (3, 1, 1))
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else conv_bn(in_channels, out_channels, (1, 1, 1), stride=stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))
