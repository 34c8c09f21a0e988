"""One video's masks as stored in one place: an npz file, a video, or a folder of pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.records import VideoRecord
from fima.data.masks.source import Masks, blank, frame_numbers, scale_nearest
from fima.data.readers.picture_files import read_picture
from fima.data.readers.picture_names import FrameNamesError, order_frames, template_pattern
from fima.errors import InputError, VideoError
from fima.files.reading import read_arrays

__all__ = ["is_numbered_picture", "read_npz", "read_pictures", "read_video"]

_NUMBERED = re.compile(r"(.*?)(\d+)\.png", re.ASCII | re.DOTALL | re.IGNORECASE)
_LAST_NUMBER = re.compile(r"(\d+)\.[A-Za-z]+$", re.ASCII)


def read_npz(path: Path) -> NDArray[np.bool_]:
    """Masks from an npz file: ``masks``, (T, H, W), or ``masks_packed``, its bits along the last axis, and ``shape``.

    Raises:
        VideoError: if it cannot be read or holds neither.
    """
    try:
        arrays = read_arrays(path, ("masks", "masks_packed", "shape"))
    except InputError as error:
        raise VideoError(str(error)) from None
    if "masks" in arrays:
        masks = arrays["masks"]
    elif "masks_packed" in arrays and "shape" in arrays:
        masks = _unpacked(path, arrays["masks_packed"], arrays["shape"])
    else:
        raise VideoError(f"{path}: holds neither the array masks, nor masks_packed and shape")
    if masks.ndim != 3 or masks.dtype.kind not in "biu" or 0 in masks.shape[1:]:
        raise VideoError(
            f"{path}: masks must be bool or whole numbers of shape (T, H, W), got {masks.dtype} {masks.shape}"
        )
    return masks if masks.dtype == np.bool_ else np.asarray(masks != 0)


def _unpacked(path: Path, packed: NDArray[Any], shape: NDArray[Any]) -> NDArray[np.uint8]:
    size = tuple(int(n) for n in shape.ravel()) if shape.dtype.kind in "iu" and shape.size == 3 else ()
    if len(size) != 3 or packed.dtype != np.uint8 or packed.shape != (*size[:2], -(-size[2] // 8)):
        raise VideoError(
            f"{path}: masks_packed must be uint8 of shape (T, H, ⌈W / 8⌉) for the shape (T, H, W), "
            f"got {packed.dtype} {packed.shape} for {shape.tolist()}"
        )
    return np.unpackbits(packed, axis=-1, count=size[2])


def read_video(path: Path, indices: Sequence[int], *, height: int, width: int) -> Masks:
    """Masks from a video: where the luma of Rec. 601, of the decoded picture from 0 to 255, exceeds 127.

    Raises:
        IndexError: if an index is negative.
        VideoError: if it cannot be read.
    """
    from fima.data.readers.file import VideoReader  # here, as it loads torch

    wanted = frame_numbers(indices)
    result = blank(len(wanted), height, width)
    with VideoReader(path) as reader:
        there = [place for place, index in enumerate(wanted) if index < len(reader)]
        frames = reader.frames([wanted[place] for place in there]).permute(0, 2, 3, 1).numpy()
    for place, frame in zip(there, frames, strict=True):
        # Whole numbers: a gray of 127 is 127 and no more.
        luma = frame.astype(np.int32) @ np.array([299, 587, 114], np.int32)
        result.masks[place] = scale_nearest(luma > 127_000, height, width)
    result.known[there] = True
    return result


def is_numbered_picture(name: str) -> bool:
    """Whether a name is that of a mask among those of a folder, such as ``00012.png``."""
    return not name.startswith(".") and _NUMBERED.fullmatch(name) is not None


def read_pictures(folder: Path, record: VideoRecord, indices: Sequence[int], *, height: int, width: int) -> Masks:
    """Masks from a folder of numbered png pictures, as DAVIS has them: any color but black is an object.

    The number says which frame: where the video is a folder of pictures, the one with the same number. Otherwise the
    numbers count from 0, or from 1 where none is 0. A frame without a picture is not annotated. Transparency is left
    aside.

    Raises:
        IndexError: if an index is negative.
        VideoError: if the names are not numbered so, a number is no frame's, or a picture cannot be read.
    """
    wanted = frame_numbers(indices)
    result = blank(len(wanted), height, width)
    pictures = _by_frame(folder, record)
    for place, index in enumerate(wanted):
        if index in pictures:
            result.masks[place] = scale_nearest(_read_picture(pictures[index]), height, width)
            result.known[place] = True
    return result


def _by_frame(folder: Path, record: VideoRecord) -> dict[int, Path]:
    numbered = _numbered(folder)
    if record.path.is_dir():
        frame_of = {number: frame for frame, number in enumerate(_numbers_of_frames(record))}
        if strange := numbered.keys() - frame_of.keys():
            raise VideoError(f"{folder}: {numbered[min(strange)]} has the number of no frame in {record.path}")
        return {frame_of[number]: folder / name for number, name in numbered.items()}
    lowest = min(numbered)
    if lowest > 1:  # the object may just not be there before: to guess would shift every mask
        raise VideoError(f"{folder}: the lowest number must be 0 or 1, that of the first frame, got {numbered[lowest]}")
    return {number - lowest: folder / name for number, name in numbered.items()}


def _numbered(folder: Path) -> dict[int, str]:
    """The pictures of a folder by their number."""
    names = sorted(entry.name for entry in folder.iterdir() if is_numbered_picture(entry.name))
    found: dict[int, str] = {}
    prefixes: dict[str, str] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        assert match is not None
        prefixes.setdefault(match[1], name)
        if (other := found.setdefault(int(match[2]), name)) != name:
            raise VideoError(f"{folder}: {other} and {name} have the same number")
    if len(prefixes) != 1:
        examples = " and ".join(list(prefixes.values())[:2]) or "none"
        raise VideoError(f"{folder}: expected one kind of numbered png pictures, found {examples}")
    return found


def _numbers_of_frames(record: VideoRecord) -> list[int]:
    template = record.frame_template
    pattern = _LAST_NUMBER if template is None else template_pattern(template)
    try:
        names = order_frames([entry.name for entry in record.path.iterdir()], template, record.path.name)
    except FrameNamesError as error:
        raise VideoError(f"{record.path}: {error}") from None
    return [int(match[1]) for match in map(pattern.search, names) if match]


def _read_picture(path: Path) -> NDArray[np.bool_]:
    """``(H, W)``: true where any color is above 0; a palette's colors are looked up first, as cv2 does."""
    colors = read_picture(path, "stored")
    return colors != 0 if colors.ndim == 2 else np.asarray((colors[..., :3] != 0).any(-1))
