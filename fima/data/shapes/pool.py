"""Looks cut from real footage: a pool of pictures, and cut-outs of objects with their masks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.data.datasets.records import VideoRecord, is_video
from fima.data.shapes.textures import PATTERNS
from fima.errors import InputError

__all__ = ["Pool", "open_pool", "pool_digest"]

_Bytes = NDArray[np.uint8]
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_SHORT_SIDE = 320  # pixels that a picture of the pool is scaled down to
_MOST = 512  # pictures in a pool, and cut-outs
_OF_A_VIDEO = 8
_SAMPLES = ("china.jpg", "flower.jpg")
"""scikit-learn's two sample pictures, by danielbuechele and vultilion, Creative Commons Attribution 2.0."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Pictures to cut looks from.

    Attributes:
        pictures: ``(H, W, 3)`` uint8 RGB each.
        cutouts: objects, ``(H, W, 4)`` uint8 each, the last channel how far they cover; may be empty.
    """

    pictures: tuple[_Bytes, ...]
    cutouts: tuple[_Bytes, ...]

    def of_pattern(self, rng: np.random.Generator, pattern: int) -> _Bytes:
        """A picture of the share of the pool that a background's id stands for: the ids divide the pool evenly."""
        own = range(pattern % len(self.pictures), len(self.pictures), len(PATTERNS))
        return self.pictures[own[int(rng.integers(len(own)))]]

    def patch(
        self, rng: np.random.Generator, height: int, width: int, picture: _Bytes | None = None, *, tiled: bool = False
    ) -> Any:
        """``(height, width, 3)`` float32 in [0, 1]: a part of a picture, mirrored, brighter or darker by chance.

        Args:
            rng: decides which part.
            height: of the patch, pixels.
            width: likewise.
            picture: to cut from; None: any of the pool.
            tiled: a picture smaller than the patch goes on mirrored; otherwise it is enlarged, and blurs.
        """
        import cv2

        source = self.pictures[int(rng.integers(len(self.pictures)))] if picture is None else picture
        if tiled:
            lacks = [max(0, n - have) for n, have in zip((height, width), source.shape, strict=False)]
            source = np.pad(source, [(0, lacks[0]), (0, lacks[1]), (0, 0)], "symmetric")
        most = min(source.shape[0] / height, source.shape[1] / width)
        scale = most ** rng.uniform(0, 1) if most > 1 or tiled else most * rng.uniform(0.7, 1)
        rows, columns = (
            max(2, min(int(n * scale), limit)) for n, limit in zip((height, width), source.shape, strict=False)
        )
        top, left = (int(rng.integers(limit - n + 1)) for n, limit in zip((rows, columns), source.shape, strict=False))
        part = source[top : top + rows, left : left + columns]
        how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
        patch = cv2.resize(part, (width, height), interpolation=how).astype(np.float32) / 255
        gain, lift = rng.uniform(0.75, 1.15), rng.uniform(-0.08, 0.08)
        patch = np.clip((patch - 0.5) * gain + 0.5 + lift, 0, 1)
        return patch[:, ::-1] if rng.random() < 0.5 else patch


def open_pool(textures: str = "", objects: str = "") -> Pool:
    """The pool of a world.

    Args:
        textures: pictures, videos or folders of them, separated as in ``PATH`` (``:``); "": scikit-learn's two sample
            pictures (by danielbuechele and vultilion, Creative Commons Attribution 2.0).
        objects: a folder of pictures with a transparent background (PNG with alpha), or of ``videos/`` and ``masks/``
            as `fima.data.masks.open_masks` reads them; "": none.

    Raises:
        InputError: if there is nothing to use.
        FileNotFoundError: if there is no such path.
    """
    return _opened(textures, objects)


def pool_digest(textures: str, objects: str) -> str:
    """Names and sizes of a pool's files in a few letters, to tell whether it is still the same."""
    files = [*_files(textures), *(_files(objects) if objects else ())]
    text = "\n".join(f"{path.name} {path.stat().st_size}" for path in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=2)
def _opened(textures: str, objects: str) -> Pool:
    files = _files(textures)
    videos = sum(is_video(path.name) for path in files)
    each = max(1, min(_OF_A_VIDEO, (_MOST - min(len(files) - videos, _MOST // 2)) // max(videos, 1)))
    pictures = [picture for path in _evenly(files, _MOST) for picture in _pictures(path, each)]
    if not pictures:
        raise InputError(f"textures={textures}: no picture can be read there")
    return Pool(tuple(_evenly(pictures, _MOST)), tuple(_evenly(list(_cutouts(objects)), _MOST)) if objects else ())


def _files(text: str) -> list[Path]:
    """Every picture and video that a text names, in order."""
    if not text:
        import sklearn.datasets

        folder = Path(sklearn.datasets.__file__).parent / "images"
        return [folder / name for name in _SAMPLES]
    found: list[Path] = []
    for part in text.split(os.pathsep):
        path = Path(part).expanduser()
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        found += sorted(p for p in path.rglob("*") if _usable(p)) if path.is_dir() else [path]
    if not found:
        raise InputError(f"{text}: no pictures or videos there")
    return found


def _usable(path: Path) -> bool:
    return path.is_file() and (path.suffix.lower() in _PICTURES or is_video(path.name))


def _evenly(items: Sequence[Any], most: int) -> list[Any]:
    """At most that many, spread over all."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def _pictures(path: Path, frames: int) -> Iterator[_Bytes]:
    if is_video(path.name):
        yield from (picture for picture, _ in _frames(path, frames))
    else:
        yield _scaled(_read(path)[..., :3])


def _frames(path: Path, count: int) -> Iterator[tuple[_Bytes, int]]:
    """Some frames of a video, scaled down, and their numbers."""
    from fima.data.readers.file import VideoReader

    with VideoReader(path) as reader:
        short = min(min(reader.height, reader.width), _SHORT_SIDE)
        numbers = sorted({int(i) for i in np.linspace(0, len(reader) - 1, count + 2)[1:-1]})
        frames = reader.frames(numbers, short_side=short).permute(0, 2, 3, 1).numpy()
    yield from zip(frames, numbers, strict=True)


def _read(path: Path) -> _Bytes:
    """A picture's ``(H, W, 4)`` uint8 RGB and alpha."""
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint8:
        raise InputError(f"{path}: is no picture of 8 bits a channel")
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    alpha = picture[..., 3:] if picture.shape[2] == 4 else np.full_like(picture[..., :1], 255)
    return np.concatenate([picture[..., 2::-1], alpha], axis=2)


def _scaled(picture: _Bytes) -> _Bytes:
    import cv2

    factor = _SHORT_SIDE / min(picture.shape[:2])
    if factor >= 1:
        return np.ascontiguousarray(picture)
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _cutouts(text: str) -> Iterator[_Bytes]:
    """Objects with their alpha, cut to their extent."""
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    whole = (
        list(_masked(folder))
        if (folder / "masks").is_dir()
        else [_read(p) for p in _files(text) if not is_video(p.name)]
    )
    found = [cut for picture in whole if (cut := _extent(picture)) is not None]
    if not found:
        raise InputError(f"objects={text}: nothing with a mask there; PNG with alpha, or videos/ and masks/")
    yield from found


def _masked(folder: Path) -> Iterator[_Bytes]:
    from fima.data.masks import open_masks

    source = open_masks(folder / "masks")
    for path in sorted(p for p in (folder / "videos").rglob("*") if is_video(p.name)):
        record = VideoRecord(path, path.relative_to(folder / "videos").with_suffix("").as_posix(), None, None)
        if record not in source:
            continue
        for picture, number in _frames(path, _OF_A_VIDEO):
            height, width = picture.shape[:2]
            masks = source.read(record, [number], height=height, width=width)
            yield np.concatenate([picture, 255 * masks.masks[0][..., None].astype(np.uint8)], axis=2)


def _extent(picture: _Bytes) -> _Bytes | None:
    """The smallest part of a picture with all that it shows; None where that is nothing, or all of it."""
    shown = picture[..., 3] >= 128
    if not 64 <= shown.sum() < shown.size:
        return None
    rows, columns = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    return np.ascontiguousarray(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
