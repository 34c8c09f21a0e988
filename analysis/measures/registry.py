"""What is known of every measure: one entry from which help, tables, figures, pages and documentation take their words.

Importing this module imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from analysis.measures.common.numbers import markdown_table
from analysis.measures.entries import ENTRIES
from analysis.measures.entry import Measure, Score

__all__ = ["CORE", "MEASURES", "STUDIES", "Measure", "Score", "find_measure", "find_score", "full_name", "score_table"]

MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in ENTRIES}
"""Name of the measure → its entry, in the order in which commands and pages show them."""
STUDIES = tuple(name for name, measure in MEASURES.items() if measure.single)
"""The measures that ``analysis.run`` takes: one checkpoint, a set of videos."""
CORE = tuple(name for name in STUDIES if MEASURES[name].core)
"""Those that cost forward passes alone and need no particular checkpoint: what a comparison takes by default."""


def find_measure(name: str) -> Measure:
    """The entry of a measure; one with no words for a measure that has none."""
    return MEASURES.get(name) or Measure(name, name.capitalize(), figure=f"Figure of {name}.")


def find_score(measure: str, name: str) -> Score:
    """The entry of a score, also of one that is a variant of another.

    Args:
        measure: Name of the measure.
        name: Name of the score in a study, such as ``auroc_foreground`` or ``center_energy``.

    Returns:
        The entry under that name. A variant says of which kind it is in its label; a score of a map that needs no
        network has no direction; a score without an entry is labeled by its name.

    >>> find_score("affinity", "auroc_foreground").label
    'AUROC, foreground'
    """
    base, _, layer = name.rpartition("@")
    if base:  # of a study of many layers
        score = find_score(measure, base)
        return replace(score, name=name, label=f"{score.label} at {layer}")
    entry = find_measure(measure)
    if name in entry.scores:
        return entry.scores[name]
    for affix, variant in entry.variants.items():
        base = name.removesuffix(affix) if affix.startswith("_") else name.removeprefix(affix)
        if base != name and base in entry.scores:
            score = entry.scores[base]
            better = "" if variant.reference else score.better
            return replace(score, name=name, label=f"{score.label}, {variant.label}", better=better)
    return Score(name, name.replace("_", " "))


def full_name(measure: str, score: str) -> str:
    """A score's title after its measure's command, for a table of several measures: ``localize: energy inside``."""
    return f"{measure}: {find_score(measure, score).title}"


def score_table(measure: str) -> str:
    """The scores of a measure as a table in Markdown, for ``docs/measures.md``."""
    scores = find_measure(measure).scores.values()
    rows = ([f"`{one.name}`", one.title, one.meaning, one.better, one.chance] for one in scores)
    return markdown_table(["score", "named", "is", "better", "chance"], rows)
