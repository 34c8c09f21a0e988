"""Where the object is: masks that come with real data sets, so that activation maps can be scored against them.

Nothing here imports torch, except to read masks that are stored as a video.
"""

from fima.data.masks.opening import open_masks
from fima.data.masks.source import Masks, MaskSource

__all__ = ["MaskSource", "Masks", "open_masks"]
