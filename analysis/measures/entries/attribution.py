"""What is known of the measure ``attribution`` beside its code."""

from analysis.measures.entry import Score, correlation, measure_entry, share

__all__ = ["BASELINES", "ENTRY", "METHODS", "TARGETS"]

METHODS = ("integrated_gradients", "gradient_shap", "grad_cam", "occlusion")
TARGETS = ("motion", "other", "logit")
"""Cosine of the pooled RGB feature with the clip's own motion feature, or with the RGB feature of another video; or
the class that the checkpoint's classifier ranks first (``logit:CLASS``: the class of that index)."""
BASELINES = ("mean", "black", "blurred", "frozen")
"""What a clip is compared with (see ``analysis.measures.attribution.baseline_clip``)."""

ENTRY = measure_entry(
    "attribution",
    "Attribution",
    (
        correlation(
            "time_correlation",
            "correlation with the motion, in time",
            "of the attribution with the motion energy, frame by frame",
            "with three other videos",
        ),
        correlation(
            "motion_correlation",
            "correlation with the motion, in place",
            "the same in each cell",
            "with three other videos",
        ),
        Score(
            "convergence_delta",
            "convergence delta",
            "what the sum of the map misses of the target's change, as a share; 0 is exact",
            better="lower",
        ),
        correlation(
            "sanity_correlation",
            "sanity: correlation with random weights",
            "rank correlation with the map of the same network, randomized",
            "0",
            "lower",
        ),
        correlation(
            "input_correlation",
            "correlation with the input alone",
            "with the size of clip − baseline, a map without any network",
            "",
            "",
        ),
        share("energy", "energy inside", "share of the absolute map inside the mask", "the mask's share"),
        share("auroc", "AUROC", "pixels inside against outside", "0.5"),
    ),
    main=("motion_correlation", "time_correlation", "sanity_correlation", "input_correlation"),
    summary="attribution: which pixels of which frames make the features agree with the motion?",
    question="Which pixels of which frames make the features agree with the motion?",
    meaning="A high correlation with the motion says that the pixels that count are those that move; the sanity "
    "check is low when the map depends on the trained weights.",
    misleads="Maps that multiply with the input keep its edges whatever the weights: read the sanity check beside "
    "the correlation that the input alone has.",
    figure="Frames with the pixels that push the target up and down, their share per frame, and the sanity check.",
    settings=("masks", "method", "target", "baseline", "steps"),
)
