"""What a gallery's numbers let one say, in sentences; by rule, so that no wish writes them."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.measures.common.statistics import PairedDifference, paired_difference
from analysis.pages.words import percent, plural, points
from fima.evaluation.neighbor_report import Neighbors

__all__ = ["against_rgb", "conclude"]

_NAMES = {"rgb": "the RGB clip", "static": "one static frame", "motion": "the frame difference alone"}


def conclude(found: Mapping[str, Neighbors], scores: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Sentences, the most important first.

    Args:
        found: Input → its neighbors; "rgb" among them.
        scores: Of `analysis.gallery.compute.bias_scores`.
    """
    told = ", ".join(f"{percent(scores[shown]['recall@1']['value'])} % by {_NAMES[shown]}" for shown in found)
    told = told.replace(" %", " % of the queries", 1)
    chance = percent(scores["rgb"]["recall@1"]["chance"])
    sentences = [f"The nearest video is of the query's class (R@1) for {told}; chance is {chance} %."]
    sentences += [_against_rgb(shown, one) for shown, one in against_rgb(found).items()]
    if low := [shown for shown in found if scores[shown]["recall@1"]["low"] <= scores[shown]["recall@1"]["chance"]]:
        sentences.append(f"Not above chance by its interval: {', '.join(_NAMES[shown] for shown in low)}.")
    queries = len(found["rgb"].test)
    sentences.append(
        f"Intervals are over {plural(queries, 'query', 'queries')} of this data set; if several videos come from one "
        "recording they are too narrow. It is one checkpoint: nothing is said of the method that trained it."
    )
    return sentences


def against_rgb(found: Mapping[str, Neighbors]) -> dict[str, PairedDifference]:
    """Recall at 1 of each other input minus that of the clip as it is, query by query."""
    rgb = found["rgb"].hits[:, 0]
    return {shown: paired_difference(rgb, one.hits[:, 0]) for shown, one in found.items() if shown != "rgb"}


def _against_rgb(shown: str, difference: PairedDifference) -> str:
    name = _NAMES[shown]
    if difference.low > 0:
        interval = f"[{percent(difference.low)}, {percent(difference.high)}]"
        return f"With {name} more is found than with the whole clip, by {percent(difference.mean)} points {interval}."
    if difference.high < 0:
        interval = f"[{percent(-difference.high)}, {percent(-difference.low)}]"
        return f"With {name} less is found than with the whole clip, by {percent(-difference.mean)} points {interval}."
    interval = f"[{points(difference.low)}, {points(difference.high)}]"
    return (
        f"Whether {name} finds more or less than the whole clip cannot be told "
        f"({points(difference.mean)} points {interval})."
    )
