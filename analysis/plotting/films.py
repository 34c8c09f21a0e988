"""Frames of films of activation maps."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import torch
from torch.nn import functional as F

from analysis.plotting.frames import MOST_OPAQUE, faded
from analysis.plotting.style import ACTIVATION_CMAP

__all__ = ["beside_maps", "overlay", "safe_name"]


def overlay(frames: np.ndarray, maps: np.ndarray, *, cmap: str = ACTIVATION_CMAP) -> np.ndarray:
    """Color activation maps and lay them over frames, the stronger the more opaque, as figures do.

    Args:
        frames: uint8 ``(T, H, W, 3)`` or gray ``(T, H, W)``; shown with half of their color.
        maps: ``(T, h, w)`` in [0, 1]; resized to the frames bilinearly.
        cmap: A matplotlib color map.

    Returns:
        uint8 ``(T, H, W, 3)``.
    """
    faint = faded(frames)
    size = faint.shape[1:3]
    large = F.interpolate(torch.from_numpy(maps)[:, None].float(), size=size, mode="bilinear", align_corners=False)
    values = large[:, 0].clamp(0, 1).numpy()
    opacity = MOST_OPAQUE * values[..., None]
    colors = mpl.colormaps[cmap](values)[..., :3] * 255
    blended: np.ndarray = np.rint((1 - opacity) * faint + opacity * colors).astype(np.uint8)
    return blended


def beside_maps(
    frames: np.ndarray, motion_frames: np.ndarray, rgb_map: np.ndarray, motion_map: np.ndarray
) -> np.ndarray:
    """The frames of a film with three panels side by side: frames, RGB activation, motion activation.

    Args:
        frames: uint8 ``(T, H, W, 3)``.
        motion_frames: uint8 ``(T, H, W)``.
        rgb_map: ``(T, h, w)`` in [0, 1].
        motion_map: ``(T, h, w)`` in [0, 1].

    Returns:
        uint8 ``(T, H, 3 W + 8, 3)``.
    """
    gap = np.full((*frames.shape[:2], 4, 3), 255, dtype=np.uint8)
    panels = [frames, gap, overlay(frames, rgb_map), gap, overlay(motion_frames, motion_map)]
    return np.concatenate(panels, axis=2)


def safe_name(text: str) -> str:
    """A file name from any text: letters, digits, dot, dash and underscore, at most 60 characters."""
    return re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII).strip("._")[-60:] or "video"
