"""What is known of the measure ``pca`` beside its code."""

from analysis.measures.entry import measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "pca",
    "Feature colors",
    (
        share(
            "explained",
            "in three colors",
            "share of the features' variance in the first three components",
            "",
            "",
            by_grid=True,
        ),
        share("explained_first", "in the first", "share in the first component", "", "", by_grid=True),
        share(
            "explained_motion",
            "of the motion features",
            "share of the variance of the motion features in the components of the RGB features",
            "",
            "",
        ),
        share(
            "position",
            "told by position",
            "share of the three components that time, place and distance from the center tell",
            "5 numbers at random",
            "lower",
        ),
        share("brightness", "told by brightness", "share that the cells' brightness tells", "another video's", "lower"),
        share("motion_energy", "told by motion", "share that the frame difference's size tells", "another video's"),
    ),
    main=("explained", "position", "brightness", "motion_energy"),
    summary="feature colors: the features' first three principal components as red, green, blue (figure, film)",
    question="Which cells have alike features, and do the features follow more than position and brightness?",
    meaning="Cells of one color have alike features. An object that keeps its color while it moves is recognized; "
    "colors that stay in place while things move say that position is what the features tell first.",
    misleads="Colors of two networks do not compare, nor do those of two clips unless --fit set made them. The "
    "first component is often position or brightness: read their shares. What three components leave out is not seen.",
    figure="Rows of frames, the colors of the RGB features, and those of the motion features in the same components.",
    settings=("fit",),
    films="analysis.pages.films:color_films",
)
