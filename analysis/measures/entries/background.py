"""What is known of the measure ``background`` beside its code."""

from analysis.measures.entry import measure_entry, share

__all__ = ["ENTRY"]

_CHANCE = "the largest class's share"

ENTRY = measure_entry(
    "background",
    "Background battery",
    (
        share("original", "accuracy, as it is", "probe right on the unaltered videos, none of which it saw", _CHANCE),
        share("scuba", "SCUBA", "right with the object before a foreign still background, mean of the three", _CHANCE),
        share("scuba_video", "SCUBA, other video", "before another video's background", _CHANCE),
        share("scuba_stripes", "SCUBA, stripes", "before colored stripes", _CHANCE),
        share("scuba_noise", "SCUBA, noise", "before noise", _CHANCE),
        share("scufo", "SCUFO", "one frame of these, repeated, mean of the three", _CHANCE, "lower"),
        share("scufo_video", "SCUFO, other video", "one frame of that, repeated", _CHANCE, "lower"),
        share("scufo_stripes", "SCUFO, stripes", "one frame of that, repeated", _CHANCE, "lower"),
        share("scufo_noise", "SCUFO, noise", "one frame of that, repeated", _CHANCE, "lower"),
        share("contra", "contrasted", "right on SCUBA and wrong on its single frame", "share · (1 − share)"),
        share(
            "swap_foreground",
            "swap, foreground's",
            "before another class's background, the answer is the object's class",
            _CHANCE,
        ),
        share("swap_background", "swap, background's", "the answer is the background's class", _CHANCE, "lower"),
        share("background_only", "background only", "right without the object", _CHANCE, "lower"),
        share("foreground_only", "foreground only", "right with the object before gray", _CHANCE),
    ),
    main=("scuba", "contra", "swap_background", "background_only"),
    summary="background battery: does a probe go by what acts, or by where? (labels and masks, or drawn videos)",
    question="Does a probe of classes on these features go by what acts and how it moves, or by the place?",
    meaning="SCUBA near the accuracy on unaltered videos says that the background does not matter; SCUFO near it, that "
    "a single frame is enough; the contrasted share is what needs the object's motion. In a swap the background's "
    "class should be no more likely than chance.",
    misleads="Cut-out objects leave an edge that no training video has, so SCUBA also falls for features that dislike "
    "pasted pictures: read it beside foreground only. Masks that miss a part leave it in the background. A probe at "
    "chance on unaltered videos makes everything else chance.",
    several=True,
    figure="A clip and its altered selves, and the accuracy of the probe on each.",
    settings=("masks", "train_split"),
)
