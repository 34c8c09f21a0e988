"""Slow ResNet-50, the visual backbone of MaCLR, with PySlowFast's names.

Xiao, Tighe, Modolo, "MaCLR", ECCV 2022; Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019.
Layers are those of amazon-science/self-supervised-maclr (commit b2fb317) `slowfast/models/video_model_builder.py`
(class `ResNet`, table row `dense_slow`), `stem_helper.py` and `resnet_helper.py`, without dilation, non-local blocks or
the head; the pooling it has between s2 and s3 is 1×1×1 there, hence none here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from fima.errors import InputError
from fima.input_spec import MACLR
from fima.models.registry import FeatureTap, initialize_weights

__all__ = ["SlowResNet50"]

_BLOCKS = (3, 4, 6, 3)
_LONG_CLIP = 32


class SlowResNet50(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, 2048, T', H/32, W/32)``; T' = T, or T/2 where the stem strides in time.

    The release trains on 8 frames with temporal stride 1 in the stem and fine-tunes the same weights on 32 frames with
    stride 2 (`configs/UCF101/SLOW_32x8_R50.yaml`, ``CONV1_TEMPORAL_STRIDE``). A checkpoint's weights do not tell, the
    number of frames does: so by default the stem looks at the clip it is fed.

    Args:
        stem_temporal_stride: 1 or 2; None: 2 for clips of 32 frames or more, otherwise 1.
        stem_temporal_kernel: 5 in MaCLR; PySlowFast's plain Slow has 1.
        temporal_kernels: of the first convolution of each block in s2…s5; MaCLR's motion pathway has 3, 3, 3, 3.
        width: channels of the stem, 64 in the release; all others follow.

    Raises:
        InputError: if a setting is out of range.
    """

    spatial_stride = 32
    input_spec = MACLR

    def __init__(
        self,
        *,
        stem_temporal_stride: int | None = None,
        stem_temporal_kernel: int = 5,
        temporal_kernels: Sequence[int] = (1, 1, 3, 3),
        width: int = 64,
    ) -> None:
        super().__init__()
        _check(stem_temporal_stride, stem_temporal_kernel, temporal_kernels, width)
        self.stem_temporal_stride = stem_temporal_stride
        self.channels = width * 32
        self.settings: dict[str, Any] = {
            "stem_temporal_stride": stem_temporal_stride,
            "stem_temporal_kernel": stem_temporal_kernel,
            "temporal_kernels": list(temporal_kernels),
            "width": width,
        }
        stem = _Stem(width, stem_temporal_kernel, stem_temporal_stride)
        self.s1 = nn.Sequential(OrderedDict(pathway0_stem=stem))
        in_channels = width
        for index, (kernel, blocks) in enumerate(zip(temporal_kernels, _BLOCKS, strict=True)):
            inner = width * 2**index
            stage = _stage(in_channels, inner, kernel, blocks, stride=1 if index == 0 else 2)
            self.add_module(f"s{index + 2}", stage)
            in_channels = inner * 4
        initialize_weights(self)

    @property
    def temporal_stride(self) -> int:
        """Frames per slice for a clip of the default length."""
        return self.taps[-1].temporal_stride

    @property
    def taps(self) -> tuple[FeatureTap, ...]:
        """The layers worth looking at, for a clip of the default length."""
        return self.taps_at(self.input_spec.num_frames)

    def taps_at(self, num_frames: int) -> tuple[FeatureTap, ...]:
        """The layers worth looking at, for a clip of ``num_frames`` frames."""
        stride = _stem_stride(self.stem_temporal_stride, num_frames)
        width = self.channels // 32
        stages = [FeatureTap(f"s{i + 2}", width * 4 * 2**i, stride, 4 * 2**i) for i in range(4)]
        return (FeatureTap("s1", width, stride, 4), *stages)

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip."""
        x = clip
        for stage in self.children():
            x = stage(x)
        return x


class _StemConv(nn.Conv3d):
    """A convolution whose temporal stride may follow the length of the clip."""

    def __init__(self, width: int, kernel: int, temporal_stride: int | None) -> None:
        super().__init__(3, width, (kernel, 7, 7), (1, 2, 2), padding=(kernel // 2, 3, 3), bias=False)
        self.temporal_stride = temporal_stride

    def forward(self, clip: Tensor) -> Tensor:
        stride = (_stem_stride(self.temporal_stride, clip.shape[2]), 2, 2)
        return F.conv3d(clip, self.weight, None, stride, padding=(self.kernel_size[0] // 2, 3, 3))


class _Stem(nn.Module):
    """Convolution, batch norm, ReLU, and max-pooling over space."""

    def __init__(self, width: int, kernel: int, temporal_stride: int | None) -> None:
        super().__init__()
        self.conv = _StemConv(width, kernel, temporal_stride)
        self.bn = nn.BatchNorm3d(width)
        self.pool_layer = nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1))

    def forward(self, clip: Tensor) -> Tensor:
        pooled: Tensor = self.pool_layer(F.relu(self.bn(self.conv(clip))))
        return pooled


class _Bottleneck(nn.Module):
    """T×1×1, 1×3×3 with the spatial stride, 1×1×1; batch norm after each, ReLU after the first two."""

    def __init__(self, in_channels: int, inner: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.a = nn.Conv3d(in_channels, inner, (kernel, 1, 1), padding=(kernel // 2, 0, 0), bias=False)
        self.a_bn = nn.BatchNorm3d(inner)
        self.b = nn.Conv3d(inner, inner, (1, 3, 3), (1, stride, stride), padding=(0, 1, 1), bias=False)
        self.b_bn = nn.BatchNorm3d(inner)
        self.c = nn.Conv3d(inner, out_channels, 1, bias=False)
        self.c_bn = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a_bn(self.a(x)))
        x = F.relu(self.b_bn(self.b(x)))
        out: Tensor = self.c_bn(self.c(x))
        return out


class _Block(nn.Module):
    """A bottleneck and its shortcut, which is a strided 1×1×1 convolution in the first block of a stage."""

    def __init__(self, in_channels: int, inner: int, kernel: int, stride: int) -> None:
        super().__init__()
        out_channels = inner * 4
        self.projects = in_channels != out_channels or stride != 1
        if self.projects:
            self.branch1 = nn.Conv3d(in_channels, out_channels, 1, (1, stride, stride), bias=False)
            self.branch1_bn = nn.BatchNorm3d(out_channels)
        self.branch2 = _Bottleneck(in_channels, inner, out_channels, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.branch1_bn(self.branch1(x)) if self.projects else x
        return F.relu(shortcut + self.branch2(x))


def _stage(in_channels: int, inner: int, kernel: int, blocks: int, *, stride: int) -> nn.Sequential:
    first = _Block(in_channels, inner, kernel, stride)
    others = [_Block(inner * 4, inner, kernel, 1) for _ in range(blocks - 1)]
    return nn.Sequential(OrderedDict((f"pathway0_res{i}", block) for i, block in enumerate([first, *others])))


def _stem_stride(setting: int | None, num_frames: int) -> int:
    if setting is not None:
        return setting
    return 2 if num_frames >= _LONG_CLIP else 1


def _check(stride: int | None, stem_kernel: int, kernels: Sequence[int], width: int) -> None:
    if stride not in (None, 1, 2):
        raise InputError(f"stem_temporal_stride must be 1, 2 or None, got {stride!r}")
    for kernel in (stem_kernel, *kernels):
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"temporal kernels must be odd, got {kernel}")
    if len(kernels) != len(_BLOCKS):
        raise InputError(f"temporal_kernels must have {len(_BLOCKS)} numbers, one per stage, got {list(kernels)}")
    if width < 1:
        raise InputError(f"width must be at least 1, got {width}")
