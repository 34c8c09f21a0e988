"""From a checkpoint and a data set to the gallery's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from analysis.gallery.compute import PER_INPUT, Backgrounds, bias_scores, listed_queries
from analysis.gallery.conclusions import against_rgb, conclude
from analysis.gallery.media import Media, media_of
from analysis.gallery.page import page_data, write_page
from analysis.output import timestamp, write_json
from fima.data.datasets import VideoRecord, open_dataset
from fima.data.shapes import PATTERNS, ShapesRecord
from fima.evaluation.backbone import FeatureRequest
from fima.evaluation.checks import take_examples
from fima.evaluation.neighbor_report import Neighbors, about, find_neighbors, neighbor_rows
from fima.evaluation.neighbor_sets import Tell, sets_of_checkpoint
from fima.evaluation.neighbors import RANKS
from fima.files.writing import write_csv
from fima.input_spec import InputSpec
from fima.presets.retrieval import RetrievalPreset

__all__ = ["Gallery", "backgrounds_of", "build_gallery"]


@dataclass(frozen=True)
class Gallery:
    """Everything that is written.

    Attributes:
        found: "rgb", "static", "motion" → neighbors of every query.
        train, test: the videos of ``found``, in its order.
        backgrounds: where they are known.
        content: what ``gallery.json`` holds.
        skipped: videos that could not be read, with the reason.
        spec: what the backbone expects.
    """

    found: dict[str, Neighbors]
    train: list[VideoRecord]
    test: list[VideoRecord]
    backgrounds: Backgrounds | None
    content: dict[str, Any]
    skipped: dict[str, str]
    spec: InputSpec

    def save(self, folder: Path) -> None:
        """Write ``index.html``, ``gallery.json``, ``neighbors.csv`` and ``skipped.csv``.

        Args:
            folder: It exists (`analysis.output.output_folder`).

        Raises:
            VideoError: If a video that was read before cannot be read any more.
        """
        records = {"train": self.train, "test": self.test}

        def media(part: str, place: int) -> Media:
            return media_of(records[part][place], self.spec)

        queries = listed_queries(self.found, self.content["shown"])
        data = page_data(self.found, queries, media, self.backgrounds)
        write_page(folder / "index.html", self.content, data)
        write_json(folder / "gallery.json", self.content)
        write_csv(
            folder / "neighbors.csv",
            ("query", "rank", "neighbor", "similarity", "hit", "shown"),
            chain.from_iterable(neighbor_rows(one, shown) for shown, one in self.found.items()),
        )
        write_csv(folder / "skipped.csv", ("video", "reason"), self.skipped)


def build_gallery(
    request: FeatureRequest,
    data: str,
    splits: tuple[str, str],
    chosen: RetrievalPreset,
    tell: Tell,
    *,
    queries: int = 24,
    command: Sequence[str] = (),
) -> Gallery:
    """Features of all three inputs, and the neighbors that they find.

    Args:
        request: The backbone.
        data: The data set.
        splits: That is searched in, and of the queries.
        chosen: How videos are compared.
        tell: What is being done → a context that gives a function of (videos done, videos in all).
        queries: On the page, of all classes alike.
        command: As typed.

    Raises:
        InputError: If the checkpoint or the videos cannot be used.
    """
    sets = sets_of_checkpoint(request, data, splits, chosen, tuple(PER_INPUT), tell)
    found = {
        shown: find_neighbors(train, sets.test[shown], max(RANKS), center=chosen.center)
        for shown, train in sets.train.items()
    }
    one = found["rgb"]
    train, test = (
        _records(data, split, ids) for split, ids in zip(splits, (one.train.video_ids, one.test.video_ids), strict=True)
    )
    known = backgrounds_of(train, test)
    ranks = [rank for rank in RANKS if rank <= len(train)]
    scores = bias_scores(found, ranks, known)
    content = {
        "about": {
            **about(sets, chosen, seed=request.seed, command=command),
            "untrained": one.test.metadata["checkpoint"] == "random",
            "created": timestamp(),
        },
        "findings": conclude(found, scores),
        "scores": scores,
        "minus_rgb": {shown: vars(one) for shown, one in against_rgb(found).items()},
        "shown": take_examples(one.test.labels, min(queries, len(test)), request.seed),
        "duplicates": sets.duplicates,
    }
    spec = InputSpec.from_dict(one.test.metadata["input"])
    return Gallery(found, train, test, known, content, sets.skipped, spec)


def backgrounds_of(train: Sequence[VideoRecord], test: Sequence[VideoRecord]) -> Backgrounds | None:
    """Of drawn videos; None unless all are."""
    of_test, of_train = (
        np.array([one.pattern for one in part if isinstance(one, ShapesRecord)], np.int64) for part in (test, train)
    )
    if len(of_test) < len(test) or len(of_train) < len(train):
        return None
    return Backgrounds(of_test, of_train, tuple(PATTERNS))


def _records(data: str, split: str, ids: Sequence[str]) -> list[VideoRecord]:
    """The videos of these ids, in their order."""
    by_id = {record.video_id: record for record in open_dataset(data, split=split)}
    return [by_id[name] for name in ids]
