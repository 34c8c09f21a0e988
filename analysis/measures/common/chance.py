"""Chance by another video: with whose motion a video is compared, to learn what borders and centers give."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError

__all__ = ["PARTNERS", "choose_partners", "circle_of"]

PARTNERS = 3
"""Other videos whose scores are averaged to one video's chance level."""


def choose_partners(
    video_ids: Sequence[str],
    *,
    groups: Sequence[Hashable] | None = None,
    labels: Sequence[Hashable] | None = None,
    count: int = PARTNERS,
    seed: int = 0,
) -> NDArray[np.int64]:
    """For every video the places of others: from other recordings and, where that is possible, of other classes.

    The videos stand in a circle whose order is a hash of their names, and each takes the next ones that may be its
    partners. So the choice depends on which videos there are, and not on the order in which they are listed.

    Args:
        video_ids: ``(V,)`` names, all different.
        groups: ``(V,)`` source recordings; None: every video is its own.
        labels: ``(V,)`` classes; None: unknown. Where no other recording has another class, any class will do.
        count: Partners of a video.
        seed: Of the circle's order.

    Returns:
        ``(V, count)`` places in the list; -1 where there are not so many videos of other recordings.

    Raises:
        InputError: If names repeat, or groups or labels are not one for each video.
    """
    if len(set(video_ids)) != len(video_ids):
        raise InputError("video names must differ from each other")
    for name, given in (("groups", groups), ("labels", labels)):
        if given is not None and len(given) != len(video_ids):
            raise InputError(f"{name} must be one for each of the {len(video_ids)} videos, got {len(given)}")
    own = list(video_ids) if groups is None else list(groups)
    classes = range(len(own)) if labels is None or len(set(labels)) < 2 else list(labels)
    circle = circle_of(video_ids, seed)
    chosen = np.full((len(own), count), -1, dtype=np.int64)
    for start, place in enumerate(circle):
        taken = list(islice(_ahead(circle, start, own, classes), count))
        if not taken:  # no other recording has another class
            taken = list(islice(_ahead(circle, start, own, range(len(own))), count))
        chosen[place, : len(taken)] = taken
    return chosen


def circle_of(video_ids: Sequence[str], seed: int = 0) -> list[int]:
    """Places of the videos in the order of the circle: each video's partners come soon after it."""
    return sorted(range(len(video_ids)), key=lambda place: _rank(video_ids[place], seed))


def _ahead(circle: Sequence[int], start: int, groups: Sequence[Hashable], classes: Sequence[Hashable]) -> Iterator[int]:
    """Videos after this one in the circle that are of another group and another class."""
    place = circle[start]
    for step in range(1, len(circle)):
        other = circle[(start + step) % len(circle)]
        if groups[other] != groups[place] and classes[other] != classes[place]:
            yield other


def _rank(video_id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{video_id}".encode(errors="surrogateescape"), digest_size=8).digest()
