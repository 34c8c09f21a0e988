"""R3D-18 and R(2+1)D-18, the video resnets of torchvision, and TCLR's dilated R3D-18.

Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018. Names and layer sizes are
torchvision's (`torchvision/models/video/resnet.py`), which ZMHH-H/FIMA `backbone/r2plus1d.py` and `r3d.py` (commit
37ef9ac) share, so checkpoints of both load. The dilated variant is DAVEISHAN/TCLR `tclr_pretraining/model.py` (commit
4f3f555). Unlike all of them, the forward pass returns the feature map alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from fima.input_spec import FIMA_112, TCLR
from fima.models.registry import FeatureTap, initialize_weights

__all__ = ["VideoResNet18", "r2plus1d_18", "r3d_18", "r3d_18_dilated"]

#: Makes a 3×3×3 convolution, or what stands for it: (in, out, middle channels, stride) → module.
ConvMaker = Callable[[int, int, int, int], nn.Module]


class VideoResNet18(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, 512, T/8, H/16, W/16)``; 16 × 112² gives 2 × 7 × 7.

    Args:
        stem: from 3 to 64 channels, halving height and width.
        conv: makes the convolutions of the blocks.
        dilated: TCLR's change to the first block of ``layer4``: it keeps the length (temporal stride 1) and widens its
            temporal kernel instead (dilation 2), so that T' = T/4. It has the names and shapes of the plain network.
    """

    channels = 512
    spatial_stride = 16

    def __init__(self, stem: nn.Sequential, conv: ConvMaker, *, dilated: bool = False) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}
        self.input_spec = TCLR if dilated else FIMA_112
        self.temporal_stride = 4 if dilated else 8
        self.taps = (
            FeatureTap("stem", 64, 1, 2),
            FeatureTap("layer1", 64, 1, 2),
            FeatureTap("layer2", 128, 2, 4),
            FeatureTap("layer3", 256, 4, 8),
            FeatureTap("layer4", 512, self.temporal_stride, 16),
        )
        self.stem = stem
        self.layer1 = nn.Sequential(_Block(64, 64, conv), _Block(64, 64, conv))
        self.layer2 = nn.Sequential(_Block(64, 128, conv, stride=2), _Block(128, 128, conv))
        self.layer3 = nn.Sequential(_Block(128, 256, conv, stride=2), _Block(256, 256, conv))
        self.layer4 = nn.Sequential(_Block(256, 512, conv, stride=2), _Block(512, 512, conv))
        if dilated:
            _dilate_in_time(self.layer4[0])
        initialize_weights(self)

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip."""
        x = clip
        for layer in self.children():
            x = layer(x)
        return x


def r3d_18() -> VideoResNet18:
    """R3D-18: whole 3×3×3 convolutions."""
    return VideoResNet18(_stem_3d(), _conv_3d)


def r3d_18_dilated() -> VideoResNet18:
    """R3D-18 with TCLR's dilated ``layer4``: T' = T/4, and the names and shapes of `r3d_18`."""
    return VideoResNet18(_stem_3d(), _conv_3d, dilated=True)


def r2plus1d_18() -> VideoResNet18:
    """R(2+1)D-18: each 3×3×3 convolution as one in space, batch norm, ReLU and one in time."""
    return VideoResNet18(_stem_2plus1d(), _conv_2plus1d)


class _Block(nn.Module):
    """Two convolutions and a shortcut; a stride goes to all three axes of the first and of the shortcut."""

    def __init__(self, in_channels: int, out_channels: int, conv: ConvMaker, *, stride: int = 1) -> None:
        super().__init__()
        # As many channels in between as make (2+1)D about as large as the 3-D convolution it replaces.
        middle = (in_channels * out_channels * 27) // (in_channels * 9 + 3 * out_channels)
        self.conv1 = nn.Sequential(
            conv(in_channels, out_channels, middle, stride), nn.BatchNorm3d(out_channels), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(conv(out_channels, out_channels, middle, 1), nn.BatchNorm3d(out_channels))
        self.downsample: nn.Sequential | None = None
        if stride != 1:
            shortcut = nn.Conv3d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm3d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.conv2(self.conv1(x)) + shortcut)


def _conv_3d(in_channels: int, out_channels: int, middle: int, stride: int) -> nn.Module:
    return nn.Conv3d(in_channels, out_channels, 3, stride, padding=1, bias=False)


def _conv_2plus1d(in_channels: int, out_channels: int, middle: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(in_channels, middle, (1, 3, 3), (1, stride, stride), padding=(0, 1, 1), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, out_channels, (3, 1, 1), (stride, 1, 1), padding=(1, 0, 0), bias=False),
    )


def _stem_3d() -> nn.Sequential:
    conv = nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), padding=(1, 3, 3), bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(64), nn.ReLU(inplace=True))


def _stem_2plus1d() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(45),
        nn.ReLU(inplace=True),
        nn.Conv3d(45, 64, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(inplace=True),
    )


def _dilate_in_time(block: nn.Module) -> None:
    """Trade the block's temporal stride for dilation, in its first convolution and in its shortcut."""
    if not isinstance(block, _Block) or block.downsample is None:
        raise TypeError("only a block with a stride can be dilated")
    block.conv1[0] = nn.Conv3d(256, 512, 3, (1, 2, 2), padding=(2, 1, 1), dilation=(2, 1, 1), bias=False)
    block.downsample[0] = nn.Conv3d(256, 512, 1, (1, 2, 2), bias=False)
