"""What is known of the measure ``probe`` beside its code."""

import math

from analysis.measures.entry import Score, Variant, measure_entry

__all__ = ["ENTRY"]


def _fit(name: str, label: str, meaning: str) -> Score:
    return Score(name, label, f"R² of {meaning}", "0", "higher", limits=(-math.inf, 1.0))


ENTRY = measure_entry(
    "probe",
    "Motion variables",
    (
        Score(
            "direction_error", "error of direction", "mean circular error of the direction of the object's way", "90",
            "lower", unit="degrees", limits=(0.0, 180.0),
        ),
        _fit("speed_r2", "R² of speed", "its mean speed, pixels per frame"),
        _fit("acceleration_r2", "R² of acceleration", "by how much it is faster in the second half"),
        _fit("scale_change_r2", "R² of the change of size", "the logarithm of its last over its first size"),
        _fit("rotation_r2", "R² of rotation", "how fast it turns, degrees per frame"),
    ),
    variants={
        "cells_": Variant("from single cells"),
        "twin_": Variant("untrained twin", reference=True),
        "pixels_": Variant("random projection", reference=True),
        "layout_": Variant("place and size", reference=True),
        "_backgrounds": Variant("new backgrounds"),
        "_textures": Variant("new textures"),
        "_speeds": Variant("new speeds"),
    },
    main=("direction_error", "speed_r2", "rotation_r2"),
    summary="motion variables: direction, speed, growth and rotation, read from the features by ridge (drawn videos)",
    question="How well can direction, speed, growth and rotation of an object be read from the features?",
    meaning="An error of direction well below 90 degrees, and an R² above 0 and above those of the controls, say that "
    "the variable lies in the features linearly; with new backgrounds, textures or speeds, whatever these are.",
    misleads="What is linear need not be used by anything, and what is not linear is not seen. Place and size, a "
    "random projection of the pixels and the untrained twin tell how much needs no learned features. Of one drawn "
    "object on a screen; the camera's motion counts as the object's.",
    several=True,
    figure="Predicted against true directions, and errors and R² of the features beside their controls.",
    settings=("layers",),
)  # fmt: skip
