"""Backbones: normalized clip ``(N, 3, T, H, W)`` → feature map ``(N, C, T', H', W')``."""

from fima.models.registry import (
    BackboneInfo,
    FeatureTap,
    backbone_info,
    backbone_names,
    create_backbone,
)

__all__ = ["BackboneInfo", "FeatureTap", "backbone_info", "backbone_names", "create_backbone"]
