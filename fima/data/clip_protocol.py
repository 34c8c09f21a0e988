"""How a video is looked at in a test: which clips, which crops. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from fima.errors import InputError

__all__ = ["CROPS", "INPUTS", "MIDDLE_CLIP", "MOST_CLIPS", "ClipProtocol"]

MOST_CLIPS = 10_000
"""Of one video."""
CROPS = (1, 3, 10)
"""Crops of a frame that there are."""


INPUTS = ("rgb", "static", "motion", "shuffled")
"""What of a clip a backbone is shown: the clip; its middle frame, repeated; its frame difference
(`fima.transforms.motion`); its frames in another order, the same for all clips of a length."""


@dataclass(frozen=True)
class ClipProtocol:
    """Clips and crops of every test video.

    Attributes:
        clips: of a video, spread evenly (`fima.data.sampling.uniform_clip_starts`); not used with ``half_overlap``.
        crops: 1: the center. 3: left or top, center, right or bottom along the longer side. 10: four corners and the
            center, then the same five mirrored.
        placement: ``uniform``, or ``half_overlap``: clips from the first frame on, each half over the one before it,
            as many as fit into the video.
        crop_fraction: side of a crop as a share of the frame's short side, in (0, 1], then scaled to the input size;
            None: the whole short side.
        average: what is averaged over clips and crops where there is a classifier.

    Raises:
        InputError: if a value is out of its range.

    Source: fractions and averages: FIMA ``eval.py`` (0.875 of 256 pixels, 10 clips); three crops: PySlowFast; half
        overlap and ten crops: CoCLR ``eval/main_classifier.py``. The share of the short side, whatever its size, is
        ours (spec fima.md, section 6).
    """

    clips: int = 10
    crops: int = 1
    placement: Literal["uniform", "half_overlap"] = "uniform"
    crop_fraction: float | None = 0.875
    average: Literal["softmax", "log_softmax", "logits"] = "softmax"

    def __post_init__(self) -> None:
        if not 1 <= self.clips <= MOST_CLIPS:
            raise InputError(f"clips must be at least 1 and at most {MOST_CLIPS}, got {self.clips}")
        if self.crops not in CROPS:
            raise InputError(f"crops must be one of {', '.join(map(str, CROPS))}, got {self.crops}")
        if self.placement not in ("uniform", "half_overlap"):
            raise InputError(f"placement must be uniform or half_overlap, got {self.placement!r}")
        if self.crop_fraction is not None and not 0 < self.crop_fraction <= 1:
            raise InputError(f"crop_fraction must be in (0, 1], got {self.crop_fraction}")
        if self.average not in ("softmax", "log_softmax", "logits"):
            raise InputError(f"average must be softmax, log_softmax or logits, got {self.average!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON stores them."""
        return asdict(self)


MIDDLE_CLIP = ClipProtocol(1, crop_fraction=None)
"""One clip from the middle of the video, the whole short side of its frames."""
