"""Reading extracted frames: a folder of pictures, used as a video file is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fima.data.readers.base import FrameReader, write_scaled
from fima.data.readers.picture_files import read_picture
from fima.data.readers.picture_names import FrameNamesError, order_frames
from fima.errors import InputError, VideoError

__all__ = ["DEFAULT_FPS", "FrameFolderReader"]

DEFAULT_FPS = 30.0
"""Of folders of pictures that come without a rate: what PySlowFast and MMAction2 extract at."""


class FrameFolderReader(FrameReader):
    """Frames of a video that was extracted to pictures, by index.

    Opening lists the folder and decodes the first picture. Pictures are turned as their EXIF data say.

    Args:
        path: a folder of pictures with numbered names; frame 0 is the one with the lowest number.
        template: how they are named, such as ``img_{:05d}.jpg`` or ``frame%06d.jpg``; None: found out
            (`fima.data.readers.picture_names.order_frames`).
        fps: frames per second, which a folder cannot say.

    Attributes:
        path: the folder.
        fps: frames per second, as given.
        codec: the pictures' extension, such as ``"jpg"``.

    Raises:
        FileNotFoundError: if there is no such folder.
        VideoError: if it is not a folder, holds no pictures with such names, one is missing in between, or the first
            cannot be read.
        InputError: if the template or the rate is unusable.
    """

    def __init__(self, path: str | Path, *, template: str | None = None, fps: float = DEFAULT_FPS) -> None:
        self.path = Path(path)
        self.fps = fps
        if not 0 < fps < float("inf"):
            raise InputError(f"fps must be more than 0, got {fps}")
        self._names = _frame_names(self.path, template)
        self._closed = False
        self.codec = self._names[0].rpartition(".")[2].lower()
        self._shape: tuple[int, ...] = self._decode(0).shape

    def __len__(self) -> int:
        return len(self._names)

    @property
    def height(self) -> int:
        """Of the frames, in pixels."""
        return self._shape[0]

    @property
    def width(self) -> int:
        """Of the frames, in pixels."""
        return self._shape[1]

    def close(self) -> None:
        """Ends reading; nothing is held open."""
        self._closed = True

    def _write(self, out: NDArray[np.uint8], places: dict[int, list[int]]) -> None:
        if self._closed:
            raise VideoError(f"{self.path}: the reader is closed")
        write_scaled(out, places, self._checked)

    def _checked(self, index: int) -> NDArray[np.uint8]:
        picture = self._decode(index)
        if picture.shape != self._shape:
            found = f"{picture.shape[1]}×{picture.shape[0]}"
            raise VideoError(
                f"{self.path / self._names[index]}: is {found}, expected {self.width}×{self.height} as {self._names[0]}"
            )
        return picture

    def _decode(self, index: int) -> NDArray[np.uint8]:
        """``(H, W, 3)`` RGB."""
        try:
            return read_picture(self.path / self._names[index])
        except FileNotFoundError as error:  # it was there when the folder was listed
            raise VideoError(str(error)) from None


def _frame_names(path: Path, template: str | None) -> list[str]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such folder")
    if not path.is_dir():
        raise VideoError(f"{path}: is a file, expected a folder of pictures")
    try:
        return order_frames([entry.name for entry in path.iterdir()], template, path.name)
    except OSError as error:
        raise VideoError(f"{path}: cannot be listed ({error.strerror})") from None
    except FrameNamesError as error:
        raise VideoError(f"{path}: {error}") from None
