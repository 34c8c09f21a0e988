"""I3D, the inflated Inception-v1 that FIMA trains.

Carreira and Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017. Names, paddings and layer sizes are those of
ZMHH-H/FIMA `backbone/i3d.py` (commit 37ef9ac), so its checkpoints load. Unlike it, the forward pass returns the feature
map alone: pooling and heads are the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fima.input_spec import FIMA_224
from fima.models.registry import FeatureTap, initialize_weights

__all__ = ["I3D"]


class I3D(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, 1024, T/8, H/32, W/32)``; 16 × 224² gives 2 × 7 × 7."""

    channels = 1024
    temporal_stride = 8
    spatial_stride = 32
    input_spec = FIMA_224
    taps: ClassVar[tuple[FeatureTap, ...]] = (
        FeatureTap("conv3d_2c_3x3", 192, 2, 4),
        FeatureTap("mixed_3c", 480, 2, 8),
        FeatureTap("mixed_4f", 832, 4, 16),
        FeatureTap("mixed_5c", 1024, 8, 32),
    )

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}
        self.conv3d_1a_7x7 = _Unit(3, 64, kernel=7, stride=2)
        self.pool_2a = _SamePool((1, 3, 3), (1, 2, 2))
        self.conv3d_2b_1x1 = _Unit(64, 64)
        self.conv3d_2c_3x3 = _Unit(64, 192, kernel=3)
        self.pool_3a = _SamePool((1, 3, 3), (1, 2, 2))
        self.mixed_3b = _Mixed(192, 64, (96, 128), (16, 32), 32)
        self.mixed_3c = _Mixed(256, 128, (128, 192), (32, 96), 64)
        self.pool_4a = _SamePool((3, 3, 3), (2, 2, 2))
        self.mixed_4b = _Mixed(480, 192, (96, 208), (16, 48), 64)
        self.mixed_4c = _Mixed(512, 160, (112, 224), (24, 64), 64)
        self.mixed_4d = _Mixed(512, 128, (128, 256), (24, 64), 64)
        self.mixed_4e = _Mixed(512, 112, (144, 288), (32, 64), 64)
        self.mixed_4f = _Mixed(528, 256, (160, 320), (32, 128), 128)
        self.pool_5a = _SamePool((2, 2, 2), (2, 2, 2))
        self.mixed_5b = _Mixed(832, 256, (160, 320), (32, 128), 128)
        self.mixed_5c = _Mixed(832, 384, (192, 384), (48, 128), 128)
        initialize_weights(self)

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip."""
        x = clip
        for layer in self.children():
            x = layer(x)
        return x


class _Unit(nn.Module):
    """Convolution without bias, padded as TensorFlow's "SAME" does for sizes that divide; batch norm; ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        before, after = _same_padding(kernel, stride)
        # A convolution pads both ends alike: what the far end needs more is added in front of it.
        self.extra = after - before
        self.before = before
        symmetric = before if self.extra == 0 else 0
        self.conv3d = nn.Conv3d(in_channels, out_channels, kernel, stride, padding=symmetric, bias=False)
        self.batch3d = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.extra:
            x = F.pad(x, (self.before, self.before + self.extra) * 3)
        return F.relu(self.batch3d(self.conv3d(x)))


class _SamePool(nn.Module):
    """Max-pooling padded with zeros as "SAME" does; a window may hang over the far end (sizes that do not divide)."""

    def __init__(self, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        pairs = [_same_padding(k, s) for k, s in zip(kernel, stride, strict=True)]
        # F.pad counts from the last axis.
        self.padding = tuple(end for pair in reversed(pairs) for end in pair)
        self.pool = nn.MaxPool3d(tuple(kernel), tuple(stride), ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(F.pad(x, self.padding) if any(self.padding) else x)
        return pooled


class _Mixed(nn.Module):
    """The Inception block: four branches side by side, concatenated over channels."""

    def __init__(
        self, in_channels: int, direct: int, middle: tuple[int, int], small: tuple[int, int], pooled: int
    ) -> None:
        super().__init__()
        self.branch_0 = _Unit(in_channels, direct)
        self.branch_1 = nn.Sequential(_Unit(in_channels, middle[0]), _Unit(*middle, kernel=3))
        self.branch_2 = nn.Sequential(_Unit(in_channels, small[0]), _Unit(*small, kernel=3))
        # The input comes from a ReLU, so the pool's own padding (−∞) and the reference's zeros never differ.
        self.branch_3 = nn.Sequential(nn.MaxPool3d(3, 1, padding=1), _Unit(in_channels, pooled))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(x)), dim=1)


def _same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after: as many as make a size that the stride divides come out at size / stride."""
    total = max(kernel - stride, 0)
    return total // 2, total - total // 2
