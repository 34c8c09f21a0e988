"""Reading a part of a video, from one second to another, as a video of its own."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.records import SegmentRecord
from fima.data.readers.base import FrameReader
from fima.data.sampling import nearest_frame
from fima.errors import VideoError

__all__ = ["SegmentReader"]


class SegmentReader(FrameReader):
    """The frames of a segment by index, from the one nearest to its start to the one before that nearest to its end.

    Args:
        record: the segment.
        reader: of the whole video, closed with this one.

    Raises:
        VideoError: if the video ends before the segment begins.
    """

    def __init__(self, record: SegmentRecord, reader: FrameReader) -> None:
        self.path, self.fps, self.codec = record.path, reader.fps, reader.codec
        self._reader = reader
        times = np.append(reader.seconds, reader.duration_seconds)
        self._first, self._stop = (nearest_frame(times, second) for second in (record.start_second, record.end_second))
        if self._stop <= self._first:
            found = f"{reader.duration_seconds:.2f} s long"
            reader.close()
            raise VideoError(f"{record.clip}: is {found}, expected frames from {record.start_second:g} s on")

    def __len__(self) -> int:
        return self._stop - self._first

    @property
    def height(self) -> int:
        """Of the frames, in pixels."""
        return self._reader.height

    @property
    def width(self) -> int:
        """Of the frames, in pixels."""
        return self._reader.width

    @property
    def seconds(self) -> NDArray[np.float64]:
        """When each frame is shown, from the segment's first."""
        seconds = self._reader.seconds[self._first : self._stop]
        return np.asarray(seconds - seconds[0])

    @property
    def concealed(self) -> Collection[int]:
        """As `FrameReader.concealed`, counted from the segment's first frame."""
        return {index - self._first for index in self._reader.concealed if self._first <= index < self._stop}

    def close(self) -> None:
        """Closes the video."""
        self._reader.close()

    def _write(self, out: NDArray[np.uint8], places: dict[int, list[int]]) -> None:
        self._reader._write(out, {self._first + index: where for index, where in places.items()})

    def _size(self, first: int) -> tuple[int, int]:
        return self._reader._size(self._first + first)
