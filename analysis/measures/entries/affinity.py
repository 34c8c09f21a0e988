"""What is known of the measure ``affinity`` beside its code."""

import math

from analysis.measures.entry import Score, Variant, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "affinity",
    "Spatial affinity",
    (
        Score("contrast", "contrast", "mean diagonal − mean rest", "0", "higher"),
        share("top1_agreement", "top-1 agreement", "rows whose largest entry is on the diagonal", "1/P", by_grid=True),
        Score(
            "displacement",
            "displacement",
            "distance of a row's entries from its own place, weighted by the row's softmax (0.1)",
            "that of a flat row",
            "lower",
            "cells",
            (0.0, math.inf),
            by_grid=True,
        ),
        share("auroc", "AUROC", "diagonal against the rest", "0.5"),
    ),
    variants={"_foreground": Variant("foreground")},
    main=("auroc_foreground", "top1_agreement_foreground", "displacement_foreground"),
    summary="spatial affinity: does an RGB position match the motion of the same place?",
    question="Does what the backbone sees at a place in the RGB clip resemble the motion of the same place?",
    meaning="High AUROC and top-1 agreement, and a bright diagonal, say that a position's RGB feature is most like "
    "its own motion; displacement says how many cells it is off.",
    misleads="Neighboring positions share most of their receptive field, so a broad band is normal and top-1 "
    "agreement hard; a still background has the same empty motion everywhere, which is why the foreground counts "
    "apart.",
    figure="The mean affinity matrix, scores of all videos, and the row of the most active patch over the motion.",
    core=True,
    projected=True,
    twin=True,
    settings=("space", "layers"),
)
