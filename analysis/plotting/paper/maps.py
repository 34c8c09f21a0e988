"""Figure 3: where checkpoints are active, on clips whose background would mislead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from analysis.plotting.common.frames import TRUTH
from analysis.plotting.common.maps import BAR, BETWEEN, Cell, activation_bar, draw_cells, inside_words, map_arrays
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

__all__ = ["draw_maps"]

_GUTTER = 0.23  # left of a block: its letter, and the name of the clip
_BLOCKS = 0.12  # between blocks side by side
_LARGEST, _SMALLEST = 1.5, 0.55  # inches of a picture
_EDGE = 0.02  # white at the right and the bottom, so that no letter touches what the journal sets beside it


def draw_maps(studies: Mapping[str, Study], width: float) -> PaperFigure:
    """A row for each clip: its middle frame, then each checkpoint's activation map over it.

    With masks (a localization study) the object is outlined, and the share of activation inside stands below; else
    what is above half of the maximum is outlined.

    Args:
        studies: Name → study of ``localize`` or ``cam``, of the same clips.
        width: Inches.

    Source: FIMA, Figure 3; outline and shares are ours.
    """
    arrays = _arrays(studies)
    count, columns = len(arrays["frames"]), 1 + len(studies)
    beside, side = _grid(width, count, columns)
    rows = -(-count // beside)
    line = LINE if "masks" in arrays else BETWEEN
    with paper():
        page = Page(width, LINE + rows * (side + line) + BAR)
        for clip in range(count):
            at, row = clip % beside, clip // beside
            left = _GUTTER + at * (columns * (side + BETWEEN) - BETWEEN + _BLOCKS + _GUTTER)
            top = LINE + row * (side + line)
            image = _draw_clip(page, arrays, clip, left, top, side)
            if row == 0:
                _draw_heads(page, studies, left, side)
        activation_bar(page, studies, _GUTTER, image)
    caption, details = _words(studies, arrays)
    return PaperFigure(page.figure, caption, arrays, details)


def _grid(width: float, count: int, columns: int) -> tuple[int, float]:
    """Blocks side by side and the size of a picture: rows without a hole, and pictures as large as a page bears."""
    sides = {}
    for beside in range(1, count + 1):
        free = width - _EDGE - beside * _GUTTER - (beside - 1) * _BLOCKS - beside * (columns - 1) * BETWEEN
        sides[beside] = free / (beside * columns)
    if sides[1] < _SMALLEST:
        raise InputError(
            f"--width: {columns} pictures side by side would be {sides[1]:.2f} inches each, fewer than {_SMALLEST}; "
            "take a wider figure or fewer checkpoints"
        )
    fitting = [beside for beside, side in sides.items() if side >= _SMALLEST]
    whole = [beside for beside in fitting if count % beside == 0]
    small = [beside for beside in whole if sides[beside] <= _LARGEST]
    beside = min(small, default=max(whole))
    return beside, min(sides[beside], 1.3 * _LARGEST)


def _arrays(studies: Mapping[str, Study]) -> dict[str, np.ndarray]:
    """The middle frame of every clip that the first study shows, and every checkpoint's map of it."""
    first = next(iter(studies.values())).arrays
    middle = first["example_frames"].shape[1] // 2
    arrays = checkpoint_arrays(studies) | {"video_id": first["example_video_id"]}
    arrays |= {name: first[f"example_{name}"][:, middle] for name in ("frames", "seconds")}
    if "example_mask" in first:
        arrays |= {"masks": first["example_mask"][:, middle], "uniform": first["example_chance"]}
    for at, study in enumerate(studies.values()):
        maps, masks = map_arrays(study)
        # Of clips that may have other numbers of frames than the first checkpoint's.
        arrays[f"{at}_maps"] = maps[:, maps.shape[1] // 2]
        if masks is not None:
            arrays[f"{at}_inside"] = study.arrays["example_energy"]
    return arrays


def _draw_heads(page: Page, studies: Mapping[str, Study], left: float, side: float) -> None:
    heads = [("frame",), *(names_of(name, study) for name, study in studies.items())]
    for column, words in enumerate(heads):
        page.text(left + column * (side + BETWEEN), 0.015, fit(side, *words))


def _draw_clip(
    page: Page, arrays: dict[str, np.ndarray], clip: int, left: float, top: float, side: float
) -> AxesImage | None:
    """One row: letter and name, frame, maps, and below them the shares."""
    if len(arrays["frames"]) > 1:
        page.letter(left - _GUTTER + 0.01, top, clip)
    name = fit(side - 0.2, str(arrays["video_id"][clip]))
    page.text(left - 0.035, top + side, name, ha="right", va="bottom", rotation=90)
    frame, masked = arrays["frames"][clip], "masks" in arrays
    edge = {TRUTH: arrays["masks"][clip]} if masked else None
    cells = [Cell(frame, words=(f"chance {arrays['uniform'][clip]:.2f}",) if masked else ())]
    for at in range(len(arrays["names"])):
        words = inside_words(arrays[f"{at}_inside"][clip]) if masked else ()
        cells.append(Cell(frame, arrays[f"{at}_maps"][clip], edge, half=not masked, words=words))
    return draw_cells(page, cells, left, top, side)


def _words(studies: Mapping[str, Study], arrays: dict[str, np.ndarray]) -> tuple[str, str]:
    """Caption and details."""
    masked, first = "masks" in arrays, next(iter(studies.values()))
    mark = "cyan: true outline of the object" if masked else "white line: half of the frame’s maximum"
    score = score_sentence(studies, "energy" if masked else "motion_energy_correlation")
    what = f"Class-agnostic activation maps of {checkpoint_names(studies)} over the middle frame of a clip; {mark}."
    below = " Below: the share of the activation inside; chance is a flat map’s." if masked else ""
    how = f"Maps: mean over the channels of the RGB features, min–max over each {first.provenance['normalize']}.{below}"
    details = [how, clips_sentence(arrays["video_id"]), detail_sentences(studies)]
    return " ".join([what, score, count_sentence(studies)]), " ".join(details)
