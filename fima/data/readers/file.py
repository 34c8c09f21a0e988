"""Reading video files: any frame by its index, exactly as decoding from the start would give it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fima.data.readers.base import FrameReader
from fima.data.readers.container import decoder_options, is_large, open_container, readable_errors
from fima.data.readers.decoding import UnexpectedFrameError, decode_from, decode_sequentially
from fima.data.readers.orientation import Orientation, read_orientation, rgb_pixels
from fima.data.readers.packets import FrameIndex, index_packets, index_table
from fima.errors import VideoError

__all__ = ["VideoReader"]

_FPS_TOLERANCE = 0.02
_DEFAULT_FPS = 25.0  # libav's own assumption where nothing is said


class VideoReader(FrameReader):
    """Frames of one video file by index.

    ``len(reader)`` is the number of frames that decoding from the start gives, and ``frames([i])`` is the i-th of them,
    byte for byte. Opening reads all packets but decodes only the first frame; of a file as
    `fima.data.transcode.reencode` writes it not even that,
    since its table of packets is enough. Reading seeks to the keyframe before what is wanted. Where
    the packets leave doubt (times missing or repeated, damage, a codec whose packets are not understood) the file is
    decoded once to count its frames, and read from its start. Damage that shows only while reading has the same effect:
    ``len(reader)`` may then shrink.

    Args:
        path: a video file in any format that libav reads; its first video stream is used (a cover picture is none).
        threads: of the decoder; 0: one, but for large frames as many as there are cores. Processes that each read files
            of their own are best off with 1.

    Attributes:
        path: the file.
        fps: frames per second, the average over the file; the codec's nominal rate where its times are unusable.
        codec: libav's name of the codec, such as ``"h264"``.

    Raises:
        FileNotFoundError: if there is no such file.
        VideoError: if it is not a file, is empty, cannot be read, or holds no video frame that can be decoded.
    """

    def __init__(self, path: str | Path, *, threads: int = 0) -> None:
        self.path = Path(path)
        self._threads = threads
        self._container: InputContainer | None = None
        self._decoded: Iterator[tuple[int, VideoFrame]] | None = None  # the decoder's position is kept between calls
        self._next = 0  # index of the frame that comes next out of _decoded
        self._last: VideoFrame | None = None  # the one before
        self._orientation: Orientation | None = None  # unknown until a frame is decoded
        self._reformatter = VideoReformatter()
        self._concealed: set[int] = set()
        try:
            with readable_errors(self.path):
                self._open()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self._index.num_frames

    def __repr__(self) -> str:
        size = "" if self._orientation is None else f", {self.width}×{self.height}"
        return f"VideoReader({str(self.path)!r}, {len(self)} frames{size}, {self.fps:.3g} fps)"

    @property
    def height(self) -> int:
        """Of the frames as displayed, in pixels: the file's rotation is applied, its pixel aspect ratio is not."""
        return self._size(0)[0]

    @property
    def width(self) -> int:
        """Of the frames as displayed, in pixels."""
        return self._size(0)[1]

    @property
    def orientation(self) -> Orientation:
        """How stored frames are turned to be displayed."""
        self._size(0)
        return cast(Orientation, self._orientation)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """When each frame is shown, seconds from the first, as the file says; evenly where it does not."""
        pts = np.asarray(self._index.pts, np.float64)
        if len(pts) < len(self) or not self._time_base:
            return super().seconds
        return np.asarray((pts - pts[0]) * float(self._time_base))

    @property
    def concealed(self) -> set[int]:
        """Indices of the frames that the decoder had to make up, as far as is known."""
        return self._concealed

    def close(self) -> None:
        """Closes the file; does nothing the second time."""
        self._decoded = self._last = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _write(self, out: NDArray[np.uint8], places: dict[int, list[int]]) -> None:
        _ = self._opened
        try:
            with readable_errors(self.path):
                self._read(lambda: self._decode_into(out, places), last=max(places, default=0))
        except VideoError:
            self.close()
            raise

    def decoded(self) -> Iterator[VideoFrame]:
        """Decodes all frames, one after the other, from the start, whatever else is read meanwhile.

        This is the truth that ``len(reader)`` predicts: of a file whose damage shows only now, there may be fewer.

        Yields:
            Frames as the decoder gives them: `orientation` says how to turn them.

        Raises:
            VideoError: if the file cannot be read any more.
        """
        with readable_errors(self.path):
            container, stream = open_container(self.path, threads=self._threads)
            with container:
                yield from self._sequential(container, stream)

    def _open(self) -> None:
        stream = self._reopen()
        self.codec = stream.codec_context.codec.canonical_name
        self._time_base = stream.time_base
        self._header_rates = stream.average_rate, stream.guessed_rate
        self._indices = self._ever_surer_indices(stream)
        self._index = next(self._indices)
        if not self._index.unread:
            self._read(lambda: self._look_at(0), last=0)
        self.fps = self._average_rate()

    def _ever_surer_indices(self, stream: VideoStream) -> Iterator[FrameIndex]:
        """Yields the index that costs least; the next is wanted only if it turns out wrong, and costs more."""
        index = index_table(self._opened, stream)
        if index is not None:
            yield index
            stream = self._reopen()
        index = index_packets(self._opened, stream)
        if index is not None:
            yield index
        yield self._count()

    def _read(self, task: Callable[[], None], *, last: int) -> None:
        """Does what decodes frames up to ``last``, each time with a surer index, until it gets what was promised."""
        promised = len(self)
        while True:
            try:
                task()
            except UnexpectedFrameError:
                self._decoded = None
                index = next(self._indices, None)
                if index is None:
                    raise
                self._index = index
                if last >= len(self):
                    raise VideoError(
                        f"{self.path}: damaged; only {len(self)} of {promised} frames can be decoded"
                    ) from None
            else:
                return

    def _look_at(self, index: int) -> None:
        """Learns from one frame what holds for all."""
        frame = self._frame_at(index)
        if frame.interlaced_frame and self._index.entries:
            raise UnexpectedFrameError("a packet may hold one field")
        self._stored_size = frame.height, frame.width
        self._orientation = read_orientation(frame)

    def _size(self, first: int) -> tuple[int, int]:
        """Height and width as displayed; if need be, found out from the frame that is to be read first."""
        if self._orientation is None:
            _ = self._opened
            with readable_errors(self.path):
                self._read(lambda: self._look_at(first), last=first)
        height, width = self._stored_size
        return (width, height) if cast(Orientation, self._orientation).transpose else (height, width)

    @property
    def _opened(self) -> InputContainer:
        if self._container is None:
            raise VideoError(f"{self.path}: the reader is closed")
        return self._container

    def _reopen(self) -> VideoStream:
        """Opens the file afresh, at its start."""
        self.close()
        self._container, self._stream = open_container(self.path, threads=self._threads)
        return self._stream

    def _sequential(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """Decodes from the start; a damaged file on one thread, whose concealment is always the same."""
        stream.codec_context.thread_type = "NONE" if self._concealed else "FRAME"
        for index, frame in enumerate(decode_sequentially(container, stream)):
            if frame.is_corrupt:
                self._concealed.add(index)
            yield frame

    def _count(self) -> FrameIndex:
        """The index of a file whose packets cannot be trusted: decode all of it, keep the number."""
        sound = not self._concealed
        stream = self._reopen()
        times = [frame.pts for frame in self._sequential(self._opened, stream)]
        if sound and self._concealed and stream.codec_context.thread_count > 1:
            return self._count()
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

    def _decode_into(self, out: NDArray[np.uint8], places: dict[int, list[int]]) -> None:
        orientation = cast(Orientation, self._orientation)  # known, since the size of ``out`` is
        height, width = out.shape[1:3][::-1] if orientation.transpose else out.shape[1:3]
        for index in sorted(places):
            scaled = self._reformatter.reformat(self._frame_at(index), width, height, "rgb24", threads=1)
            picture = orientation.apply(rgb_pixels(scaled))
            for place in places[index]:
                out[place] = picture

    def _frame_at(self, index: int) -> VideoFrame:
        """Decodes on from where the last call stopped, or from the entry before ``index`` if that is nearer."""
        if self._decoded is not None and self._last is not None and index == self._next - 1:
            return self._last
        if (
            self._decoded is None
            or index < self._next
            or (index > self._next and self._entry_index(index) > self._next)
        ):
            self._restart(index)
        for i, frame in cast(Iterator[tuple[int, VideoFrame]], self._decoded):
            self._next, self._last = i + 1, frame
            if i == index:
                return frame
        self._decoded = None
        raise UnexpectedFrameError(f"no frame {index}")

    def _entry_index(self, index: int) -> int:
        return self._index.entry_before(index).index if self._index.entries else 0

    def _restart(self, index: int) -> None:
        if not self._index.entries:
            stream = self._reopen()
            self._decoded = enumerate(self._sequential(self._opened, stream))
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
        context.options = decoder_options(err_detect="explode")
        context.thread_type = "AUTO" if is_large(context) else "SLICE"
