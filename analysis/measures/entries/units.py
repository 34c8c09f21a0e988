"""What is known of the measure ``units`` beside its code."""

from analysis.measures.entry import Variant, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "units",
    "Units of motion and appearance",
    (
        share("motion_only", "follow motion only", "channels that follow the motion, whatever the look", ""),
        share("appearance_only", "follow looks only", "channels that follow the look, in any order", "", ""),
        share("both", "follow both", "channels that follow both", "", ""),
        share("neither", "follow neither", "channels that follow neither", "", ""),
        share("softmax_motion", "motion, softmax", "published estimate for motion, in [0.11, 0.58]", ""),
        share("softmax_appearance", "appearance, softmax", "published estimate for appearance, likewise", "", ""),
    ),
    variants={"twin_": Variant("untrained twin", reference=True)},
    main=("motion_only", "both", "appearance_only"),
    summary="units: which share of the channels follows motion, appearance, both, or neither",
    question="How many channels follow the motion whatever the look, and how many the look whatever the motion?",
    meaning="A channel follows what two clips share if its values on such pairs correlate by more than 0.5 over the "
    "videos: pairs of one motion in two looks, and of one look with ordered and shuffled frames.",
    misleads="A channel of how much changes, in whatever order, counts as appearance. Real clips get other looks "
    "by inverted and exchanged colors alone, so that contours stay: a channel of contours then seems to follow "
    "motion. The threshold is a choice; see the scatter. The softmax estimate cannot be below 0.11 or above 0.58.",
    several=True,
    figure="A dot for each channel by its two correlations, and the shares with intervals beside the untrained twin.",
)  # fmt: skip
