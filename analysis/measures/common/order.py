"""Temporal battery: what probes know of the order of frames. Features in, right or wrong for every video out.

Every condition has a probe of its own, trained and tested on clips so altered: what is lost is information, not the
likeness to the training clips. Sources: arrow of time: Pickup et al., "Seeing the Arrow of Time", CVPR 2014; chirality:
arXiv 2509.08502, probes of pairs of classes that are each other's reversal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.measures.common.probing import predict_held_out
from analysis.measures.common.statistics import relative_gain
from fima.errors import InputError

__all__ = ["CONDITIONS", "arrow_of_time", "held_out_accuracy", "order_scores", "parse_pairs"]

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

CONDITIONS = ("ordered", "shuffled", "reversed", "frozen")


def order_scores(
    features: Mapping[str, Floats], labels: Ints, *, groups: Sequence[Any] | None = None
) -> dict[str, Doubles]:
    """Whether probes of the classes are right, for each order of frames.

    Args:
        features: Of each of ``CONDITIONS`` ``(V, C)``.
        labels: ``(V,)``.
        groups: ``(V,)`` source recordings; None: every video is its own.

    Returns:
        ``probe_<condition>``, ``(V,)`` in {0, 1}; ``order_gain`` and ``frames_gain``, ordered over shuffled and over
        frozen minus 1, whose means over videos are the ratios of the accuracies.

    Raises:
        InputError: As `predict_held_out`.
    """
    right = {name: held_out_accuracy(features[name], labels, groups) for name in CONDITIONS}
    gains = {"order_gain": right["shuffled"], "frames_gain": right["frozen"]}
    return {
        **{f"probe_{name}": values for name, values in right.items()},
        **{name: relative_gain(right["ordered"], base) for name, base in gains.items()},
    }


def arrow_of_time(forward: Floats, backward: Floats, *, groups: Sequence[Any] | None = None) -> Doubles:
    """How often a probe tells clips from their reversals, of every video; both are always on the same side.

    Args:
        forward: ``(V, C)``.
        backward: ``(V, C)`` of the same videos, reversed.
        groups: ``(V,)`` source recordings; None: every video is its own.

    Returns:
        ``(V,)`` in {0, 0.5, 1}; chance 0.5.

    Raises:
        InputError: For fewer than three videos, or recordings.
    """
    own = np.arange(len(forward)) if groups is None else np.asarray(groups)
    labels = np.repeat([0, 1], len(forward))
    right = held_out_accuracy(np.concatenate([forward, backward]), labels, np.tile(own, 2))
    return np.asarray(right.reshape(2, -1).mean(axis=0))


def held_out_accuracy(features: Floats, labels: Ints, groups: Sequence[Any] | Ints | None = None) -> Doubles:
    """Whether a held-out probe is right about each clip.

    Args:
        features: ``(N, C)``.
        labels: ``(N,)``.
        groups: ``(N,)`` of which none is torn; None: every clip is its own.

    Returns:
        ``(N,)`` in {0, 1}.
    """
    own = None if groups is None else list(groups)
    answers = predict_held_out(features, labels, {"": features}, groups=own)[""]
    return np.asarray(answers == labels, np.float64)


def parse_pairs(given: Sequence[str], class_names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Pairs of classes, as ``open:close``.

    Args:
        given: Names of two classes each.
        class_names: By label.

    Returns:
        Name of the score → labels.

    Raises:
        InputError: For a text that is no pair of two classes.
    """
    found = {}
    for text in given:
        names = text.split(":")
        if len(names) != 2 or names[0] == names[1] or not set(names) <= set(class_names):
            known = ", ".join(class_names[:8]) + (", …" if len(class_names) > 8 else "")
            raise InputError(f"--pairs {text}: expected CLASS:CLASS, two different ones of {known}")
        slug = "_vs_".join(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in names)
        found[f"chirality_{slug}"] = (list(class_names).index(names[0]), list(class_names).index(names[1]))
    return found
