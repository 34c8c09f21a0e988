"""Procedural videos whose truth is known: masks, motion, flow and the background alone.

`moving_shape` draws one pretty clip to look at; a `ShapesWorld` draws data sets to train and to measure on.
"""

from fima.data.shapes.dataset import ShapesRecord, open_shapes
from fima.data.shapes.motions import MOTIONS
from fima.data.shapes.render import ShapesVideo, draw_video
from fima.data.shapes.star import MovingShape, moving_shape
from fima.data.shapes.textures import PATTERNS
from fima.data.shapes.world import REGIMES, ShapesWorld

__all__ = [
    "MOTIONS",
    "PATTERNS",
    "REGIMES",
    "MovingShape",
    "ShapesRecord",
    "ShapesVideo",
    "ShapesWorld",
    "draw_video",
    "moving_shape",
    "open_shapes",
]
