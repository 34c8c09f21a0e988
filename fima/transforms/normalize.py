"""From a clip in [0, 1] to what a backbone reads."""

from __future__ import annotations

import torch
from torch import Tensor

from fima.errors import InputError
from fima.input_spec import InputSpec

__all__ = ["normalize"]


def normalize(clip: Tensor, spec: InputSpec) -> Tensor:
    """Order the channels as the backbone reads them, subtract the mean and divide by the deviation.

    Args:
        clip: ``(N, 3, T, H, W)``, floating point, RGB in [0, 1]; a motion input (`fima.transforms.motion`) is
        normalized the same
            way. Any T, H, W: frames and size are not checked against the spec.
        spec: the backbone's, whose mean and std are in its own channel order.

    Returns:
        ``(N, 3, T, H, W)``, same type and device; a new tensor, the input is left as it was.

    Raises:
        InputError: if the clip is not of that shape or not floating point.
    """
    if clip.ndim != 5 or clip.shape[1] != 3:
        raise InputError(f"clip must be (N, 3, T, H, W), got {tuple(clip.shape)}; add a batch axis with clip[None]")
    if not clip.is_floating_point():
        raise InputError(f"clip must be floating point in [0, 1], got {clip.dtype}; divide 8-bit frames by 255")
    if spec.channel_order == "bgr":
        clip = clip.flip(1)
    mean = torch.tensor(spec.mean, dtype=clip.dtype, device=clip.device).view(1, 3, 1, 1, 1)
    std = torch.tensor(spec.std, dtype=clip.dtype, device=clip.device).view(1, 3, 1, 1, 1)
    return (clip - mean) / std
