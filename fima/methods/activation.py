"""Where a backbone responds: class-agnostic activation maps, their boxes, and FIMA's foreground mask."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fima.errors import InputError

__all__ = [
    "activation_boxes",
    "channel_mean",
    "check_feature_maps",
    "class_agnostic_activation_map",
    "foreground_mask",
]

_EXTENT = {"frame": (2, 3), "clip": (1, 2, 3)}


def class_agnostic_activation_map(
    feature_map: Tensor, *, size: Sequence[int] | None = None, normalize: str = "frame"
) -> Tensor:
    """Strength of a backbone's response at every place and time, whatever the class.

    Mean over channels, min–max to [0, 1], then trilinear interpolation (``align_corners=False``) to ``size``.
    A frame (or clip) on which the response is flat, up to the rounding of the channel mean, gives zeros.

    Args:
        feature_map: ``(N, C, T', H', W')``, floating point; gradients flow to it.
        size: ``(T, H, W)`` of the result; None keeps ``(T', H', W')``.
        normalize: Range of the min–max: ``frame``, each time step of the feature map on its own, or ``clip``, all
            of them together, which keeps frames comparable.

    Returns:
        ``(N, T, H, W)`` in [0, 1], of the map's dtype (float32 for half precision).

    Raises:
        InputError: If the feature map is not such a tensor, or ``size`` or ``normalize`` cannot be used.

    Source: FIMA, Figures 3 and 4; per-frame min–max as in its reference code, ZMHH-H/FIMA ``moco/loader_utils.py``
    (``norm_feat_caam``), commit fd63cbd, which divides by zero where a frame is flat.
    """
    check_feature_maps(feature_map=feature_map)
    if normalize not in _EXTENT:
        raise InputError(f"normalize must be one of {', '.join(_EXTENT)}, got {normalize!r}")
    response = channel_mean(feature_map)[:, 0]
    activation_map = _min_max(response, _EXTENT[normalize], num_channels=feature_map.shape[1])
    return activation_map if size is None else _resize(activation_map, size)


def channel_mean(feature_map: Tensor) -> Tensor:
    """Mean over channels, 0 where it is but the rounding of its sum.

    After a layer norm without learnt weights the mean is 0 everywhere; its rounding would become a lively map.

    Args:
        feature_map: ``(N, C, T', H', W')``, floating point.

    Returns:
        ``(N, 1, T', H', W')``, float32 for half precision.
    """
    features = _full_precision(feature_map)
    mean, channels = features.mean(dim=1, keepdim=True), features.shape[1]
    if channels == 1:
        return mean
    with torch.no_grad():
        rounding = features.abs().mean(dim=1, keepdim=True) * (torch.finfo(mean.dtype).eps * math.log2(channels))
    return mean.masked_fill(mean.abs() <= rounding, 0)


def foreground_mask(rgb: Tensor, motion: Tensor) -> Tensor:
    """Positions to which RGB and motion features together respond more than to half of the positions.

    Args:
        rgb: Feature map ``(N, C, T', H', W')`` of the clips.
        motion: Feature map of their motion input, of the same shape.

    Returns:
        ``(N, H', W')`` bool: mean over channels and time of both maps, summed, strictly above its own lower median
        over the positions. At most half of the positions are true; none where the response is flat.

    Raises:
        InputError: If the two shapes differ or are not 5-D, or the dtype is not floating point.

    Source: FIMA, section 3.3; ZMHH-H/FIMA ``moco/loader_utils.py`` (``gen_grid_mask``), commit fd63cbd.
    """
    check_feature_maps(rgb=rgb, motion=motion)
    with torch.no_grad():
        response = _mean_response(rgb) + _mean_response(motion)
        # Sorting finds the value of torch.median, and is deterministic on CUDA, where torch.median may refuse to run.
        ordered = response.flatten(1).sort(dim=1).values
        median = ordered[:, (ordered.shape[1] - 1) // 2]
        return response > median[:, None, None]


def activation_boxes(activation_map: Tensor, *, threshold: float = 0.5) -> Tensor:
    """Bounding box, in every frame, of the positions above a share of the frame's maximum.

    Args:
        activation_map: ``(N, T, H, W)``, not negative.
        threshold: Share of the frame's maximum, in [0, 1); a position counts strictly above it.

    Returns:
        ``(N, T, 4)``: ``(x1, y1, x2, y2)`` in [0, 1], corner pixels over ``(W-1, H-1)``; NaN for a frame without
        activation.

    Raises:
        InputError: If the map is not 4-D and floating point, or the threshold is outside [0, 1).
    """
    if activation_map.ndim != 4 or not activation_map.is_floating_point():
        raise InputError(
            f"activation_map must be (N, T, H, W), floating point, got {tuple(activation_map.shape)} "
            f"{activation_map.dtype}"
        )
    if not 0 <= threshold < 1:
        raise InputError(f"threshold must be in [0, 1), got {threshold}")
    above = activation_map > threshold * activation_map.amax(dim=(2, 3), keepdim=True)
    x1, x2 = _span(above.any(dim=2), activation_map.dtype)
    y1, y2 = _span(above.any(dim=3), activation_map.dtype)
    boxes = torch.stack((x1, y1, x2, y2), dim=-1)
    return boxes.masked_fill(~above.any(dim=3).any(dim=2)[..., None], math.nan)


def check_feature_maps(**feature_maps: Tensor) -> None:
    """Refuse feature maps that are not ``(N, C, T', H', W')``, floating point and all of one shape.

    Args:
        feature_maps: By the name that the message shall use.

    Raises:
        InputError: Names the first that does not fit, what was expected and what was found.
    """
    first_name, first = next(iter(feature_maps.items()))
    for name, feature_map in feature_maps.items():
        shape = tuple(feature_map.shape)
        if len(shape) != 5:
            hint = "; add a batch axis with feature_map[None]" if len(shape) == 4 else ""
            raise InputError(f"{name} must be (N, C, T', H', W'), got {shape}{hint}")
        if not feature_map.is_floating_point():
            raise InputError(f"{name} must be floating point, got {feature_map.dtype}")
        if shape != tuple(first.shape):
            raise InputError(f"{name} must have the shape of {first_name}, {tuple(first.shape)}, got {shape}")


def _full_precision(feature_map: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return feature_map.to(torch.promote_types(feature_map.dtype, torch.float32))


def _mean_response(feature_map: Tensor) -> Tensor:
    """Mean over channels, then time: ``(N, H', W')``."""
    return channel_mean(feature_map)[:, 0].mean(dim=1)


def _min_max(response: Tensor, extent: tuple[int, ...], *, num_channels: int) -> Tensor:
    low, high = response.amin(dim=extent, keepdim=True), response.amax(dim=extent, keepdim=True)
    # Equal features need not have bit-equal means: summation order depends on the position. Exact for one channel.
    rounding = torch.finfo(response.dtype).eps * math.log2(num_channels) * torch.maximum(low.abs(), high.abs())
    flat = high - low <= rounding
    return ((response - low) / (high - low).masked_fill(flat, 1)).masked_fill(flat, 0)


def _resize(activation_map: Tensor, size: Sequence[int]) -> Tensor:
    if len(size) != 3 or min(size) < 1:
        raise InputError(f"size must be (T, H, W), each at least 1, got {tuple(size)}")
    resized = F.interpolate(activation_map[:, None], size=list(size), mode="trilinear", align_corners=False)
    return resized[:, 0].clamp(0, 1)  # the weights of a position add up to 1 only up to rounding


def _span(occupied: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """First and last true position along the last axis, over (length - 1)."""
    length = occupied.shape[-1]
    position = torch.arange(length, device=occupied.device).expand_as(occupied)
    first = position.masked_fill(~occupied, length).amin(dim=-1)
    last = position.masked_fill(~occupied, -1).amax(dim=-1)
    scale = max(length - 1, 1)
    return first.to(dtype) / scale, last.to(dtype) / scale
