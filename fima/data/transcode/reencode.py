"""One video, re-encoded for training: small, quick to seek in, with the same frames in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from fima.data.readers.file import VideoReader
from fima.data.readers.orientation import Orientation
from fima.data.transcode.encode import YUV, write_frames
from fima.errors import InputError, VideoError

__all__ = ["Encoding", "Reencoded", "encoded_size", "reencode"]

_LEAST_SIDE = 32
_SHARE_OF_A_FRAME, _SECONDS_TOLERANCE = 0.1, 0.002  # how far from even times are, before they are kept
_FPS_TOLERANCE = 1e-4  # relative: a container stores rates as fractions


@dataclass(frozen=True)
class Encoding:
    """How videos are re-encoded.

    Attributes:
        short_side: pixels of the shorter side; even, at least 32. Smaller videos keep their size.
        crf: x264's quality, 0 to 51, lower is better.
        gop: frames from one keyframe to the next at most: a window decodes half of that on average before its start.

    Raises:
        InputError: if a value is out of its range.
    """

    short_side: int = 256
    crf: int = 23
    gop: int = 12

    def __post_init__(self) -> None:
        if self.short_side < _LEAST_SIDE or self.short_side % 2:
            raise InputError(f"--short-side must be even and at least {_LEAST_SIDE}, got {self.short_side}")
        if not 0 <= self.crf <= 51:
            raise InputError(f"--crf must be between 0 and 51, got {self.crf}")
        if self.gop < 1:
            raise InputError(f"--gop must be at least 1, got {self.gop}")

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Reencoded:
    """What a re-encoded file holds; sizes in pixels, as displayed."""

    num_frames: int
    fps: float
    height: int
    width: int


def encoded_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """The frame size after re-encoding; both sides even, as yuv420p needs.

    A frame whose shorter side is larger is scaled to it, the longer side to the nearest even number. Others keep their
    size, but for an odd side, which becomes the next even number.
    """
    short, long = sorted((height, width))
    if short <= short_side:
        return height + height % 2, width + width % 2
    other = 2 * ((long * short_side + short) // (2 * short))
    return (short_side, other) if height <= width else (other, short_side)


def reencode(
    source: Path, target: Path, encoding: Encoding, *, stopped: Callable[[], bool] = lambda: False
) -> Reencoded:
    """Writes all frames of a video to a new file and checks it.

    Frame i of the new file is frame i that decoding the source from its start gives, turned as the source says and
    scaled, shown when that is, if not evenly. Sound and pixel aspect are dropped. One thread, but for libav's own.

    Args:
        source: any video that `VideoReader` reads.
        target: an .mp4 file; removed again if it fails the check.
        encoding: how.
        stopped: asked before every frame.

    Returns:
        What is in the new file.

    Raises:
        KeyboardInterrupt: once ``stopped`` says so.
        FileNotFoundError: if there is no such source, or no folder for the target.
        WriteError: if there is no room for the target, or no permission to write it.
        VideoError: if the source cannot be read or encoded, or what was written is not what was meant.
    """
    with VideoReader(source, threads=1) as reader:
        size = encoded_size(reader.height, reader.width, encoding.short_side)
        counted = _Counted(_upright(reader, size), stopped)
        try:
            write_frames(
                target, counted, fps=reader.fps, crf=encoding.crf, gop=encoding.gop, quick=True, threads=1,
                seconds=_uneven(reader),
            )  # fmt: skip
            meant = Reencoded(counted.number, reader.fps, *size)
            _check(source, target, meant, reader.seconds)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    return meant


class _Counted:
    """Frames, counted as they are taken."""

    def __init__(self, frames: Iterator[VideoFrame], stopped: Callable[[], bool]) -> None:
        self._frames, self._stopped = frames, stopped
        self.number = 0

    def __iter__(self) -> Iterator[VideoFrame]:
        for frame in self._frames:
            if self._stopped():
                raise KeyboardInterrupt
            self.number += 1
            yield frame


def _upright(reader: VideoReader, size: tuple[int, int]) -> Iterator[VideoFrame]:
    """All frames, scaled and turned; never by way of RGB, which would cost a decibel and two conversions."""
    orientation, reformatter = reader.orientation, VideoReformatter()
    height, width = size[::-1] if orientation.transpose else size
    for frame in reader.decoded():
        scaled = reformatter.reformat(frame, width, height, **YUV)
        yield scaled if orientation == Orientation() else _turned(scaled, orientation)


def _turned(frame: VideoFrame, orientation: Orientation) -> VideoFrame:
    """A yuv420p frame as it is to be displayed, plane by plane."""
    size = (frame.height, frame.width) if orientation.transpose else (frame.width, frame.height)
    turned = VideoFrame(*size, frame.format.name)
    for source, target in zip(frame.planes, turned.planes, strict=True):
        _pixels(target)[:] = orientation.apply(_pixels(source))
    return turned


def _pixels(plane: VideoPlane) -> NDArray[np.uint8]:
    """The plane's own memory, ``(H, W, 1)``, without its padding."""
    rows = np.frombuffer(cast(Any, plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width, None]


def _shows_at(reader: VideoReader, seconds: NDArray[np.float64]) -> bool:
    shown = reader.seconds
    return len(shown) == len(seconds) and bool(np.abs(shown - seconds).max() <= _SECONDS_TOLERANCE)


def _uneven(reader: VideoReader) -> NDArray[np.float64] | None:
    """When the frames are shown, where that is not what the rate says."""
    seconds = reader.seconds
    apart = np.abs(seconds - np.arange(len(reader)) / reader.fps).max()
    return seconds if apart > max(_SHARE_OF_A_FRAME / reader.fps, _SECONDS_TOLERANCE) else None


def _check(source: Path, target: Path, meant: Reencoded, seconds: NDArray[np.float64]) -> None:
    """Reads the new file back: how many frames, of what size and rate, and whether the first and last decode."""
    with VideoReader(target, threads=1) as reader:
        found = Reencoded(len(reader), reader.fps, reader.height, reader.width)
        same_rate = abs(found.fps - meant.fps) <= _FPS_TOLERANCE * meant.fps or _shows_at(reader, seconds)
        if not same_rate or (found.num_frames, found.height, found.width) != (
            meant.num_frames, meant.height, meant.width
        ):  # fmt: skip
            raise VideoError(f"{source}: its re-encoded file holds {found}, expected {meant}")
        reader.frames([0, meant.num_frames - 1])
