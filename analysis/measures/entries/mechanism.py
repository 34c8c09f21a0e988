"""What is known of the measure ``mechanism`` beside its code."""

from analysis.measures.entry import Score, correlation, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "mechanism",
    "FIMA's mechanism",
    (
        Score("positive_pairs", "positive pairs", "pairs of cells of two views that show the same place"),
        share(
            "foreground_overlap",
            "foregrounds of m and n agree",
            "IoU of the two views' foregrounds where they overlap",
            "of as many cells anywhere",
            "",
        ),
        correlation(
            "prediction_cosine",
            "cosine with the true motion",
            "predicted with the motion of matching cells",
            "with the motion of three videos of other recordings and classes",
        ),
        correlation("elsewhere_cosine", "cosine with other cells' motion", "the same with all other cells", "", ""),
        share("rank_one", "most similar cell is a match", "over the cells of the right slice", "matches' share"),
        share(
            "attention_on_foreground",
            "attention on foreground",
            "share of the cells' attention",
            "the foreground's share",
            "",
        ),
        share(
            "token_on_foreground",
            "class token on foreground",
            "share of the class token's attention",
            "the foreground's share",
            "",
        ),
        share(
            "attention_on_match",
            "attention on matching cells",
            "share of the cells' attention",
            "the matching cells' share",
            "",
        ),
    ),
    main=("prediction_cosine", "elsewhere_cosine", "rank_one"),
    summary="FIMA's own mechanism: foreground, positive pairs, motion decoder (needs a whole FIMA checkpoint)",
    question="Does the motion decoder predict the motion of the place it is asked about?",
    meaning="Predictions closer to the true motion than to that of the other cells, and often closest of all (rank "
    "one), say that the decoder uses the place.",
    misleads="Networks run in eval mode without color changes, so numbers are near those of training, not the "
    "same; attention is not explanation.",
    figure="Two views of a video with their foreground bright, and a line for every pair of cells that show the same "
    "place.",
    parts={
        "attention": "What the motion decoder looks at in view n when it is asked about a cell of view m, and the "
        "class token: each layer's mean over heads, and every head. Outlined cells of n show the same place.",
        "motion": "Cosine of the motion predicted at each cell of m with the true motion of matching cells, of the "
        "other cells and of another video. A decoder that uses the place makes only the first map bright.",
        "scores": "Every score over videos: gray dots are videos, the mark with its bar the mean with its 95 % "
        "interval, the dashed line chance.",
    },
    default_backbone={"ckpt": "random"},  # no whole method comes along: its decoder alone takes 13 MB
)
