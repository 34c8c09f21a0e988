"""What every source of masks gives, how a video's masks are found by its id, and how masks are scaled."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.records import VideoRecord
from fima.errors import InputError

__all__ = ["MaskSource", "Masks", "blank", "find", "frame_numbers", "from_stack", "names_of", "scale_nearest"]

_NOWHERE = frozenset({"", ".", ".."})
_Found = TypeVar("_Found")


class Masks(NamedTuple):
    """Masks of some frames of one video.

    Attributes:
        masks: ``(T, H, W)``, true on an object.
        known: ``(T,)``, true where the frame is annotated; the mask of a frame that is not is all false.
    """

    masks: NDArray[np.bool_]
    known: NDArray[np.bool_]


class MaskSource(Protocol):
    """Masks of the videos of a data set."""

    def __contains__(self, record: VideoRecord) -> bool:
        """Whether anything is annotated in this video."""
        ...

    def read(self, record: VideoRecord, indices: Sequence[int], *, height: int, width: int) -> Masks:
        """Reads the masks of some frames.

        Args:
            record: the video.
            indices: of its frames, counted from 0, in any order, repeats allowed.
            height: the video's own, in pixels; masks of another size are scaled to it (`scale_nearest`).
            width: likewise.

        Returns:
            One mask per index, in the order asked; what is not annotated has ``known`` false.

        Raises:
            IndexError: if an index is negative.
            InputError: if nothing is annotated in this video, or the size is less than one pixel.
            VideoError: if the masks cannot be read; the message starts with their path.
        """
        ...


def names_of(record: VideoRecord) -> list[str]:
    """The names a video's masks may go by: its id, then with one leading folder less each time, down to the last part.

    Names that lead out of the folder of masks (from ``/`` or through ``..``) are none.
    """
    parts = record.video_id.split("/")
    start = max((i + 1 for i, part in enumerate(parts) if part in _NOWHERE), default=0)
    return ["/".join(parts[i:]) for i in range(start, len(parts))]


def find(path: Path, record: VideoRecord, look: Callable[[VideoRecord], _Found | None]) -> _Found:
    """What ``look`` finds for this video.

    Raises:
        InputError: if that is None; the message starts with the path.
    """
    found = look(record)
    if found is None:
        raise InputError(f"{path}: holds no masks of the video {record.video_id}")
    return found


def frame_numbers(indices: Sequence[int]) -> list[int]:
    """The indices as plain numbers.

    Raises:
        IndexError: if one is negative.
    """
    wanted = [operator.index(index) for index in indices]
    if min(wanted, default=0) < 0:
        raise IndexError(f"frame {min(wanted)} is before the video's first, which is 0")
    return wanted


def blank(count: int, height: int, width: int) -> Masks:
    """Masks of frames of which nothing is known yet.

    Raises:
        InputError: if the size is less than one pixel.
    """
    if min(height, width) < 1:
        raise InputError(f"height and width must be at least 1, got {height} and {width}")
    return Masks(np.zeros((count, height, width), np.bool_), np.zeros(count, np.bool_))


def from_stack(stack: NDArray[np.bool_], indices: Sequence[int], *, height: int, width: int) -> Masks:
    """Masks out of those of a video's first frames, ``(T, H, W)``; frames beyond them are not annotated."""
    wanted = frame_numbers(indices)
    result = blank(len(wanted), height, width)
    there = [place for place, index in enumerate(wanted) if index < len(stack)]
    result.masks[there] = scale_nearest(stack[[wanted[place] for place in there]], height, width)
    result.known[there] = True
    return result


def scale_nearest(masks: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Scales ``(…, H, W)`` to ``(…, height, width)``: a pixel is what lies at its center in the original.

    A center that falls exactly between two pixels takes the later one.
    """
    if masks.shape[-2:] == (height, width):
        return masks
    rows, columns = _sources(masks.shape[-2], height), _sources(masks.shape[-1], width)
    return np.asarray(masks[..., rows[:, None], columns], np.bool_)


def _sources(before: int, after: int) -> NDArray[np.int64]:
    """Which of ``before`` pixels holds the center of each of ``after``: floor((i + ½) · before / after), exactly."""
    return (2 * np.arange(after, dtype=np.int64) + 1) * before // (2 * after)
