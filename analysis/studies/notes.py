"""What a reader must know of the videos of a study: repeated, still, copied or damaged ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

__all__ = ["data_notes"]


def data_notes(inputs: Mapping[str, Any], repeated: Sequence[str] = (), *, most: int = 3) -> list[str]:
    """What a reader must know of the videos of a study, a phrase each.

    Args:
        inputs: ``inputs`` of its provenance.
        repeated: Its videos that are shorter than a clip.
        most: Names to list in each phrase; 0 for none.
    """
    still, copies, concealed = (inputs.get(name) or () for name in ("still", "copies", "concealed_frames"))
    phrases = (
        ("shorter than a clip, repeated in time", repeated),
        ("nothing moves, so without scores of motion", still),
        ("copies of others, with which they count once", copies),
        ("damaged, with frames that the decoder made up", concealed),
    )
    return [f"{what}: {_counted(names, most)}" for what, names in phrases if names]


def _counted(names: Collection[str], most: int) -> str:
    listed = ", ".join(islice(names, most)) + (", …" if len(names) > most else "")
    return f"{len(names)} video{'' if len(names) == 1 else 's'}" + (f" ({listed})" if most else "")
