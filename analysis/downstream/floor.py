"""What can be told of a video's class without looking at it: a floor for every score on the data set."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.downstream.folds import Parts
from analysis.downstream.plan import SPLIT
from analysis.downstream.videos import Videos
from analysis.measures.common.statistics import Summary, summarize
from analysis.pages.words import percent
from fima.data.readers.open import open_video
from fima.errors import InputError
from fima.evaluation.intervals import interval
from fima.files.reading import read_rows
from fima.files.writing import write_csv

__all__ = ["Floor", "metadata_floor", "nearest_answers", "read_facts"]

_K = 5


@dataclass(frozen=True)
class Floor:
    """Accuracy of the metadata alone.

    Attributes:
        summary: over videos.
        by_source: interval with source recordings drawn; None without.
    """

    summary: Summary
    by_source: tuple[float, float] | None

    @property
    def told(self) -> str:
        """In a sentence."""
        ends = self.by_source or (self.summary.low, self.summary.high)
        over = "recordings" if self.by_source else "videos"
        return (
            f"Without looking at a single frame, number of frames, frame rate and size alone tell the class of "
            f"{percent(self.summary.mean)} % [{percent(ends[0])}, {percent(ends[1])} over {over}] "
            f"({_K} nearest training videos): what is not above that needs no features."
        )


def metadata_floor(videos: Videos, scopes: Mapping[str, Parts], kept: Path | None = None) -> dict[str, Floor]:
    """``split`` and ``folds``, as far as there are such scopes → what metadata tells of their test videos.

    Args:
        videos: of the data set; those that cannot be opened are left out.
        scopes: what is learned from and tested.
        kept: file of the videos' facts, which is made if it is not there: opening thousands of videos takes minutes.
    """
    facts = _facts(videos, kept)
    right: dict[str, NDArray[np.float64]] = {}
    for scope, parts in scopes.items():
        where = SPLIT if scope == SPLIT else "folds"
        values = right.setdefault(where, np.full(len(videos), np.nan))
        known, test = (part[np.isfinite(facts[part]).all(axis=1)] for part in (parts.gallery, parts.test))
        if len(known):
            values[test] = nearest_answers(facts[known], videos.labels[known], facts[test]) == videos.labels[test]
    return {where: _floor(values, videos) for where, values in right.items()}


def _floor(values: NDArray[np.float64], videos: Videos) -> Floor:
    by_source = None if videos.groups is None else interval(values, videos.groups, limits=(0, 1))[:2]
    return Floor(summarize(values, limits=(0, 1)), by_source)


def _facts(videos: Videos, kept: Path | None) -> NDArray[np.float64]:
    """Those of the file, if it is whole; the lists beside it, which are checked, say that it is of these videos."""
    if kept is not None and kept.is_file():
        with suppress(ValueError):
            rows = np.array([row for _, row in read_rows(kept)][1:], np.float64)
            if rows.shape == (len(videos), 4):
                return rows
    facts = read_facts(videos)
    if kept is not None:
        write_csv(kept, ("log_frames", "fps", "height", "width"), facts.tolist())
    return facts


def read_facts(videos: Videos) -> NDArray[np.float64]:
    """``(V, 4)``: logarithm of the number of frames, frames per second, height, width; NaN of what cannot be opened."""
    facts = np.full((len(videos), 4), np.nan)
    for place, path in enumerate(videos.paths):
        try:
            with open_video(path) as reader:
                facts[place] = np.log(max(len(reader), 1)), reader.fps, reader.height, reader.width
        except (InputError, OSError):
            continue
    return facts


def nearest_answers(
    known: NDArray[np.float64], labels: NDArray[np.int64], asked: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The class that most of the five nearest have, of equals that of the nearest.

    Args:
        known: ``(V, C)``; every column is scaled to its standard deviation here.
        labels: ``(V,)``.
        asked: ``(W, C)``.

    Returns:
        ``(W,)``.
    """
    scale = known.std(axis=0)
    scale[scale < 1e-9] = np.inf  # what is the same in all tells nothing
    distances = np.zeros((len(asked), len(known)))
    for ours, theirs, one in zip(asked.T, known.T, scale, strict=True):  # column by column: thousands of videos squared
        distances += np.abs((ours[:, None] - theirs) / one)
    order = labels[np.argsort(distances, axis=1, kind="stable")[:, :_K]]
    votes = (order[:, :, None] == order[:, None, :]).sum(axis=2)
    return np.asarray(order[np.arange(len(order)), votes.argmax(axis=1)], np.int64)
