"""What is known of the measure ``embedding`` beside its code."""

from analysis.measures.entry import correlation, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "embedding",
    "Embedding",
    (
        share(
            "knn_label",
            "nearest has its label",
            "nearest clip of another video is of its class",
            "labels shuffled over videos",
        ),
        share(
            "knn_background",
            "nearest has its background",
            "nearest clip of another video has its background",
            "labels shuffled over videos",
            "",
        ),
        correlation(
            "silhouette_label", "silhouette by label", "how far classes lie apart", "labels shuffled over videos"
        ),
        correlation(
            "silhouette_background",
            "silhouette by background",
            "how far backgrounds lie apart",
            "labels shuffled over videos",
            "",
        ),
        correlation(
            "silhouette_video", "silhouette by video", "how far videos lie apart", "labels shuffled over clips", ""
        ),
    ),
    main=("knn_label", "knn_background", "silhouette_label"),
    summary="embedding: a map of the pooled features by label and background, with neighbors (figure, page)",
    question="Which clips are alike to the network: those of the same label, or of the same background?",
    meaning="Nearest neighbors that share the label, and not the background, say that the features are about the "
    "motion; chance is what shuffled labels give.",
    misleads="The map keeps neighborhoods, not distances: sizes of clusters and gaps between them mean nothing; "
    "few videos of each label make both map and numbers weak.",
    several=True,
    figure="A map of the clips by their pooled features, by label and background, with the scores.",
    films="analysis.pages.embedding:study_page",
    pages=("index.html",),
)
