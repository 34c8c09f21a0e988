"""The form of a measure's entry in the registry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Measure", "Score", "Variant", "correlation", "distance", "measure_entry", "share"]


@dataclass(frozen=True)
class Score:
    """One score of a measure.

    Attributes:
        name: Its key in a study.
        label: Its name for readers: a few words, for titles and axes.
        meaning: What it is, in a sentence without a full stop.
        chance: What its chance level is; empty where it has none.
        better: ``higher`` or ``lower``; empty where a score says what is so, not what is better.
        unit: Unit of measurement; empty for a pure number.
        limits: Ends of its range; infinite where it has none.
        by_grid: Whether it depends on how many cells the feature map has, so that other grids do not compare by it.
    """

    name: str
    label: str
    meaning: str = ""
    chance: str = ""
    better: str = ""
    unit: str = ""
    limits: tuple[float, float] = (-math.inf, math.inf)
    by_grid: bool = False

    @property
    def axis(self) -> tuple[float, float] | None:
        """Ends of an axis for it; None where the range of what is shown does better."""
        return self.limits if self.limits in ((0.0, 1.0), (-1.0, 1.0)) else None

    @property
    def title(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True)
class Variant:
    """The same scores of something else, such as of the foreground alone.

    Attributes:
        label: What they are of.
        reference: Whether any backbone would have them, so that no value is better.
    """

    label: str
    reference: bool = False


@dataclass(frozen=True)
class Measure:
    """What is known of a measure beside its code.

    Attributes:
        name: Name of the command, of the study's module ``analysis.studies.<name>`` with its ``run``, and of the
            figure's module ``analysis.plotting.<name>`` with its ``draw_<name>``.
        title: Title of its section in a page.
        summary: What it is and asks, for ``--help``.
        question: What it asks, as a sentence.
        meaning: What its numbers say.
        misleads: When they do not.
        figure: What its figure shows: the alternative text.
        parts: Name of each further figure (``<measure>-<name>`` in files) → what it shows; drawn by
            ``draw_<measure>_<name>`` of the same module, which returns None for a study that has nothing of the kind.
        main: Names of the scores that a summary shows.
        scores: Its scores by name.
        variants: Prefix (``motion_``) or suffix (``_foreground``) of a score's name → what such scores are of.
        core: Whether a comparison takes it by default.
        single: Whether ``analysis.run`` takes it; otherwise it is a command of its own.
        projected: Whether it compares features, so that they may be projected first.
        several: Whether it is of many videos: where none are given it has drawn ones of its own, and a report leaves it
            out.
        on_request: Whether a report takes it only where it is asked for by name, since it costs many passes a clip.
        twin: Whether a report sets the untrained twin beside its scores: receptive fields, padding and contrast alone
            carry them above chance.
        settings: Settings that only this measure and few others have.
        default_backbone: Settings where neither checkpoint nor architecture is given and what comes along would not do.
        films: ``module:function`` of what is written beside the figure; a function of the study to
            name of a file → what writes it.
        pages: Names of the pages among them, which every study of the measure has.
    """

    name: str
    title: str
    summary: str = ""
    question: str = ""
    meaning: str = ""
    misleads: str = ""
    figure: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    main: tuple[str, ...] = ()
    scores: Mapping[str, Score] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)
    core: bool = False
    single: bool = True
    projected: bool = False
    several: bool = False
    on_request: bool = False
    twin: bool = False
    settings: tuple[str, ...] = ()
    default_backbone: Mapping[str, Any] = field(default_factory=dict)
    films: str = ""
    pages: tuple[str, ...] = ()


def measure_entry(name: str, title: str, scores: tuple[Score, ...], **words: Any) -> Measure:
    """An entry of scores in their order; ``words`` are the other attributes of ``Measure``."""
    return Measure(name, title, scores={score.name: score for score in scores}, **words)


def share(name: str, label: str, meaning: str, chance: str, better: str = "higher", *, by_grid: bool = False) -> Score:
    """A score in [0, 1]; arguments as of `Score`."""
    return Score(name, label, meaning, chance, better, limits=(0.0, 1.0), by_grid=by_grid)


def correlation(name: str, label: str, meaning: str, chance: str, better: str = "higher") -> Score:
    """A score in [-1, 1]."""
    return Score(name, label, meaning, chance, better, limits=(-1.0, 1.0))


def distance(name: str, meaning: str, label: str = "") -> Score:
    """A cosine distance, which has neither chance level nor direction."""
    return Score(
        name, f"distance, {label or name.replace('_', ' ')}", f"cosine distance to {meaning}", limits=(0.0, 2.0)
    )
