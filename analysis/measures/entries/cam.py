"""What is known of the measure ``cam`` beside its code."""

from analysis.measures.entry import correlation, measure_entry

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "cam",
    "Activation maps",
    (
        correlation(
            "rgb_motion_correlation",
            "correlation of RGB and motion map",
            "Pearson correlation of the RGB with the motion activation map",
            "with another video's motion map",
        ),
        correlation(
            "motion_energy_correlation",
            "correlation with the size of the motion",
            "Pearson correlation of the RGB activation map with the size of the frame difference",
            "with another video's",
        ),
    ),
    main=("motion_energy_correlation", "rgb_motion_correlation"),
    summary="class-agnostic activation maps: where the features are strong (figure, arrays, film)",
    question="Where in a clip are the features strong, whatever the class?",
    meaning="A high correlation says that the features are strong where things move; chance is the motion of "
    "another video, since borders and a liking for the center alone correlate any two maps.",
    misleads="Every frame is scaled to [0, 1], so an almost flat map looks as lively as a peaked one; and where "
    "the camera moves, so does the background.",
    figure="Rows of frames, the RGB activation over them, and the activation of the motion input over the frame "
    "difference. Bright is strong; the line encloses what is above half of a frame's maximum.",
    core=True,
    settings=("normalize", "dense", "hop", "whole", "layers"),
    films="analysis.pages.films:activation_films",
    default_backbone={"ckpt": "small-fima"},  # the one that comes along for real clips
)
