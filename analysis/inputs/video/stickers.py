"""A copy of a clip's moving object, pasted where the object never is, to compare the object with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.measures.common.rings import center_distance
from analysis.measures.mover import prefers_mover
from fima.errors import InputError

__all__ = ["KINDS", "Pasted", "background_motion", "paste_copy"]

KINDS = ("picture", "world", "control", "seam")
"""How the copy behaves: rests in the picture; goes along with the background; goes the object's own way, so that both
move; and rests beside the object in a clip that stands still, so that the seam alone could tell them apart."""

_MOST_COVERED = 0.35  # share of the copy that the object may hide
_LEAST_SEEN = 0.8  # share of the object and of its copy that is left in the middle frame
_GRID = 11  # places tried along each axis
_SHARES = (0.5, 0.65, 0.8)  # of the way from the object to the copy, at which the center may be
_EVEN = 0.05  # how far from one half of the pixels the nearer ones may be
_COARSE = 2  # every so many pixels count for it
_FEATHER = 1 / 150  # standard deviation of the soft edge, shares of the short side

_Masks = NDArray[np.bool_]
_Motion = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Pasted:
    """A clip with a copy of its object.

    Attributes:
        frames: ``(T, H, W, 3)`` uint8.
        mover: ``(T, H, W)``: where the object is.
        copy: ``(T, H, W)``: where the copy is seen.
        covered: share of the copy that the object hides, over the clip.
    """

    frames: NDArray[np.uint8]
    mover: _Masks
    copy: _Masks
    covered: float


def paste_copy(
    frames: NDArray[np.uint8], masks: _Masks, kind: str = "picture", *, motion: _Motion | None = None
) -> Pasted | None:
    """The object of a clip, cut out in the middle frame, pasted a second time behind the object itself.

    Its place in the middle frame is across the picture's middle line if it is free there, else the free one nearest to
    that; then the picture is cropped so that its center lies between the two, and over the clip each is the nearer one
    for half of its pixels: a liking for the center would tell them apart otherwise. Where no place and center give
    that, the most even ones are taken.

    Args:
        frames: ``(T, H, W, 3)`` uint8.
        masks: ``(T, H, W)`` bool, the object.
        kind: of `KINDS`.
        motion: for kind "world", ``(T, 3, 3)``, `background_motion` of the clip; None: found out.

    Returns:
        The clip; None where the object is not seen in the middle frame, where no place is free, or where the background
        gives no hold to follow it.

    Raises:
        InputError: if the shapes do not fit or there is no such kind.
    """
    if kind not in KINDS:
        raise InputError(f"the kind of a copy must be one of {', '.join(KINDS)}, got {kind!r}")
    if frames.ndim != 4 or masks.shape != frames.shape[:3]:
        raise InputError(f"frames must be (T, H, W, 3) and masks (T, H, W), got {frames.shape} and {masks.shape}")
    middle = len(frames) // 2
    if not masks[middle].any():
        return None
    if kind == "seam":
        still = np.full(len(frames), middle)
        frames, masks = frames[still], masks[still]
    ways = _ways(frames, masks, kind, motion)
    if ways is None:
        return None
    best, uneven = None, np.inf
    for placed, copy, covered, window in _places(masks, ways):
        part = (slice(None), *window)
        seen = (copy & ~masks)[part]
        off = abs(_nearer(masks[part], seen) - 0.5)
        if off < uneven:
            best, uneven = (placed, seen, covered, part), off
        if off <= _EVEN:
            break
    if best is None:
        return None
    placed, seen, covered, part = best
    return Pasted(_composed(frames, masks, placed)[part], masks[part], seen, covered)


def _places(masks: _Masks, ways: _Motion) -> Iterator[tuple[_Motion, _Masks, float, tuple[slice, slice]]]:
    """Ways of a free copy, where it is, the share of it that the object hides, and the part to look at; best first.

    The picture's center lies halfway between the two first, then nearer to the copy: what goes by is farther from it
    in most frames than what stays.
    """
    middle = len(masks) // 2
    cut = masks[middle].astype(np.float32)
    for shift in _shifts(masks[middle]):
        placed = ways @ _shifted(*shift)
        there = _warp(cut, placed[middle]) >= 0.5
        windows = [_window_between(masks[middle], there, share) for share in _SHARES]
        if not any(windows):
            continue
        copy = np.stack([_warp(cut, way) >= 0.5 for way in placed])
        covered = float((copy & masks).sum() / max(copy.sum(), 1))
        if covered <= _MOST_COVERED:
            yield from ((placed, copy, covered, window) for window in windows if window)


def _nearer(mover: _Masks, copy: _Masks) -> float:
    """What a liking for the center alone would score; on a coarser grid, which is enough for it."""
    coarse = [torch.from_numpy(mask[None, :, ::_COARSE, ::_COARSE].copy()) for mask in (mover, copy)]
    nearness = -torch.from_numpy(center_distance(*coarse[0].shape[2:]))
    score = float(prefers_mover(nearness.expand(coarse[0].shape), *coarse)[0])
    return score if np.isfinite(score) else np.inf


def _window_between(mover: _Masks, copy: _Masks, share: float) -> tuple[slice, slice] | None:
    """The largest part of the picture whose center lies between both; None where that leaves too little of either.

    Args:
        mover: ``(H, W)``, where the object is.
        copy: ``(H, W)``, where the copy is.
        share: of the way from the object to the copy.
    """
    if not copy.any():
        return None
    window = []
    for axis, length in enumerate(mover.shape):
        first, second = (np.flatnonzero(mask.any(axis=1 - axis)) for mask in (mover, copy))
        apart = abs(np.diff([np.mean(f) for f in (first, second)])[0]) > 1
        middle = float((1 - share) * (first[0] + first[-1] + 1) / 2 + share * (second[0] + second[-1] + 1) / 2)
        half = min(middle, length - middle) if apart else length
        window.append(slice(max(0, round(middle - half)), min(length, round(middle + half))))
    part = tuple(window)
    enough = all(mask[part].sum() >= _LEAST_SEEN * mover.sum() for mask in (mover, copy))
    return (part[0], part[1]) if enough else None


def background_motion(frames: NDArray[np.uint8], masks: _Masks) -> _Motion | None:
    """Homographies that take the middle frame's background to every frame's, ``(T, 3, 3)``; None without a hold.

    Corners outside the object are followed from frame to frame (Lucas–Kanade) and fitted by RANSAC.
    """
    import cv2

    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    grown = [cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) for mask in masks]
    middle, ways = len(frames) // 2, np.tile(np.eye(3), (len(frames), 1, 1))
    for t in (*range(middle + 1, len(frames)), *range(middle - 1, -1, -1)):
        before = t - 1 if t > middle else t + 1
        step = _homography(gray[before], gray[t], (1 - grown[before]).astype(np.uint8))
        if step is None:
            return None
        ways[t] = step @ ways[before]
    return ways


def _homography(first: Any, second: Any, free: NDArray[np.uint8]) -> _Motion | None:
    import cv2

    corners: Any = cv2.goodFeaturesToTrack(first, 400, 0.01, 4, mask=free)
    if corners is None or len(corners) < 12:
        return None
    moved, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, np.empty(0), None, None, (15, 15), 4)
    good = found.ravel() == 1
    if good.sum() < 12:
        return None
    way, _ = cv2.findHomography(corners[good], moved[good], cv2.RANSAC, 1.5)
    return None if way is None else np.asarray(way, np.float64)


def _ways(frames: NDArray[np.uint8], masks: _Masks, kind: str, motion: _Motion | None) -> _Motion | None:
    """How the copy moves away from its place in the middle frame, ``(T, 3, 3)``."""
    if kind == "world":
        return background_motion(frames, masks) if motion is None else motion
    if kind != "control":
        return np.tile(np.eye(3), (len(frames), 1, 1))
    centers = np.array([_center(mask) if mask.any() else (np.nan, np.nan) for mask in masks])
    known = np.isfinite(centers[:, 0])
    times = np.arange(len(masks))
    x, y = (np.interp(times, times[known], axis[known]) for axis in centers.T)
    middle = len(masks) // 2
    return np.stack([_shifted(x[t] - x[middle], y[t] - y[middle]) for t in times])


def _shifts(mask: _Masks) -> Iterator[tuple[float, float]]:
    """Ways from the object's place to others: across the middle first, then by distance from there."""
    height, width = mask.shape
    x, y = _center(mask)
    across = (width - 1 - 2 * x, 0.0)
    yield across
    places = [
        (width * (i + 0.5) / _GRID - x, height * (j + 0.5) / _GRID - y) for i in range(_GRID) for j in range(_GRID)
    ]
    yield from sorted(places, key=lambda place: float(np.hypot(place[0] - across[0], place[1] - across[1])))


def _composed(frames: NDArray[np.uint8], masks: _Masks, placed: _Motion) -> NDArray[np.uint8]:
    """The copy with a soft edge over every frame, and the object over the copy."""
    import cv2

    middle, sigma = len(frames) // 2, _FEATHER * min(frames.shape[1:3])
    source = np.dstack([frames[middle], 255 * masks[middle].astype(np.uint8)]).astype(np.float32) / 255
    source[..., 3] = cv2.GaussianBlur(source[..., 3], (0, 0), sigma)
    out = np.empty_like(frames)
    for t, way in enumerate(placed):
        copy = _warp(source, way)
        own = cv2.GaussianBlur(masks[t].astype(np.float32), (0, 0), sigma)
        cover = (copy[..., 3] * (1 - own))[..., None]
        out[t] = np.clip(frames[t] * (1 - cover) + 255 * copy[..., :3] * cover + 0.5, 0, 255)
    return out


def _warp(picture: Any, way: _Motion) -> Any:
    import cv2

    height, width = picture.shape[:2]
    return cv2.warpPerspective(picture, way, (width, height), flags=cv2.INTER_LINEAR, borderValue=0)


def _shifted(x: float, y: float) -> _Motion:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _center(mask: _Masks) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.mean()), float(rows.mean())
