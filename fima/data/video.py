"""Reading video files: the public name of `fima.data.readers.file`."""

from fima.data.readers.file import VideoReader

__all__ = ["VideoReader"]
