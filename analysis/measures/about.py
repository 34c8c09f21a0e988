"""What the page says of every measure: the question, what its main numbers mean, and when they mislead."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["About", "Main", "about"]


@dataclass(frozen=True)
class Main:
    """A number of the summary.

    Attributes:
        score: Its name in the study.
        name: For readers.
        limits: Ends of its axis; None is the range of what is shown.
    """

    score: str
    name: str
    limits: tuple[float, float] | None = (0.0, 1.0)


@dataclass(frozen=True)
class About:
    """The words of one measure.

    Attributes:
        title: Of its section.
        question: What it asks.
        meaning: What the numbers say.
        misleads: When they do not.
        figure: What its figure shows: the alternative text.
        main: Its numbers in the summary.
    """

    title: str
    question: str
    meaning: str
    misleads: str
    figure: str
    main: tuple[Main, ...] = ()


def about(measure: str) -> About:
    """The words of a measure; plain ones for a measure that this module does not know."""
    return _ABOUT.get(measure) or About(measure.capitalize(), "", "", "", f"Figure of {measure}.")


_ABOUT = {
    "cam": About(
        "Activation maps",
        "Where in a clip are the features strong, whatever the class?",
        "A high correlation says that the features are strong where things move; chance is the motion of another "
        "video, since borders and a liking for the center alone correlate any two maps.",
        "Every frame is scaled to [0, 1], so an almost flat map looks as lively as a peaked one; and where the camera "
        "moves, so does the background.",
        "Rows of frames, the RGB activation over them, and the activation of the motion input over the frame "
        "difference. Bright is strong; the box encloses what is above half of a frame's maximum.",
        (
            Main("motion_energy_correlation", "correlation with the size of the motion", (-1.0, 1.0)),
            Main("rgb_motion_correlation", "correlation of RGB and motion map", (-1.0, 1.0)),
        ),
    ),
    "affinity": About(
        "Spatial affinity",
        "Does what the backbone sees at a place in the RGB clip resemble the motion of the same place?",
        "High AUROC and top-1 agreement, and a bright diagonal, say that a position's RGB feature is most like its own "
        "motion; displacement says how many cells it is off.",
        "Neighboring positions share most of their receptive field, so a broad band is normal and top-1 agreement "
        "hard; a still background has the same empty motion everywhere, which is why the foreground counts apart.",
        "The mean affinity matrix, scores of all videos, and the row of the most active patch over the motion.",
        (
            Main("auroc_foreground", "AUROC, foreground"),
            Main("top1_agreement_foreground", "top-1 agreement, foreground"),
            Main("displacement_foreground", "displacement in cells, foreground", None),
        ),
    ),
    "temporal": About(
        "Temporal similarity",
        "Does an RGB moment resemble the motion of the same time more than that of another?",
        "AUROC and d′ say how far pairs of the same time lie apart from pairs at least half a window apart.",
        "Periodic motion is similar again one period later, and in short videos misaligned windows share frames; "
        "a backbone whose features hardly change is similar everywhere, so look at the difference, not at the height.",
        "Similarity of slices, its fall with the offset in time, and distributions of aligned and misaligned pairs.",
        (
            Main("offset_auroc", "AUROC, aligned against misaligned windows"),
            Main("offset_d_prime", "d′, aligned against misaligned windows", None),
        ),
    ),
    "localize": About(
        "Localization",
        "Are the features strong where the object truly is?",
        "Energy is the share of the activation inside the object's mask, AUROC how well the map ranks its pixels, and "
        "pointing how often the maximum is on it; chance is a uniform map.",
        "Objects like the middle of the picture, so compare with the centered Gaussian among all scores; the grid is "
        "coarse, so even a perfect map spills over the edge of a small object.",
        "Frames with the activation and the true outline of the object; scores beside those of maps without a network.",
        (Main("energy", "energy inside"), Main("auroc", "AUROC"), Main("pointing", "pointing")),
    ),
    "sensitivity": About(
        "Motion sensitivity",
        "What changes the features more: other motion, or another appearance?",
        "A motion share above 0.5 says that freezing the clip moves the features more than replacing the background; "
        "the distance to another video is the yardstick for all others.",
        "Distances of two networks do not compare by themselves, only relative to the other video's; a resting new "
        "background also stops a moving camera.",
        "A clip and its alterations, and the cosine distance of each to the unchanged clip.",
        (
            Main("motion_share", "motion share"),
            Main("frozen", "distance, frozen", None),
            Main("other_video", "distance, another video", None),
        ),
    ),
    "attribution": About(
        "Attribution",
        "Which pixels of which frames make the features agree with the motion?",
        "A high correlation with the motion says that the pixels that count are those that move; the sanity check is "
        "low when the map depends on the trained weights.",
        "Maps that multiply with the input keep its edges whatever the weights: read the sanity check beside the "
        "correlation that the input alone has.",
        "Frames with the pixels that push the target up and down, their share per frame, and the sanity check.",
        (
            Main("motion_correlation", "correlation with the motion, in place", (-1.0, 1.0)),
            Main("time_correlation", "correlation with the motion, in time", (-1.0, 1.0)),
            Main("sanity_correlation", "sanity: correlation with random weights", (-1.0, 1.0)),
            Main("input_correlation", "correlation with the input alone", (-1.0, 1.0)),
        ),
    ),
    "embedding": About(
        "Embedding",
        "Which clips are alike to the network: those of the same label, or of the same background?",
        "Nearest neighbors that share the label, and not the background, say that the features are about the motion; "
        "chance is what shuffled labels give.",
        "The map keeps neighborhoods, not distances: sizes of clusters and gaps between them mean nothing; few videos "
        "of each label make both map and numbers weak.",
        "A map of the clips by their pooled features, by label and background, with the scores.",
        (
            Main("knn_label", "nearest has its label"),
            Main("knn_background", "nearest has its background"),
            Main("silhouette_label", "silhouette of labels", (-1.0, 1.0)),
        ),
    ),
    "mechanism": About(
        "FIMA's mechanism",
        "Does the motion decoder predict the motion of the place it is asked about?",
        "Predictions closer to the true motion than to that of the other cells, and often closest of all (rank one), "
        "say that the decoder uses the place.",
        "Networks run in eval mode without color changes, so numbers are near those of training, not the same; "
        "attention is not explanation.",
        "Two views with foreground and positive pairs, the decoder's attention, and predicted against true motion.",
        (
            Main("prediction_cosine", "cosine with the true motion", (-1.0, 1.0)),
            Main("elsewhere_cosine", "cosine with other cells' motion", (-1.0, 1.0)),
            Main("rank_one", "most similar cell is a match"),
        ),
    ),
}
