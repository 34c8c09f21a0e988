"""What every figure of a paper is: a drawing with its words and numbers, saved at a journal's resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from analysis.plotting.common.page import paper
from analysis.plotting.style import save_figure

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["PaperFigure", "checkpoint_arrays", "save_paper"]


@dataclass(frozen=True)
class PaperFigure:
    """A figure with its words and numbers.

    Attributes:
        figure: As wide as asked for.
        caption: Suggested, in plain text: what is shown, the first score, of how many videos.
        arrays: Everything that is drawn, and the numbers of the caption.
        details: What else is to be known, for the text or the supplement.
    """

    figure: Figure
    caption: str
    arrays: dict[str, np.ndarray]
    details: str = ""


def checkpoint_arrays(studies: Mapping[str, Study], names: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Arrays of every checkpoint, ``0_`` the first and so on: those named, and every score's summary.

    Args:
        studies: Name of the checkpoint → study.
        names: Of the arrays.
    """
    arrays = {"names": np.array(list(studies))}
    for at, study in enumerate(studies.values()):
        kept = [name for name in study.arrays if name in names or name.startswith("summary_")]
        arrays |= {f"{at}_{name}": study.arrays[name] for name in kept}
    return arrays


def save_paper(figure: Figure, path: Path) -> None:
    """Save in the format of the file's ending, with fonts as text, without the time of drawing."""
    save_figure(figure, path, path.suffix[1:], look=paper)
