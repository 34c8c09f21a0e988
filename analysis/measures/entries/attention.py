"""What is known of the measure ``attention`` beside its code."""

from analysis.measures.entry import Score, Variant, correlation, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "attention",
    "Attention",
    (
        correlation(
            "motion_energy_correlation",
            "correlation with the size of the motion",
            "Pearson correlation of the received attention, mean over heads, with the size of the frame difference",
            "with another video's",
        ),
        Score(
            "time_reach",
            "reach through time",
            "mean distance in time between a cell and what it attends to, as a share of an even spread's",
            "1",
        ),
        share(
            "spread",
            "spread over the cells",
            "exponential of the entropy over the cells, as a share of them",
            "1",
            "",
            by_grid=True,
        ),
        share("energy", "energy inside", "share of the received attention inside the mask", "the mask's share"),
        share("auroc", "AUROC", "pixels inside against outside", "0.5"),
        share("ring_auroc", "AUROC, equally far", "the same among pixels equally far from the picture's center", "0.5"),
    ),
    variants={
        "twin_": Variant("untrained twin", reference=True),
        "center_": Variant("centered Gaussian", reference=True),
        "difference_": Variant("frame difference", reference=True),
    },
    main=("motion_energy_correlation", "auroc", "time_reach"),
    summary="attention of token networks: what the cells look at, head by head (figure, arrays, film)",
    question="What do the cells of a token network attend to?",
    meaning="Received attention is how much all cells together look at a cell, in shares of an even spread. A high "
    "correlation says that they look where things move; reach says whether they look beyond their own moment.",
    misleads="Attention is not importance: a cell that is looked at need not change the features, and cells without "
    "content are often looked at most. Compare with the untrained twin, whose positions alone draw some attention, and "
    "with what deleting cells does.",
    figure="Frames with the received attention over them: mean over heads, from one marked cell, through all layers, "
    "of an untrained twin; beside them every head. Colored is what gets more than an even share.",
    settings=("masks", "cell"),
    default_backbone={"arch": "videomae-tiny"},
    films="analysis.pages.films:attention_films",
)
