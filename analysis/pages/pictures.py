"""Pictures and films as data addresses, small enough for a page that holds dozens of them."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from analysis.pages.environment import data_address
from analysis.plotting.common.films import overlay
from analysis.plotting.style import PHOTOS
from analysis.studies import Study
from fima.data.transcode.encode import write_video

__all__ = ["ClipFilms", "Film", "Picture", "clip_films", "picture"]

_SMALL = 150_000  # bytes of a PNG that stays one: a drawing of lines
_QUALITY = 90  # of WebP, a fifth of the size of a PNG that shows frames; text stays sharp
_CRF = 23  # of x264: a blurred overlay needs no better
_GAP = 4  # pixels between the two maps of a film
_SLOWEST = 4.0  # frames per second


@dataclass(frozen=True)
class Picture:
    """A figure in the page.

    Attributes:
        address: Its data address.
        width: In pixels.
        height: In pixels.
        photos: Left, top, right and bottom of what keeps its colors on a dark page, as shares of the figure.
    """

    address: str
    width: int
    height: int
    photos: list[list[float]]


def picture(path: Path) -> Picture:
    """A PNG file as it is, or as WebP if it is large.

    Args:
        path: The PNG.
    """
    content, kind = path.read_bytes(), "png"
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        photos = json.loads(image.info.get(PHOTOS, "[[0, 0, 1, 1]]"))
        if len(content) > _SMALL:
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "WEBP", quality=_QUALITY, method=2)
            content, kind = buffer.getvalue(), "webp"
    return Picture(data_address(f"image/{kind}", content), width, height, photos)


@dataclass(frozen=True)
class Film:
    """A film in the page.

    Attributes:
        label: Of the checkpoint; empty for the frames themselves.
        address: Its data address.
        frames: Their number.
        fps: Frames per second.
        width: In pixels.
        height: In pixels.
    """

    label: str
    address: str
    frames: int
    fps: float
    width: int
    height: int


@dataclass(frozen=True)
class ClipFilms:
    """The films of one clip, the frames themselves first.

    Attributes:
        name: Of the video.
        seconds: Times of the first film's frames in the video.
        films: To play together.
    """

    name: str
    seconds: list[float]
    films: list[Film]


def clip_films(studies: Mapping[str, Study]) -> list[ClipFilms]:
    """Films of every shown clip: its frames, and for each checkpoint the RGB map beside the motion map.

    Args:
        studies: Label → activation maps. A clip that some did not show has fewer films.
    """
    places: dict[tuple[str, int], dict[str, int]] = {}
    for label, study in studies.items():
        seen: dict[str, int] = {}
        for at, video in enumerate(map(str, study.arrays["example_video_id"])):
            seen[video] = seen.get(video, -1) + 1
            places.setdefault((video, seen[video]), {})[label] = at
    return [
        _clip(video, {label: (studies[label], at) for label, at in of.items()}) for (video, _), of in places.items()
    ]


def _clip(video: str, found: dict[str, tuple[Study, int]]) -> ClipFilms:
    first, at = next(iter(found.values()))
    films = [_film("", first.arrays["example_frames"][at], first, at)]
    for label, (study, place) in found.items():
        arrays = {name: study.arrays[f"example_{name}"][place] for name in _DRAWN}
        panels = overlay(arrays["frames"], arrays["rgb_map"]), overlay(arrays["motion_frames"], arrays["motion_map"])
        gap = np.full((*panels[0].shape[:2], _GAP, 3), 128, dtype=np.uint8)
        films.append(_film(label, np.concatenate([panels[0], gap, panels[1]], axis=2), study, place))
    return ClipFilms(video, [round(float(s), 3) for s in first.arrays["example_seconds"][at]], films)


_DRAWN = ("frames", "motion_frames", "rgb_map", "motion_map")


def _film(label: str, frames: np.ndarray, study: Study, at: int) -> Film:
    fps = max(float(study.arrays["example_fps"][at]), _SLOWEST)
    with tempfile.TemporaryDirectory() as folder:
        content = write_video(Path(folder) / "film.mp4", frames, fps=fps, crf=_CRF).read_bytes()
    return Film(label, data_address("video/mp4", content), len(frames), fps, frames.shape[2], frames.shape[1])
