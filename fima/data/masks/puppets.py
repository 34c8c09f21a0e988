"""JHMDB's puppet masks: the outline of the acting person, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.records import VideoRecord
from fima.data.masks.source import Masks, find, from_stack, names_of
from fima.errors import VideoError
from fima.files.reading import MAX_ARRAYS

__all__ = ["PUPPET_FILE", "PuppetMasks"]

PUPPET_FILE = "puppet_mask.mat"


class PuppetMasks:
    """Masks in files ``Class/video/puppet_mask.mat``, each with an array ``part_mask`` of ``(H, W, T)``.

    Args:
        root: the folder of the classes, ``puppet_mask`` in JHMDB.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def __contains__(self, record: VideoRecord) -> bool:
        return self._find(record) is not None

    def __repr__(self) -> str:
        return f"PuppetMasks({str(self._root)!r})"

    def read(self, record: VideoRecord, indices: Sequence[int], *, height: int, width: int) -> Masks:
        """As `fima.data.masks.MaskSource.read`."""
        return from_stack(_read_parts(find(self._root, record, self._find)), indices, height=height, width=width)

    def _find(self, record: VideoRecord) -> Path | None:
        files = (self._root / name / PUPPET_FILE for name in names_of(record))
        return next(filter(Path.is_file, files), None)


def _read_parts(path: Path) -> NDArray[np.bool_]:
    """``(T, H, W)``: true on any part of the body."""
    from scipy.io import loadmat, whosmat  # here, so that other masks do not load it

    try:
        shapes = {name: shape for name, shape, _ in whosmat(path)}
        if math.prod(shapes.get("part_mask", ())) > MAX_ARRAYS // 8:
            raise ValueError(f"part_mask is {shapes['part_mask']}, which is too large")
        parts = np.asarray(loadmat(path, variable_names=["part_mask"])["part_mask"])
    except KeyError:
        raise VideoError(f"{path}: holds no array part_mask") from None
    except Exception as error:  # a damaged file may raise anything
        reason = " ".join(str(error).split())
        raise VideoError(f"{path}: cannot be read as a MATLAB file ({reason})") from None
    if parts.ndim == 2:  # MATLAB drops a last axis of one frame
        parts = parts[:, :, None]
    if parts.ndim != 3 or parts.dtype.kind not in "biuf" or not parts.size:
        raise VideoError(f"{path}: part_mask must be numbers of shape (H, W, T), got {parts.dtype} {parts.shape}")
    return np.ascontiguousarray((parts != 0).transpose(2, 0, 1))
