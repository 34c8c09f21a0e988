"""What the paper's figures share: type, exact places in inches, letters of panels, pictures under maps, saving."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from analysis.plotting.style import printed, shortened
from fima.errors import InputError

if TYPE_CHECKING:
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

    from analysis.studies.common.study import Study

__all__ = [
    "LABEL", "LETTER", "LINE", "Page", "PaperFigure", "checkpoint_arrays", "fit", "paper", "save_paper",
    "untrained_note",
]  # fmt: skip

LABEL = 7.0
"""Points of all text but the letters."""
LETTER = 8.0
LINE = 0.145
"""Inches that a line of ``LABEL`` text takes with the space around it."""
_DPI = 400
"""Every journal's width is a whole number of pixels at this."""
_INK = "#1a1a1a"
_RC: dict[str, Any] = {
    "font.size": LABEL,
    "axes.titlesize": LABEL,
    "axes.labelsize": LABEL,
    "xtick.labelsize": LABEL,
    "ytick.labelsize": LABEL,
    "legend.fontsize": LABEL,
    "figure.titlesize": LETTER,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.pad": 1.5,
    "ytick.major.pad": 1.5,
    "axes.labelpad": 2.0,
    "axes.titlepad": 3.0,
    "hatch.linewidth": 0.6,
    "savefig.dpi": _DPI,
}


@contextmanager
def paper() -> Iterator[None]:
    """Type and lines for a paper's column, inside the block only."""
    with printed(), mpl.rc_context(_RC):  # type: ignore[arg-type]  # its keys are a closed list of literals
        yield


@dataclass(frozen=True)
class PaperFigure:
    """A figure with its words and numbers.

    Attributes:
        figure: As wide as asked for.
        caption: Suggested, in plain text: what is shown, the first score, of how many videos.
        details: What else is to be known, for the text or the supplement.
        arrays: Everything that is drawn, and the numbers of the caption.
    """

    figure: Figure
    caption: str
    arrays: dict[str, np.ndarray]
    details: str = ""


class Page:
    """A figure whose parts have places in inches from the left and from the top.

    Args:
        width: Inches, kept exactly.
        height: Inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        self.width, self.height = width, height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes whose frame lies exactly there."""
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(place)

    def text(self, left: float, top: float, words: str, **style: Any) -> Text:
        """Words whose upper left corner lies there, unless ``ha`` and ``va`` say otherwise."""
        place = {"ha": "left", "va": "top", **style}
        return self.figure.text(left / self.width, 1 - top / self.height, words, **place)

    def letter(self, left: float, top: float, place: int) -> Text:
        """(a), (b) … of a panel."""
        return self.text(left, top, f"({chr(ord('a') + place)})", fontsize=LETTER, fontweight="bold")

    def bar(self, left: float, top: float, width: float, image: AxesImage, label: str) -> None:
        """A lying color bar with its label on the left: two lines high."""
        words = self.text(left, top + 0.045, label, va="center")
        start = left + text_width(label) + 0.09
        bar_axes = self.axes(start, top, max(0.5, min(1.2, width - (start - left) - 0.1)), 0.09)
        low, high = image.get_clim()
        scale = ScalarMappable(Normalize(low, high), image.cmap)  # at full strength, where the map lets frames through
        bar = self.figure.colorbar(scale, cax=bar_axes, orientation="horizontal", ticks=[low, (low + high) / 2, high])
        bar.outline.set_linewidth(0.4)
        words.set_in_layout(False)


def text_width(words: str, size: float = LABEL) -> float:
    """Inches that a line of text takes."""
    return float(TextPath((0, 0), words, size=size).get_extents().width) / 72 if words.strip() else 0.0


def fit(inches: float, *candidates: str) -> str:
    """The first of the candidates that fits; the last one, shortened, if none does.

    Raises:
        InputError: If not even two letters fit.
    """
    with paper():
        for words in candidates:
            if text_width(words) <= inches:
                return words
        last = candidates[-1]
        for most in range(len(last) - 1, 2, -1):
            if text_width(shortened(last, most)) <= inches:
                return shortened(last, most)
    raise InputError(
        f"--width: {inches:.2f} inches are not enough for {last!r}; take a wider figure or fewer checkpoints"
    )


def untrained_note(name: str, study: Study) -> tuple[str, ...]:
    """Ways to write a checkpoint's name, the longest first; untrained weights are named as such."""
    if not study.untrained or name.lower().startswith(("untrained", "random")):
        return (name,)
    return f"{name} (untrained)", f"{name} (untr.)"


def checkpoint_arrays(studies: Mapping[str, Study], names: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Arrays of every checkpoint, ``0_`` the first of ``names`` and so on: those named, and every score's summary."""
    arrays = {"names": np.array(list(studies))}
    for at, study in enumerate(studies.values()):
        kept = [name for name in study.arrays if name in names or name.startswith("summary_")]
        arrays |= {f"{at}_{name}": study.arrays[name] for name in kept}
    return arrays


def save_paper(figure: Figure, path: Path) -> None:
    """Save in the format of the file's ending, with fonts as text, without the time of drawing."""
    kind = path.suffix[1:]
    dateless: dict[str, dict[str, Any]] = {"png": {"Software": "fima"}, "svg": {"Date": None}}
    with paper(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script that the font lacks
        figure.savefig(path, format=kind, metadata=dateless.get(kind, {"CreationDate": None}))
