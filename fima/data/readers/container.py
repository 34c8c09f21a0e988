"""Opening a video file safely: only containers of video, only this file, only pictures of a size that can be paid."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from fima.data.readers.declared import check_declared
from fima.data.readers.decoding import UnexpectedFrameError
from fima.errors import VideoError

__all__ = ["MAX_PIXELS", "decoder_options", "is_large", "open_container", "readable_errors", "thread_count"]

MAX_PIXELS = 1 << 26
"""Of one picture: twice 8K. A decoder holds a dozen of them."""

_LARGE_FRAME = 1280 * 720  # from here on, threads pay for being started, and for the frames they decode ahead
_PIXELS_AHEAD = 1 << 28  # of the frames that threads decode at one time
_FORMATS = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "mpegts", "mpeg", "mpegvideo", "asf", "mxf", "rm"),
    *("ogg", "gif", "apng", "ivf", "obu", "av1", "h264", "hevc", "vvc", "h263", "h261", "m4v", "mjpeg", "vc1", "nut"),
    *("dv", "gxf", "wtv", "yuv4mpegpipe", "dirac", "nuv", "swf", "roq", "smk", "bink", "amv"),
)
"""Containers that hold video. None of those that name other files (playlists, scripts) or draw what is no video."""


def open_container(path: Path, *, threads: int = 0) -> tuple[InputContainer, VideoStream]:
    """Opens a file at its start, with its first video stream (a cover picture is none).

    Args:
        path: the file.
        threads: of the decoder; 0: one, but for large frames as many as there are cores.

    Raises:
        FileNotFoundError, VideoError: if there is none, or it is not to be opened.
        av.FFmpegError: if libav cannot.
    """
    check_declared(path)
    limits = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
    try:
        # Absolute, so that no name looks like a protocol ("a:b.mp4").
        container = av.open(str(path.absolute()), metadata_errors="replace", options=limits)
    except av.ArgumentError:
        raise VideoError(f"{path}: is no video, but a text, picture, playlist or something else") from None
    try:
        return container, _video_stream(container, path, threads)
    except BaseException:
        container.close()
        raise


def _video_stream(container: InputContainer, path: Path, threads: int) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise VideoError(f"{path}: holds no video stream")
    context = streams[0].codec_context
    if context is None:
        raise VideoError(f"{path}: this build of libav has no decoder for its video")
    if context.width * context.height > MAX_PIXELS:
        raise VideoError(f"{path}: its pictures are {context.width}×{context.height}, more than {MAX_PIXELS} pixels")
    context.thread_count = thread_count(context, threads)
    context.options = decoder_options()
    return streams[0]


def is_large(context: VideoCodecContext) -> bool:
    """Whether threads pay."""
    return context.width * context.height >= _LARGE_FRAME


def thread_count(context: VideoCodecContext, wanted: int) -> int:
    """Threads of a decoder: as many as wanted; of 0, one for each core that large frames leave memory for."""
    if wanted or not is_large(context):
        return wanted or 1
    return min(os.cpu_count() or 1, max(_PIXELS_AHEAD // (context.width * context.height), 1))


def decoder_options(**more: str) -> dict[str, str]:
    """Options of a decoder, which are set all at once, with those that keep it safe."""
    return {"max_pixels": str(MAX_PIXELS), **more}


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turns PyAV's and the system's errors into one line that starts with the path.

    Raises:
        VideoError: instead of them.
    """
    try:
        yield
    except UnexpectedFrameError as error:
        raise VideoError(f"{path}: cannot be decoded reliably ({error})") from None
    except FileNotFoundError:
        raise
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"{path}: cannot be read as video ({reason})") from None
