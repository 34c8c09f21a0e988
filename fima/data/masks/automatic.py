"""Masks without annotation, where the camera rests: what differs from the background, which is the median over time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.records import VideoRecord
from fima.data.masks.source import Masks, scale_nearest
from fima.errors import InputError

__all__ = ["AutomaticMasks"]

_SHORT_SIDE = 160  # pixels that frames are scaled down to
_FRAMES = 60  # that the background is the median of
_LEAST = 14  # gray levels that an object differs by
_NOISE = 5  # or so many median deviations of its video
_SPECK = 0.001  # share of the picture that an object has at least
_RESTING = 6  # gray levels that half of all pixels stay within, from the median, where the camera rests
_MOST = 0.4  # share of the picture that may differ; beyond it, the camera moved


class AutomaticMasks:
    """Every video has masks; those of one whose camera moves are unknown, frame by frame.

    An object that rests most of the time becomes background. Compared with true masks in the tests.
    """

    def __contains__(self, record: VideoRecord) -> bool:
        """Any video can be looked at."""
        return True

    def read(self, record: VideoRecord, indices: Sequence[int], *, height: int, width: int) -> Masks:
        """See `fima.data.masks.source.MaskSource`.

        Raises:
            IndexError: if an index is outside the video.
            InputError: if the size is less than one pixel.
            VideoError: if the video cannot be read.
        """
        if min(height, width) < 1:
            raise InputError(f"masks need a size of at least one pixel, got {width}×{height}")
        background, noise = _background(record)
        threshold = max(_LEAST, _NOISE * noise)
        difference = np.abs(_frames(record, indices).astype(np.int16) - background).max(axis=-1)
        masks = np.stack([_cleaned(frame > threshold) for frame in difference])
        known = (masks.mean(axis=(1, 2)) <= _MOST) & (noise <= _RESTING)
        masks &= known[:, None, None]
        return Masks(np.stack([scale_nearest(mask, height, width) for mask in masks]), known)


@lru_cache(maxsize=4)
def _background(record: VideoRecord) -> tuple[NDArray[np.int16], float]:
    """The median over time ``(H, W, 3)``, and how far half of all pixels are from it at most, gray levels."""
    from fima.data.readers.open import open_video

    with open_video(record) as reader:
        count = len(reader)
    frames = _frames(record, sorted({int(i) for i in np.linspace(0, count - 1, min(count, _FRAMES))}))
    background = np.median(frames, axis=0).astype(np.int16)
    return background, float(np.median(np.abs(frames - background).max(axis=-1)))


def _frames(record: VideoRecord, indices: Sequence[int]) -> NDArray[np.uint8]:
    """``(T, H, W, 3)``, slightly blurred, so that single pixels do not count."""
    import cv2

    from fima.data.readers.open import open_video

    with open_video(record) as reader:
        short = min(_SHORT_SIDE, reader.height, reader.width)
        frames = reader.frames(list(indices), short_side=short).permute(0, 2, 3, 1).numpy()
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in frames])


def _cleaned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without specks, and with small holes closed."""
    import cv2

    kernel: Any = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel, iterations=2)
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(closed)
    large = statistics[:, cv2.CC_STAT_AREA] >= _SPECK * mask.size
    large[0] = False  # the background
    return np.asarray(large[parts])
