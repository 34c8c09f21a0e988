"""Figure 3: where checkpoints are active, on clips whose background would mislead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.image import AxesImage

from analysis.plotting.common.frames import show_activation, show_frame
from analysis.plotting.localize import outline_mask
from analysis.plotting.paper.caption import (
    checkpoint_names,
    clips_sentence,
    count_sentence,
    detail_sentences,
    score_sentence,
)
from analysis.plotting.paper.layouts import (
    LINE,
    Page,
    PaperFigure,
    checkpoint_arrays,
    fit,
    paper,
    untrained_note,
)  # fmt: skip
from fima.errors import InputError

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["draw_maps"]

_GUTTER = 0.23  # left of a block: its letter, and the name of the clip
_BETWEEN = 0.03
_BLOCKS = 0.12  # between blocks side by side
_LARGEST, _SMALLEST = 1.5, 0.55  # inches of a picture
_FOOT = 0.3
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
    line = LINE if "masks" in arrays else _BETWEEN
    with paper():
        page = Page(width, LINE + rows * (side + line) + _FOOT)
        for clip in range(count):
            at, row = clip % beside, clip // beside
            left = _GUTTER + at * (columns * (side + _BETWEEN) - _BETWEEN + _BLOCKS + _GUTTER)
            top = LINE + row * (side + line)
            image = _draw_clip(page, arrays, clip, left, top, side)
            if row == 0:
                _draw_heads(page, studies, left, side)
        label = f"activation (min–max per {_normalization(studies)})"
        page.bar(_GUTTER, page.height - _FOOT + 0.06, width - _GUTTER, image, fit(width - 1.2, label, "activation"))
    caption, details = _words(studies, arrays)
    return PaperFigure(page.figure, caption, arrays, details)


def _grid(width: float, count: int, columns: int) -> tuple[int, float]:
    """Blocks side by side, as few as keep pictures below their largest size, and the size."""
    for beside in range(1, count + 1):
        free = width - _EDGE - beside * _GUTTER - (beside - 1) * _BLOCKS - beside * (columns - 1) * _BETWEEN
        side = free / (beside * columns)
        if side <= _LARGEST or beside == count:
            break
    if side < _SMALLEST:
        raise InputError(
            f"--width: {columns} pictures side by side would be {side:.2f} inches each, fewer than {_SMALLEST}; "
            "take a wider figure or fewer checkpoints"
        )
    return beside, min(side, 2 * _LARGEST)


def _arrays(studies: Mapping[str, Study]) -> dict[str, np.ndarray]:
    """The middle frame of every clip that the first study shows, and every checkpoint's map of it."""
    first = next(iter(studies.values()))
    shown = {name[8:]: array for name, array in first.arrays.items() if name.startswith("example_")}
    middle = shown["frames"].shape[1] // 2
    arrays = checkpoint_arrays(studies) | {
        "video_id": shown["video_id"],
        "frames": shown["frames"][:, middle],
        "seconds": shown["seconds"][:, middle],
    }
    if "mask" in shown:
        arrays |= {"masks": shown["mask"][:, middle], "uniform": shown["chance"]}
    for at, study in enumerate(studies.values()):
        if "mask" in shown:
            arrays[f"{at}_maps"] = _in_the_middle(study.arrays["example_map"])
            arrays[f"{at}_inside"] = study.arrays["example_energy"]
        else:
            arrays[f"{at}_maps"] = _in_the_middle(study.arrays["example_rgb_map"])
    return arrays


def _in_the_middle(maps: np.ndarray) -> np.ndarray:
    """Of clips that may have other numbers of frames than the first checkpoint's."""
    return maps[:, maps.shape[1] // 2]


def _draw_heads(page: Page, studies: Mapping[str, Study], left: float, side: float) -> None:
    heads = [("frame",), *(untrained_note(name, study) for name, study in studies.items())]
    for column, words in enumerate(heads):
        page.text(left + column * (side + _BETWEEN), 0.015, fit(side, *words))


def _draw_clip(page: Page, arrays: dict[str, np.ndarray], clip: int, left: float, top: float, side: float) -> AxesImage:
    """One row: letter and name, frame, maps, and below them the shares."""
    if len(arrays["frames"]) > 1:
        page.letter(left - _GUTTER + 0.01, top, clip)
    name = fit(side - 0.2, str(arrays["video_id"][clip]))
    page.text(left - 0.035, top + side, name, ha="right", va="bottom", rotation=90)
    columns = len(arrays["names"])
    axes = [page.axes(left + at * (side + _BETWEEN), top, side, side) for at in range(1 + columns)]
    frame = arrays["frames"][clip]
    show_frame(frame, ax=axes[0])
    for at, ax in enumerate(axes[1:]):
        image = show_activation(frame, arrays[f"{at}_maps"][clip], ax=ax, outline="masks" not in arrays)
        if "masks" in arrays:
            outline_mask(arrays["masks"][clip], ax=ax)
    if "masks" in arrays:
        shares = [arrays["uniform"][clip], *(arrays[f"{at}_inside"][clip] for at in range(columns))]
        for column, (word, share) in enumerate(zip(["uniform", *["inside"] * columns], shares, strict=True)):
            words = fit(side, f"{word} {share:.2f}", f"{share:.2f}")
            page.text(left + column * (side + _BETWEEN), top + side + 0.015, words)
    return image


def _normalization(studies: Mapping[str, Study]) -> str:
    return str(next(iter(studies.values())).provenance["normalize"])


def _words(studies: Mapping[str, Study], arrays: dict[str, np.ndarray]) -> tuple[str, str]:
    """Caption and details."""
    if "masks" in arrays:
        mark = "cyan: true outline of the object; below, the share of the activation inside (uniform: of a flat map)"
        score = score_sentence(studies, "energy", "Share inside, mean over videos")
    else:
        mark = "white line: half of the frame’s maximum"
        score = score_sentence(studies, "motion_energy_correlation", "Correlation of the map with the size of the "
                               "frame difference, mean over videos")  # fmt: skip
    what = f"Class-agnostic activation maps of {checkpoint_names(studies)} over the middle frame of a clip; {mark}."
    how = f"Maps: mean over the channels of the RGB features, min–max over each {_normalization(studies)}."
    details = [how, clips_sentence(arrays["video_id"]), detail_sentences(studies)]
    return " ".join([what, score, count_sentence(studies)]), " ".join(details)
