"""What a reader must know of a study: repeated, still, copied or damaged videos, and where it comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

__all__ = ["data_notes", "in_words"]

_NOT_LOADED = ("missing", "unexpected", "shape_mismatch", "ignored", "not_finite")


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


def in_words(given: Mapping[str, Any]) -> str:
    """Where a result comes from, for those who read it: at most ten lines.

    Args:
        given: Provenance of a study; of files of earlier versions some may be missing.
    """
    checkpoint, inputs, spec = given["checkpoint"], given["inputs"], given["input"]
    report, videos = checkpoint["load_report"], inputs["data"] or ", ".join(map(str, (inputs["video"] or [])[:3]))
    left = [f"{len(report[name])} {name.replace('_', ' ')}" for name in _NOT_LOADED if report.get(name)]
    lines = {
        "checkpoint": checkpoint["path"] if checkpoint["trained"] else f"untrained, seed {given['seed']}",
        "SHA-256": checkpoint["sha256"],
        "architecture": f"{checkpoint['arch']}, read at {given['layer']}",
        "weights": f"{checkpoint['format']}, {len(report['loaded'])} tensors loaded"
        + (f"; {', '.join(left)}" if left else "; nothing missing, nothing unexpected"),
        "input": f"{spec['num_frames']} frames, stride {spec['frame_stride']}, {spec['size']} px; {given['crop']}",
        "videos": f"{videos}{' (' + inputs['split'] + ')' if inputs['split'] else ''}, {inputs['num_videos']} in all",
        "device, seed": f"{given['device']}, {given['seed']}",
        "versions": ", ".join(f"{name} {version}" for name, version in given["versions"].items()),
        "command": given["command"],
    }
    return "\n".join(f"{name + ':':14}{value}" for name, value in lines.items() if value)
