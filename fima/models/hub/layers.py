"""What the video transformers share: attention, blocks and checks, on tokens that keep their grid.

Tokens are ``(N, T', H', W', C)`` from the patch embedding to the last norm: a cell's place is its index, so no layer's
output has to be put in order again. Names of parameters are those of the authors' files.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fima.errors import InputError

__all__ = ["Attention", "Block", "Mlp", "channels_first", "check_multiples", "initialize_transformer", "plain", "turn"]


class Attention(nn.Module):
    """Self-attention over all tokens between the first and the last axis.

    Args:
        dim: C.
        heads: that divide C.
        bias: whether queries, keys and values have one.
    """

    def __init__(self, dim: int, heads: int, *, bias: bool = True) -> None:
        super().__init__()
        if dim % heads:
            raise InputError(f"heads must divide dim, got {heads} and {dim}")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        self.proj = nn.Linear(dim, dim)

    def heads_of(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of tokens ``(N, …, C)``, each ``(N, heads, L, C / heads)``.

        Args:
            x: tokens.
            rotation: cosines and sines ``(L, C / heads)`` that turn queries and keys.
        """
        split = self.qkv(x).flatten(1, -2).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        if rotation is not None:
            query, key = turn(query, *rotation), turn(key, *rotation)
        return query, key, value

    def queries_and_keys(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The first two of `heads_of`, without the work of the third."""
        rows = 2 * self.qkv.out_features // 3
        bias = None if self.qkv.bias is None else self.qkv.bias[:rows]
        both = F.linear(x, self.qkv.weight[:rows], bias)
        query, key = both.reshape(len(x), -1, 2, self.heads, x.shape[-1] // self.heads).permute(2, 0, 3, 1, 4)
        return (query, key) if rotation is None else (turn(query, *rotation), turn(key, *rotation))

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Tokens ``(N, …, C)`` → the same shape."""
        mixed = F.scaled_dot_product_attention(*self.heads_of(x, rotation))
        return self.proj(mixed.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """``(…, C)`` → the same shape."""
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and MLP, each after a layer norm and added to what came in.

    Args:
        dim, heads, hidden: widths and number of heads.
        bias: of queries, keys and values.
        eps: of the norms.
        scaled: whether learnt factors ``gamma_1``, ``gamma_2`` multiply the two branches.
    """

    def __init__(
        self, dim: int, heads: int, hidden: int, *, bias: bool = True, eps: float = 1e-6, scaled: bool = False
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps), nn.LayerNorm(dim, eps)
        self.attn = Attention(dim, heads, bias=bias)
        self.mlp = Mlp(dim, hidden)
        self.gamma_1 = nn.Parameter(torch.full((dim,), 0.1)) if scaled else None
        self.gamma_2 = nn.Parameter(torch.full((dim,), 0.1)) if scaled else None

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Tokens ``(N, …, C)`` → the same shape."""
        mixed = self.attn(self.norm1(x), rotation)
        x = x + (mixed if self.gamma_1 is None else self.gamma_1 * mixed)
        changed = self.mlp(self.norm2(x))
        return x + (changed if self.gamma_2 is None else self.gamma_2 * changed)  # type: ignore[no-any-return]


def turn(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn the channel pairs (0, 1), (2, 3), … of ``(…, L, D)``, each channel with its own angle ``(L, D)``."""
    partner = torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)
    return x * cosines + partner * sines


def channels_first(tokens: Tensor) -> Tensor:
    """``(N, T', H', W', C)`` → ``(N, C, T', H', W')``."""
    return tokens.movedim(-1, 1)


def check_multiples(clip: Tensor, tubelet: int, patch: int, name: str) -> None:
    """Refuse clips that patches do not divide.

    Raises:
        InputError: if ``clip`` is not ``(N, 3, T, H, W)`` or one of its sides would be cut off.
    """
    if clip.ndim != 5 or clip.shape[1] != 3:
        raise InputError(f"clip must be (N, 3, T, H, W), got {tuple(clip.shape)}")
    frames, height, width = clip.shape[2:]
    if frames % tubelet:
        raise InputError(f"{name} takes frames in multiples of {tubelet} (its tubelet), got {frames}")
    if height % patch or width % patch:
        raise InputError(f"{name} takes sides in multiples of {patch} pixels (its patch), got {height} x {width}")


def initialize_transformer(module: nn.Module) -> None:
    """Truncated normal of deviation 0.02 for linear layers, Xavier for patches, in place; as the families' authors."""
    for layer in module.modules():
        if any(parameter.is_meta for parameter in layer.parameters(recurse=False)):
            continue
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02, a=-2.0, b=2.0)
        elif isinstance(layer, nn.Conv2d | nn.Conv3d):
            fan = layer.weight.shape[0] + math.prod(layer.weight.shape[1:])
            nn.init.uniform_(layer.weight, -math.sqrt(6 / fan), math.sqrt(6 / fan))
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as files can hold them: lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
