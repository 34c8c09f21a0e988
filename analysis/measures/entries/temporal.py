"""What is known of the measure ``temporal`` beside its code."""

from analysis.measures.entry import Score, Variant, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "temporal",
    "Temporal similarity",
    (
        Score("contrast", "contrast of slices", "mean diagonal − mean rest of the slices of a clip", "0", "higher"),
        share(
            "top1_agreement",
            "top-1 agreement of slices",
            "slices most similar to their own motion",
            "1/T'",
            by_grid=True,
        ),
        share("offset_auroc", "AUROC of offsets", "aligned against misaligned windows of the same video", "0.5"),
        Score(
            "offset_d_prime",
            "d′ of offsets",
            "distance of aligned from misaligned windows in standard deviations",
            "0",
            "higher",
        ),
        share("offset_auroc_disjoint", "AUROC, no shared frames", "only pairs of windows that share no frame", "0.5"),
        Score(
            "offset_half_width_frames",
            "half-width of the peak",
            "how far off one may be until half of the peak is lost",
            unit="frames",
        ),
        Score("offset_half_width_seconds", "half-width of the peak", "the same in time", unit="s"),
    ),
    variants={"_foreground": Variant("foreground")},
    main=("offset_auroc", "offset_d_prime"),
    summary="temporal similarity: does an RGB moment match the motion of the same time?",
    question="Does an RGB moment resemble the motion of the same time more than that of another?",
    meaning="AUROC and d′ say how far pairs of the same time lie apart from pairs at least half a window apart.",
    misleads="Periodic motion is similar again one period later, and in short videos misaligned windows share "
    "frames; a backbone whose features hardly change is similar everywhere, so look at the difference, not at the "
    "height.",
    figure="Similarity of slices, its fall with the offset in time, and distributions of aligned and misaligned pairs.",
    core=True,
    projected=True,
    twin=True,
    settings=("hop", "space", "layers"),
)
