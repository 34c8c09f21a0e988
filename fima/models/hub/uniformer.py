"""UniFormer: convolution at first, attention at the end.

Li et al., "UniFormer: Unified Transformer for Efficient Spatiotemporal Representation Learning", ICLR 2022. Names of
parameters are Sense-X/UniFormer `video_classification/slowfast/models/uniformer.py`'s, commit 52a0415.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fima.errors import InputError
from fima.input_spec import TIMESFORMER
from fima.models.hub.layers import Attention, Mlp, channels_first, initialize_transformer, plain
from fima.models.registry import FeatureTap

__all__ = ["UniFormer"]


class UniFormer(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, dims[3], T/2, H/32, W/32)``, after the last batch norm.

    Args:
        dims: widths of the four stages.
        depth: blocks of each.
        head_dim: channels of a head in stages 3 and 4.
        num_frames, frame_stride, size: of the clip it is meant for.
    """

    temporal_stride, spatial_stride = 2, 32

    def __init__(
        self,
        *,
        dims: Sequence[int] = (64, 128, 320, 512),
        depth: Sequence[int] = (3, 4, 8, 3),
        head_dim: int = 64,
        num_frames: int = 16,
        frame_stride: int = 4,
        size: int = 224,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = plain({k: v for k, v in locals().items() if k not in ("self", "__class__")})
        self.channels = dims[-1]
        self.input_spec = TIMESFORMER.replace(num_frames=num_frames, frame_stride=frame_stride, size=size)
        before = 3
        for number, (dim, blocks) in enumerate(zip(dims, depth, strict=True), start=1):
            self.add_module(f"patch_embed{number}", _Patches(before, dim, first=number == 1))
            self.add_module(
                f"blocks{number}",
                nn.ModuleList(
                    _ConvBlock(dim) if number < 3 else _AttentionBlock(dim, max(1, dim // head_dim))
                    for _ in range(blocks)
                ),
            )
            before = dim
        self.norm = nn.BatchNorm3d(dims[-1])
        self.taps = (
            *(
                FeatureTap(f"blocks{stage}.{number}", dims[stage - 1], 2, 2 ** (stage + 1))
                for stage in range(1, 5)
                for number in range(depth[stage - 1])
            ),
            FeatureTap("norm", self.channels, 2, 32),
        )
        initialize_transformer(self)

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip.

        Raises:
            InputError: if its sides are no multiples of 32 pixels, or its frames not of 2.
        """
        if clip.ndim != 5 or clip.shape[2] % 2 or clip.shape[3] % 32 or clip.shape[4] % 32:
            raise InputError(
                f"UniFormer takes clips (N, 3, T, H, W) of an even number of frames and sides that are multiples of 32 "
                f"pixels, got {tuple(clip.shape)}"
            )
        x = clip
        for stage in range(1, 5):
            x = self.get_submodule(f"patch_embed{stage}")(x)
            for block in self.get_submodule(f"blocks{stage}").children():
                x = block(x)
        return self.norm(x)  # type: ignore[no-any-return]


class _Patches(nn.Module):
    def __init__(self, before: int, dim: int, *, first: bool) -> None:
        super().__init__()
        kernel, stride, padding = ((3, 4, 4), (2, 4, 4), (1, 0, 0)) if first else ((1, 2, 2), (1, 2, 2), (0, 0, 0))
        self.proj = nn.Conv3d(before, dim, kernel, stride=stride, padding=padding)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return channels_first(self.norm(self.proj(x).movedim(1, -1)))


class _ConvMlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv3d(dim, 4 * dim, 1), nn.Conv3d(4 * dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class _ConvBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pos_embed = nn.Conv3d(dim, dim, 3, padding=1, groups=dim)
        self.norm1, self.norm2 = nn.BatchNorm3d(dim), nn.BatchNorm3d(dim)
        self.conv1, self.conv2 = nn.Conv3d(dim, dim, 1), nn.Conv3d(dim, dim, 1)
        self.attn = nn.Conv3d(dim, dim, 5, padding=2, groups=dim)
        self.mlp = _ConvMlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.conv2(self.attn(self.conv1(self.norm1(x))))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class _AttentionBlock(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.pos_embed = nn.Conv3d(dim, dim, 3, padding=1, groups=dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)
        self.attn, self.mlp = Attention(dim, heads), Mlp(dim, 4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        tokens = (x + self.pos_embed(x)).movedim(1, -1)
        tokens = tokens + self.attn(self.norm1(tokens))
        return channels_first(tokens + self.mlp(self.norm2(tokens)))
