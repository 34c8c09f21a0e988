"""Opening anything that holds a video."""

from __future__ import annotations

from pathlib import Path

from fima.data.datasets.records import SegmentRecord, VideoRecord
from fima.data.readers.base import FrameReader
from fima.data.readers.drawn import ShapesReader
from fima.data.readers.file import VideoReader
from fima.data.readers.pictures import DEFAULT_FPS, FrameFolderReader
from fima.data.readers.segment import SegmentReader
from fima.data.shapes.dataset import ShapesRecord

__all__ = ["open_video"]


def open_video(
    video: VideoRecord | str | Path,
    *,
    frame_template: str | None = None,
    frame_fps: float | None = None,
    threads: int = 0,
) -> FrameReader:
    """Opens a video file, a folder of its frames, a segment of either, or a video that is drawn when it is read.

    Args:
        video: a path, or a record of a data set, whose own template and rate then hold where none is given here.
        frame_template: the template of `FrameFolderReader`; a video file does not use it.
        frame_fps: the rate of `FrameFolderReader`; a video file does not use it.
        threads: of `VideoReader`; a folder does not use them.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        VideoError: as `VideoReader`, `FrameFolderReader` and `SegmentReader`.
    """
    if isinstance(video, ShapesRecord):
        return ShapesReader(video)
    record = video if isinstance(video, VideoRecord) else VideoRecord(Path(video), "", None, None)
    template = record.frame_template if frame_template is None else frame_template
    fps = record.frame_fps if frame_fps is None else frame_fps
    if isinstance(record, SegmentRecord):
        return SegmentReader(record, open_video(record.clip, frame_template=template, frame_fps=fps, threads=threads))
    if not record.path.is_dir():
        return VideoReader(record.path, threads=threads)
    return FrameFolderReader(record.path, template=template, fps=DEFAULT_FPS if fps is None else fps)
