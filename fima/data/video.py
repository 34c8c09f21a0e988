"""Reading video files: the public name of `fima.data.readers.file`."""

from fima.data.readers.file import VideoInfo, VideoReader, probe

__all__ = ["VideoInfo", "VideoReader", "probe"]
