"""Writing frames to a video file that plays everywhere."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fima.errors import InputError, VideoError

__all__ = ["write_video"]

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
# Values of libav's AVColorPrimaries and AVColorTransferCharacteristic, AVColorSpace, AVColorRange.
_BT709, _SMPTE170M, _LIMITED_RANGE = 1, 6, 1


def write_video(
    path: str | Path, frames: Iterable[NDArray[np.uint8]] | NDArray[np.uint8], *, fps: float, crf: int = 18
) -> Path:
    """Writes frames as H.264 (yuv420p, index first, so that browsers play it while loading).

    The frames are taken one by one, so an iterable of any length needs the memory of one frame. The file is written
    under a temporary name in the same folder and renamed at the end: after an error or Ctrl-C nothing is left, and a
    file that was there before is untouched.

    Args:
        path: ends in .mp4, .m4v, .mov or .mkv; an existing file is replaced.
        frames: at least one ``(H, W, 3)`` uint8 RGB picture, all of one size; yuv420p needs even sizes, so an odd
            height or width is padded by repeating the last row or column.
        fps: frames per second, more than 0.
        crf: x264's quality, 0 to 51, lower is better; 18 looks lossless. 0 is lossless, which browsers do not play.

    Returns:
        The path.

    Raises:
        InputError: if there are no frames, one has another shape or type than described, or a value is out of range.
        FileNotFoundError: if the folder does not exist.
        VideoError: if the file cannot be written.
    """
    path = Path(path)
    rate = _checked_rate(path, fps, crf)
    pictures = _checked_pictures(frames)
    first = next(pictures)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _encode(temporary, chain([first], pictures), rate, crf, _FORMATS[path.suffix.lower()])
        temporary.replace(path)
    except (av.FFmpegError, PermissionError) as error:
        raise VideoError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    return path


def _checked_rate(path: Path, fps: float, crf: int) -> Fraction:
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"{path}: cannot write {path.suffix or 'a name without extension'}, use {', '.join(_FORMATS)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    if not (math.isfinite(fps) and fps > 0):
        raise InputError(f"fps must be more than 0, got {fps}")
    if not 0 <= crf <= 51:
        raise InputError(f"crf must be between 0 and 51, got {crf}")
    return Fraction(fps).limit_denominator(1001)


def _checked_pictures(frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Yields the frames with even sizes."""
    shape: tuple[int, ...] | None = None
    for number, frame in enumerate(frames):
        picture = np.asarray(frame)
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
            raise InputError(f"frame {number} must be (H, W, 3) uint8, got {picture.shape} {picture.dtype}")
        if shape not in (None, picture.shape):
            raise InputError(f"frame {number} is {picture.shape}, expected {shape} as the first")
        shape = picture.shape
        yield _padded_to_even(picture)
    if shape is None:
        raise InputError("frames must hold at least one frame, got none")


def _padded_to_even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width, _ = picture.shape
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(picture)


def _encode(path: Path, pictures: Iterator[NDArray[np.uint8]], rate: Fraction, crf: int, container_format: str) -> None:
    reformatter = VideoReformatter()
    options = {} if container_format == "matroska" else {"movflags": "+faststart"}
    with av.open(str(path.absolute()), "w", format=container_format, options=options) as container:
        stream: VideoStream | None = None
        for number, picture in enumerate(pictures):
            if stream is None:
                stream = _add_stream(container, picture, rate, crf)
            frame = reformatter.reformat(
                VideoFrame.from_ndarray(picture, format="rgb24"),
                format="yuv420p",
                dst_colorspace=Colorspace.SMPTE170M,
                dst_color_range=_LIMITED_RANGE,
            )
            frame.pts = number
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())


def _add_stream(container: OutputContainer, picture: NDArray[Any], rate: Fraction, crf: int) -> VideoStream:
    """The colours are tagged, or players would guess them from the size.

    Without x264's macroblock tree, which reads memory that it has not set: with it, equal frames give unequal files.
    """
    options = {"crf": str(crf), "preset": "medium", "x264-params": "mbtree=0"}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.color_primaries = context.color_trc = _BT709
    context.colorspace, context.color_range = _SMPTE170M, _LIMITED_RANGE
    return stream
