"""The entries of the measures, a module each, in the order in which commands and pages show them."""

from analysis.measures.entries import (
    affinity,
    attribution,
    bias,
    cam,
    embedding,
    localize,
    mechanism,
    sensitivity,
    temporal,
)

__all__ = ["ENTRIES"]

ENTRIES = tuple(
    module.ENTRY for module in (cam, affinity, temporal, localize, sensitivity, attribution, embedding, mechanism, bias)
)
