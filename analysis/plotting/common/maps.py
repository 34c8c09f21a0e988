"""Rows of pictures with activation maps over them, at exact places: of comparisons and of a paper's figures alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.measures.registry import find_score
from analysis.plotting.common.frames import outline_mask, show_activation, show_frame
from analysis.plotting.common.page import Page, fit

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

    from analysis.studies.common.study import Study

__all__ = ["BAR", "BETWEEN", "Cell", "activation_bar", "draw_cells", "inside_words", "map_arrays"]

BETWEEN = 0.03
"""Inches between the pictures of a row."""
BAR = 0.3
"""Inches of `activation_bar`, at the foot of a page."""


@dataclass(frozen=True)
class Cell:
    """A picture of a row.

    Attributes:
        frame: ``(H, W, 3)`` or ``(H, W)`` uint8.
        values: Activation over it ``(h, w)`` in [0, 1]; none for the frame alone.
        masks: Color → mask ``(H, W)`` whose edge is drawn.
        half: Also draw the line at half of the maximum.
        words: Below it, in the ways to say it, the longest first.
    """

    frame: np.ndarray
    values: np.ndarray | None = None
    masks: Mapping[str, np.ndarray] | None = None
    half: bool = False
    words: tuple[str, ...] = ()


def draw_cells(page: Page, cells: Sequence[Cell], left: float, top: float, side: float) -> AxesImage | None:
    """Pictures side by side; one map, for a color bar, or None where there is none.

    Args:
        page: Where to draw.
        cells: From left to right; words of one that are followed by none have the room of all.
        left: Inches.
        top: Inches.
        side: Inches of a picture.
    """
    image = None
    alone = sum(bool(cell.words) for cell in cells) == 1
    for at, cell in enumerate(cells):
        x = left + at * (side + BETWEEN)
        ax = page.axes(x, top, side, side)
        if cell.values is None:
            show_frame(cell.frame, ax=ax)
        else:
            image = show_activation(cell.frame, cell.values, ax=ax, outline=cell.half)
        for color, mask in (cell.masks or {}).items():
            outline_mask(mask, ax=ax, color=color)
        if cell.words:
            room = len(cells) * (side + BETWEEN) - BETWEEN if alone else side
            page.text(x, top + side + 0.015, fit(room, *cell.words))
    return image


def map_arrays(study: Study) -> tuple[np.ndarray, np.ndarray | None]:
    """Activation maps of the shown clips ``(N, T, h, w)``, and the masks ``(N, T, H, W)`` of a localization study."""
    arrays = study.arrays
    return arrays["example_map" if "example_map" in arrays else "example_rgb_map"], arrays.get("example_mask")


def inside_words(share: float, chance: float | None = None) -> tuple[str, ...]:
    """Ways to write the share of the activation inside a mask.

    Args:
        share: In [0, 1].
        chance: What a flat map has; left out where it stands elsewhere.
    """
    label, level = find_score("localize", "energy").label, "" if chance is None else f" (chance {chance:.2f})"
    return f"{label} {share:.2f}{level}", f"{label.split()[0]} {share:.2f}", f"{share:.2f}"


def activation_bar(page: Page, studies: Mapping[str, Study], left: float, image: AxesImage | None) -> None:
    """The color bar of activation maps at the foot of a page.

    Args:
        page: Its last ``BAR`` inches are for it.
        studies: Name → study, scaled alike.
        left: Inches.
        image: One of the maps.
    """
    assert image is not None  # every row has a map
    scaled = next(iter(studies.values())).provenance["normalize"]
    words = fit(page.width - 1.2, f"activation (min–max per {scaled})", "activation")
    page.bar(left, page.height - BAR + 0.06, page.width - left, image, words)
