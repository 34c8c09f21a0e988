"""Temporal similarity: the public name of `analysis.measures.temporal`."""

from analysis.measures.temporal import (
    OFFSET_CHANCE,
    Histogram,
    OffsetResult,
    OffsetStatistics,
    OffsetSummary,
    default_hop,
    offset_similarity,
    offset_statistics,
    pool_features,
    similarity_chance,
    similarity_scores,
    temporal_similarity,
)

__all__ = [
    "OFFSET_CHANCE",
    "Histogram",
    "OffsetResult",
    "OffsetStatistics",
    "OffsetSummary",
    "default_hop",
    "offset_similarity",
    "offset_statistics",
    "pool_features",
    "similarity_chance",
    "similarity_scores",
    "temporal_similarity",
]
