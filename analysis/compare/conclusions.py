"""What the numbers of a comparison let one say, in sentences; by rule, so that no wish writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis.compare.headlines import headline_differences, headline_scores, verdict
from analysis.measures.registry import find_measure, find_score
from analysis.pages.words import listed, plural
from analysis.studies import Study
from analysis.studies.common.differences import Difference

__all__ = ["conclude"]

Studies = Mapping[str, Mapping[str, Study]]

_MOST_TOLD = 3
_WORDS = ("better", "worse")
_ONE_RUN = (
    "The scores describe features, not their worth for a task, and every trained checkpoint is one training run: what "
    "is said holds for these files on these videos, not for the methods that made them."
)


def conclude(studies: Studies, differences: Sequence[Difference], names: Sequence[str]) -> list[str]:
    """At most six sentences, the most important first.

    Args:
        studies: Measure → name of the checkpoint → study.
        differences: Of every score, every checkpoint against the first.
        names: Of the checkpoints, the baseline first.
    """
    headline = headline_differences(studies, differences)
    sentences = _few(studies)
    if not sentences:
        sentences = _against(headline, names) if len(names) > 1 else []
        sentences += _floor(studies)
    sentences += _unequal(headline)
    sentences += _untrained(studies, names)
    if any(math.isfinite(one.low) for one in headline):
        sentences.append(
            f"{plural(len(differences), 'difference is', 'differences are')} looked at below; if there were none, "
            "about one in twenty intervals would leave out 0 all the same."
        )
    return [*sentences[:5], _ONE_RUN]


def _few(studies: Studies) -> list[str]:
    """Where there is no interval anywhere, that is the finding."""
    summaries = [summary for of in studies.values() for study in of.values() for summary in study.scores.values()]
    if any(math.isfinite(summary.low) for summary in summaries):
        return []
    videos = max((summary.num_videos for summary in summaries), default=0)
    return [
        f"Nothing may be concluded about other videos: {plural(videos, 'video')} cannot carry an interval. The values "
        "describe these clips, and the films and the explorer show what they are of."
    ]


def _against(headline: Sequence[Difference], names: Sequence[str]) -> list[str]:
    """A sentence for each checkpoint against the baseline, as far as they fit."""
    sentences = []
    for other in names[1 : 1 + _MOST_TOLD]:
        own = [one for one in headline if one.other == other]
        better, worse = ([one for one in own if verdict(one) == word] for word in _WORDS)
        rest = len(own) - len(better) - len(worse)
        if not own:
            sentences.append(f"{other} and {names[0]} have no headline score in common.")
        elif not better and not worse:
            sentences.append(f"{other} and {names[0]} cannot be told apart by any of {len(own)} headline scores.")
        else:
            parts = [
                f"{word} in {len(some)}: {_grouped([(one.measure, one.score) for one in some])}"
                for word, some in zip(_WORDS, (better, worse), strict=True)
                if some
            ]
            left = f"; {rest} cannot tell" if rest else ""
            sentences.append(f"Against {names[0]}, of {len(own)} headline scores {other} is {'; '.join(parts)}{left}.")
    return sentences


def _grouped(scores: Sequence[tuple[str, str]]) -> str:
    """Scores by measure: ``spatial affinity (AUROC; top-1 agreement), localization (energy inside)``."""
    found: dict[str, list[str]] = {}
    for measure, score in scores:
        found.setdefault(_lower(find_measure(measure).title), []).append(find_score(measure, score).title)
    return ", ".join(f"{measure} ({'; '.join(scores)})" for measure, scores in found.items())


def _lower(title: str) -> str:
    return title[0].lower() + title[1:]


def _floor(studies: Studies) -> list[str]:
    """Which headline scores are not better than chance by their interval."""
    short: dict[str, list[tuple[str, str]]] = {}
    counts: dict[str, int] = {}
    for measure, score in headline_scores(studies):
        for name, study in studies[measure].items():
            summary = study.scores.get(score.name)
            if summary is None or summary.chance is None or not math.isfinite(summary.low):
                continue
            counts[name] = counts.get(name, 0) + 1
            beyond = summary.low > summary.chance if score.better == "higher" else summary.high < summary.chance
            if not beyond:
                short.setdefault(name, []).append((measure, score.name))
    if not counts:
        return []
    if not short:
        return ["Every headline score that has a chance level is better than chance by its interval."]
    told = "; ".join(f"{name} in {_how_many(scores, counts[name])}" for name, scores in short.items())
    return [f"Not better than chance by its interval: {told}."]


def _how_many(scores: Sequence[tuple[str, str]], of: int) -> str:
    """Few scores by their names, more by their number."""
    if len(scores) <= _MOST_TOLD:
        return _grouped(scores)
    return f"all {of} headline scores" if len(scores) == of else f"{len(scores)} of {of} headline scores"


def _unequal(headline: Sequence[Difference]) -> list[str]:
    """Differences that are not those of the means, because some videos have one score only."""
    fewer = [
        one
        for one in headline
        if math.isfinite(one.difference) and abs(one.other_mean - one.baseline_mean - one.difference) > 1e-9
    ]
    return [f"{plural(len(fewer), 'difference')} pair fewer videos than the means are of."] if fewer else []


def _untrained(studies: Studies, names: Sequence[str]) -> list[str]:
    """What untrained weights are for, or that there are none to compare with."""
    untrained = [name for name in names if any(of[name].untrained for of in studies.values() if name in of)]
    if len(untrained) == len(names):
        return ["All weights are untrained: this shows how to read the page, not a result."]
    if untrained:
        return [
            f"{listed(untrained)} is the reference: what untrained weights reach comes from the architecture and the "
            "videos, not from training."
        ]
    if any(study.has_twin for of in studies.values() for study in of.values()):
        return [
            "An untrained twin's scores stand beside the backbone's where receptive fields, padding and contrast "
            "alone are above chance."
        ]
    return ["No untrained twin is among them (--ckpt random), so what training added is not known here."]
