"""What tells checkpoints apart in a figure: a color, a marker and a dash pattern each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from analysis.plotting.style import COLORS, MARKERS, PALETTE, REFERENCE

if TYPE_CHECKING:
    from analysis.studies.common.study import Study

__all__ = ["CHANCE", "Marks"]

_LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
CHANCE: dict[str, Any] = {"color": COLORS["chance"], "linestyle": (0, (3, 2)), "linewidth": 1}
"""How the line of a chance level is drawn."""


class Marks:
    """A color, a marker and a dash pattern for each name, so that color is never alone in telling them apart.

    Args:
        names: Of the checkpoints, in their order.
        untrained: Those of random weights: among trained ones they are the gray reference.
    """

    def __init__(self, names: Sequence[str], untrained: Collection[str] = ()) -> None:
        self._places = {name: at for at, name in enumerate(names)}
        self._gray = set(untrained) if len(set(untrained)) < len(names) else set()

    @classmethod
    def of(cls, studies: Mapping[str, Study]) -> Marks:
        """Of the checkpoints of a measure's studies."""
        return cls(list(studies), [name for name, study in studies.items() if study.untrained])

    def color(self, name: str) -> str:
        """Gray for the reference; otherwise seven of them, then again."""
        return REFERENCE if name in self._gray else PALETTE[self._places[name] % len(PALETTE)]

    def marker(self, name: str) -> str:
        """Another order on every round of the colors."""
        at = self._places[name]
        return MARKERS[(at + at // len(PALETTE)) % len(MARKERS)]

    def line(self, name: str) -> Any:
        """Four patterns, then again."""
        return _LINES[self._places[name] % len(_LINES)]

    def handle(self, name: str, label: str, **look: Any) -> Line2D:
        """An entry of a legend: the checkpoint's color and dashes; a marker where ``look`` gives its size."""
        marker = self.marker(name) if "markersize" in look else None
        style = {"linestyle": self.line(name), "linewidth": 1.2, "marker": marker, **look}
        return Line2D([], [], color=self.color(name), label=label, **style)
