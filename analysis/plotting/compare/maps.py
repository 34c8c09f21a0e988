"""Activation maps of several checkpoints side by side, over the same frames of the same clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from analysis.measures.registry import find_score
from analysis.plotting.common.frames import COPY, TRUTH
from analysis.plotting.common.maps import BAR, BETWEEN, Cell, activation_bar, draw_cells, inside_words, map_arrays
from analysis.plotting.common.page import LINE, Page, fit, names_of, paper
from analysis.plotting.compare.scores import compared_caption
from analysis.plotting.style import WIDTH

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["draw_compared_cam", "draw_compared_localize", "draw_compared_mover"]

_LEFT, _GAP, _EDGE = 0.2, 0.12, 0.02  # inches: names of clips, between blocks, white at the right
_IMAGES = 8  # in a row
_TITLE = 0.155  # inches of a line

_Cells = Callable[["Study", int, np.ndarray], list[Cell]]


def draw_compared_cam(studies: Mapping[str, Study]) -> Figure:
    """Rows are clips; the first block of columns shows their frames, the others each checkpoint's map over them."""
    return _draw_compared_maps(studies, "Where the RGB features are strong. Line: half of the maximum of a frame")


def draw_compared_localize(studies: Mapping[str, Study]) -> Figure:
    """The same with the true outline of the object, and each clip's share of activation inside."""
    return _draw_compared_maps(studies, "Activation should lie inside the cyan outline of the object")


def draw_compared_mover(studies: Mapping[str, Study]) -> Figure:
    """The last frame shown of each clip, with its copy at rest in the picture and in the world."""
    what = "Which of two alike is more active? Cyan: the mover; orange: its copy, at rest in the picture or the world"
    return _draw_compared_maps(studies, what, _two_frames, _two_maps)


def _draw_compared_maps(
    studies: Mapping[str, Study], what: str, frames: _Cells | None = None, maps: _Cells | None = None
) -> Figure:
    first = next(iter(studies.values()))
    count, length = first.arrays["example_frames"].shape[:2]
    blocks = 1 + len(studies)
    moments = np.linspace(0, length - 1, max(1, min(3, _IMAGES // blocks, length)) + 2).round().astype(int)[1:-1]
    title = compared_caption(studies, what)
    top = _TITLE * (1 + title.count("\n")) + 1.6 * LINE
    wide = (WIDTH - _LEFT - _EDGE - (blocks - 1) * _GAP) / blocks
    side = (wide + BETWEEN) / len(moments) - BETWEEN
    heads = [("frames",), *(names_of(name, study) for name, study in studies.items())]
    with paper():
        page = Page(WIDTH, top + count * (side + LINE + 0.04) + BAR)
        page.figure.suptitle(title, y=1 - 0.03 / page.height, va="top")
        for at, words in enumerate(heads):
            page.text(_LEFT + at * (wide + _GAP), top - LINE, fit(wide, *words))
        for clip in range(count):
            y = top + clip * (side + LINE + 0.04)
            name = fit(max(side, 0.5), str(first.arrays["example_video_id"][clip]))
            page.text(_LEFT - 0.04, y + side / 2, name, rotation=90, ha="right", va="center")
            # Clips of other checkpoints may have other frames of the same seconds.
            where = moments if maps else first.arrays["example_seconds"][clip, moments]
            rows = [
                (frames or _frames)(first, clip, moments),
                *((maps or _maps)(s, clip, where) for s in studies.values()),
            ]
            for at, cells in enumerate(rows):
                image = draw_cells(page, cells, _LEFT + at * (wide + _GAP), y, side)
        activation_bar(page, studies, _LEFT, image)
    return page.figure


def _frames(study: Study, clip: int, moments: np.ndarray) -> list[Cell]:
    frames, seconds = (study.arrays[f"example_{name}"][clip, moments] for name in ("frames", "seconds"))
    return [Cell(frame, words=(f"{at:.2f} s",)) for frame, at in zip(frames, seconds, strict=True)]


def _maps(study: Study, clip: int, seconds: np.ndarray) -> list[Cell]:
    """Maps of the frames that are nearest to some times."""
    arrays, (maps, masks) = study.arrays, map_arrays(study)
    times = np.abs(arrays["example_seconds"][clip][None] - seconds[:, None]).argmin(axis=1)
    edges = [None if masks is None else {TRUTH: masks[clip, t]} for t in times]
    inside = () if masks is None else inside_words(arrays["example_energy"][clip], arrays["example_chance"][clip])
    return [
        Cell(arrays["example_frames"][clip, t], maps[clip, t], edge, half=masks is None, words=() if at else inside)
        for at, (t, edge) in enumerate(zip(times, edges, strict=True))
    ]


def _two_frames(study: Study, clip: int, kinds: np.ndarray) -> list[Cell]:
    frames, mover, copy = (study.arrays[f"example_{name}"][clip, :, -1] for name in ("frames", "mover", "copy"))
    labels = [find_score("mover", kind).label for kind in ("picture", "world")]
    return [
        Cell(
            frames[k], masks={TRUTH: mover[k], COPY: copy[k]}, words=(labels[k], labels[k].removeprefix("copy rests "))
        )
        for k in kinds
    ]


def _two_maps(study: Study, clip: int, kinds: np.ndarray) -> list[Cell]:
    frames, maps = (study.arrays[f"example_{name}"][clip, :, -1] for name in ("frames", "map"))
    scores = study.arrays["example_score"][clip]
    # Nothing is told beside a picture that is narrower than others.
    return [Cell(frames[k], np.nan_to_num(maps[k]), words=(f"{scores[k]:.2f}",)) for k in kinds]
