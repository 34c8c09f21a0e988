"""Data sets on disk: one reader per layout, each giving the same records.

Nothing here imports torch.
"""

from fima.data.datasets.opening import open_dataset
from fima.data.datasets.records import VIDEO_EXTENSIONS, VideoDataset, VideoRecord

__all__ = ["VIDEO_EXTENSIONS", "VideoDataset", "VideoRecord", "open_dataset"]
