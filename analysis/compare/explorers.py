"""The affinity explorer of a comparison, from what its studies saved."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from markupsafe import Markup

from analysis.pages.explorer import ExplorerClip, explorer_fragment
from analysis.pages.words import listed
from analysis.studies import Study
from fima.errors import InputError

__all__ = ["explorer_clips", "explorers"]


def explorers(
    studies: Mapping[str, Study], cam: Mapping[str, Study], attention: Mapping[str, Study], notes: list[str]
) -> list[Markup]:
    """One explorer for the checkpoints of each grid: usually one.

    Args:
        studies: Label → affinity study.
        cam: See ``explorer_clips``.
        attention: Likewise.
        notes: Gets a line for every explorer that cannot be made.
    """
    groups: dict[tuple[int, ...], dict[str, Study]] = {}
    for label, study in studies.items():
        slices = study.arrays["example_affinity_slices"].shape[1]
        groups.setdefault((slices, *study.arrays["grid"].tolist()), {})[label] = study
    made = []
    for (_, rows, columns), group in groups.items():
        title = f"{listed(list(group), 4)}: {rows} × {columns} patches" if len(groups) > 1 else None
        try:
            fragment = explorer_fragment(explorer_clips(group, cam, attention), title=title, alone=False)
            made.append(Markup(fragment))  # escaped by its template
        except InputError as error:
            notes.append(f"The explorer of {', '.join(group)} is left out: {error}")
    return made


def explorer_clips(
    studies: Mapping[str, Study], cam: Mapping[str, Study], attention: Mapping[str, Study] = MappingProxyType({})
) -> list[ExplorerClip]:
    """What the explorer shows: the clips that all of some affinity studies show.

    Args:
        studies: Label → affinity study, of one grid.
        cam: Label → activation maps of the same clips, for their frames; without them every slice shows the clip's
            middle frame.
        attention: Label → attention study of the same clips, of those that have one.
    """
    first_label, first = next(iter(studies.items()))
    at = {label: {str(v): i for i, v in enumerate(s.arrays["example_video_id"])} for label, s in studies.items()}
    height, width = (int(cells) for cells in first.arrays["grid"])
    clips = []
    for video, i in at[first_label].items():
        if not all(video in of for of in at.values()):
            continue
        clips.append(
            ExplorerClip(
                name=video,
                rgb=_slice_frames(first, i, cam.get(first_label)),
                motion=first.arrays["example_slice_motion_frame"][i],
                affinity={label: s.arrays["example_affinity_slices"][at[label][video]] for label, s in studies.items()},
                mean={label: s.arrays["example_affinity"][at[label][video]] for label, s in studies.items()},
                grid=(height, width),
                frame_seconds=first.arrays["example_slice_seconds"][i].tolist(),
                attention=_attention(studies, attention, video),
            )
        )
    return clips


def _attention(studies: Mapping[str, Study], attention: Mapping[str, Study], video: str) -> dict[str, np.ndarray]:
    """What each place of a video's clip looks at, of checkpoints whose attention is on the grid of their features."""
    found = {}
    for label in studies:
        arrays = attention[label].arrays if label in attention else {}
        at = np.flatnonzero(arrays.get("example_video_id", np.array([])) == video)
        if at.size and "example_rows" in arrays:
            found[label] = arrays["example_rows"][at[0]]
    slices, *_, cells = next(iter(studies.values())).arrays["example_affinity_slices"].shape[1:]
    return {label: rows for label, rows in found.items() if rows.shape == (1 + slices, cells, cells)}


def _slice_frames(study: Study, i: int, cam: Study | None) -> np.ndarray:
    """A frame for every slice ``(T', S, S, 3)``."""
    slices = study.arrays["example_affinity_slices"].shape[1]
    video = study.arrays["example_video_id"][i]
    if cam is None or video not in cam.arrays["example_video_id"]:
        repeated: np.ndarray = np.repeat(study.arrays["example_frame"][i][None], slices, axis=0)
        return repeated
    frames = cam.arrays["example_frames"][np.flatnonzero(cam.arrays["example_video_id"] == video)[0]]
    centers = [min(len(frames) - 1, int((s + 0.5) * len(frames) / slices)) for s in range(slices)]
    chosen: np.ndarray = frames[centers]
    return chosen
