"""What is known of the measure ``sensitivity`` beside its code."""

from analysis.measures.entry import Score, distance, measure_entry, share

__all__ = ["ENTRY"]

_LARGEST = "the largest class's share"

ENTRY = measure_entry(
    "sensitivity",
    "Motion sensitivity",
    (
        share("motion_share", "motion share", "frozen / (frozen + background replaced)", "0.5: as much as each"),
        distance("frozen", "the clip with one frame repeated"),
        distance("shuffled", "its frames in another order"),
        distance("reversed", "its frames from last to first"),
        distance("half_speed", "itself at half speed"),
        distance("double_speed", "itself at double speed"),
        distance("grayscale", "itself in gray"),
        distance("color_jitter", "itself in other colors"),
        distance("background_replaced", "its object before another video's background"),
        distance(
            "other_video",
            "three videos of other recordings and classes: the yardstick of all others",
            "another video",
        ),
        share(
            "probe_ordered", "probe, in order", "probe of the classes right, frames in order (`--battery`)", _LARGEST
        ),
        share("probe_shuffled", "probe, shuffled", "the same, probe and clips of shuffled frames", _LARGEST, ""),
        share("probe_reversed", "probe, reversed", "of reversed frames", _LARGEST, ""),
        share("probe_frozen", "probe, one frame", "of one frame, repeated", _LARGEST, ""),
        Score("order_gain", "gain by order", "accuracy in order / shuffled − 1", "0", "higher"),
        Score("frames_gain", "gain by many frames", "accuracy in order / one frame − 1", "0", "higher"),
        share("arrow_of_time", "arrow of time", "probe tells clips from their reversals", "0.5"),
        share("chirality", "chirality", "probe tells classes that are each other's reversal, mean over pairs", "0.5"),
    ),
    main=("motion_share", "frozen", "other_video"),
    summary="motion sensitivity: what changes the features more, other motion or another appearance?",
    question="What changes the features more: other motion, or another appearance?",
    meaning="A motion share above 0.5 says that freezing the clip moves the features more than replacing the "
    "background; the distance to another video is the yardstick for all others.",
    misleads="Distances of two networks do not compare by themselves, only relative to the other video's; a "
    "resting new background also stops a moving camera.",
    figure="Cosine distance of each altered clip to the unchanged one, and the distance to another video. Features of "
    "motion lie far to the right in the upper rows, features of appearance in the lower ones.",
    parts={
        "alterations": "Moments of one clip as the network sees it, and of each of its alterations.",
        "battery": "What linear probes of the features know of time, in percent of the videos, each trained and tested "
        "on clips so altered. Dashed lines are chance.",
    },
    core=True,
    settings=("masks", "battery", "pairs"),
)
