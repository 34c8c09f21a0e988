"""Optical flow made beforehand and kept on disk."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.data.readers.picture_files import read_picture
from fima.errors import InputError

__all__ = ["FlowFolder"]

_ARRAY = "flow.npy"
_PICTURES = "flow_{}_{:05d}.jpg"


class FlowFolder:
    """The flow of many videos, a folder each, in one of two forms.

    - ``flow.npy``: ``(L, 2, H, W)`` floating point, pixels to the right and down; read by memory map.
    - ``flow_x_00001.jpg``, ``flow_y_00001.jpg``, …: gray, 0 to 255 for −bound to bound pixels, as the tools dense_flow
      and denseflow write them.

    Entry i is what moves from frame i to i + 1, so a video of L + 1 frames has L of them; the last frame is given the
    entry before it, as `fima.transforms.motion.optical_flow` does.

    Args:
        root: holds a folder for each ``video_id`` (`fima.data.datasets.VideoRecord`).
        bound: of the pictures' scale, pixels.

    Raises:
        FileNotFoundError: if there is no such folder.
        InputError: if the bound is not positive.
    """

    def __init__(self, root: str | Path, *, bound: float = 20.0) -> None:
        self.root, self.bound = Path(root), bound
        if not self.root.is_dir():
            raise FileNotFoundError(f"{self.root}: no such folder")
        if not bound > 0:
            raise InputError(f"bound must be more than 0 pixels, got {bound}")

    def read(self, video_id: str, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Tensor:
        """The flow that starts at these frames.

        Args:
            video_id: of the video.
            indices: frame numbers from 0, in any order, at least one, each at most the number of entries.

        Returns:
            ``(2, T, H, W)`` float32, pixels per frame.

        Raises:
            FileNotFoundError: if the video's folder or its flow is not there.
            InputError: if an array or a picture is not as described, or an index is outside.
        """
        folder = self.root / video_id
        wanted = [operator.index(i) for i in indices]
        if (folder / _ARRAY).is_file():
            flow = _read_array(folder / _ARRAY, wanted)
        elif (folder / _PICTURES.format("x", 1)).is_file():
            flow = _read_pictures(folder, wanted, self.bound)
        else:
            raise FileNotFoundError(f"{folder}: holds neither {_ARRAY} nor {_PICTURES.format('x', 1)}")
        return torch.from_numpy(flow).transpose(0, 1)


def _read_array(path: Path, wanted: list[int]) -> NDArray[np.float32]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error})") from None
    if array.ndim != 4 or array.shape[1] != 2 or not len(array) or array.dtype.kind != "f":
        raise InputError(f"{path}: expected (L, 2, H, W) floating point, got {array.shape} {array.dtype}")
    return np.asarray(array[_entries(wanted, len(array), path)], np.float32)


def _read_pictures(folder: Path, wanted: list[int], bound: float) -> NDArray[np.float32]:
    entries = _entries(wanted, sum(1 for _ in folder.glob("flow_x_*.jpg")), folder)
    read = {
        i: np.stack([read_picture(folder / _PICTURES.format(axis, i + 1), "gray") for axis in "xy"])
        for i in set(entries)
    }
    flow = np.stack([read[i] for i in entries]).astype(np.float32)
    return flow * np.float32(2 * bound / 255) - np.float32(bound)


def _entries(wanted: list[int], length: int, path: Path) -> list[int]:
    """The last frame takes the entry before it."""
    if not wanted or not 0 <= min(wanted) <= max(wanted) <= length:
        raise InputError(f"{path}: expected frames from 0 to {length}, got {wanted or 'none'}")
    return [min(i, length - 1) for i in wanted]
