"""TimeSformer: attention through time, then through space, with a class token.

Bertasius, Wang, Torresani, "Is Space-Time Attention All You Need for Video Understanding?", ICML 2021. Names of
parameters and the order of operations are facebookresearch/TimeSformer `timesformer/models/vit.py`, commit a5ef29a.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fima.errors import InputError
from fima.input_spec import TIMESFORMER
from fima.models.hub.layers import Attention, Mlp, channels_first, check_multiples, initialize_transformer
from fima.models.registry import FeatureTap

__all__ = ["ATTENTIONS", "TimeSformer"]

ATTENTIONS = ("divided", "joint", "space")

Tokens = tuple[Tensor, Tensor]
"""Class tokens ``(N, 1, C)`` (one a frame where attention is in space only) and patches ``(N, T, H', W', C)``."""


class TimeSformer(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, dim, T, H/patch, W/patch)``; sides must be multiples of the patch.

    Embeddings of time and place are taken from the nearest neighbor for clips of another length or size, as the
    authors do. The feature map holds the patches; the class token is not in it.

    Args:
        dim, depth, heads, mlp_dim: widths and counts; the usual ones of the width where they are None.
        patch_size: pixels of a patch.
        attention: one of `ATTENTIONS`.
        qkv_bias, eps: of the blocks.
        num_frames, frame_stride, size: of the clip it is meant for.

    Raises:
        InputError: if a setting cannot be used.
    """

    temporal_stride = 1

    def __init__(
        self,
        *,
        dim: int = 768,
        depth: int = 12,
        heads: int | None = None,
        mlp_dim: int | None = None,
        patch_size: int = 16,
        attention: str = "divided",
        qkv_bias: bool = True,
        eps: float = 1e-6,
        num_frames: int = 8,
        frame_stride: int = 32,
        size: int = 224,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        if attention not in ATTENTIONS:
            raise InputError(f"attention must be one of {', '.join(ATTENTIONS)}, got {attention!r}")
        self.channels, self.spatial_stride = dim, patch_size
        self.attention = attention
        self.input_spec = TIMESFORMER.replace(num_frames=num_frames, frame_stride=frame_stride, size=size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (size // patch_size) ** 2, dim))
        self.time_embed = None if attention == "space" else nn.Parameter(torch.zeros(1, num_frames, dim))
        self.patch_embed = _Patches(dim, patch_size)
        heads, hidden = heads or max(1, dim // 64), mlp_dim or 4 * dim
        self.blocks = nn.ModuleList(_Block(dim, heads, hidden, attention, qkv_bias, eps) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps)
        self.taps = tuple(
            FeatureTap(name, dim, 1, patch_size, self.layout(name))
            for name in ("patch_embed", *(f"blocks.{number}" for number in range(depth)), "norm")
        )
        initialize_transformer(self)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip.

        Raises:
            InputError: if its sides are no multiples of the patch.
        """
        check_multiples(clip, 1, self.spatial_stride, "TimeSformer")
        tokens = self._embed(self.patch_embed(clip))
        for block in self.blocks:
            tokens = block(*tokens)
        return channels_first(self.norm(tokens[1]))

    def layout(self, layer: str) -> Callable[[Any], Tensor] | None:
        """How a layer's output becomes a feature map; layers inside a block mix frames and batch, and have none."""
        if layer.startswith("blocks.") and layer.count(".") == 1:
            return _patches_first
        return channels_first if layer in ("patch_embed", "norm") else None

    def _embed(self, patches: Tensor) -> Tokens:
        count, frames, height, width, dim = patches.shape
        side = round((self.pos_embed.shape[1] - 1) ** 0.5)
        places = self.pos_embed[:, 1:]
        if (height, width) != (side, side):
            plane = places.reshape(1, side, side, dim).movedim(-1, 1)
            places = F.interpolate(plane, size=(height, width), mode="nearest").movedim(1, -1)
        x = patches + places.reshape(1, 1, height, width, dim)
        if self.time_embed is not None:
            times = F.interpolate(self.time_embed.mT, size=frames, mode="nearest").mT
            x = x + times[:, :, None, None]
        one = frames if self.attention == "space" else 1
        return (self.cls_token + self.pos_embed[:, :1]).expand(count, one, dim), x


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int, attention: str, bias: bool, eps: float) -> None:
        super().__init__()
        self.attention = attention
        self.norm1, self.attn = nn.LayerNorm(dim, eps), Attention(dim, heads, bias=bias)
        if attention == "divided":
            self.temporal_norm1, self.temporal_attn = nn.LayerNorm(dim, eps), Attention(dim, heads, bias=bias)
            self.temporal_fc = nn.Linear(dim, dim)
        self.norm2, self.mlp = nn.LayerNorm(dim, eps), Mlp(dim, hidden)

    def forward(self, cls: Tensor, x: Tensor) -> Tokens:
        """Class token and patches → the same shapes."""
        if self.attention == "divided":
            x = x + self.temporal_fc(self._through_time(self.temporal_norm1(x)))
        change, changes = self._joint(cls, x) if self.attention == "joint" else self._through_space(cls, x)
        cls, x = cls + change, x + changes
        return cls + self.mlp(self.norm2(cls)), x + self.mlp(self.norm2(x))

    def _through_time(self, x: Tensor) -> Tensor:
        """Attention over the frames of each place."""
        count, frames, height, width, _ = x.shape
        mixed = self.temporal_attn(x.permute(0, 2, 3, 1, 4).flatten(0, 2))
        return mixed.reshape(count, height, width, frames, -1).permute(0, 3, 1, 2, 4)  # type: ignore[no-any-return]

    def _through_space(self, cls: Tensor, x: Tensor) -> Tokens:
        """Attention inside each frame; a class token that all frames share gets the mean of what they say."""
        frames = x.shape[1]
        each = torch.cat((cls.expand(-1, frames, -1)[:, :, None], x.flatten(2, 3)), dim=2)
        mixed = self.attn(self.norm1(each.flatten(0, 1))).reshape(each.shape)
        change = (
            mixed[:, :, 0] if cls.shape[1] == frames and self.attention == "space" else mixed[:, :, 0].mean(1, True)
        )
        return change, mixed[:, :, 1:].reshape(x.shape)

    def _joint(self, cls: Tensor, x: Tensor) -> Tokens:
        mixed = self.attn(self.norm1(torch.cat((cls, x.flatten(1, 3)), dim=1)))
        return mixed[:, :1], mixed[:, 1:].reshape(x.shape)


class _Patches(nn.Module):
    """Frames of ``(N, 3, T, H, W)`` → tokens ``(N, T, H', W', C)``."""

    def __init__(self, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, stride=patch)

    def forward(self, clip: Tensor) -> Tensor:
        planes = self.proj(clip.movedim(1, 2).flatten(0, 1))
        return planes.unflatten(0, (len(clip), -1)).movedim(2, -1).contiguous()  # type: ignore[no-any-return]


def _patches_first(tokens: Tokens) -> Tensor:
    return channels_first(tokens[1])
