"""Figure 4: activation of RGB and of motion over the time of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from analysis.plotting.common.maps import BAR, BETWEEN, Cell, activation_bar, draw_cells
from analysis.plotting.common.page import LINE, Page, fit, names_of, paper
from analysis.plotting.paper.caption import (
    checkpoint_names,
    clips_sentence,
    count_sentence,
    detail_sentences,
    score_sentence,
)
from analysis.plotting.paper.layouts import PaperFigure, checkpoint_arrays
from fima.errors import InputError

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.common.study import Study

__all__ = ["draw_strips"]

_GUTTER = 0.31  # two lines of turned text
_CLIPS = 0.06  # between the strips of two clips
_PICTURE, _SMALLEST = 0.7, 0.42  # inches, about; and at least, so that its row can be named
_EDGE = 0.02
_TALLEST = 9.0


def draw_strips(studies: Mapping[str, Study], width: float) -> PaperFigure:
    """Columns are moments of a clip; rows its frames and every checkpoint's RGB map, its motion and every motion map.

    Args:
        studies: Name → study of ``cam``, of the same clips.
        width: Inches.

    Raises:
        InputError: If the figure would be taller than a page.

    Source: FIMA, Figure 4.
    """
    first = next(iter(studies.values())).arrays["example_frames"]
    moments, side, strip = _grid(width, *first.shape[:2], lines=2 + 2 * len(studies))
    arrays = _arrays(studies, moments)
    count = len(first)
    height = count * (strip + _CLIPS) - _CLIPS + BAR
    with paper():
        page = Page(width, height)
        for clip in range(count):
            image = _draw_strip(page, studies, arrays, clip, clip * (strip + _CLIPS), side)
        activation_bar(page, studies, _GUTTER, image)
    caption, details = _words(studies, arrays)
    return PaperFigure(page.figure, caption, arrays, details)


def _grid(width: float, count: int, length: int, *, lines: int) -> tuple[int, float, float]:
    """Moments, inches of a picture, and inches of a clip's strip: more and smaller where a page asks for it."""
    for moments in range(min(length, max(3, int((width - _GUTTER) / _PICTURE))), length + 1):
        side = (width - _EDGE - _GUTTER - (moments - 1) * BETWEEN) / moments
        strip = LINE + lines * (side + BETWEEN)
        if count * (strip + _CLIPS) - _CLIPS + BAR <= _TALLEST and side >= _SMALLEST:
            return moments, side, strip
    raise InputError(
        f"--show {count}: {lines} rows for each of {count} clips do not fit on a page of {_TALLEST:.0f} inches; show "
        "fewer, or take fewer checkpoints"
    )


def _arrays(studies: Mapping[str, Study], moments: int) -> dict[str, np.ndarray]:
    first = next(iter(studies.values())).arrays
    times = np.linspace(0, first["example_frames"].shape[1] - 1, moments).round().astype(int)
    arrays = checkpoint_arrays(studies) | {"video_id": first["example_video_id"]}
    arrays |= {name: first[f"example_{name}"][:, times] for name in ("seconds", "frames", "motion_frames")}
    for at, study in enumerate(studies.values()):
        arrays |= {f"{at}_{kind}_maps": study.arrays[f"example_{kind}_map"][:, times] for kind in ("rgb", "motion")}
    return arrays


def _draw_strip(
    page: Page, studies: Mapping[str, Study], arrays: dict[str, np.ndarray], clip: int, top: float, side: float
) -> AxesImage | None:
    """One clip: letter and times above, then the rows."""
    if len(arrays["frames"]) > 1:
        page.letter(0.01, top + 0.01, clip)
    for column, seconds in enumerate(arrays["seconds"][clip]):
        middle = _GUTTER + column * (side + BETWEEN) + side / 2
        page.text(middle, top + 0.015, f"{seconds:.2f} s", ha="center")
    rows = [(kind, at) for kind in ("rgb", "motion") for at in (None, *range(len(studies)))]
    for row, (kind, at) in enumerate(rows):
        below = top + LINE + row * (side + BETWEEN)
        _name_row(page, studies, kind, at, below, side)
        frames = arrays["frames" if kind == "rgb" else "motion_frames"][clip]
        maps = [None] * len(frames) if at is None else arrays[f"{at}_{kind}_maps"][clip]
        cells = [Cell(frame, values) for frame, values in zip(frames, maps, strict=True)]
        image = draw_cells(page, cells, _GUTTER, below, side)
    return image


def _name_row(page: Page, studies: Mapping[str, Study], kind: str, at: int | None, top: float, side: float) -> None:
    """What a row shows, turned, on the left of it: the kind, and the checkpoint if it is one's."""
    middle = top + side / 2
    style = {"rotation": 90, "va": "center"}
    if at is None:
        words = "frames" if kind == "rgb" else "motion"
        page.text(_GUTTER - 0.035, middle, fit(side, words), ha="right", **style)
        return
    name, study = list(studies.items())[at]
    page.text(_GUTTER - 0.17, middle, "RGB" if kind == "rgb" else "motion", ha="right", **style)
    page.text(_GUTTER - 0.035, middle, fit(side, *names_of(name, study)), ha="right", **style)


def _words(studies: Mapping[str, Study], arrays: dict[str, np.ndarray]) -> tuple[str, str]:
    """Caption and details."""
    caption = [
        f"Activation over time of {checkpoint_names(studies)}: frames with the activation of the RGB features, and "
        "frame differences with that of the motion features.",
        score_sentence(studies, "rgb_motion_correlation"),
        count_sentence(studies),
    ]
    scaled = next(iter(studies.values())).provenance["normalize"]
    details = [
        f"Maps: mean over channels, min–max over each {scaled}; the frame difference is scaled over the clip. Chance: "
        "with the motion of three other videos.",
        score_sentence(studies, "motion_energy_correlation"),
        clips_sentence(arrays["video_id"]),
        detail_sentences(studies),
    ]
    return " ".join(caption), " ".join(details)
