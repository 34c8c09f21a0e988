"""Names in the files of video transformers → names in our networks (`fima.models.hub`).

Each table is read from the top, the first pattern that fits a whole key wins. ``name#k`` is the k-th third of an entry
that we keep as one: queries, keys, values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = [
    "HF_TIMESFORMER",
    "HF_VIDEOMAE",
    "HF_VJEPA2",
    "MM_TIMESFORMER",
    "MM_VIDEOMAE",
    "OFFICIAL",
    "Rules",
    "join",
    "rename",
]

Rules = tuple[tuple[str, str], ...]
"""(pattern of a whole key, its name)."""

_NUMBER = r"(\d+)\."
_KIND = r"(weight|bias)"

_THIRDS = (
    (r"blocks\.(\d+)\.attn\.q_bias", r"blocks.\1.attn.qkv.bias#0"),
    (r"blocks\.(\d+)\.attn\.v_bias", r"blocks.\1.attn.qkv.bias#2"),
)

#: VideoMAE, V-JEPA, TimeSformer, Hiera and UniFormer: our names are theirs, but for VideoMAE's biases.
OFFICIAL: Rules = (*_THIRDS, (r"(.*)", r"\1"))

#: MMAction2's VideoMAE (`mmaction/models/backbones/vit_mae.py`, commit 0f1d96b).
MM_VIDEOMAE: Rules = (
    *_THIRDS,
    (rf"patch_embed\.projection\.{_KIND}", r"patch_embed.proj.\1"),
    (rf"blocks\.{_NUMBER}mlp\.layers\.0\.0\.{_KIND}", r"blocks.\1.mlp.fc1.\2"),
    (rf"blocks\.{_NUMBER}mlp\.layers\.1\.{_KIND}", r"blocks.\1.mlp.fc2.\2"),
    (r"(.*)", r"\1"),
)

_MM_BLOCK = rf"transformer_layers\.layers\.{_NUMBER}"

#: MMAction2's TimeSformer, divided attention first (`mmaction/models/common/transformer.py`, commit 040bd8b).
MM_TIMESFORMER: Rules = (
    (rf"patch_embed\.projection\.{_KIND}", r"patch_embed.proj.\1"),
    (rf"{_MM_BLOCK}attentions\.0\.norm\.{_KIND}", r"blocks.\1.temporal_norm1.\2"),
    (rf"{_MM_BLOCK}attentions\.0\.attn\.in_proj_{_KIND}", r"blocks.\1.temporal_attn.qkv.\2"),
    (rf"{_MM_BLOCK}attentions\.0\.attn\.out_proj\.{_KIND}", r"blocks.\1.temporal_attn.proj.\2"),
    (rf"{_MM_BLOCK}attentions\.0\.temporal_fc\.{_KIND}", r"blocks.\1.temporal_fc.\2"),
    (rf"{_MM_BLOCK}attentions\.1\.norm\.{_KIND}", r"blocks.\1.norm1.\2"),
    (rf"{_MM_BLOCK}attentions\.1\.attn\.in_proj_{_KIND}", r"blocks.\1.attn.qkv.\2"),
    (rf"{_MM_BLOCK}attentions\.1\.attn\.out_proj\.{_KIND}", r"blocks.\1.attn.proj.\2"),
    (rf"{_MM_BLOCK}ffns\.0\.norm\.{_KIND}", r"blocks.\1.norm2.\2"),
    (rf"{_MM_BLOCK}ffns\.0\.layers\.0\.0\.{_KIND}", r"blocks.\1.mlp.fc1.\2"),
    (rf"{_MM_BLOCK}ffns\.0\.layers\.1\.{_KIND}", r"blocks.\1.mlp.fc2.\2"),
    (r"(.*)", r"\1"),
)

_HF_BLOCK = rf"encoder\.layer\.{_NUMBER}"

_HF_REST: Rules = (
    (rf"embeddings\.patch_embeddings\.(?:projection|proj)\.{_KIND}", r"patch_embed.proj.\1"),
    (rf"{_HF_BLOCK}layernorm_before\.{_KIND}", r"blocks.\1.norm1.\2"),
    (rf"{_HF_BLOCK}layernorm_after\.{_KIND}", r"blocks.\1.norm2.\2"),
    (rf"{_HF_BLOCK}attention\.output\.dense\.{_KIND}", r"blocks.\1.attn.proj.\2"),
    (rf"{_HF_BLOCK}intermediate\.dense\.{_KIND}", r"blocks.\1.mlp.fc1.\2"),
    (rf"{_HF_BLOCK}output\.dense\.{_KIND}", r"blocks.\1.mlp.fc2.\2"),
    (rf"(?:encoder\.)?layernorm\.{_KIND}", r"norm.\1"),
    (r"(.*)", r"\1"),
)

#: `transformers.VideoMAEModel`, as written by version 4 and on.
HF_VIDEOMAE: Rules = (
    (rf"{_HF_BLOCK}attention\.attention\.(?:q_bias|query\.bias)", r"blocks.\1.attn.qkv.bias#0"),
    (rf"{_HF_BLOCK}attention\.attention\.(?:v_bias|value\.bias)", r"blocks.\1.attn.qkv.bias#2"),
    (rf"{_HF_BLOCK}attention\.attention\.query\.weight", r"blocks.\1.attn.qkv.weight#0"),
    (rf"{_HF_BLOCK}attention\.attention\.key\.weight", r"blocks.\1.attn.qkv.weight#1"),
    (rf"{_HF_BLOCK}attention\.attention\.value\.weight", r"blocks.\1.attn.qkv.weight#2"),
    *_HF_REST,
)

#: `transformers.TimesformerModel`.
HF_TIMESFORMER: Rules = (
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.time_embeddings", "time_embed"),
    (rf"{_HF_BLOCK}attention\.attention\.qkv\.{_KIND}", r"blocks.\1.attn.qkv.\2"),
    (rf"{_HF_BLOCK}temporal_layernorm\.{_KIND}", r"blocks.\1.temporal_norm1.\2"),
    (rf"{_HF_BLOCK}temporal_attention\.attention\.qkv\.{_KIND}", r"blocks.\1.temporal_attn.qkv.\2"),
    (rf"{_HF_BLOCK}temporal_attention\.output\.dense\.{_KIND}", r"blocks.\1.temporal_attn.proj.\2"),
    (rf"{_HF_BLOCK}temporal_dense\.{_KIND}", r"blocks.\1.temporal_fc.\2"),
    *_HF_REST,
)

#: `transformers.VJEPA2Model`.
HF_VJEPA2: Rules = (
    (rf"{_HF_BLOCK}attention\.query\.{_KIND}", r"blocks.\1.attn.qkv.\2#0"),
    (rf"{_HF_BLOCK}attention\.key\.{_KIND}", r"blocks.\1.attn.qkv.\2#1"),
    (rf"{_HF_BLOCK}attention\.value\.{_KIND}", r"blocks.\1.attn.qkv.\2#2"),
    (rf"{_HF_BLOCK}attention\.proj\.{_KIND}", r"blocks.\1.attn.proj.\2"),
    (r"encoder\.layer\.(.*)", r"blocks.\1"),
    (rf"encoder\.embeddings\.patch_embeddings\.proj\.{_KIND}", r"patch_embed.proj.\1"),
    *_HF_REST,
)


def rename(key: str, rules: Rules) -> str:
    """The name of a key."""
    for pattern, name in rules:
        if match := re.fullmatch(pattern, key):
            return match.expand(name)
    return key


def join(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Entries whose thirds are joined; a missing third of the keys' biases is zero, as softmax does not see it.

    An entry with another third missing is left out.
    """
    joined: dict[str, Tensor] = {}
    thirds: dict[str, dict[int, Tensor]] = {}
    for name, value in values.items():
        whole, part, number = name.partition("#")
        if part:
            thirds.setdefault(whole, {})[int(number)] = value
        else:
            joined[name] = value
    for whole, parts in thirds.items():
        if whole.endswith("qkv.bias") and 1 not in parts and 0 in parts:
            parts[1] = torch.zeros_like(parts[0])
        if len(parts) == 3:
            joined[whole] = torch.cat([parts[number] for number in range(3)])
    return joined
