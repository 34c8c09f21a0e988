"""Spatial affinity: the public name of `analysis.measures.affinity`."""

from analysis.measures.affinity import (
    affinity_chance,
    affinity_scores,
    cosine_matrix,
    diagonal_agreement,
    diagonal_contrast,
    mean_in_double,
    spatial_affinity,
    spatial_affinity_slices,
)

__all__ = [
    "affinity_chance",
    "affinity_scores",
    "cosine_matrix",
    "diagonal_agreement",
    "diagonal_contrast",
    "mean_in_double",
    "spatial_affinity",
    "spatial_affinity_slices",
]
