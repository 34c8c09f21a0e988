"""The page of ``fima-analyze bias``: what a motion probe loses without its background, checkpoint by checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from analysis.measures.common.numbers import capital
from analysis.measures.common.statistics import PairedDifference
from analysis.measures.registry import find_score
from analysis.output import timestamp, versions
from analysis.pages.environment import render
from analysis.pages.environment import write_page as write_file
from analysis.pages.forest import Effect, ForestGroup, forest_group
from analysis.pages.pictures import picture
from analysis.pages.strips import Line, Scale, mark, places_of, strip
from analysis.pages.words import compared, listed, percent, percent_interval, plural, points

if TYPE_CHECKING:
    from analysis.studies.bias.result import BiasResult

__all__ = ["conclude", "write_page"]

_KINDS = {"correlated": "as in training", "swapped": "swapped"}


def write_page(path: Path, result: BiasResult, figure: Path) -> None:
    """Write the page.

    Args:
        path: The file.
        result: Gaps of the checkpoints.
        figure: Their figure as PNG.
    """
    names, places = list(result.gaps), places_of(list(result.gaps), result.untrained)
    videos = result.asked["videos"]
    page = render(
        "bias.html",
        title=f"{compared(names)}: background bias of a motion probe",
        about=f"{plural(videos['test'], 'drawn test video')} ({result.asked['regime']}), each with both backgrounds · "
        f"linear probe of {videos['train']} videos, on {100 * result.asked['correlation']:g} % of which the background "
        "tells the class",
        warnings=["All weights are untrained: this shows how to read the page, not a result."]
        if len(result.untrained) == len(names)
        else [],
        findings=conclude(result),
        command=result.command,
        names=names,
        forest=_forest(result, places),
        levels=_levels(result, places),
        figure=picture(figure),
        provenance={name: given["checkpoint"] for name, given in result.provenance.items()},
        marks={name: mark(place) for name, place in places.items()},
        versions=versions(),
        created=timestamp(),
    )
    write_file(path, page)


def conclude(result: BiasResult) -> list[str]:
    """At most six sentences, the most important first.

    Args:
        result: Gaps of the checkpoints.
    """
    first = next(iter(result.gaps))
    sentences = [_against(name, first, one) for name, one in list(result.differences().items())[:2]]
    scores = {name: result.scores(name) for name in result.gaps}
    if lean := [name for name, own in scores.items() if own["gap"].low > 0]:
        sentences.append(
            f"The probe of {listed(lean, 4)} loses accuracy, by its interval, when the background is swapped."
        )
    if blind := [name for name, own in scores.items() if not own["swapped"].low > (own["swapped"].chance or 0.0)]:
        sentences.append(
            f"With swapped backgrounds not above chance by its interval: {listed(blind, 4)}; a gap of features "
            "that tell no motion says nothing."
        )
    return [
        *sentences,
        "A gap says what a linear probe finds useful: features that hold motion and background alike have a wide one "
        "without being blind to motion.",
        "Every trained checkpoint is one training run: what is said holds for these files on drawn videos.",
    ]


def _against(name: str, first: str, one: PairedDifference) -> str:
    interval = f"[{points(one.low)}, {points(one.high)}]"
    if not (one.low > 0 or one.high < 0):
        return f"Whether {name} leans more or less on the background than {first} cannot be told ({interval} points)."
    word = "more" if one.low > 0 else "less"
    return (
        f"{name} leans {word} on the background than {first}: its gap differs by {points(one.mean)} points {interval}."
    )


def _forest(result: BiasResult, places: dict[str, int]) -> list[ForestGroup]:
    first = next(iter(result.gaps))
    before = percent(result.scores(first)["gap"].mean)
    effects = [
        Effect(
            "gap", name, places[name], f"{before} → {percent(result.scores(name)['gap'].mean)}",
            one.mean, one.low, one.high,
        )
        for name, one in result.differences().items()
    ]  # fmt: skip
    gap = find_score("bias", "gap")
    title = f"{capital(gap.label)}: {gap.meaning}, points"
    return [forest_group("levels", title, effects, points)] if effects else []


def _levels(result: BiasResult, places: dict[str, int]) -> Scale:
    lines = []
    for name in result.gaps:
        for kind, words in _KINDS.items():
            s, place, hollow = result.scores(name)[kind], places[name], kind == "swapped"
            drawn = strip(s.mean, s.low, s.high, limits=(0.0, 1.0), reference=s.chance, place=place, hollow=hollow)
            text = percent_interval(s.mean, s.low, s.high)
            lines.append(Line(f"{name}, {words}", mark(place, hollow=hollow), text, drawn))
    chance = percent(1 / result.worlds.classes)
    remarks = [f"chance {chance} %", "filled: as in training", "open: swapped"]
    return Scale("Accuracy of the motion probe, by background", remarks, ("0", "100 %"), lines)
