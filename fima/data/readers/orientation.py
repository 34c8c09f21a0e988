"""A decoded picture's pixels, and how they are to be turned: phones store video as the sensor lies."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame
from numpy.typing import NDArray

__all__ = ["Orientation", "read_orientation", "rgb_pixels"]


def rgb_pixels(frame: VideoFrame) -> NDArray[np.uint8]:
    """The ``(H, W, 3)`` pixels of an rgb24 frame, without its padding and without a copy."""
    plane = frame.planes[0]
    rows = np.frombuffer(cast(Any, plane), np.uint8).reshape(-1, plane.line_size)[: frame.height]
    return rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)


class Orientation(NamedTuple):
    """How a stored picture is shown: first transposed, then mirrored."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turns an ``(H, W, 3)`` picture; returns a view."""
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        return picture[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]


def read_orientation(frame: VideoFrame) -> Orientation:
    """Reads the display matrix [[a, b, u], [c, d, v], …]: (x, y) is shown at (a·x + c·y, b·x + d·y).

    Angles between the quarter turns are taken as the nearest one.
    """
    matrix = cast(Any, frame.side_data).get(SideData.DISPLAYMATRIX)
    if matrix is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(cast(Any, matrix), np.int32)[:5].tolist()
    if abs(b) > abs(a):
        return Orientation(transpose=True, flip_rows=b < 0, flip_columns=c < 0)
    return Orientation(flip_rows=d < 0, flip_columns=a < 0)
