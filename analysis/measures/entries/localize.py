"""What is known of the measure ``localize`` beside its code."""

from analysis.measures.entry import Variant, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "localize",
    "Localization",
    (
        share("energy", "energy inside", "share of the activation inside the mask", "the mask's share"),
        share("pointing", "pointing", "whether the maximum is inside", "the mask's share"),
        share("iou", "IoU", "overlap of the mask with what is above half of the maximum", "the mask's share"),
        share("best_iou", "best IoU", "the same at the best threshold", "the mask's share"),
        share("auroc", "AUROC", "pixels inside against outside", "0.5"),
        share("ring_auroc", "AUROC, equally far", "the same among pixels equally far from the picture's center", "0.5"),
    ),
    variants={
        "motion_": Variant("motion map"),
        "center_": Variant("centered Gaussian", reference=True),
        "difference_": Variant("frame difference", reference=True),
    },
    main=("energy", "auroc", "pointing"),
    summary="localization: are the features strong where the object truly is? (needs masks, or drawn videos)",
    question="Are the features strong where the object truly is?",
    meaning="Energy is the share of the activation inside the object's mask, AUROC how well the map ranks its "
    "pixels, and pointing how often the maximum is on it; chance is a uniform map.",
    misleads="Objects like the middle of the picture, so compare with the centered Gaussian among all scores, or read "
    "the AUROC among pixels equally far from the center; the "
    "grid is coarse, so even a perfect map spills over the edge of a small object.",
    figure="Frames with the activation and the true outline of the object; scores beside those of maps without a "
    "network.",
    core=True,
    twin=True,
    settings=("masks", "dense", "layers"),
    default_backbone={"ckpt": "small-fima"},  # the one that comes along for real clips
)
