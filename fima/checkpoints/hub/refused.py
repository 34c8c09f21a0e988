"""Families that are known by their keys but cannot be built here, and what each needs."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["REFUSED", "named_family"]

_OWN = "build the network with its own library and pass --arch package.module:factory (docs/backbones.md)"

#: (pattern of one of its keys, family, what it needs).
REFUSED: tuple[tuple[str, str, str], ...] = (
    (r"(^|\.)conv1\.net\.(weight|bias)$", "TSM (temporal shift module)", _OWN),
    (r"(^|\.)blocks\.\d+\.ls1\.gamma$|(^|\.)blocks\.\d+\.attn\.q_norm\.", "InternVideo2", _OWN),
    (r"(^|\.)layers\.\d+\.mixer\.", "VideoMamba", "install mamba-ssm and " + _OWN),
    (r"(^|\.)multipathway_blocks\.", "pytorchvideo SlowFast", "install pytorchvideo and " + _OWN),
    (r"(^|\.)cls_positional_encoding\.", "pytorchvideo MViT", "install pytorchvideo and " + _OWN),
    (r"(^|\.)blocks\.\d+\.res_blocks\.", "pytorchvideo X3D, Slow or CSN", "install pytorchvideo and " + _OWN),
    (
        r"^backbone\.layer\d\.\d+\.conv\d(\.\d)?\.conv\.",
        "MMAction2's 3-D ResNet",
        "install mmaction2 and " + _OWN,
    ),
    (r"(^|\.)pos_embed_class$", "MAE-ST (masked autoencoders on video)", _OWN),
    (r"(^|\.)pos_encoding\.spatial_pos$", "torchvision's MViT", "install torchvision and " + _OWN),
    (r"(^|\.)features\.\d+\.\d+\.attn\.relative_position_bias_table$", "Video Swin (torchvision)", _OWN),
    (r"(^|\.)layers\.\d+\.blocks\.\d+\.attn\.relative_position_bias_table$", "Video Swin", _OWN),
)


def named_family(keys: Iterable[str]) -> tuple[str, str, str] | None:
    """The first family one of whose keys is there: (family, the key, what it needs)."""
    listed = list(keys)
    for pattern, family, needs in REFUSED:
        key = next((key for key in listed if re.search(pattern, key)), None)
        if key is not None:
            return family, key, needs
    return None
