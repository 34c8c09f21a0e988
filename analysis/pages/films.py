"""Films of a study in files: what stands beside its figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.pages.whole_films import whole_films
from analysis.plotting.attention import above_even, largest_share
from analysis.plotting.common.films import beside_colors, beside_maps, film_names
from fima.data.transcode.encode import write_video

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["activation_films", "attention_films"]

_SLOWEST = 4.0  # frames per second; a strided clip of a slow video should still look like a film
_REPEATS = 3  # a clip is about a second long: shown a few times over, so that a player has something to play
_DRAWN = ("frames", "motion_frames", "rgb_map", "motion_map")


def activation_films(study: Study) -> dict[str, Callable[[Path], None]]:
    """Frames, RGB activation and motion activation of every shown clip: one film, or a folder of several.

    Args:
        study: Of the measure ``cam``.

    Returns:
        Name of a file → function that writes it. Films play in real time, never below 4 frames per second; of whole
        videos they are `analysis.pages.whole_films.whole_films`.
    """
    if "whole_video_id" in study.arrays:
        return whole_films(study)
    arrays = [study.arrays[f"example_{name}"] for name in _DRAWN]
    return _one_or_several(study, lambda i: beside_maps(*(of[i] for of in arrays)))


def attention_films(study: Study) -> dict[str, Callable[[Path], None]]:
    """Frames, attention received and attention of the marked cell of every shown clip, on the figure's color scale.

    Args:
        study: Of the measure ``attention``.

    Returns:
        As `activation_films`.
    """
    arrays, most = study.arrays, largest_share(study.arrays)
    frames = arrays["example_frames"]
    steps, length = arrays["example_mean_map"].shape[1], frames.shape[1]
    slices = np.arange(length) * steps // length
    received, paid = (above_even(arrays[f"example_{name}"][:, slices], most) for name in ("mean_map", "cell_map"))
    names = ("attention received", "attention of the cell")
    return _one_or_several(study, lambda i: beside_maps(frames[i], frames[i], received[i], paid[i], names))


def color_films(study: Study) -> dict[str, Callable[[Path], None]]:
    """Frames and the colors of RGB and motion features of every shown clip; arguments and result as `activation_films`.

    Args:
        study: Of the measure ``pca``.
    """
    arrays = [study.arrays[f"example_{name}"] for name in ("frames", "rgb_colors", "motion_colors")]
    return _one_or_several(study, lambda i: beside_colors(*(of[i] for of in arrays)))


def _one_or_several(study: Study, film: Callable[[int], np.ndarray]) -> dict[str, Callable[[Path], None]]:
    """A file for each shown clip, whose frames ``film`` makes when it is written."""
    ids, fps = study.arrays["example_video_id"], study.arrays["example_fps"]
    names = film_names(study.measure, [str(video) for video in ids])
    return {name: partial(_write, film, i, float(fps[i])) for i, name in enumerate(names)}


def _write(film: Callable[[int], np.ndarray], i: int, fps: float, path: Path) -> None:
    frames = film(i)

    def play() -> Iterator[np.ndarray]:
        for _ in range(_REPEATS):
            yield from frames

    write_video(path, play(), fps=max(fps, _SLOWEST))
