"""Hiera: a transformer whose grid gets coarser, with attention inside windows at first.

Ryali et al., "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles", ICML 2023. Names of parameters
are facebookresearch/hiera `hiera/hiera.py`'s, commit b12b842, which orders tokens by window; here they keep their grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fima.errors import InputError
from fima.input_spec import TIMESFORMER
from fima.models.hub.layers import Mlp, channels_first, initialize_transformer, plain
from fima.models.registry import FeatureTap

__all__ = ["Hiera"]

_WINDOW = 8
_STRIDE = (2, 4, 4)


class Hiera(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, 8·dim, T/2, H/32, W/32)``, before any norm; for one size of clips.

    Args:
        dim: width of the first stage; it doubles three times.
        heads: of the first stage; they double as well. None: the authors' for this width.
        stages: blocks of the four stages.
        head_norm: whether there is a norm that the classifier applies to the mean over cells; as a tap it is applied
            to each cell.
        num_frames, frame_stride, size: of the only clips it takes.
    """

    temporal_stride, spatial_stride = 2, 32

    def __init__(
        self,
        *,
        dim: int = 96,
        heads: int | None = None,
        stages: Sequence[int] = (2, 3, 16, 3),
        head_norm: bool = True,
        num_frames: int = 16,
        frame_stride: int = 4,
        size: int = 224,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = plain({k: v for k, v in locals().items() if k not in ("self", "__class__")})
        self.channels = 8 * dim
        self.input_spec = TIMESFORMER.replace(num_frames=num_frames, frame_stride=frame_stride, size=size)
        self.grid = (num_frames // 2, size // 4, size // 4)
        self.pos_embed_spatial = nn.Parameter(torch.zeros(1, self.grid[1] * self.grid[2], dim))
        self.pos_embed_temporal = nn.Parameter(torch.zeros(1, self.grid[0], dim))
        self.patch_embed = _Patches(dim)
        heads = heads or {96: 1, 112: 2, 144: 2, 256: 4}.get(dim, 1)
        kinds = _kinds(stages)
        self.blocks = nn.ModuleList(
            _Block(dim * 2 ** (stage - pools), dim * 2**stage, heads * 2**stage, window, pools)
            for stage, window, pools in kinds
        )
        self.norm = nn.LayerNorm(self.channels, 1e-6) if head_norm else None
        taps = [FeatureTap("patch_embed", dim, 2, 4, channels_first)]
        if head_norm:
            taps.append(FeatureTap("norm", self.channels, 2, 32, channels_first))
        taps += [
            FeatureTap(f"blocks.{number}", dim * 2**stage, 2, 4 * 2**stage, channels_first)
            for number, (stage, _, _) in enumerate(kinds)
        ]
        self.taps = tuple(taps)
        initialize_transformer(self)

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip.

        Raises:
            InputError: if the clip is not of the one size.
        """
        grid = tuple(length * stride for length, stride in zip(self.grid, _STRIDE, strict=True))
        if clip.ndim != 5 or tuple(clip.shape[2:]) != grid:
            wanted = " x ".join(map(str, (3, *grid)))
            raise InputError(f"Hiera takes clips of 3 x T x H x W = {wanted} only, got {tuple(clip.shape[1:])}")
        x = self.patch_embed(clip)
        x = x + self.pos_embed_spatial.reshape(1, 1, *self.grid[1:], -1) + self.pos_embed_temporal[:, :, None, None]
        for block in self.blocks:
            x = block(x)
        if self.norm is not None:
            self.norm(x)  # for its tap: the classifier applies it to the mean
        return channels_first(x)

    def layout(self, layer: str) -> Callable[[Any], Tensor] | None:
        """How a layer's output becomes a feature map: that of convolutions is one, all others are tokens."""
        return None if layer.endswith("patch_embed.proj") or not layer else channels_first


class HieraAttention(nn.Module):
    """Attention inside windows of one time step, or over all tokens; queries may be pooled 2 x 2 in space."""

    def __init__(self, dim: int, out: int, heads: int, window: int | None, pools: bool) -> None:
        super().__init__()
        self.heads, self.window, self.pools = heads, window, pools
        self.qkv, self.proj = nn.Linear(dim, 3 * out), nn.Linear(out, out)

    def heads_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each ``(N · windows, heads, tokens of a window, C / heads)``."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        if self.pools:
            query = _pool(query)
        return self._split(query, self._own_window), self._split(key, self.window), self._split(value, self.window)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, T, H, W, C)`` → ``(N, T, H, W, C')`` or half as high and wide."""
        count, frames, height, width, _ = x.shape
        mixed = F.scaled_dot_product_attention(*self.heads_of(x)).transpose(1, 2).flatten(2)
        if self.pools:
            height, width = height // 2, width // 2
        own = self._own_window
        if own is None:
            return self.proj(mixed.reshape(count, frames, height, width, -1))  # type: ignore[no-any-return]
        tiles = mixed.reshape(count, frames, height // own, width // own, own, own, -1)
        return self.proj(tiles.transpose(3, 4).reshape(count, frames, height, width, -1))  # type: ignore[no-any-return]

    @property
    def _own_window(self) -> int | None:
        """Side of the windows of queries."""
        return self.window // 2 if self.window is not None and self.pools else self.window

    def _split(self, x: Tensor, size: int | None) -> Tensor:
        if size is None:
            tokens = x.flatten(1, 3)
        else:
            count, frames, height, width, channels = x.shape
            tiles = x.reshape(count, frames, height // size, size, width // size, size, channels).transpose(3, 4)
            tokens = tiles.reshape(-1, size * size, channels)
        return tokens.reshape(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class _Block(nn.Module):
    def __init__(self, dim: int, out: int, heads: int, window: int | None, pools: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(out, 1e-6)
        self.attn = HieraAttention(dim, out, heads, window, pools)
        self.mlp = Mlp(out, 4 * out)
        self.proj = nn.Linear(dim, out) if pools else None

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = (x if self.proj is None else _pool(self.proj(normed))) + self.attn(normed)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class _Patches(nn.Module):
    """``(N, 3, T, H, W)`` → tokens ``(N, T/2, H/4, W/4, C)``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, dim, (3, 7, 7), stride=_STRIDE, padding=(1, 3, 3))

    def forward(self, clip: Tensor) -> Tensor:
        return self.proj(clip).movedim(1, -1).contiguous()  # type: ignore[no-any-return]


def _kinds(stages: Sequence[int]) -> list[tuple[int, int | None, bool]]:
    """(stage, side of the windows of keys, whether it pools) of each block.

    A stage's first block still has the windows of the stage before, at that stage's resolution.
    """
    kinds: list[tuple[int, int | None, bool]] = []
    sizes: tuple[int | None, ...] = (_WINDOW, _WINDOW // 2, None, None)
    for stage, count in enumerate(stages):
        for number in range(count):
            pools = stage > 0 and number == 0
            kinds.append((stage, sizes[stage - 1] if pools else sizes[stage], pools))
    return kinds


def _pool(x: Tensor) -> Tensor:
    """The largest of 2 x 2 cells: ``(N, T, H, W, C)`` → ``(N, T, H/2, W/2, C)``."""
    count, frames, height, width, channels = x.shape
    return x.reshape(count, frames, height // 2, 2, width // 2, 2, channels).amax(dim=(3, 5))
