"""The vision transformer of VideoMAE 1 and 2 and of V-JEPA 1, 2 and 2.1: one network, four kinds of positions.

Names of parameters are those of the authors' files: MCG-NJU/VideoMAE (commit 14ef8d8), OpenGVLab/VideoMAEv2 (29eab1e),
facebookresearch/jepa (51c59d5), facebookresearch/vjepa2 (c2963a4; 2.1: `app/vjepa_2_1`, `src/hub/backbones.py`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fima.errors import InputError
from fima.input_spec import IMAGENET_224, InputSpec
from fima.models.hub.layers import Block, channels_first, check_multiples, initialize_transformer, plain
from fima.models.hub.positions import Grid, resize_table, rotations, sine_cosine_table
from fima.models.registry import FeatureTap

__all__ = ["POSITIONS", "VideoTransformer", "videomae_small", "videomae_tiny", "vjepa1", "vjepa2", "vjepa21"]

POSITIONS = ("sincos", "table", "rotary", "stretched")
"""VideoMAE's fixed table, a learnt or stored one (V-JEPA 1), rotations of V-JEPA 2, and those of V-JEPA 2.1."""

_NAMES = {"sincos": "VideoMAE", "table": "this vision transformer", "rotary": "V-JEPA 2", "stretched": "V-JEPA 2.1"}
_HEADS = {1024: 16, 1280: 16, 1408: 16, 1664: 26}


class VideoTransformer(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, dim, T/tubelet, H/patch, W/patch)``; frames and sides must be multiples.

    Args:
        dim, depth, heads, mlp_dim: widths and counts; the usual ones of the width where they are None.
        patch_size, tubelet_size: pixels and frames of a token.
        positions: one of `POSITIONS`.
        grid: cells ``(T', H', W')`` of the clips it was trained on, needed for a table; None with ``sincos``: unknown,
            and the table is that of the clip's own grid.
        resize: whether the table is interpolated for clips of another grid; they are refused otherwise.
        qkv_bias, eps, layer_scale: of the blocks.
        final_norm: whether tokens are normalized at the end (not in fine-tuned VideoMAE).
        fc_norm: whether there is a norm that fine-tuned VideoMAE applies to the mean of the tokens; as a tap it is
            applied to each cell.
        num_frames, frame_stride, size: of the clip it is meant for.

    Raises:
        InputError: if a setting cannot be used.
    """

    def __init__(
        self,
        *,
        dim: int = 384,
        depth: int = 12,
        heads: int | None = None,
        mlp_dim: int | None = None,
        patch_size: int = 16,
        tubelet_size: int = 2,
        positions: str = "sincos",
        grid: Sequence[int] | None = None,
        resize: bool = False,
        qkv_bias: bool = True,
        eps: float = 1e-6,
        layer_scale: bool = False,
        final_norm: bool = True,
        fc_norm: bool = False,
        num_frames: int = 16,
        frame_stride: int = 4,
        size: int = 224,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = plain({k: v for k, v in locals().items() if k not in ("self", "__class__")})
        if positions not in POSITIONS or (positions == "table" and grid is None):
            raise InputError(f"positions must be one of {', '.join(POSITIONS)}, table with a grid; got {positions!r}")
        self.name = _NAMES.get(positions, positions)
        self.positions, self.resize = positions, resize
        self.grid: Grid | None = None if grid is None else (grid[0], grid[1], grid[2])
        self.channels, self.temporal_stride, self.spatial_stride = dim, tubelet_size, patch_size
        self.input_spec: InputSpec = IMAGENET_224.replace(num_frames=num_frames, frame_stride=frame_stride, size=size)
        heads = heads or _HEADS.get(dim) or max(1, dim // 64)
        self.head_dim = dim // heads
        self.patch_embed = _Patches(dim, patch_size, tubelet_size)
        self.pos_embed = nn.Parameter(_table(dim, self.grid)) if positions == "table" and self.grid else None
        hidden = mlp_dim or 4 * dim
        self.blocks = nn.ModuleList(
            Block(dim, heads, hidden, bias=qkv_bias, eps=eps, scaled=layer_scale) for _ in range(depth)
        )
        stretched = positions == "stretched"
        self.norm = nn.LayerNorm(dim, eps) if final_norm and not stretched else None
        self.fc_norm = nn.LayerNorm(dim, eps) if fc_norm else None
        if stretched:
            self.patch_embed_img = _Patches(dim, patch_size, 1)
            self.video_mod_embed, self.img_mod_embed = (nn.Parameter(torch.zeros(1, 1, dim)) for _ in range(2))
            self.norms_block = nn.ModuleList(nn.LayerNorm(dim, eps) for _ in range(4))
        self.taps = self._taps()
        initialize_transformer(self)

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip.

        Raises:
            InputError: if its frames or sides are no multiples, or its grid is not the table's.
        """
        x, rotation = self._embed(clip)
        for number, block in enumerate(self.blocks):
            x = block(x, rotation)
            if self.positions == "stretched" and (number + 1) * 4 % len(self.blocks) == 0:
                normed = self.norms_block[(number + 1) * 4 // len(self.blocks) - 1](x)
        if self.positions == "stretched":
            return channels_first(normed)
        if self.fc_norm is not None:
            self.fc_norm(x)  # for its tap: the head applies it to the mean, so it is not part of the feature map
        return channels_first(x if self.norm is None else self.norm(x))

    def interpolate_positions(self) -> None:
        """Take clips of other grids from now on, with an interpolated table."""
        self.resize = self.settings["resize"] = True

    def layout(self, layer: str) -> Callable[[Any], Tensor] | None:
        """How a layer's output becomes a feature map: that of convolutions is one, all others are tokens."""
        return None if layer.endswith("patch_embed.proj") or not layer else channels_first

    def _embed(self, clip: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        image = self.positions == "stretched" and clip.ndim == 5 and clip.shape[2] == 1
        check_multiples(clip, 1 if image else self.temporal_stride, self.spatial_stride, self.name)
        x = (self.patch_embed_img if image else self.patch_embed)(clip)
        grid: Grid = (x.shape[1], x.shape[2], x.shape[3])
        if self.positions in ("sincos", "table"):
            return x + self._table_for(grid).to(x).reshape(1, *grid, -1), None
        if self.positions == "rotary":
            cosines, sines = rotations(grid, self.head_dim)
        else:
            x = x + (self.img_mod_embed if image else self.video_mod_embed)[:, None, None]
            cosines, sines = rotations(grid, self.head_dim, 256 // self.spatial_stride)
        return x, (cosines.to(x), sines.to(x))

    def _table_for(self, grid: Grid) -> Tensor:
        known = grid if self.grid is None else self.grid
        # A table without a known grid is only told from its length, and so is whether it fits.
        fits = grid == known or (self.pos_embed is not None and math.prod(grid) == math.prod(known))
        if not (fits or self.resize):
            frames, height, width = (
                cells * stride
                for cells, stride in zip(
                    known, (self.temporal_stride, self.spatial_stride, self.spatial_stride), strict=True
                )
            )
            raise InputError(
                f"{self.name} has positions for {frames} frames of {height} x {width} pixels, not for the grid {grid}; "
                "give it such clips, or ask for interpolated positions with --input-spec 'num_frames=…;size=…'"
            )
        table = sine_cosine_table(math.prod(known), self.channels)[None] if self.pos_embed is None else self.pos_embed
        return resize_table(table, known, grid) if self.resize else table

    def _taps(self) -> tuple[FeatureTap, ...]:
        names = ["patch_embed", *(f"blocks.{number}" for number in range(len(self.blocks)))]
        if self.positions == "stretched":
            names += [f"norms_block.{number}" for number in range(4)]
        elif self.norm is not None:
            names += ["norm"]
        if self.fc_norm is not None:
            names.insert(len(names) - 1, "fc_norm")
        return tuple(
            FeatureTap(name, self.channels, self.temporal_stride, self.spatial_stride, channels_first) for name in names
        )


class _Patches(nn.Module):
    """Tubelets ``(N, 3, T, H, W)`` → tokens ``(N, T', H', W', C)``."""

    def __init__(self, dim: int, patch: int, tubelet: int) -> None:
        super().__init__()
        size = (tubelet, patch, patch)
        self.proj = nn.Conv3d(3, dim, size, stride=size)

    def forward(self, clip: Tensor) -> Tensor:
        return self.proj(clip).movedim(1, -1).contiguous()  # type: ignore[no-any-return]


def _table(dim: int, grid: Grid) -> Tensor:
    table = sine_cosine_table(math.prod(grid), dim)
    return torch.empty(1, *table.shape).copy_(table)  # on the device of the moment, which may be meta


#: VideoMAE's ViT-S/16, 22 million parameters.
videomae_small = functools.partial(VideoTransformer, dim=384, depth=12)

#: A small one for trying things out, 0.9 million parameters: 8 x 14 x 14 cells of a clip like those of `tiny`.
videomae_tiny = functools.partial(
    VideoTransformer, dim=128, depth=4, heads=4, patch_size=8, num_frames=16, frame_stride=2, size=112
)

#: V-JEPA 1: a stored table that is interpolated for other clips.
vjepa1 = functools.partial(VideoTransformer, positions="table", grid=(8, 14, 14), resize=True)

#: V-JEPA 2: rotary positions.
vjepa2 = functools.partial(VideoTransformer, positions="rotary", num_frames=64, frame_stride=2, size=256)

#: V-JEPA 2.1: stretched rotary positions, four output norms, an embedding for videos and one for images.
vjepa21 = functools.partial(VideoTransformer, positions="stretched", num_frames=64, frame_stride=2, size=384)
