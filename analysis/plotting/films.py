"""Films of activation maps: pixels in, an H.264 file out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from torch.nn import functional as F

from analysis.plotting.style import ACTIVATION_CMAP
from fima.data.transcode.encode import write_video

__all__ = ["overlay", "overlay_film", "safe_name"]

_SLOWEST = 4.0  # frames per second; a strided clip of a slow video should still look like a film
_REPEATS = 3  # a clip is about a second long: shown a few times over, so that a player has something to play


def overlay(frames: np.ndarray, maps: np.ndarray, *, alpha: float = 0.5, cmap: str = ACTIVATION_CMAP) -> np.ndarray:
    """Color activation maps and blend them over frames.

    Args:
        frames: uint8 ``(T, H, W, 3)`` or gray ``(T, H, W)``.
        maps: ``(T, h, w)`` in [0, 1]; resized to the frames bilinearly.
        alpha: Weight of the map.
        cmap: A matplotlib color map.

    Returns:
        uint8 ``(T, H, W, 3)``.
    """
    rgb = np.repeat(frames[..., None], 3, axis=-1) if frames.ndim == 3 else frames
    size = rgb.shape[1:3]
    large = F.interpolate(torch.from_numpy(maps)[:, None].float(), size=size, mode="bilinear", align_corners=False)
    colors = mpl.colormaps[cmap](large[:, 0].clamp(0, 1).numpy())[..., :3] * 255
    blended: np.ndarray = np.rint((1 - alpha) * rgb + alpha * colors).astype(np.uint8)
    return blended


def overlay_film(
    path: Path,
    *,
    frames: np.ndarray,
    motion_frames: np.ndarray,
    rgb_map: np.ndarray,
    motion_map: np.ndarray,
    fps: float,
) -> None:
    """Write three panels side by side: frames, RGB activation, motion activation.

    Args:
        path: The mp4.
        frames: uint8 ``(T, H, W, 3)``.
        motion_frames: uint8 ``(T, H, W)``.
        rgb_map: ``(T, h, w)`` in [0, 1].
        motion_map: The same.
        fps: Clip frames per second of the video, so that it plays in real time (never below 4).
    """
    panels = (frames, overlay(frames, rgb_map), overlay(motion_frames, motion_map))
    gap = np.full((*frames.shape[:2], 4, 3), 255, dtype=np.uint8)
    film = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=2)

    def play() -> Iterator[np.ndarray]:
        for _ in range(_REPEATS):
            yield from film

    write_video(path, play(), fps=max(fps, _SLOWEST))


def safe_name(text: str) -> str:
    """A file name from any text: letters, digits, dot, dash and underscore, at most 60 characters."""
    return re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII).strip("._")[-60:] or "video"
