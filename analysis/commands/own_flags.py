"""Flags of the settings that only some measures have: one table, from which every command takes those it needs.

Importing this module imports neither torch nor matplotlib.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from analysis.settings import (
    ATTRIBUTION_BASELINES,
    ATTRIBUTION_METHODS,
    ATTRIBUTION_TARGETS,
    DENSE,
    FITS,
    NORMALIZATIONS,
    SPACES,
)

__all__ = ["add_own_flags"]

_FLAGS: dict[str, dict[str, Any]] = {
    "twin": {
        "action": "store_true",
        "help": "beside every score that of an untrained backbone of the same architecture (twice the passes)",
    },
    "layers": {
        "metavar": "all|TAP,TAP",
        "help": "the scores as a curve over these layers, from input to output, from one pass",
    },
    "hop": {
        "type": int, "metavar": "N",
        "help": "frames between windows (default: a quarter window; of cam --whole half of one)",
    },
    "space": {
        "choices": SPACES, "default": "backbone",
        "help": "compare features as the backbone gives them, or after the projectors of the method in --ckpt",
    },
    "normalize": {
        "choices": NORMALIZATIONS, "default": "frame", "help": "scale maps over each frame, or over the clip",
    },
    "dense": {
        "type": int, "choices": DENSE, "default": 1,
        "help": "maps of this many times finer cells, by shifts of the clip: 4 or 16 passes instead of one "
        "(default: 1)",
    },
    "whole": {
        "action": "store_true",
        "help": "cam of whole videos instead of clips: a film of the video's length, and curves along it",
    },
    "cell": {
        "metavar": "T,Y,X", "help": "cell of the grid whose attention is shown (default: the one of most motion)",
    },
    "fit": {"choices": FITS, "default": FITS[0], "help": "principal components of each clip, or of the whole set"},
    "battery": {
        "action": "store_true",
        "help": "also ask probes of the classes about frames in order, shuffled, reversed, frozen, and the arrow of "
        "time",
    },
    "pairs": {
        "nargs": "+", "default": (), "metavar": "CLASS:CLASS",
        "help": "classes that are each other's reversal, for --battery (default: of drawn videos, those that are)",
    },
    "train_split": {
        "metavar": "S",
        "help": "split that the probe is trained on (default: --split itself, in folds that keep recordings whole)",
    },
}  # fmt: skip
"""Name of a setting → its flag."""
_ATTRIBUTION: dict[str, dict[str, Any]] = {
    "method": {
        "choices": ATTRIBUTION_METHODS, "default": ATTRIBUTION_METHODS[0],
        "help": "method of captum (default: %(default)s)",
    },
    "target": {
        "metavar": "{motion,other,logit,logit:CLASS}", "default": ATTRIBUTION_TARGETS[0],
        "help": "cosine with the clip's own motion feature, or with another video; with a classifier in --ckpt, the "
        "class that it ranks first, or the one of an index (default: %(default)s)",
    },
    "baseline": {
        "choices": ATTRIBUTION_BASELINES, "default": ATTRIBUTION_BASELINES[0],
        "help": "what a clip is compared with (default: %(default)s)",
    },
    "steps": {"type": int, "default": 32, "metavar": "N", "help": "gradients per map (default: %(default)s)"},
}  # fmt: skip
"""The same of what an attribution map is of."""


def add_own_flags(parser: argparse.ArgumentParser, names: Collection[str] | None = None) -> None:
    """The flags of settings that not every measure has.

    Args:
        parser: Of the command.
        names: Those of the settings that it needs; None: all.
    """
    attribution = {name: words for name, words in _ATTRIBUTION.items() if names is None or name in names}
    for name, words in _FLAGS.items():
        if names is None or name in names:
            parser.add_argument("--" + name.replace("_", "-"), **words)
    if attribution:
        group = parser.add_argument_group("attribution")
        for name, words in attribution.items():
            group.add_argument("--" + name, **words)
