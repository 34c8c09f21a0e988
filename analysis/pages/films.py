"""Films of a study in files: what stands beside its figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.plotting.films import beside_maps, safe_name
from fima.data.transcode.encode import write_video

if TYPE_CHECKING:
    from analysis.studies.study import Study

__all__ = ["activation_films"]

_SLOWEST = 4.0  # frames per second; a strided clip of a slow video should still look like a film
_REPEATS = 3  # a clip is about a second long: shown a few times over, so that a player has something to play
_DRAWN = ("frames", "motion_frames", "rgb_map", "motion_map")


def activation_films(study: Study) -> dict[str, Callable[[Path], None]]:
    """Frames, RGB activation and motion activation of every shown clip: one film, or a folder of several.

    Args:
        study: Of the measure ``cam``.

    Returns:
        Name of a file → function that writes it. Films play in real time, never below 4 frames per second.
    """
    ids = study.arrays["example_video_id"]
    several = [f"cam/{i + 1:02d}-{safe_name(str(video))}.mp4" for i, video in enumerate(ids)]
    names = several if len(ids) > 1 else ["cam.mp4"]
    return {name: partial(_write, study.arrays, i) for i, name in enumerate(names)}


def _write(arrays: dict[str, np.ndarray], i: int, path: Path) -> None:
    film = beside_maps(**{name: arrays[f"example_{name}"][i] for name in _DRAWN})

    def play() -> Iterator[np.ndarray]:
        for _ in range(_REPEATS):
            yield from film

    write_video(path, play(), fps=max(float(arrays["example_fps"][i]), _SLOWEST))
