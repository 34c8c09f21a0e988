"""The page of a comparison: what was compared, the table, the figures; needs no network."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader

from analysis.measures.numbers import number
from analysis.measures.registry import find_score
from analysis.output import timestamp

if TYPE_CHECKING:
    from analysis.compare.result import Comparison

__all__ = ["write_page"]

_ABOUT = {
    "compare-localize": "Where the RGB features are strong, and the true outline of the object in cyan. Under each "
    "block, the share of the activation inside, and what a uniform map would have there.",
    "compare-cam": "Where the RGB features are strong, over the same frames. Bright is strong; the box encloses what "
    "is above half of a frame's maximum.",
    "compare-affinity": "Mean affinity of RGB positions (rows) to motion positions (columns), one color scale for "
    "all: a bright diagonal says that a place is matched with its own motion. Below, the scores.",
    "compare-temporal": "Similarity of RGB windows with motion windows of the same time and of other times, on the "
    "same axes; below, how it falls with the offset.",
    "compare-scores": "The scores: gray dots are videos, the mark with its bar the mean with its 95 % "
    "interval over videos, the dashed line chance.",
    "compare-training": "Every score over the optimizer's steps of the runs, with its 95 % band over videos.",
}


def write_page(path: Path, comparison: Comparison, pictures: list[str], *, title: str) -> None:
    """Write the page.

    Args:
        path: The file; the figures stand beside it.
        comparison: What to show.
        pictures: Stems of the figures.
        title: Of the page.
    """
    folder = str(resources.files("analysis") / "templates")
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True)
    environment.filters["number"] = number
    names = ", ".join(comparison.names)
    page = environment.get_template("compare.html").render(
        title=title,
        names=comparison.names,
        checkpoints=comparison.report()["checkpoints"],
        inputs=next(iter(comparison.every_study)).provenance["inputs"],
        untrained=comparison.untrained,
        differences={m: [d for d in comparison.differences if d.measure == m] for m in comparison.studies},
        figures=[
            (stem, _ABOUT.get(stem, ""), f"{stem} figure of {names}: {_ABOUT.get(stem, '')}") for stem in pictures
        ],
        score_title=lambda measure, score: find_score(measure, score).title,
        left_out=comparison.left_out,
        skipped=sorted(comparison.skipped),
        command=comparison.command,
        created=timestamp(),
    )
    path.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")
