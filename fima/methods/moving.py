"""Activation on what moves by itself: a loss of our own, for worlds that know it (drawn ones)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fima.errors import InputError
from fima.methods.activation import channel_mean
from fima.methods.losses import Contrast

__all__ = ["MovingHead", "activation_share", "standardized_activation"]


_LEAST = 0.5  # cells of an object that a slice must show to count: of less, no map can show much


def standardized_activation(feature_map: Tensor) -> Tensor:
    """The channel mean of a feature map, of mean 0 and deviation 1 over the cells of each slice.

    Args:
        feature_map: ``(N, C, T', H', W')``.

    Returns:
        ``(N, T', H', W')`` float32: what a class-agnostic activation map is, before it is scaled for the eye.
    """
    activation = channel_mean(feature_map.float())[:, 0]
    centered = activation - activation.mean(dim=(-2, -1), keepdim=True)
    return centered / (activation.std(dim=(-2, -1), keepdim=True) + 1e-4)


def activation_share(activation: Tensor, share: Tensor) -> Tensor:
    """How much of a slice's activation, above its least active cell, lies on the object: energy inside.

    Args:
        activation: ``(N, T', H', W')``, in any unit and from any zero.
        share: ``(N, T', H', W')``, of each cell that the object covers, in [0, 1].

    Returns:
        ``(N, T')`` in [0, 1].
    """
    above = activation - activation.amin(dim=(-2, -1), keepdim=True)
    return (above * share).sum(dim=(-2, -1)) / (above.sum(dim=(-2, -1)) + 1e-6)


class MovingHead(nn.Module):
    """L_move: how surely a cell of the activation map lies on what moves, by a logistic curve of two parameters.

    The curve is over the standardized map, so that only the map's shape counts, neither its size nor the object's.
    What lies off the object may keep a floor, as long as the object is above it: the second part asks that there be
    little. Neither paper has it: ours, because contrast alone left the activation of small networks where contrast is.

    Args:
        energy_weight: adds so much of −log of the activation's share on the object, mean over the slices that show it.
    """

    def __init__(self, energy_weight: float = 0.0) -> None:
        super().__init__()
        self.energy_weight = energy_weight
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.shift = nn.Parameter(torch.tensor(-1.0))

    def forward(self, feature_map: Tensor, masks: Tensor) -> Contrast:
        """The loss, and how often a slice's most active cell lies on the object.

        Args:
            feature_map: ``(N, C, T', H', W')``.
            masks: ``(N, T, H, W)`` in [0, 1], where the object is in the clip.

        Raises:
            InputError: If the masks are not of the same clips.
        """
        if masks.ndim != 4 or len(masks) != len(feature_map):
            raise InputError(f"masks must be ({len(feature_map)}, T, H, W), got {tuple(masks.shape)}")
        slices, height, width = feature_map.shape[2:]
        share = F.adaptive_avg_pool3d(masks.float()[:, None], (slices, height, width))[:, 0]
        activation = standardized_activation(feature_map)
        loss = F.binary_cross_entropy_with_logits(activation * self.scale + self.shift, share)
        if self.energy_weight:
            shown = share.sum(dim=(-2, -1)) > _LEAST
            surprise = -activation_share(activation, share).clamp_min(1e-4).log()
            loss = loss + self.energy_weight * (surprise * shown).sum() / shown.sum().clamp_min(1)
        with torch.no_grad():
            peak = activation.flatten(2).argmax(dim=-1, keepdim=True)
            accuracy = (share.flatten(2).gather(-1, peak) > 0.5).float().mean()
        return Contrast(loss, accuracy)
