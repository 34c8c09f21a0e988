"""Reading extracted frames: a folder of pictures, used as a video file is."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from fima.data.datasets.layouts.vidsitu import EventReader, EventRecord, open_event
from fima.data.datasets.records import VideoRecord
from fima.data.readers.file import VideoReader
from fima.data.readers.orientation import rgb_pixels
from fima.data.readers.picture_names import FrameNamesError, order_frames
from fima.data.shapes.dataset import ShapesReader, ShapesRecord
from fima.errors import InputError, VideoError

__all__ = ["DEFAULT_FPS", "FrameFolderReader", "open_video"]

DEFAULT_FPS = 30.0
"""Of folders of pictures that come without a rate: what PySlowFast and MMAction2 extract at."""


def open_video(
    video: VideoRecord | str | Path,
    *,
    frame_template: str | None = None,
    frame_fps: float | None = None,
    threads: int = 0,
) -> VideoReader | FrameFolderReader | ShapesReader | EventReader:
    """Opens a video file, a folder of its frames, an event of a clip, or a video that is drawn when it is read.

    Args:
        video: a path, or a record of a data set, whose own template and rate then hold where none is given here.
        frame_template: the template of `FrameFolderReader`; a video file does not use it.
        frame_fps: the rate of `FrameFolderReader`; a video file does not use it.
        threads: of `VideoReader`; a folder does not use them.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        VideoError: as `VideoReader` and `FrameFolderReader`.
    """
    if isinstance(video, ShapesRecord):
        return ShapesReader(video)
    if isinstance(video, EventRecord):
        return open_event(video, threads=threads)
    record = video if isinstance(video, VideoRecord) else VideoRecord(Path(video), "", None, None)
    if not record.path.is_dir():
        return VideoReader(record.path, threads=threads)
    template = record.frame_template if frame_template is None else frame_template
    fps = record.frame_fps if frame_fps is None else frame_fps
    return FrameFolderReader(record.path, template=template, fps=DEFAULT_FPS if fps is None else fps)


class FrameFolderReader:
    """Frames of a video that was extracted to pictures, by index; the interface is `VideoReader`'s.

    Opening lists the folder and decodes the first picture. Pictures are turned as their EXIF data say.

    Args:
        path: a folder of pictures with numbered names; frame 0 is the one with the lowest number.
        template: how they are named, such as ``img_{:05d}.jpg`` or ``frame%06d.jpg``; None: found out
            (`fima.data.readers.picture_names.order_frames`).
        fps: frames per second, which a folder cannot say.

    Attributes:
        path: the folder.
        fps: frames per second, as given.
        height, width: of the frames, in pixels.
        duration_seconds: ``len(reader) / fps``.
        codec: the pictures' extension, such as ``"jpg"``.

    Raises:
        FileNotFoundError: if there is no such folder.
        VideoError: if it is not a folder, holds no pictures with such names, one is missing in between, or the first
            cannot be read.
        InputError: if the template or the rate is unusable.
    """

    path: Path
    fps: float
    height: int
    width: int
    codec: str

    def __init__(self, path: str | Path, *, template: str | None = None, fps: float = DEFAULT_FPS) -> None:
        self.path = Path(path)
        self.fps = fps
        if not 0 < fps < float("inf"):
            raise InputError(f"fps must be more than 0, got {fps}")
        self._names = _frame_names(self.path, template)
        self._closed = False
        self._reformatter = VideoReformatter()
        self.codec = self._names[0].rpartition(".")[2].lower()
        self.height, self.width = self._decode(0).shape[:2]

    def __len__(self) -> int:
        return len(self._names)

    def __enter__(self) -> FrameFolderReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        size = f"{self.width}×{self.height}"
        return f"FrameFolderReader({str(self.path)!r}, {len(self)} frames, {size}, {self.fps:.3g} fps)"

    @property
    def duration_seconds(self) -> float:
        """How long the video plays, in seconds."""
        return len(self) / self.fps

    def close(self) -> None:
        """Ends reading; nothing is held open."""
        self._closed = True

    def frames(
        self,
        indices: Sequence[int] | NDArray[np.integer[Any]],
        *,
        short_side: int | None = None,
        allocate: Callable[[tuple[int, ...]], NDArray[np.uint8]] | None = None,
    ) -> torch.Tensor:
        """Decodes the frames with these indices, each once.

        Args:
            indices: in any order, repeats allowed, each in ``[0, len(reader))``.
            short_side: scale so that the shorter side has this many pixels, with the scaler and rounding of
                `VideoReader.frames`.
            allocate: gives the memory to write into, as for `VideoReader.frames`.

        Returns:
            ``(T, 3, H, W)`` uint8 RGB, one frame per index, in the order asked; channels last in memory.

        Raises:
            IndexError: if an index is outside the video.
            InputError: if ``short_side`` is less than 1.
            VideoError: if a picture cannot be read or has another size than the first, or the reader is closed.
        """
        if self._closed:
            raise VideoError(f"{self.path}: the reader is closed")
        wanted = [operator.index(i) for i in indices]
        for index in wanted:
            if not 0 <= index < len(self):
                raise IndexError(f"{self.path}: frame {index} is outside this video of {len(self)} frames")
        height, width = _scaled(self.height, self.width, short_side)
        shape = (len(wanted), height, width, 3)
        out = np.empty(shape, np.uint8) if allocate is None else allocate(shape)
        places: dict[int, list[int]] = {}
        for place, index in enumerate(wanted):
            places.setdefault(index, []).append(place)
        for index, where in places.items():
            out[where] = self._resized(self._checked(index), height, width)
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    def _checked(self, index: int) -> NDArray[np.uint8]:
        picture = self._decode(index)
        if picture.shape[:2] != (self.height, self.width):
            found = f"{picture.shape[1]}×{picture.shape[0]}"
            raise VideoError(
                f"{self.path / self._names[index]}: is {found}, expected {self.width}×{self.height} as {self._names[0]}"
            )
        return picture

    def _decode(self, index: int) -> NDArray[np.uint8]:
        """``(H, W, 3)`` RGB."""
        import cv2  # here, so that reading video files does not load it

        path = self.path / self._names[index]
        try:
            stored = np.frombuffer(path.read_bytes(), np.uint8)
            picture = cv2.imdecode(stored, cv2.IMREAD_COLOR) if stored.size else None
        except OSError as error:
            raise VideoError(f"{path}: cannot be read ({error.strerror})") from None
        except cv2.error as error:
            raise VideoError(f"{path}: cannot be read as a picture ({error.err})") from None
        if picture is None:
            raise VideoError(f"{path}: cannot be read as a picture")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

    def _resized(self, picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
        if picture.shape[:2] == (height, width):
            return picture
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        return rgb_pixels(self._reformatter.reformat(frame, width, height, "rgb24", threads=1))


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


def _scaled(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """As `VideoReader` scales: the longer side keeps the aspect, rounded to the nearest pixel, halves up."""
    if short_side is None:
        return height, width
    if short_side < 1:
        raise InputError(f"short_side must be at least 1, got {short_side}")
    short, long = sorted((height, width))
    other = (2 * long * short_side + short) // (2 * short)
    return (short_side, other) if height <= width else (other, short_side)
