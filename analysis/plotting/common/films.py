"""Frames of films of activation maps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count

import cv2
import matplotlib as mpl
import numpy as np

from analysis.plotting.common.frames import MOST_OPAQUE
from analysis.plotting.style import ACTIVATION_CMAP

__all__ = ["beside_colors", "beside_maps", "film_names", "folder_names", "mark_region", "overlay", "safe_name"]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_HEAD = 24  # pixels above a film: its panels' names


def overlay(frames: np.ndarray, maps: np.ndarray, *, cmap: str = ACTIVATION_CMAP) -> np.ndarray:
    """Color activation maps and lay them over frames, the stronger the more opaque, as figures do.

    Args:
        frames: uint8 ``(T, H, W, 3)`` or gray ``(T, H, W)``; shown with half of their color.
        maps: ``(T, h, w)`` in [0, 1]; resized to the frames bilinearly.
        cmap: A matplotlib color map.

    Returns:
        uint8 ``(T, H, W, 3)``.
    """
    colors = np.rint(mpl.colormaps[cmap](np.arange(256))[None, :, :3] * 255).astype(np.uint8)
    blended = np.empty((*frames.shape[:3], 3), np.uint8)
    for frame, values, out in zip(frames, maps, blended, strict=True):
        # OpenCV, since a film has thousands of frames: as `faded` and `show_activation` have it, up to rounding.
        large = cv2.resize(values.astype(np.float32), frame.shape[1::-1], interpolation=cv2.INTER_LINEAR).clip(0, 1)
        gray = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        faint = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
        if frame.ndim == 3:
            faint = cv2.addWeighted(frame, 0.5, faint, 0.5, 0)
        level = cv2.cvtColor((large * 255.999).astype(np.uint8), cv2.COLOR_GRAY2RGB)
        opacity = MOST_OPAQUE * large
        out[:] = cv2.blendLinear(faint, cv2.LUT(level, colors), 1 - opacity, opacity)
    return blended


def mark_region(frames: np.ndarray, region: tuple[int, int, int, int]) -> None:
    """Draw the edge of a part of frames into them, white on black, seen on any ground; nothing where it is all of them.

    Args:
        frames: uint8 ``(T, H, W, 3)``, changed in place.
        region: Top, left, bottom and right in pixels, the latter two one past the end.
    """
    if region == (0, 0, *frames.shape[1:3]):
        return
    for inset, color in ((0, 0), (1, 255)):
        top, left, bottom, right = (end + inset * sign for end, sign in zip(region, (1, 1, -1, -1), strict=True))
        frames[:, [top, bottom - 1], left:right] = color
        frames[:, top:bottom, [left, right - 1]] = color


def beside_maps(
    frames: np.ndarray,
    motion_frames: np.ndarray,
    rgb_map: np.ndarray,
    motion_map: np.ndarray,
    names: tuple[str, str] = ("RGB activation", "motion activation"),
) -> np.ndarray:
    """The frames of a film with three panels side by side: frames, RGB activation, motion activation.

    Args:
        frames: uint8 ``(T, H, W, 3)``.
        motion_frames: uint8 ``(T, H, W)``.
        rgb_map: ``(T, h, w)`` in [0, 1].
        motion_map: ``(T, h, w)`` in [0, 1].
        names: Of the two maps.

    Returns:
        uint8 ``(T, H + 24, 3 W + 8, 3)``: the panels' names stand above them.
    """
    panels = (frames, overlay(frames, rgb_map), overlay(motion_frames, motion_map))
    return _beside(dict(zip(("frames", *names), panels, strict=True)))


def _beside(named: Mapping[str, np.ndarray]) -> np.ndarray:
    """Panels ``(T, H, W, 3)`` side by side, their names above them."""
    parts: list[np.ndarray] = []
    for name, panel in named.items():
        whole = np.concatenate([_head(name, panel), panel], axis=1)
        parts += [whole, np.full((*whole.shape[:2], 4, 3), 255, dtype=np.uint8)]
    return np.concatenate(parts[:-1], axis=2)


def _head(name: str, panel: np.ndarray) -> np.ndarray:
    """White strips ``(T, 24, W, 3)`` with a name in black, as large as fits."""
    width = panel.shape[2]
    strip = np.full((_HEAD, width, 3), 255, dtype=np.uint8)
    size = min(0.45, 0.45 * width / cv2.getTextSize(name, _FONT, 0.45, 1)[0][0])
    cv2.putText(strip, name, (1, 16), _FONT, size, (0, 0, 0), 1, cv2.LINE_AA)
    return np.broadcast_to(strip, (len(panel), *strip.shape))


def beside_colors(frames: np.ndarray, *colors: np.ndarray) -> np.ndarray:
    """The frames of a film with panels of colors beside them, whose cells keep their edges.

    Args:
        frames: uint8 ``(T, H, W, 3)``.
        *colors: Of RGB and of motion features, ``(T', h, w, 3)`` in [0, 1]; each slice is shown for its share of the
            frames.

    Returns:
        uint8 ``(T, H + 24, (1 + panels) W + gaps, 3)``: the panels' names stand above them.
    """
    length, height, width = frames.shape[:3]
    panels = {"frames": frames}
    for name, panel in zip(("RGB features", "motion features"), colors, strict=False):
        t, y, x = (np.arange(n) * of // n for n, of in zip((length, height, width), panel.shape, strict=False))
        large = panel[t[:, None, None], y[:, None], x]
        panels[name] = np.rint(large * 255).astype(np.uint8)
    return _beside(panels)


def safe_name(text: str) -> str:
    """A file name from any text: letters, digits, dot, dash and underscore, at most 60 characters."""
    return re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII).strip("._")[-60:] or "video"


def folder_names(texts: Iterable[str]) -> list[str]:
    """A ``safe_name`` for each text, numbered from 2 where an earlier one has it."""
    found: list[str] = []
    for stem in map(safe_name, texts):
        numbered = (f"{stem}-{number}" for number in count(2))
        found.append(next(name for name in chain([stem], numbered) if name not in found))
    return found


def film_names(measure: str, videos: Sequence[str]) -> list[str]:
    """Names of the films of videos, below the folder of their study: numbered where there are several.

    Args:
        measure: Of the study.
        videos: Their ids.
    """
    if len(videos) == 1:
        return [f"{measure}.mp4"]
    return [f"{measure}/{i:02d}-{safe_name(video)}.mp4" for i, video in enumerate(videos, start=1)]
