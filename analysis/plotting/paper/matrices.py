"""Figure 5a: spatial affinity of RGB to motion, the checkpoints' matrices on one color scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis.measures.common.numbers import number
from analysis.plotting.affinity import draw_matrix
from analysis.plotting.common.page import LINE, Page, fit, names_of, paper
from analysis.plotting.compare.figures import affinity_range
from analysis.plotting.paper.caption import count_sentence, detail_sentences, lettered, named, score_sentence
from analysis.plotting.paper.layouts import PaperFigure, checkpoint_arrays
from analysis.plotting.style import colorbar
from fima.errors import InputError

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.common.study import Study

__all__ = ["draw_matrices"]

_LEFT, _RIGHT, _FOOT = 0.34, 0.62, 0.29  # inches: labels on the left, color bar, labels below
_BETWEEN = 0.14
_LETTER = 0.22
_SMALLEST, _LARGEST = 0.95, 2.8


def draw_matrices(studies: Mapping[str, Study], width: float) -> PaperFigure:
    """Mean affinity matrices side by side, the same color limits, one color bar.

    Args:
        studies: Name → study of ``affinity``, of the same clips.
        width: Inches.

    Source: FIMA, Figure 5(a); the AUROC above each matrix is ours.
    """
    limits = affinity_range(studies)
    arrays = checkpoint_arrays(studies, ("affinity_mean", "grid")) | {"limits": np.array(limits)}
    beside, side = _grid(width, len(studies))
    rows = -(-len(studies) // beside)
    with paper():
        page = Page(width, rows * (2 * LINE + side + _FOOT))
        for at in range(len(studies)):
            left = _LEFT + at % beside * (side + _BETWEEN)
            image = _draw_panel(page, studies, at, left, at // beside * (2 * LINE + side + _FOOT), side, limits)
        bar = page.axes(_LEFT + beside * (side + _BETWEEN) - _BETWEEN + 0.1, 2 * LINE, 0.09, side)
        colorbar(page.figure, image, None, "cosine similarity", cax=bar, ticks=MaxNLocator(4))
        rows_, columns = arrays["0_grid"]
        across = min(beside, len(studies)) * (side + _BETWEEN) - _BETWEEN
        long = f"position in the motion map (row of its {rows_} × {columns} cells)"
        words = fit(across, long, "motion position (row)", "motion (row)")
        page.text(_LEFT + across / 2, page.height - 0.02, words, ha="center", va="bottom")
    caption, details = _words(studies, limits)
    return PaperFigure(page.figure, caption, arrays, details)


def _grid(width: float, count: int) -> tuple[int, float]:
    """Matrices side by side, as many as keep above their smallest size, and the size."""
    free = width - _LEFT - _RIGHT
    beside = min(count, int((free + _BETWEEN) / (_SMALLEST + _BETWEEN)))
    if beside < 1:
        raise InputError(f"--width: {width:.2f} inches are too narrow for a matrix with its color bar")
    rows = -(-count // beside)
    beside = -(-count // rows)  # rows as equally long as can be
    return beside, min(_LARGEST, (free + _BETWEEN) / beside - _BETWEEN)


def _draw_panel(
    page: Page, studies: Mapping[str, Study], at: int, left: float, top: float, side: float, limits: tuple[float, float]
) -> AxesImage:
    """One matrix with its letter, name and AUROC."""
    name, study = list(studies.items())[at]
    page.letter(left, top + 0.01, at)
    page.head(left + _LETTER, top, side - _LETTER, names_of(name, study), named(study, "auroc"))
    ax = page.axes(left, top + 2 * LINE, side, side)
    image = draw_matrix(study.arrays["affinity_mean"], tuple(study.arrays["grid"]), ax=ax, limits=limits)
    ax.set(title="", xlabel="", ylabel="")
    for spine in ax.spines.values():
        spine.set_visible(True)
    if left > _LEFT:
        ax.tick_params(labelleft=False)
    else:
        words = fit(side, "position in the RGB map (row)", "RGB position (row)", "RGB (row)")
        page.text(0.02, top + 2 * LINE + side / 2, words, rotation=90, va="center")
    return image


def _words(studies: Mapping[str, Study], limits: tuple[float, float]) -> tuple[str, str]:
    """Caption and details."""
    rows, columns = next(iter(studies.values())).arrays["grid"]
    low, high = map(number, limits)
    caption = [
        f"Spatial affinity of RGB (rows) to motion features (columns) of {lettered(list(studies))}: a bright diagonal "
        "matches a place with its own motion.",
        score_sentence(studies, "auroc"),
        count_sentence(studies),
    ]
    details = [
        f"Positions row by row over {rows} × {columns} cells; mean over time, clips and videos. The same color limits, "
        f"{low} to {high}.",
        score_sentence(studies, "contrast"),
        score_sentence(studies, "top1_agreement"),
        detail_sentences(studies),
    ]
    return " ".join(caption), " ".join(details)
