"""Reading video files: any frame by its index, exactly as decoding from the start would give it."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import av
import numpy as np
import torch
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fima.data.orientation import read_orientation, rgb_pixels
from fima.data.packets import FrameIndex, UnexpectedFrameError, decode_from, decode_sequentially, index_packets
from fima.errors import InputError, VideoError

__all__ = ["VideoInfo", "VideoReader", "probe"]

_LARGE_FRAME = 1280 * 720  # from here on, frame threads pay for the frames they decode ahead
_FPS_TOLERANCE = 0.02
_DEFAULT_FPS = 25.0  # libav's own assumption where nothing is said


@dataclass(frozen=True)
class VideoInfo:
    """What `probe` tells of a file; the fields are those of `VideoReader`."""

    path: Path
    num_frames: int
    fps: float
    height: int
    width: int
    duration_seconds: float
    codec: str


def probe(path: str | Path) -> VideoInfo:
    """Opens a video, reads what it holds and closes it.

    Raises:
        FileNotFoundError, VideoError: as `VideoReader`.
    """
    with VideoReader(path) as reader:
        return VideoInfo(
            path=reader.path,
            num_frames=len(reader),
            fps=reader.fps,
            height=reader.height,
            width=reader.width,
            duration_seconds=reader.duration_seconds,
            codec=reader.codec,
        )


class VideoReader:
    """Frames of one video file by index.

    ``len(reader)`` is the number of frames that decoding from the start gives, and ``frames([i])`` is the i-th of them,
    byte for byte. Opening reads all packets but decodes only the first frame; reading seeks to the keyframe before
    what is wanted. Where the packets leave doubt (times missing or repeated, damage, a codec whose packets are not
    understood) the file is decoded once to count its frames, and read from its start. Damage that shows only while
    reading has the same effect: ``len(reader)`` may then shrink.

    Use it as a context manager, or call `close`. One reader is for one thread.

    Args:
        path: a video file in any format that libav reads; its first video stream is used (a cover picture is none).

    Attributes:
        path: the file.
        fps: frames per second, the average over the file; the codec's nominal rate where its times are unusable.
        height, width: of the frames as displayed, in pixels: the file's rotation or mirroring is applied, its pixel
            aspect ratio is not.
        duration_seconds: ``len(reader) / fps``.
        codec: libav's name of the codec, such as ``"h264"``.

    Raises:
        FileNotFoundError: if there is no such file.
        VideoError: if it is not a file, is empty, cannot be read, or holds no video frame that can be decoded.
    """

    path: Path
    fps: float
    height: int
    width: int
    codec: str

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._container: InputContainer | None = None
        self._decoded: Iterator[tuple[int, VideoFrame]] | None = None  # the decoder's position is kept between calls
        self._next = 0  # index of the frame that comes next out of _decoded
        self._reformatter = VideoReformatter()
        _check_file(self.path)
        try:
            with self._readable_errors():
                self._open()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self._index.num_frames

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VideoReader({str(self.path)!r}, {len(self)} frames, {self.width}×{self.height}, {self.fps:.3g} fps)"

    @property
    def duration_seconds(self) -> float:
        """How long the video plays, in seconds."""
        return len(self) / self.fps

    def close(self) -> None:
        """Closes the file; does nothing the second time."""
        self._decoded = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def frames(
        self, indices: Sequence[int] | NDArray[np.integer[Any]], *, short_side: int | None = None
    ) -> torch.Tensor:
        """Decodes the frames with these indices.

        Args:
            indices: in any order, repeats allowed, each in ``[0, len(reader))``.
            short_side: scale so that the shorter side has this many pixels (swscale, bilinear with its support widened
                when shrinking); the longer side keeps the aspect, rounded to the nearest pixel, halves up.

        Returns:
            ``(T, 3, H, W)`` uint8 RGB, one frame per index, in the order asked. A view with the channels last in memory
            (as decoded, not copied again); ``.contiguous()`` if the layout matters.

        Raises:
            IndexError: if an index is outside the video.
            InputError: if ``short_side`` is less than 1.
            VideoError: if the file turns out to be damaged before one of these frames, or the reader is closed.
        """
        _ = self._opened
        wanted = [operator.index(i) for i in indices]
        self._check_indices(wanted)
        height, width = self._scaled(short_side)
        out = np.empty((len(wanted), height, width, 3), np.uint8)
        try:
            with self._readable_errors():
                self._fill(out, wanted)
        except VideoError:
            self.close()
            raise
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    def _open(self) -> None:
        stream = self._reopen()
        self.codec = stream.codec_context.codec.canonical_name
        self._time_base = stream.time_base
        self._header_rates = stream.average_rate, stream.guessed_rate
        index = index_packets(self._opened, stream)
        self._index = index if index is not None else self._count()
        try:
            first = self._frame_at(0)
            if first.interlaced_frame and self._index.entries:
                raise UnexpectedFrameError("a packet may hold one field")
        except UnexpectedFrameError:
            self._index = self._count()
            first = self._frame_at(0)
        self._orientation = read_orientation(first)
        self._stored_size = first.height, first.width
        self.height, self.width = self._stored_size[::-1] if self._orientation.transpose else self._stored_size
        self.fps = self._average_rate()

    @property
    def _opened(self) -> InputContainer:
        if self._container is None:
            raise VideoError(f"{self.path}: the reader is closed")
        return self._container

    def _reopen(self) -> VideoStream:
        """Opens the file afresh, at its start."""
        self.close()
        # Absolute, so that no name looks like a protocol ("a:b.mp4").
        self._container = av.open(str(self.path.absolute()), metadata_errors="replace")
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise VideoError(f"{self.path}: holds no video stream")
        self._stream = streams[0]
        if self._stream.codec_context is None:
            raise VideoError(f"{self.path}: this build of libav has no decoder for its video")
        return self._stream

    def _count(self) -> FrameIndex:
        """The index of a file whose packets cannot be trusted: decode all of it, keep the number."""
        stream = self._reopen()
        times = [frame.pts for frame in decode_sequentially(self._opened, stream)]
        self._decoded = None
        if not times:
            raise VideoError(f"{self.path}: holds no video frame that can be decoded")
        timed = [time for time in times if time is not None]
        return FrameIndex(len(times), sorted(set(timed)) if len(set(timed)) == len(times) else ())

    def _average_rate(self) -> float:
        """The header's average if it agrees with the frames' times, otherwise what the times say.

        Files exist whose frames all have time 0: their header's average is nonsense, the codec's own rate is not.
        """
        pts, base = self._index.pts, self._time_base
        if len(pts) > 1 and base:
            measured = (len(pts) - 1) / float((pts[-1] - pts[0]) * base)
            average = float(self._header_rates[0] or 0)
            return average if abs(average - measured) <= _FPS_TOLERANCE * measured else measured
        return float(self._header_rates[1] or self._header_rates[0] or _DEFAULT_FPS)

    def _fill(self, out: NDArray[np.uint8], wanted: list[int]) -> None:
        try:
            self._decode_into(out, wanted)
        except UnexpectedFrameError:
            promised = len(self)
            self._index = self._count()
            if wanted and max(wanted) >= len(self):
                raise VideoError(
                    f"{self.path}: damaged; only {len(self)} of {promised} frames can be decoded"
                ) from None
            self._decode_into(out, wanted)

    def _decode_into(self, out: NDArray[np.uint8], wanted: list[int]) -> None:
        places: dict[int, list[int]] = {}
        for place, index in enumerate(wanted):
            places.setdefault(index, []).append(place)
        height, width = out.shape[1:3][::-1] if self._orientation.transpose else out.shape[1:3]
        for index in sorted(places):
            scaled = self._reformatter.reformat(self._frame_at(index), width, height, "rgb24", threads=1)
            out[places[index]] = self._orientation.apply(rgb_pixels(scaled))

    def _frame_at(self, index: int) -> VideoFrame:
        """Decodes on from where the last call stopped, or from the entry before ``index`` if that is nearer."""
        if self._decoded is None or index < self._next or self._entry_index(index) > self._next:
            self._restart(index)
        for i, frame in cast(Iterator[tuple[int, VideoFrame]], self._decoded):
            self._next = i + 1
            if i == index:
                return frame
        self._decoded = None
        raise UnexpectedFrameError(f"no frame {index}")

    def _entry_index(self, index: int) -> int:
        return self._index.entry_before(index).index if self._index.entries else 0

    def _restart(self, index: int) -> None:
        if not self._index.entries:
            stream = self._reopen()
            self._decoded = enumerate(decode_sequentially(self._opened, stream))
        else:
            self._set_up_decoder()
            self._decoded = decode_from(self._opened, self._stream, self._index, self._index.entry_before(index))
        self._next = 0

    def _set_up_decoder(self) -> None:
        """Chooses threads, and has damage reported instead of concealed; possible only before the first packet."""
        context = self._stream.codec_context
        if context.is_open:
            return
        if self._index.open_gop:
            context.thread_type = "NONE"  # with slice threads, H.264 would neither conceal nor mark damage
            return
        context.options = {"err_detect": "explode"}
        context.thread_type = "AUTO" if context.width * context.height >= _LARGE_FRAME else "SLICE"

    def _check_indices(self, wanted: list[int]) -> None:
        for index in wanted:
            if not 0 <= index < len(self):
                raise IndexError(f"{self.path}: frame {index} is outside this video of {len(self)} frames")

    def _scaled(self, short_side: int | None) -> tuple[int, int]:
        if short_side is None:
            return self.height, self.width
        if short_side < 1:
            raise InputError(f"short_side must be at least 1, got {short_side}")
        short, long = sorted((self.height, self.width))
        other = (2 * long * short_side + short) // (2 * short)
        return (short_side, other) if self.height <= self.width else (other, short_side)

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        """Turns PyAV's and the system's errors into one line that starts with the path."""
        try:
            yield
        except UnexpectedFrameError as error:
            raise VideoError(f"{self.path}: cannot be decoded reliably ({error})") from None
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise VideoError(f"{self.path}: cannot be read as video ({reason})") from None


def _check_file(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not path.is_file():
        raise VideoError(
            f"{path}: is {'a directory' if path.is_dir() else 'not a regular file'}, expected a video file"
        )
    if not path.stat().st_size:
        raise VideoError(f"{path}: the file is empty")
