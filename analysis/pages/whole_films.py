"""Films of whole videos: the activation over every frame, as long, as fast and as large as the video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.inputs.video.videos import FrameReader, VideoSource, list_videos
from analysis.plotting.common.films import film_names, mark_region, overlay
from analysis.settings import Settings
from fima.data.transcode.encode import write_video

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["whole_films"]

_CHUNK = 16  # frames that are in memory together


def whole_films(study: Study) -> dict[str, Callable[[Path], None]]:
    """The RGB activation over every frame of the shown videos, which are read again.

    Args:
        study: Of the measure ``cam`` with ``settings.whole``.

    Returns:
        Name of a file → function that writes it; none for frames that were in memory.
    """
    settings = {name: value for name, value in study.provenance["settings"].items() if name in _WHICH}
    sources = {video.video_id: video for video in list_videos(Settings.from_parameters(settings)).videos}
    ids = [str(video) for video in study.arrays["whole_video_id"]]
    return {
        name: partial(_write, study.arrays, i, sources[video])
        for i, (name, video) in enumerate(zip(film_names("cam", ids), ids, strict=True))
        if video in sources
    }


_WHICH = ("video", "data", "split", "seed")


def _write(arrays: dict[str, np.ndarray], i: int, source: VideoSource, path: Path) -> None:
    with source.open() as reader:
        write_video(path, _drawn(reader, arrays, i), fps=reader.fps, seconds=reader.seconds - reader.seconds[0])


def _drawn(reader: FrameReader, arrays: dict[str, np.ndarray], i: int) -> Iterator[np.ndarray]:
    maps, region = arrays[f"whole_{i}_rgb_map"], arrays[f"whole_{i}_region"]
    for start in range(0, len(reader), _CHUNK):
        places = list(range(start, min(start + _CHUNK, len(reader))))
        frames = reader.frames(places).movedim(1, -1).contiguous().numpy()
        ends = _pixels(region, frames.shape[1:3])
        top, left, bottom, right = ends
        frames[:, top:bottom, left:right] = overlay(frames[:, top:bottom, left:right], maps[places])
        mark_region(frames, ends)
        yield from frames


def _pixels(region: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Shares of a picture as its rows and columns: top, left, and one past bottom and right."""
    height, width = shape
    top, left = round(float(region[0]) * height), round(float(region[1]) * width)
    return top, left, round(float(region[0] + region[2]) * height), round(float(region[1] + region[3]) * width)
