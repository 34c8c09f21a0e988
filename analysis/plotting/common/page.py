"""Figures whose parts have exact places in inches: small type, letters of panels, words that fit, a lying color bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
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

__all__ = ["LABEL", "LETTER", "LINE", "Page", "fit", "names_of", "paper", "text_width"]

LABEL = 7.0
"""Points of all text but the letters."""
LETTER = 8.0
LINE = 0.145
"""Inches that a line of ``LABEL`` text takes with the space around it."""
_DPI = 400
"""Every journal's width is a whole number of pixels at this."""
_INK = "#1a1a1a"
_RC: dict[str, Any] = {
    **dict.fromkeys(("font.size", "legend.fontsize", "axes.titlesize", "axes.labelsize"), LABEL),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), LABEL),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.5),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size", "axes.labelpad"), 2.0),
    **dict.fromkeys(("xtick.major.pad", "ytick.major.pad"), 1.5),
    "figure.titlesize": LETTER,
    "axes.titlepad": 3.0,
    "hatch.linewidth": 0.6,
    "savefig.dpi": _DPI,
}


@contextmanager
def paper() -> Iterator[None]:
    """Type and lines for a paper's column, inside the block only."""
    with printed(), mpl.rc_context(_RC):  # type: ignore[arg-type]  # its keys are a closed list of literals
        yield


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

    def head(self, left: float, top: float, room: float, *lines: tuple[str, ...]) -> None:
        """Lines of words above a panel, each in the ways to say it, the longest first.

        Args:
            left: Inches.
            top: Inches.
            room: Inches.
            *lines: From above.
        """
        for at, words in enumerate(lines):
            self.text(left, top + at * (LINE - 0.013) + 0.018, fit(room, *words))

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

    Args:
        inches: Room.
        *candidates: Ways to say it, the longest first.

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


def names_of(name: str, study: Study) -> tuple[str, ...]:
    """Ways to write a checkpoint's name, the longest first; untrained weights are named as such."""
    if not study.untrained or name.lower().startswith(("untrained", "random")):
        return (name,)
    return f"{name} (untrained)", f"{name} (untr.)"
