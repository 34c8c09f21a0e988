"""Checkpoints against the first of them, score by score, on the same videos."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.measures.common.numbers import number
from analysis.measures.common.statistics import paired_difference
from analysis.measures.registry import find_score
from analysis.studies.common.study import Study

__all__ = ["Difference", "compare_scores"]


@dataclass(frozen=True)
class Difference:
    """One score of two checkpoints on the same videos.

    Attributes:
        measure: Such as ``affinity``.
        score: Its name in the study.
        baseline: Name of the first checkpoint.
        other: Name of the one compared with it.
        baseline_mean: Over the videos that have both scores.
        other_mean: The same.
        difference: Mean of other minus baseline.
        low: Lower end of its 95 % interval over videos in pairs; NaN for fewer than 3 units.
        high: Upper end.
        share_higher: Share of videos on which the other is higher, equal ones half, in [0, 1].
        num_videos: Videos that have both scores.
        num_units: Independent units behind the interval: source recordings where they are known, else the videos.
        chance: The score's chance level, of the baseline's videos; NaN where there is none.
        better: ``higher`` or ``lower``, empty where neither is.
        baseline_low: Lower end of the baseline's own 95 % interval.
        baseline_high: Upper end.
        other_low: Lower end of the other's own.
        other_high: Upper end.
        by_grid: Whether the score depends on the grid, and the two have different ones; neither is better then.
    """

    measure: str
    score: str
    baseline: str
    other: str
    baseline_mean: float
    other_mean: float
    difference: float
    low: float
    high: float
    share_higher: float
    num_videos: int
    chance: float = math.nan
    better: str = ""
    baseline_low: float = math.nan
    baseline_high: float = math.nan
    other_low: float = math.nan
    other_high: float = math.nan
    num_units: int | None = None
    by_grid: bool = False

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def sentence(self) -> str:
        """In words, such as "B higher on 73 % of videos, difference 0.110 [0.070, 0.150]"."""
        if not self.num_videos:
            return "no video has both scores"
        interval = f" [{number(self.low)}, {number(self.high)}]" if math.isfinite(self.low) else ""
        share = f"{self.share_higher * 100:.0f} % of videos" if self.num_videos > 1 else "the one video"
        where = f"higher on {share}" if self.num_videos > 1 else _one(self.difference, share)
        return f"{self.other} {where}, difference {number(self.difference)}{interval}"


def _one(difference: float, where: str) -> str:
    if difference == 0:
        return f"the same on {where}"
    return f"{'higher' if difference > 0 else 'lower'} on {where}"


def compare_scores(studies: Mapping[str, Study]) -> Iterator[Difference]:
    """Every checkpoint against the first, for every score that both have on some video and that depends on them.

    Args:
        studies: Name → study of one measure, the baseline first.
    """
    baseline, *others = studies
    for score in studies[baseline].scores:
        for other in others:
            if score in studies[other].scores and score not in studies[other].references:
                difference = _compare(studies, score, baseline, other)
                if difference.num_videos:
                    yield difference


def _compare(studies: Mapping[str, Study], score: str, baseline: str, other: str) -> Difference:
    first, second, shared = _on_the_same_videos(studies[baseline], studies[other], score)
    entry = find_score(studies[baseline].measure, score)
    paired = paired_difference(first, second, groups=_groups(studies[baseline], shared), limits=entry.limits)
    both = np.isfinite(first) & np.isfinite(second)
    ours, theirs = studies[baseline].scores[score], studies[other].scores[score]
    grids = [studies[name].provenance.get("grid") for name in (baseline, other)]
    by_grid = entry.by_grid and None not in grids and grids[0] != grids[1]
    return Difference(
        measure=studies[baseline].measure,
        score=score,
        baseline=baseline,
        other=other,
        baseline_mean=float(first[both].mean()) if both.any() else math.nan,
        other_mean=float(second[both].mean()) if both.any() else math.nan,
        difference=paired.mean,
        low=paired.low,
        high=paired.high,
        share_higher=paired.share_higher,
        num_videos=paired.num_videos,
        num_units=paired.num_units,
        chance=math.nan if ours.chance is None else ours.chance,
        better="" if by_grid else entry.better,
        baseline_low=ours.low,
        baseline_high=ours.high,
        other_low=theirs.low,
        other_high=theirs.high,
        by_grid=by_grid,
    )


def _groups(study: Study, videos: list[str]) -> list[int] | None:
    """Source recordings of the videos, where all of them are known."""
    known = study.provenance["inputs"].get("groups") or {}
    return [known[video] for video in videos] if all(video in known for video in videos) else None


def _on_the_same_videos(first: Study, second: Study, score: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores ``(V,)`` of the videos that both studies hold, in the order of the first, and their ids."""
    places = {str(video): at for at, video in enumerate(second.video_scores["video_id"])}
    shared = [(i, places[str(v)]) for i, v in enumerate(first.video_scores["video_id"]) if str(v) in places]
    ours, theirs = [i for i, _ in shared], [j for _, j in shared]
    ids = [str(first.video_scores["video_id"][place]) for place in ours]
    return first.video_scores[score][ours], second.video_scores[score][theirs], ids
