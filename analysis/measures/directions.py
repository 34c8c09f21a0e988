"""Which way a score is better, for tables that put checkpoints beside each other."""

from __future__ import annotations

__all__ = ["better"]

_HIGHER = {
    "cam": ("rgb_motion_correlation", "motion_energy_correlation"),
    "affinity": ("contrast", "top1_agreement", "auroc"),
    "temporal": ("contrast", "top1_agreement", "offset_auroc", "offset_d_prime", "offset_auroc_disjoint"),
    "localize": ("energy", "pointing", "iou", "best_iou", "auroc"),
    "sensitivity": ("motion_share",),
    "attribution": ("time_correlation", "motion_correlation", "energy", "auroc"),
    "embedding": ("knn_label", "silhouette_label"),
    "mechanism": ("prediction_cosine", "rank_one"),
}
_LOWER = {
    "affinity": ("displacement",),
    "attribution": ("sanity_correlation", "convergence_delta"),
}


def better(measure: str, score: str) -> str:
    """``higher``, ``lower``, or empty where a score says what is so, not what is better.

    Args:
        measure: Such as ``affinity``.
        score: Its name; scores of the foreground and of the motion map follow the score that they are of.
    """
    base = score.removesuffix("_foreground")
    if measure == "localize":
        base = base.removeprefix("motion_")
    if base in _LOWER.get(measure, ()):
        return "lower"
    return "higher" if base in _HIGHER.get(measure, ()) else ""
