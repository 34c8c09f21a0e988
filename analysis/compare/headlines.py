"""The few scores that a page shows first: which they are, and which checkpoint they speak for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from analysis.measures.registry import Score, find_measure, find_score
from analysis.studies import Study
from analysis.studies.common.differences import Difference

__all__ = ["grids_of", "headline_differences", "headline_scores", "verdict"]

_MOST = 9
_MOST_OF_ONE = 2


def headline_scores(studies: Mapping[str, Mapping[str, Study]]) -> list[tuple[str, Score]]:
    """Measure and score, in the order of the page: of every measure the first main score that says what is better.

    Where there is room a measure has a second one on the same axis, so that a figure may group them.

    Args:
        studies: Measure → name of the checkpoint → study.
    """
    found = {measure: _directed(measure, of.values()) for measure, of in studies.items()}
    kept = {measure: scores[:1] for measure, scores in found.items()}
    for measure, scores in found.items():
        if sum(map(len, kept.values())) < _MOST:
            kept[measure] = scores
    return [(measure, score) for measure, scores in kept.items() for score in scores]


def grids_of(studies: Iterable[Study]) -> list[tuple[int, ...]]:
    """The different grids of studies, as far as they say them."""
    return sorted({tuple(grid) for study in studies if (grid := study.provenance.get("grid"))})


def _directed(measure: str, studies: Collection[Study]) -> list[Score]:
    """At most two main scores that some study has and that have a direction, both of one unit and range.

    Where the studies have different grids, scores that depend on the grid are left out.
    """
    had = {name for study in studies for name in study.scores}
    scores = [find_score(measure, name) for name in find_measure(measure).main if name in had]
    scores = [score for score in scores if score.better and not (score.by_grid and len(grids_of(studies)) > 1)]
    return [score for score in scores if (score.unit, score.axis) == (scores[0].unit, scores[0].axis)][:_MOST_OF_ONE]


def headline_differences(
    studies: Mapping[str, Mapping[str, Study]], differences: Sequence[Difference]
) -> list[Difference]:
    """The differences of the headline scores, in the order of the page."""
    wanted = [(measure, score.name) for measure, score in headline_scores(studies)]
    found = {(d.measure, d.score, d.other): d for d in differences}
    others = list(dict.fromkeys(d.other for d in differences))
    return [found[*pair, other] for pair in wanted for other in others if (*pair, other) in found]


def verdict(difference: Difference) -> str:
    """``better`` or ``worse`` than the baseline; empty where the interval holds 0, or neither is better."""
    if not difference.clear or not difference.better:
        return ""
    return "better" if (difference.low > 0) == (difference.better == "higher") else "worse"
