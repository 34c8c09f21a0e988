"""How video transformers know where a token is: tables and rotations, for any grid."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Grid", "resize_table", "rotations", "sine_cosine_table"]

Grid = tuple[int, int, int]
"""(T', H', W')."""


@functools.lru_cache(maxsize=4)
def sine_cosine_table(count: int, dim: int) -> Tensor:
    """VideoMAE's fixed table ``(count, dim)``, float32 on the CPU: sine for even channels, cosine for odd ones.

    Token p (counted through time, then rows, then columns) has in channel i the angle ``p / 10000^(2⌊i/2⌋ / dim)``.

    Source: MCG-NJU/VideoMAE `modeling_finetune.py` (`get_sinusoid_encoding_table`), commit 14ef8d8.
    """
    # Kept for passes with gradient and on any device, whatever the first one was.
    with torch.inference_mode(mode=False):
        channels = torch.arange(dim, dtype=torch.float64, device="cpu")
        rates = 10000 ** (-2 * (channels / 2).floor() / dim)
        angles = torch.arange(count, dtype=torch.float64, device="cpu")[:, None] * rates
        return torch.where(channels % 2 == 0, angles.sin(), angles.cos()).float()


def resize_table(table: Tensor, grid: Grid, new: Grid) -> Tensor:
    """A table ``(1, T'·H'·W', C)`` for another grid, by trilinear interpolation, as V-JEPA 1 does.

    Source: facebookresearch/jepa `src/models/vision_transformer.py` (`interpolate_pos_encoding`), commit 51c59d5.
    """
    if grid == new:
        return table
    volume = table.reshape(1, *grid, -1).movedim(-1, 1)
    return F.interpolate(volume, size=new, mode="trilinear", align_corners=False).movedim(1, -1).flatten(1, 3)


@functools.lru_cache(maxsize=4)
def rotations(grid: Grid, dim: int, stretched_to: int | None = None) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``(T'·H'·W', dim)`` that turn queries and keys of one head, float32 on the CPU.

    A third of the channels each (rounded down to an even number) turns with time, row and column; what is left over
    stays.

    Args:
        grid: the clip's own.
        dim: channels of a head.
        stretched_to: None: V-JEPA 2, positions as they are, and the list of frequencies repeated. A number of cells:
            V-JEPA 2.1, rows and columns reach as far as in a grid of so many, and each frequency stands twice.

    Source: facebookresearch/vjepa2 `src/models/utils/modules.py`, commit c2963a4, and `app/vjepa_2_1/models`.
    """
    with torch.inference_mode(mode=False):
        part = 2 * (dim // 3 // 2)
        rates = 10000 ** (-torch.arange(part // 2, dtype=torch.float64, device="cpu") / (part // 2))
        rates = rates.repeat(2) if stretched_to is None else rates.repeat_interleave(2)
        axes = [torch.arange(length, dtype=torch.float64, device="cpu") for length in grid]
        if stretched_to is not None:
            axes[1:] = [axis * ((stretched_to - 1) / max(1, len(axis) - 1)) for axis in axes[1:]]
        angles = [place.flatten()[:, None] * rates for place in torch.meshgrid(*axes, indexing="ij")]
        rest = torch.zeros(len(angles[0]), dim - 3 * part, dtype=torch.float64, device="cpu")
        turned = torch.cat([*angles, rest], dim=1)
        return turned.cos().float(), turned.sin().float()
