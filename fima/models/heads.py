"""What FIMA puts on top of a backbone: the projector and the motion decoder.

Facts from ZMHH-H/FIMA `moco/builder.py` and `backbone/transformer.py` (commit fd63cbd); the names of the parameters are
theirs. Both work point by point on rows ``(…, C)``, which is what their 1×1 convolutions amount to.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fima.errors import InputError

__all__ = ["CrossAttentionDecoder", "Decoded", "MotionDecoder", "Projector", "sinusoidal_positions"]


class Projector(nn.Module):
    """Two 1×1 convolutions with a ReLU between them, for pooled features and for dense ones alike.

    Args:
        channels: C of the feature map.
        dim: length of a projected feature.
        hidden: channels in between.

    Source: FIMA, section 3.1; ZMHH-H/FIMA `moco/builder.py` (`Projection_Head_Conv`), commit fd63cbd.
    """

    def __init__(self, channels: int, dim: int = 128, hidden: int = 1024) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, dim, 1))

    def forward(self, feature_map: Tensor) -> Tensor:
        """``(N, C, T', H', W')``, averaged over time → ``(N, dim, H', W')``, not normalized."""
        return self.project(feature_map.mean(dim=2).movedim(1, -1)).movedim(-1, 1)

    def project(self, rows: Tensor) -> Tensor:
        """``(…, C)`` → ``(…, dim)``: each row on its own, not normalized."""
        first, relu, second = self.net
        return _pointwise(second, relu(_pointwise(first, rows)))


class Decoded(NamedTuple):
    """What the motion decoder predicts.

    Attributes:
        token: ``(B, C)``, of the class token; None where the decoder has none.
        positions: ``(B, P, C)``, of the query's positions.
        attention: ``(B, layers, heads, S, P')``, weights in [0, 1] that sum to 1 over the memory; S counts the class
            token, if there is one, and then the positions. None unless asked for.
    """

    token: Tensor | None
    positions: Tensor
    attention: Tensor | None = None


class MotionDecoder(nn.Module):
    """Predicts the motion features of one view at the positions of another, from the RGB features of both.

    Args:
        channels: C of the backbone's feature map.
        width: channels inside, even and divisible by ``heads``.
        heads, feedforward, layers, dropout: of the decoder's layers.
        class_token: whether a learnt token, without position, stands before the positions and sums the slice up.

    Raises:
        InputError: if the width is odd, not divisible by the number of heads, or the dropout is not in [0, 1).

    Source: FIMA, section 3.2; ZMHH-H/FIMA `moco/builder.py`, commit fd63cbd, whose positions end at 100.
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int = 512,
        heads: int = 4,
        feedforward: int = 512,
        layers: int = 2,
        dropout: float = 0.1,
        class_token: bool = True,
    ) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None
        self.embedding1 = nn.Conv2d(channels, width, 1)
        self.embedding2 = nn.Conv2d(width, channels, 1)
        self.transformer_decoder = CrossAttentionDecoder(
            width, heads=heads, feedforward=feedforward, layers=layers, dropout=dropout
        )

    def embed(self, rows: Tensor) -> Tensor:
        """``(…, P, C)`` features at the positions of a slice, row by row → ``(…, P, width)`` with their positions."""
        embedded = _pointwise(self.embedding1, rows)
        count, width = embedded.shape[-2:]
        return embedded + sinusoidal_positions(count, width, device=embedded.device)

    def forward(self, query: Tensor, memory: Tensor, *, positions: bool = True, attention: bool = False) -> Decoded:
        """Predict.

        Args:
            query: ``(B, P, width)``, embedded slices of the view whose positions are asked about.
            memory: ``(B, P', width)``, embedded slices of the view whose motion is predicted, at the same time.
            positions: False predicts at the class token alone; the queries do not see each other, so it predicts
                the same.
            attention: whether to return the weights too.
        """
        queries = [] if self.cls_token is None else [self.cls_token.expand(len(query), -1, -1).to(query.dtype)]
        target = torch.cat([*queries, query] if positions else [*queries, query[:, :0]], dim=1)
        decoded, weights = self.transformer_decoder(target, memory, attention=attention)
        decoded = _pointwise(self.embedding2, decoded)
        if self.cls_token is None:
            return Decoded(None, decoded, weights)
        return Decoded(decoded[:, 0], decoded[:, 1:], weights)


class CrossAttentionDecoder(nn.Module):
    """A transformer decoder whose layers look at the memory alone: no self-attention, no final norm.

    Args:
        width: channels of queries and memory.
        heads: of the attention; divides the width.
        feedforward: channels in between the two linear layers.
        layers: their number.
        dropout: share of attention weights, and of each branch's outputs, that training drops.

    Raises:
        InputError: as `MotionDecoder`.
    """

    def __init__(self, width: int, *, heads: int = 4, feedforward: int, layers: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        if width % 2 or width % heads:
            raise InputError(f"the decoder's width must be even and divisible by its {heads} heads, got {width}")
        if not 0 <= dropout < 1:
            raise InputError(f"dropout must be in [0, 1), got {dropout}")
        self.layers = nn.ModuleList(_Layer(width, heads, feedforward, dropout) for _ in range(layers))

    def forward(self, target: Tensor, memory: Tensor, *, attention: bool = False) -> tuple[Tensor, Tensor | None]:
        """``(B, S, width)`` and ``(B, P', width)`` → ``(B, S, width)`` and, if asked for, the attention weights."""
        weights = []
        for layer in self.layers:
            target, layer_weights = layer(target, memory, attention=attention)
            weights.append(layer_weights)
        return target, torch.stack(weights, dim=1) if attention else None


class _Layer(nn.Module):
    """Cross-attention and a feed-forward branch, each normalized before (the memory is not) and added."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.multihead_attn = _CrossAttention(width, heads, dropout)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        # The reference's layers came from PyTorch's decoder, whose first norm belonged to the self-attention.
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, target: Tensor, memory: Tensor, *, attention: bool) -> tuple[Tensor, Tensor | None]:
        attended, weights = self.multihead_attn(self.norm2(target), memory, attention=attention)
        target = target + self.dropout(attended)
        hidden = self.dropout(F.relu(self.linear1(self.norm3(target))))
        return target + self.dropout(self.linear2(hidden)), weights


class _CrossAttention(nn.Module):
    """Multi-head attention with the parameters of ``nn.MultiheadAttention``, batch first, keys and values alike."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, target: Tensor, memory: Tensor, *, attention: bool) -> tuple[Tensor, Tensor | None]:
        width = target.shape[-1]
        weight, bias = self.in_proj_weight, self.in_proj_bias
        query = self._split(F.linear(target, weight[:width], bias[:width]))
        key, value = (self._split(rows) for rows in F.linear(memory, weight[width:], bias[width:]).chunk(2, dim=-1))
        if attention:
            weights = (query @ key.transpose(-2, -1) / math.sqrt(width / self.heads)).softmax(dim=-1)
            mixed = self.dropout(weights).to(value.dtype) @ value
        else:
            weights = None
            dropout = self.dropout.p if self.dropout.training else 0.0
            mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), weights

    def _split(self, rows: Tensor) -> Tensor:
        """``(B, S, width)`` → ``(B, heads, S, width / heads)``."""
        batch, length, width = rows.shape
        return rows.reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)


def sinusoidal_positions(count: int, width: int, *, device: torch.device | str | None = None) -> Tensor:
    """Vaswani et al.'s positions 0 … count − 1: ``(count, width)``, sine on even channels, cosine on odd ones.

    Examples:
        >>> sinusoidal_positions(2, 2)
        tensor([[0.0000, 1.0000],
                [0.8415, 0.5403]])
    """
    steps = torch.arange(0, width, 2, dtype=torch.float32, device=device) / width
    angle = torch.arange(count, dtype=torch.float32, device=device)[:, None] / torch.pow(10000.0, steps)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :width]


def _pointwise(convolution: nn.Module, rows: Tensor) -> Tensor:
    """A 1×1 convolution over the last axis."""
    if not isinstance(convolution, nn.Conv2d):
        raise TypeError(f"expected a 1×1 convolution, got {type(convolution).__name__}")
    return F.linear(rows, convolution.weight.flatten(1), convolution.bias)
