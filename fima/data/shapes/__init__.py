"""Worlds of drawn videos whose truth is known, to train and measure on: masks, motion, flow, background alone."""

from fima.data.shapes.dataset import ShapesRecord, open_shapes, require_backgrounds
from fima.data.shapes.motions import MOTIONS
from fima.data.shapes.render import ShapesVideo, draw_video
from fima.data.shapes.textures import PATTERNS
from fima.data.shapes.world import REGIMES, ShapesWorld

__all__ = [
    "MOTIONS",
    "PATTERNS",
    "REGIMES",
    "ShapesRecord",
    "ShapesVideo",
    "ShapesWorld",
    "draw_video",
    "open_shapes",
    "require_backgrounds",
]
