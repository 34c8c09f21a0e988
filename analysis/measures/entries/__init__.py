"""The entries of the measures, a module each, in the order in which commands and pages show them."""

from analysis.measures.entries import (
    affinity,
    attention,
    attribution,
    background,
    bias,
    cam,
    embedding,
    faithfulness,
    localize,
    mechanism,
    mover,
    pca,
    probe,
    sensitivity,
    temporal,
    units,
)

__all__ = ["ENTRIES"]

_ORDER = (
    cam,
    affinity,
    temporal,
    localize,
    mover,
    sensitivity,
    attention,
    pca,
    attribution,
    faithfulness,
    embedding,
    mechanism,
    probe,
    units,
    background,
    bias,
)
ENTRIES = tuple(module.ENTRY for module in _ORDER)
