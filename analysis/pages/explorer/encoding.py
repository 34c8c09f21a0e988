"""Clips as what a page's script reads: affinities in one byte each, frames as JPEG, all of it text."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image

from analysis.pages.environment import jpeg_address
from analysis.pages.explorer.clip import ExplorerClip, check_clips
from analysis.plotting.attention import above_even, scale_end
from analysis.plotting.style import ACTIVATION_CMAP, SIMILARITY_CMAP

__all__ = ["color_limits", "dequantize", "encode_clips", "palette", "quantize"]

_LARGEST = 256
"""Pixels of an encoded frame's side at most."""
_QUALITY = 85


def quantize(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Values in one byte each, over the range that they have.

    Args:
        values: Finite; affinities lie in [-1, 1].

    Returns:
        Codes uint8 of the same shape, the lowest value, and the step: ``low + step * code`` is at most half a step from
        the value. The step is a 255th of the range, so at most 2 / 255 < 1 / 127 of affinities (ours).
    """
    wide = values.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    step = (high - low) / 255 or 1 / 255  # a constant: any step will do
    return np.rint((wide - low) / step).astype(np.uint8), low, step


def dequantize(codes: np.ndarray, low: float, step: float) -> np.ndarray:
    """The values, float64, that ``quantize`` came from, up to half a step."""
    return low + step * codes.astype(np.float64)


def color_limits(clips: Sequence[ExplorerClip]) -> tuple[float, float]:
    """One color range for all clips, slices and checkpoints: that of the data, rounded outwards to hundredths."""
    low, high = min(clip.limits[0] for clip in clips), max(clip.limits[1] for clip in clips)
    low, high = math.floor(low * 100 + 1e-6) / 100, math.ceil(high * 100 - 1e-6) / 100
    return max(-1.0, low), min(1.0, high) if high > low else low + 0.01


def palette(name: str = SIMILARITY_CMAP) -> np.ndarray:
    """The color map, uint8 ``(256, 3)``: entry ``round(255 * (value - low) / (high - low))`` colors a value."""
    colors: np.ndarray = mpl.colormaps[name](np.arange(256), bytes=True)[:, :3]
    return colors


def encode_clips(clips: Sequence[ExplorerClip]) -> dict[str, Any]:
    """What the explorer's script is given; arrays as base64 of their little-endian bytes.

    Args:
        clips: Of the same checkpoints.

    Returns:
        ``limits``, ``palette``, ``checkpoints`` and ``clips``. Each clip has its ``name``, ``grid``, ``seconds``,
        ``patch`` to begin with, JPEG pictures ``rgb`` and ``motion`` whose first is that of the time average (the
        middle RGB frame; the mean of the motion frames), and for each checkpoint its ``maps`` and its ``attention``,
        which may be None (see ``_encode_matrices``). Where any has attention, ``attention`` has its ``palette`` and
        ``most``, the end of its scale.

    Raises:
        InputError: For no clip, or clips of different checkpoints.
    """
    check_clips(clips)
    rows = [rows for clip in clips for rows in clip.attention.values()]
    most = max(map(scale_end, rows), default=1.0)
    return {
        "limits": color_limits(clips),
        "palette": _text(palette()),
        "attention": {"palette": _text(palette(ACTIVATION_CMAP)), "most": most} if rows else None,
        "checkpoints": clips[0].checkpoints,
        "clips": [_encode_clip(clip, most) for clip in clips],
    }


def _encode_clip(clip: ExplorerClip, most: float) -> dict[str, Any]:
    mean_motion = np.rint(clip.motion.mean(axis=0)).astype(np.uint8)
    brightest = max(1, int(mean_motion.max()))
    mean_motion = (mean_motion.astype(np.uint16) * 255 // brightest).astype(np.uint8)  # a mean is dark
    seconds = None if clip.frame_seconds is None else [round(float(second), 3) for second in clip.frame_seconds]
    return {
        "name": clip.name,
        "grid": [int(cells) for cells in clip.grid],
        "seconds": seconds,
        "patch": clip.opening,
        "rgb": [_jpeg(clip.rgb[len(clip.rgb) // 2]), *map(_jpeg, clip.rgb)],
        "motion": [_jpeg(mean_motion), *map(_jpeg, clip.motion)],
        "maps": [
            _encode_matrices(np.concatenate([clip.mean[name][None], clip.affinity[name]])) for name in clip.checkpoints
        ],
        "attention": [
            _encode_matrices(rows.astype(np.float32), above_even(rows, most)) if rows is not None else None
            for rows in map(clip.attention.get, clip.checkpoints)
        ],
    }


def _encode_matrices(matrices: np.ndarray, drawn: np.ndarray | None = None) -> dict[str, Any]:
    """Of ``(1 + T', P, P)``, the time average first.

    Args:
        matrices: What is read out.
        drawn: What is drawn, if it is something else.

    Best matches and the values that are read out are of the exact affinities, since rounding makes ties.

    Returns:
        ``codes`` uint8 with ``low`` and ``step``; ``(1 + T', P)`` of rows: ``best`` (uint16, the column of the
        maximum: among equals the row's own place, else the first), ``ties`` (uint16, how many have it), ``own`` and
        ``top`` (float32, the affinity at the same place and the maximum).
    """
    codes, low, step = quantize(matrices if drawn is None else drawn)
    exact = matrices.astype(np.float32)
    top, own = exact.max(axis=2), np.diagonal(exact, axis1=1, axis2=2)
    best = np.where(own == top, np.arange(exact.shape[1]), exact.argmax(axis=2))
    return {
        "codes": _text(codes),
        "low": low,
        "step": step,
        "best": _text(best.astype("<u2")),
        "ties": _text((exact == top[:, :, None]).sum(axis=2).astype("<u2")),
        "own": _text(own.astype("<f4")),
        "top": _text(top.astype("<f4")),
    }


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _jpeg(frame: np.ndarray) -> str:
    """A frame ``(S, S)`` or ``(S, S, 3)`` as the data address of a JPEG that is not larger than it is shown."""
    picture = Image.fromarray(frame)
    picture.thumbnail((_LARGEST, _LARGEST))
    return jpeg_address(np.asarray(picture), quality=_QUALITY)
