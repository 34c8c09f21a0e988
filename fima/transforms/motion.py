"""Motion inputs made from a clip alone: frame difference, optical flow and its edges."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fima.errors import InputError

__all__ = ["BOUNDARIES", "FLOW_PRESETS", "flow_edges", "frame_difference", "optical_flow"]

BOUNDARIES = ("wrap", "repeat")
"""What the first frame, which has none before it, is compared with."""

FLOW_PRESETS = ("ultrafast", "fast", "medium")
"""OpenCV's settings of its optical flow, in the order of its numbers for them."""

_SMALLEST_FLOW = 16  # pixels: dense inverse search needs a pyramid of patches


def frame_difference(clip: Tensor, boundary: str = "wrap") -> Tensor:
    """Difference of every frame to the one before it, moved to [0, 1]: ``(clip[t] - clip[t-1] + 1) / 2``.

    No motion gives exactly 0.5.

    Args:
        clip: ``(N, C, T, H, W)`` in [0, 1], floating point; not modified, gradients flow to it.
        boundary: Frame 0. ``wrap``: against the last frame, as FIMA was trained. ``repeat``: takes the difference of
            frame 1, so that the jump from the last frame to the first does not look like motion; needs T ≥ 2.

    Returns:
        ``(N, C, T, H, W)`` in [0, 1], of the clip's dtype and device.

    Raises:
        InputError: If the clip is not such a tensor, the boundary is unknown, or ``repeat`` meets a single frame.

    Source: FIMA, section 3.2, and its reference code, ZMHH-H/FIMA ``moco/loader_utils.py`` (``gen_diff_clip``),
    commit fd63cbd, which always wraps.
    """
    _check_clip(clip)
    if boundary not in BOUNDARIES:
        raise InputError(f"boundary must be one of {', '.join(BOUNDARIES)}, got {boundary!r}")
    if boundary == "repeat" and clip.shape[2] < 2:
        raise InputError(f"boundary 'repeat' needs a clip of at least 2 frames, got {clip.shape[2]}")
    # In place on the rolled copy: one allocation, and halving commutes with rounding, so the result is exact.
    difference = clip.roll(1, dims=2).sub_(clip).mul_(-0.5).add_(0.5)
    if boundary == "repeat":
        difference[:, :, 0] = difference[:, :, 1]
    return difference


def optical_flow(clip: Tensor, *, preset: str = "medium") -> Tensor:
    """Optical flow between neighboring frames, by OpenCV's dense inverse search, on the CPU.

    Args:
        clip: ``(N, 3, T, H, W)`` RGB in [0, 1], floating point, T ≥ 2, H and W ≥ 16; on any device.
        preset: OpenCV's, from quick to careful: ``ultrafast``, ``fast`` or ``medium``. The quicker ones stop at a
            quarter of the resolution and smear contours; ``medium`` takes about three times as long as ``fast``.

    Returns:
        ``(N, 2, T, H, W)`` float32 on the clip's device: pixels to the right and down that what is at a pixel of frame
        t moves until frame t + 1. The last frame, which has none after it, repeats the flow before it.

    Raises:
        InputError: if the clip is not such a tensor or the preset is unknown.

    Source: Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016. MaCLR (section 3.2) leaves the
    method open: this choice is our reconstruction.
    """
    _check_clip(clip)
    if preset not in FLOW_PRESETS:
        raise InputError(f"preset must be one of {', '.join(FLOW_PRESETS)}, got {preset!r}")
    n, channels, frames, height, width = clip.shape
    if channels != 3 or frames < 2 or min(height, width) < _SMALLEST_FLOW:
        raise InputError(
            f"optical flow needs a clip of (N, 3, at least 2, at least {_SMALLEST_FLOW}, at least {_SMALLEST_FLOW}), "
            f"got {tuple(clip.shape)}"
        )
    import cv2  # here, so that the frame difference alone does not load it

    search = cv2.DISOpticalFlow.create(FLOW_PRESETS.index(preset))
    pictures = _gray_bytes(clip)
    flow = np.empty((n, frames, height, width, 2), np.float32)
    for video in range(n):
        for t in range(frames - 1):
            flow[video, t] = search.calc(pictures[video, t], pictures[video, t + 1], None)  # type: ignore[call-overload]
    flow[:, -1] = flow[:, -2]
    return torch.from_numpy(flow).permute(0, 4, 1, 2, 3).contiguous().to(clip.device)


def flow_edges(flow: Tensor) -> Tensor:
    """Where the flow changes in space: Sobel gradients of both components, and their magnitude.

    The same flow everywhere, as a camera pan gives, has no edges: they show what moves against its surroundings.

    Args:
        flow: ``(N, 2, T, H, W)`` pixels per frame, floating point.

    Returns:
        ``(N, 3, T, H, W)``, at least 0, in pixels per frame per pixel: the length of the horizontal component's
        gradient, that of the vertical component's, and the length of both together (√ of the sum of their squares).
        Sobel's weights sum to 1 on each side of the center (a slope of 1 gives 1); borders are repeated.

    Raises:
        InputError: if the flow is not such a tensor.

    Source: MaCLR, section 3.2, whose motion input has three channels in the release
    (amazon-science/self-supervised-maclr ``slowfast/config/defaults.py``); which three they are is our reconstruction.
    """
    if flow.ndim != 5 or flow.shape[1] != 2 or not flow.is_floating_point():
        raise InputError(f"flow must be (N, 2, T, H, W) floating point, got {tuple(flow.shape)} {flow.dtype}")
    padded = F.pad(flow.flatten(0, 2).unsqueeze(1), (1, 1, 1, 1), mode="replicate").view(
        *flow.shape[:3], flow.shape[3] + 2, flow.shape[4] + 2
    )
    slope_x, slope_y = padded[..., 2:] - padded[..., :-2], padded[..., 2:, :] - padded[..., :-2, :]
    along_x = (slope_x[..., :-2, :] + 2 * slope_x[..., 1:-1, :] + slope_x[..., 2:, :]) / 8
    along_y = (slope_y[..., :-2] + 2 * slope_y[..., 1:-1] + slope_y[..., 2:]) / 8
    edges = torch.hypot(along_x, along_y)
    return torch.cat([edges, torch.hypot(edges[:, :1], edges[:, 1:])], dim=1)


def _gray_bytes(clip: Tensor) -> NDArray[np.uint8]:
    """``(N, T, H, W)`` luma."""
    red, green, blue = clip.detach().float().unbind(1)
    luma = (0.299 * red + 0.587 * green + 0.114 * blue).clamp_(0, 1).mul_(255).round_()
    return luma.to(torch.uint8).cpu().numpy()


def _check_clip(clip: Tensor) -> None:
    if clip.ndim != 5:
        hint = "; add a batch axis with clip[None]" if clip.ndim == 4 else ""
        raise InputError(f"clip must be (N, C, T, H, W), got {tuple(clip.shape)}{hint}")
    if not clip.is_floating_point():
        raise InputError(f"clip must be floating point in [0, 1], got {clip.dtype}; divide 8-bit frames by 255")
