"""Writing frames to a video file that plays everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fima.errors import InputError, VideoError, WriteError
from fima.files.writing import whole_file

__all__ = ["YUV", "WriteError", "write_frames", "write_video"]

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
# Values of libav's AVColorPrimaries and AVColorTransferCharacteristic, AVColorSpace, AVColorRange.
_TICK = Fraction(1, 90_000)  # of uneven times
_BT709, _SMPTE170M, _LIMITED_RANGE = 1, 6, 1

YUV: dict[str, Any] = {
    "format": "yuv420p",
    "dst_colorspace": Colorspace.SMPTE170M,
    "dst_color_range": _LIMITED_RANGE,
    "threads": 1,
}
"""What files hold, as arguments of PyAV's ``VideoReformatter.reformat``."""


def write_video(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]] | NDArray[np.uint8],
    *,
    fps: float,
    crf: int = 18,
    seconds: Sequence[float] | NDArray[np.float64] | None = None,
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
        seconds: when each frame is shown, ascending from 0; None: evenly, as ``fps`` says.

    Returns:
        The path.

    Raises:
        InputError: if there are no frames, one has another shape or type than described, or a value is out of range.
        FileNotFoundError: if the folder does not exist.
        WriteError: if there is no room for the file, or no permission to write it.
        VideoError: if it cannot be written for another reason.
    """
    return write_frames(path, _to_yuv(_checked_pictures(frames)), fps=fps, crf=crf, seconds=seconds)


def write_frames(
    path: str | Path,
    frames: Iterable[VideoFrame],
    *,
    fps: float,
    crf: int = 18,
    gop: int | None = None,
    quick: bool = False,
    threads: int = 0,
    seconds: Sequence[float] | NDArray[np.float64] | None = None,
) -> Path:
    """Writes frames that are in `YUV` already; otherwise as `write_video`.

    Args:
        path: as `write_video` has it.
        frames: at least one, all of one even height and width; their times are not used.
        fps: frames per second, more than 0.
        crf: x264's quality.
        gop: frames from one keyframe to the next at most, at least 1; None: 250, as x264 has it.
        quick: to decode: neither arithmetic coding nor frames that wait for later ones. A third more bytes, a third
            less time, and the file's table alone tells where every frame is (`fima.data.readers.packets.index_table`).
        threads: of the encoder; 0: as x264 thinks best. The file depends on it.
        seconds: when each frame is shown, ascending from 0; None: evenly, as ``fps`` says.

    Returns:
        The path.

    Raises:
        InputError, FileNotFoundError, WriteError, VideoError: as `write_video`.
    """
    path = Path(path)
    settings = _X264(_checked_rate(path, fps, crf), crf, gop, quick, threads)
    if gop is not None and gop < 1:
        raise InputError(f"gop must be at least 1, got {gop}")
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise InputError("frames must hold at least one frame, got none")
    try:
        with whole_file(path) as partial:
            _encode(partial, _timed(chain([first], iterator), settings.rate, seconds), settings, path.suffix.lower())
    except av.FFmpegError as error:
        kind = WriteError if isinstance(error, OSError) else VideoError
        raise kind(f"{path}: cannot be written ({error.strerror})") from None
    return path


class _X264(NamedTuple):
    rate: Fraction
    crf: int
    gop: int | None
    quick: bool
    threads: int

    def options(self) -> dict[str, str]:
        """Without x264's macroblock tree, which reads memory that it has not set: equal frames gave unequal files."""
        params = "mbtree=0:cabac=0:bframes=0" if self.quick else "mbtree=0"
        options = {"crf": str(self.crf), "preset": "medium", "x264-params": params}
        return options if self.gop is None else {**options, "g": str(self.gop)}


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


def _padded_to_even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width, _ = picture.shape
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(picture)


def _to_yuv(pictures: Iterator[NDArray[np.uint8]]) -> Iterator[VideoFrame]:
    reformatter = VideoReformatter()
    for picture in pictures:
        yield reformatter.reformat(VideoFrame.from_ndarray(picture, format="rgb24"), **YUV)


def _timed(
    frames: Iterator[VideoFrame], rate: Fraction, seconds: Sequence[float] | NDArray[np.float64] | None
) -> Iterator[VideoFrame]:
    """The frames with their times; x264 decides what they become, not what the source had there."""
    for number, frame in enumerate(frames):
        frame.pict_type = PictureType.NONE
        frame.pts, frame.time_base = number, 1 / rate
        if seconds is not None:
            if number >= len(seconds):
                raise VideoError(f"there are more frames than the {len(seconds)} whose times are known")
            frame.pts, frame.time_base = round(float(seconds[number]) / _TICK), _TICK
        yield frame


def _encode(path: Path, frames: Iterator[VideoFrame], settings: _X264, suffix: str) -> None:
    container_format = _FORMATS[suffix]
    options = {} if container_format == "matroska" else {"movflags": "+faststart"}
    with av.open(str(path.absolute()), "w", format=container_format, options=options) as container:
        first = next(frames)
        stream = _add_stream(container, first, settings)
        if first.time_base == _TICK:
            stream.time_base = stream.codec_context.time_base = _TICK
        for frame in chain([first], frames):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _add_stream(container: OutputContainer, frame: VideoFrame, settings: _X264) -> VideoStream:
    """The colors are tagged, or players would guess them from the size."""
    stream = container.add_stream("libx264", rate=settings.rate, options=settings.options())
    stream.height, stream.width = frame.height, frame.width
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.thread_count = settings.threads
    context.color_primaries = context.color_trc = _BT709
    context.colorspace, context.color_range = _SMPTE170M, _LIMITED_RANGE
    return stream
