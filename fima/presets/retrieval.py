"""How published code compares videos: which clips, which crops, what centering. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from fima.data.clip_protocol import ClipProtocol
from fima.errors import InputError
from fima.presets.loader import preset_names, read_preset

__all__ = ["CENTERS", "Center", "RetrievalPreset", "retrieval_preset"]

Center = Literal["none", "train", "each"]

CENTERS: tuple[Center, ...] = ("none", "train", "each")
"""What is subtracted: nothing; the training videos' mean from all; from either set its own mean."""

_INPUT = ("mean", "std")


@dataclass(frozen=True)
class RetrievalPreset:
    """A way to compare videos.

    Attributes:
        name: of the preset.
        source: the code that it is from.
        protocol: clips and crops of every video, of both sets.
        center: one of `CENTERS`.
        notes: what differs from the source.
        unit_clips: whether every clip's vector is scaled to length 1 before a video's clips are averaged.
        input: words of the input spec that the preset overrides.
    """

    name: str
    source: str
    protocol: ClipProtocol
    center: Center
    notes: tuple[str, ...] = ()
    unit_clips: bool = False
    input: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON stores them."""
        return asdict(self)


def retrieval_preset(name: str = "fima", *, clips: int | None = None, center: str | None = None) -> RetrievalPreset:
    """A preset of ``fima knn`` and ``fima retrieve`` with the user's changes.

    FAME, CoCLR and MSCL subtract from either set its own mean, scale to length 1 and take the dot product.

    Args:
        name: of the preset.
        clips: of a video, evenly spread; None: as the preset says.
        center: one of `CENTERS`; None: as the preset says.

    Raises:
        InputError: for an unknown name or value.
    """
    if name not in preset_names("retrieval"):
        raise InputError(f"--preset must be one of {', '.join(preset_names('retrieval'))}, got {name!r}")
    chosen = _read(name)
    if clips is not None:
        if clips < 1:
            raise InputError(f"--clips must be at least 1, got {clips}")
        chosen = replace(chosen, protocol=replace(chosen.protocol, clips=clips, placement="uniform"))
    if center is None:
        return chosen
    known = next((word for word in CENTERS if word == center), None)
    if known is None:
        raise InputError(f"--center must be one of {', '.join(CENTERS)}, got {center!r}")
    return replace(chosen, center=known)


def _read(name: str) -> RetrievalPreset:
    clips = {f"test.{item.name}": item.name for item in fields(ClipProtocol)}
    content = read_preset(name, "retrieval", {*clips, *(f"input.{word}" for word in _INPUT), "center", "unit_clips"})
    return RetrievalPreset(
        name,
        content["source"],
        ClipProtocol(**{word: content[key] for key, word in clips.items() if key in content}),
        content["center"],
        tuple(content["notes"]),
        content.get("unit_clips", False),
        {word: tuple(content[f"input.{word}"]) for word in _INPUT if f"input.{word}" in content},
    )
