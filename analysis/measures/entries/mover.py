"""What is known of the measure ``mover`` beside its code."""

from analysis.measures.entry import Variant, measure_entry, share

__all__ = ["ENTRY"]

ENTRY = measure_entry(
    "mover",
    "The mover against its still copy",
    (
        share("picture", "copy rests in the picture", "mover over a copy at rest in the picture", "0.5"),
        share("world", "copy rests in the world", "mover over a copy that goes with the background", "0.5"),
        share("control", "control, both move", "mover over a copy that goes the same way; 0.5 is expected", "0.5", ""),
        share("seam", "control, both rest", "the same in a clip that stands still; 0.5 is expected", "0.5", ""),
    ),
    variants={
        "motion_": Variant("motion map"),
        "attention_": Variant("attention received"),
        "twin_": Variant("untrained twin", reference=True),
        "difference_": Variant("frame difference", reference=True),
        "contrast_": Variant("color contrast", reference=True),
        "center_": Variant("centered Gaussian", reference=True),
    },
    main=("picture", "world"),
    summary="the mover against its still copy: localization that only motion can win (needs masks, or drawn videos)",
    question="Of two alike objects in a clip, one of which rests, are the features stronger on the one that moves?",
    meaning="The probability that a random pixel of the mover is more active than one of its copy, 0.5 by chance. "
    "Above it where the copy rests in the picture: motion on the screen is seen. Above it where the copy rests in "
    "the world: the object's own motion is, apart from the camera's. Read the two together, beside the two controls.",
    misleads="A copy is cut from one frame: where the object changes its shape or is blurred by its speed, that tells "
    "them apart too; a part that the object hides makes the copy smaller. The controls show how much of a score such "
    "things explain; with fewer than ten videos intervals are wide.",
    figure="Frames with the mover outlined in cyan and its copy in orange, the activation over them, and the scores.",
    core=True,
    settings=("masks", "dense", "layers"),
    default_backbone={"ckpt": "small-fima"},  # the one that comes along for real clips
)
