"""A detour around an error of torch on processors, in bfloat16, for slices fewer than a kernel is long.

Under CPU autocast, the gradient of a 3-D convolution's weights reads memory that nothing was written to where the input
has fewer time steps than the kernel, as I3D's last stages have (T' = 2, kernel 3): garbage, at times not finite. Seen
with torch 2.13 (oneDNN), in both memory layouts. With the padding made by hand it is right.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["guard_short_clips"]


def guard_short_clips(module: nn.Module) -> None:
    """Let every plain `nn.Conv3d` inside pad time by hand where torch errs; names and weights stay."""
    for part in module.modules():
        if type(part) is nn.Conv3d and part.padding_mode == "zeros" and not isinstance(part.padding, str):
            part.__class__ = _GuardedConv3d


class _GuardedConv3d(nn.Conv3d):
    def forward(self, x: Tensor) -> Tensor:
        time, height, width = (int(p) for p in self.padding)
        errs = x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and x.shape[-3] < self.kernel_size[0]
        if not (errs and time):
            return super().forward(x)
        padded = F.pad(x, (0, 0, 0, 0, time, time))
        return F.conv3d(padded, self.weight, self.bias, self.stride, (0, height, width), self.dilation, self.groups)
