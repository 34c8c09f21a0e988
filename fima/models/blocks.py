"""The blocks that this project's own backbones share."""

from __future__ import annotations

from torch import nn

__all__ = ["Triple", "conv_bn", "conv_bn_relu"]

Triple = tuple[int, int, int]


def conv_bn(
    in_channels: int, out_channels: int, kernel: Triple, stride: Triple = (1, 1, 1), *, dilation: int = 1
) -> nn.Sequential:
    """A convolution without bias, as large as its input over the stride, and batch normalization.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Its size along T, H, W, each odd.
        stride: Its steps along T, H, W.
        dilation: Of H and W; time is not dilated.
    """
    front, middle, side = kernel
    padding = (front // 2, dilation * (middle // 2), dilation * (side // 2))
    conv = nn.Conv3d(
        in_channels, out_channels, kernel, stride, padding=padding, dilation=(1, dilation, dilation), bias=False
    )
    return nn.Sequential(conv, nn.BatchNorm3d(out_channels))


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: Triple, stride: Triple = (1, 1, 1), *, dilation: int = 1
) -> nn.Sequential:
    """`conv_bn` with ReLU behind it."""
    return nn.Sequential(*conv_bn(in_channels, out_channels, kernel, stride, dilation=dilation), nn.ReLU())
