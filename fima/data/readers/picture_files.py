"""Decoding one picture file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fima.errors import VideoError
from fima.files.reading import check_regular

__all__ = ["MAX_PIXELS", "read_picture"]

MAX_PIXELS = 1 << 26
"""Of one picture: twice 8K."""

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))  # read once, when cv2 is imported


def read_picture(path: Path, mode: Literal["rgb", "gray", "stored"] = "rgb") -> NDArray[Any]:
    """A picture as its file's EXIF data turn it.

    Args:
        path: the file.
        mode: ``rgb``: ``(H, W, 3)`` uint8. ``gray``: ``(H, W)`` uint8. ``stored``: with the channels (blue first) and
            the depth of the file, not turned; a palette's colors are looked up.

    Raises:
        FileNotFoundError: if there is no such file.
        VideoError: if it cannot be read as a picture.
    """
    import cv2  # here, so that reading video files does not load it

    flags = {"rgb": cv2.IMREAD_COLOR, "gray": cv2.IMREAD_GRAYSCALE, "stored": cv2.IMREAD_UNCHANGED}
    check_regular(path, "a picture", VideoError)
    try:
        stored = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(stored, flags[mode]) if stored.size else None
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from None
    except cv2.error as error:
        raise VideoError(f"{path}: cannot be read as a picture ({error.err})") from None
    if picture is None:
        raise VideoError(f"{path}: cannot be read as a picture")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if mode == "rgb" else picture)
