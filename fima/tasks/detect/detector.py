"""An action detector: a backbone, the features inside each box, a linear classifier of many labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fima.checkpoints import LoadedBackbone
from fima.errors import InputError
from fima.models.registry import backbone_info
from fima.models.roi_align import roi_align
from fima.transforms.normalize import normalize

__all__ = ["ActionHead", "Detector", "action_loss", "keep_last_stage_fine"]


class ActionHead(nn.Module):
    """Feature map and boxes → a logit for each box and action.

    The mean of the map over time, RoIAlign, the maximum over the bins, dropout, a linear layer.

    Args:
        channels: of the map.
        actions: K.
        spatial_stride: pixels per cell of the map.
        resolution: bins of RoIAlign along each side.
        dropout: share of the features.

    Source: PySlowFast ``slowfast/models/head_helper.py`` (``ResNetRoIHead``); weights begin with deviation 0.01.
    """

    def __init__(
        self, channels: int, actions: int, *, spatial_stride: int, resolution: int = 7, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.spatial_stride, self.resolution = spatial_stride, resolution
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, actions)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Logits ``(ΣR, K)`` from a map ``(N, C, T', H', W')`` and, for each of its N clips, boxes ``(R, 4)`` px."""
        pooled = roi_align(
            features.mean(dim=2), boxes, output_size=self.resolution, spatial_scale=1 / self.spatial_stride
        )
        logits: Tensor = self.classifier(self.dropout(pooled.amax(dim=(2, 3))))
        return logits


class Detector(nn.Module):
    """A backbone with an `ActionHead`.

    Args:
        loaded: the backbone; it is used itself, not copied.
        actions: K.
        finer_map: as of `keep_last_stage_fine`.
        freeze: keep the backbone as it is, its batch statistics too.
        resolution: bins of RoIAlign along each side.
        dropout: share of the features.

    Raises:
        InputError: if a finer map is asked of a backbone that cannot give it.
    """

    def __init__(
        self,
        loaded: LoadedBackbone,
        actions: int,
        *,
        finer_map: bool = False,
        freeze: bool = False,
        resolution: int = 7,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.backbone, self.spec, self.freeze = loaded.backbone, loaded.input, freeze
        info = backbone_info(self.backbone, self.spec)
        stride = info.spatial_stride
        if finer_map:
            if not info.taps[-1].layer:
                raise InputError(f"{loaded.arch}: a finer map needs a backbone that names its last stage (taps)")
            stride //= keep_last_stage_fine(self.backbone.get_submodule(info.taps[-1].layer))
        self.head = ActionHead(info.channels, actions, spatial_stride=stride, resolution=resolution, dropout=dropout)
        if freeze:
            self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> Detector:
        """A frozen backbone stays in eval mode."""
        super().train(mode)
        if self.freeze:
            self.backbone.eval()
        return self

    def forward(self, clips: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Logits ``(ΣR, K)`` of clips ``(N, 3, T, H, W)`` in [0, 1] and their boxes in pixels."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            features = self.backbone(normalize(clips, self.spec))
        logits: Tensor = self.head(features.float(), boxes)
        return logits


def action_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy of logits ``(R, K)`` and zeros and ones of that shape: the mean over both axes."""
    return nn.functional.binary_cross_entropy_with_logits(logits, wanted)


def keep_last_stage_fine(stage: nn.Module) -> int:
    """Take the spatial stride out of a stage, in place, and widen its convolutions by dilation instead.

    Args:
        stage: whose 3-D convolutions have spatial strides of 1 or, in its first block, 2.

    Returns:
        2, by how much the map is finer; 1 if the stage has no stride.

    Raises:
        InputError: if it has a stride of another kind.

    Source: PySlowFast ``configs/AVA`` (res5 with ``SPATIAL_STRIDES`` 1 and ``SPATIAL_DILATIONS`` 2).
    """
    convolutions = [layer for layer in stage.modules() if isinstance(layer, nn.Conv3d)]
    strides = {layer.stride[1:] for layer in convolutions}
    if strides <= {(1, 1)}:
        return 1
    if not strides <= {(1, 1), (2, 2)}:
        raise InputError(f"a finer map needs a last stage with spatial stride 2, found {sorted(strides)}")
    for layer in convolutions:
        layer.stride = (layer.stride[0], 1, 1)
        if layer.kernel_size[1] > 1:
            time, *space = layer.padding if isinstance(layer.padding, tuple) else (0, 0, 0)
            layer.dilation = (layer.dilation[0], 2, 2)
            layer.padding = (time, 2 * space[0], 2 * space[1])
    return 2
