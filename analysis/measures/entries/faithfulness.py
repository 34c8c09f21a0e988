"""What is known of the measure ``faithfulness`` beside its code."""

from analysis.measures.entry import Score, Variant, correlation, measure_entry

__all__ = ["ENTRY"]

_RANDOM = "four random orders"

ENTRY = measure_entry(
    "faithfulness",
    "Faithfulness of maps",
    (
        Score(
            "deletion",
            "deletion",
            "area under the cosine with the intact feature as cells are taken away, the map's strongest first",
            _RANDOM,
            "lower",
            limits=(-1.0, 1.0),
        ),
        Score(
            "insertion",
            "insertion",
            "the same as cells are put back, the strongest first",
            _RANDOM,
            "higher",
            limits=(-1.0, 1.0),
        ),
        Score("gain", "insertion − deletion", "insertion − deletion", "0", "higher", limits=(-2.0, 2.0)),
        correlation(
            "sanity_correlation",
            "rank correlation after randomization",
            "rank correlation of the map with that of the same backbone with random weights",
            "0",
            "lower",
        ),
    ),
    variants={
        "motion_": Variant("motion activation"),
        "attention_": Variant("attention"),
        "attribution_": Variant("attribution"),
        "center_": Variant("centered map", reference=True),
    },
    main=("gain", "attribution_gain"),
    summary="does the map tell the truth: cells are taken away and put back in its order; weights are randomized",
    question="Do the cells that a map ranks first carry the feature, and does the map depend on the weights?",
    meaning="A low deletion and a high insertion area say that the cells which the map ranks first carry the pooled "
    "feature; both stand beside random order and a map of the center. A map whose ranks stay when all weights are "
    "random shows the clip, not the network.",
    misleads="Cells are replaced by the blurred clip (or --baseline): a network that reads coarse color loses little "
    "by it, and edges between cells are an input that it never saw. A feature that is spread over the whole picture "
    "has no right order: then all maps are near chance, and none of them is wrong.",
    figure="A frame with the maps ranked over it, the cosine while cells are taken away and put back, and rank "
    "correlation as layers are randomized from the top.",
    on_request=True,
    settings=("method", "baseline", "steps"),
)
