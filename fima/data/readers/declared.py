"""What a video file says that it holds, against what it can hold: asked before anything of it is believed.

A few bytes of an mp4 file's tables can declare billions of frames, for which a reader would make room. Whatever frames
there are, each takes some bytes of the file.

Source: ISO/IEC 14496-12, boxes stsz, stz2, stts, ctts, elst and trun.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fima.errors import VideoError
from fima.files.reading import check_regular, hole_bytes

__all__ = ["FEWEST_BYTES", "FREE_FRAMES", "check_declared"]

FEWEST_BYTES = 8
"""Of a frame, with its place in the tables, on average over a file."""
FREE_FRAMES = 65_536
"""So many may be in a file of any size."""

_MOSTLY = 0.5  # of a file that was never written, from here on, nothing is to be believed
_PARENTS = frozenset(b"moov trak mdia minf stbl moof traf mvex edts dinf udta tref sinf schi".split())
_TABLES = frozenset(b"stsz stz2 stts ctts elst".split())
_PIECE = 1024  # samples of uncompressed sound, which libav takes as one


class _Box(NamedTuple):
    kind: bytes
    start: int
    end: int


def check_declared(path: Path) -> None:
    """Refuses a file that is none, is mostly unwritten, or declares more than it can hold.

    Raises:
        FileNotFoundError: if there is no such file.
        VideoError: for any of these, in one line that starts with the path.
    """
    size = check_regular(path, "a video file", VideoError).st_size
    if not size:
        raise VideoError(f"{path}: the file is empty")
    try:
        holes = hole_bytes(path)
        with path.open("rb") as file:
            declared = _declared(file, 0, size)
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from None
    if holes > _MOSTLY * size:
        raise VideoError(f"{path}: {holes} of its {size} bytes were never written: an unfinished copy or download")
    if declared > FREE_FRAMES + (size - holes) // FEWEST_BYTES:
        raise VideoError(f"{path}: declares {declared} samples, which {size - holes} bytes cannot hold")


def _declared(file: BinaryIO, start: int, end: int) -> int:
    """Index entries that a reader of these boxes would make room for; 0 of a file without boxes."""
    tables: dict[bytes, bytes] = {}
    inside = 0
    for box in _boxes(file, start, end):
        if box.kind in _PARENTS:
            inside += _declared(file, box.start, box.end)
        elif box.kind == b"trun":
            inside += _number(_read(file, box), 4)
        elif box.kind in _TABLES:
            tables[box.kind] = _read(file, box)
    edits = _number(tables.get(b"elst", b""), 4)  # each may repeat everything
    return (inside + _samples(tables)) * max(edits, 1)


def _samples(tables: dict[bytes, bytes]) -> int:
    """Of one track; sound in which each sample lasts one tick is taken in larger pieces."""
    runs = {kind: _runs(tables.get(kind, b"")) for kind in (b"stts", b"ctts")}
    times = runs[b"stts"]
    piece = _PIECE if len(times) == 1 and times[0, 1] == 1 else 1
    sizes = (_number(tables.get(kind, b""), 8) for kind in (b"stsz", b"stz2"))
    return max(*sizes, *(int(table[:, 0].sum(dtype=np.uint64)) for table in runs.values())) // piece


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    at = start
    while at + 8 <= end:
        file.seek(at)
        head = file.read(16)
        size, kind, begins = int.from_bytes(head[:4], "big"), head[4:8], at + 8
        if size == 1:
            size, begins = int.from_bytes(head[8:], "big"), at + 16
        stop = min(at + size, end) if size else end
        if stop < begins:
            return
        yield _Box(kind, begins, stop)
        at = stop


def _read(file: BinaryIO, box: _Box) -> bytes:
    file.seek(box.start)
    return file.read(box.end - box.start)


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _runs(data: bytes) -> NDArray[np.uint32]:
    """The rows (count, value) of a table, as many as are there."""
    return np.frombuffer(data[8 : 8 + max(len(data) - 8, 0) // 8 * 8], ">u4").reshape(-1, 2)
