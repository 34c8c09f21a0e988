"""What is known of the measure ``bias`` beside its code."""

from analysis.measures.entry import Score, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "bias",
    "Background-bias gap",
    (
        share("correlated", "right with correlated backgrounds", "accuracy as the probe was trained", "1/classes"),
        share("swapped", "right with swapped backgrounds", "before another class's background", "1/classes"),
        Score("gap", "gap", "correlated − swapped, video by video", "0", "lower", limits=(-1.0, 1.0)),
    ),
    main=("gap", "swapped"),
    summary="background-bias gap: what a motion probe loses when backgrounds that told the class are swapped "
    "(drawn videos)",
    question="Does a probe of motion lean on the background that went with it in training?",
    meaning="A gap of 0 says that the probe did not lean on the background; one as large as the correlation, that "
    "it leaned on nothing else.",
    misleads="A network that can tell neither motions nor backgrounds has no gap either: read it beside the "
    "accuracy with swapped backgrounds.",
    figure="Accuracy with correlated and with swapped backgrounds of every checkpoint, joined by its gap.",
    single=False,
)
