"""How published code compares videos: which clips, which crops, what centering. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from fima.data.clip_protocol import TestProtocol
from fima.errors import InputError

__all__ = ["CENTERS", "PRESETS", "Center", "Comparison", "comparison"]

Center = Literal["none", "train", "each"]

CENTERS: tuple[Center, ...] = ("none", "train", "each")
"""What is subtracted: nothing; the training videos' mean from all; from either set its own mean."""


@dataclass(frozen=True)
class Comparison:
    """A way to compare videos.

    Attributes:
        preset: its name.
        protocol: clips and crops of every video, of both sets.
        center: one of `CENTERS`.
        notes: what the preset says, and what differs from its source.
        unit_clips: whether every clip's vector is scaled to length 1 before a video's clips are averaged.
        input: words of the input spec that the preset overrides.
    """

    preset: str
    protocol: TestProtocol
    center: Center
    notes: tuple[str, ...] = ()
    unit_clips: bool = False
    input: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON stores them."""
        return asdict(self)


# Where no retrieval is published: the clips of the same code's classification test, and either set centered.
_UNPUBLISHED = "its code has no retrieval: clips are its classification test's, centering is FAME's, CoCLR's and MSCL's"

PRESETS: Mapping[str, Comparison] = {
    one.preset: one
    for one in (
        Comparison("fima", TestProtocol(10), "each", (_UNPUBLISHED,)),
        Comparison(
            "fame",
            TestProtocol(10),
            "each",
            ("its crop is 112 pixels of the stored frame, ours 0.875 of the short side",),
            unit_clips=True,  # its network ends in a normalization, so clips are scaled before they are averaged
            input={"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        ),
        Comparison("tclr", TestProtocol(9, crop_fraction=0.8), "none", ("its features keep time, ours are averaged",)),
        Comparison("coclr", TestProtocol(placement="half_overlap"), "each", ("its random colors are left out",)),
        Comparison(
            "mscl",
            TestProtocol(1),
            "each",
            ("its frames are spread over the whole video; ours are one clip from the middle",),
        ),
        Comparison("maclr", TestProtocol(10, crops=3, crop_fraction=None), "each", (_UNPUBLISHED,)),
        Comparison("severe", TestProtocol(10), "each", (_UNPUBLISHED,)),
    )
}
"""Presets of ``fima knn`` and ``fima retrieve``.

Source: Mark12Ding/FAME ``main_retrieve.py``, DAVEISHAN/TCLR ``nn_retrieval``, TengdaHan/CoCLR
``eval/main_classifier.py``, megvii-research/MSCL ``tools/test_retrival.py``. FAME, CoCLR and MSCL subtract from either
set its own mean, scale to length 1 and take the dot product.
"""


def comparison(name: str = "fima", *, clips: int | None = None, center: str | None = None) -> Comparison:
    """A preset with the user's changes.

    Args:
        name: a key of `PRESETS`.
        clips: of a video, evenly spread; None: as the preset says.
        center: one of `CENTERS`; None: as the preset says.

    Raises:
        InputError: for an unknown name or value.
    """
    if name not in PRESETS:
        raise InputError(f"--preset must be one of {', '.join(PRESETS)}, got {name!r}")
    chosen = PRESETS[name]
    if clips is not None:
        if clips < 1:
            raise InputError(f"--clips must be at least 1, got {clips}")
        chosen = replace(chosen, protocol=replace(chosen.protocol, clips=clips, placement="uniform"))
    if center is None:
        return chosen
    known = next((one for one in CENTERS if one == center), None)
    if known is None:
        raise InputError(f"--center must be one of {', '.join(CENTERS)}, got {center!r}")
    return replace(chosen, center=known)
