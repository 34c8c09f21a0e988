"""Frames for the eye: the clips a figure shows, read again at a size worth printing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from analysis.inputs.sessions import Session
from analysis.inputs.video.clips import Clip, read_clip
from fima.transforms.motion import frame_difference

__all__ = ["DISPLAY_SIZE", "display_clip", "shown_film"]

DISPLAY_SIZE = 224
"""Shown frames are at least this many pixels wide, whatever the backbone is fed."""


def display_clip(session: Session, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """The frames of a clip and their motion, for display.

    Returns:
        Frames uint8 ``(T, S, S, 3)`` and the size of the frame difference uint8 ``(T, S, S)``, scaled so that the
        clip's 99.5th percentile is white (raw differences are too dark to see).
    """
    size = max(session.spec.size, DISPLAY_SIZE)
    with clip.video.open() as reader:
        frames = read_clip(reader, clip.start, session.spec, size=size)
    moving = frame_difference(frames.movedim(1, 0)[None].float() / 255, boundary=session.settings.boundary)
    strength = (moving[0] - 0.5).abs().mean(dim=0)  # (T, S, S)
    white = float(np.quantile(strength.numpy(), 0.995)) or 1.0
    motion = (strength / white).clamp_(max=1).mul_(255).round_().to(torch.uint8)
    return frames.movedim(1, -1).contiguous().numpy(), motion.numpy()


def shown_film(session: Session, clip: Clip, frames: np.ndarray) -> dict[str, Any]:
    """What an example needs of its clip to be shown as a film.

    Args:
        session: How clips are cut.
        clip: The clip.
        frames: As of `display_clip`.
    """
    return {
        "video_id": clip.video.video_id,
        "seconds": clip.seconds,
        "fps": clip.fps / session.spec.frame_stride,
        "frames": frames,
    }
