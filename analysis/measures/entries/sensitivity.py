"""What is known of the measure ``sensitivity`` beside its code."""

from analysis.measures.entry import distance, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "sensitivity",
    "Motion sensitivity",
    (
        share("motion_share", "motion share", "frozen / (frozen + background replaced)", "0.5: as much as each"),
        distance("frozen", "the clip with one frame repeated", "distance, frozen"),
        distance("shuffled", "its frames in another order"),
        distance("reversed", "its frames from last to first"),
        distance("half_speed", "itself at half speed"),
        distance("double_speed", "itself at double speed"),
        distance("grayscale", "itself in gray"),
        distance("color_jitter", "itself in other colors"),
        distance("background_replaced", "its object before another video's background"),
        distance("other_video", "the video before: the yardstick of all others", "distance, another video"),
    ),
    main=("motion_share", "frozen", "other_video"),
    summary="motion sensitivity: what changes the features more, other motion or another appearance?",
    question="What changes the features more: other motion, or another appearance?",
    meaning="A motion share above 0.5 says that freezing the clip moves the features more than replacing the "
    "background; the distance to another video is the yardstick for all others.",
    misleads="Distances of two networks do not compare by themselves, only relative to the other video's; a "
    "resting new background also stops a moving camera.",
    figure="A clip and its alterations, and the cosine distance of each to the unchanged clip.",
    core=True,
    settings=("masks",),
)
