"""Class-agnostic activation maps over clips of many videos (FIMA paper, Figures 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, center_crop, to_batch
from analysis.measures.common.agreement import map_correlation, motion_energy
from analysis.studies.cam.whole import Windows, takes_whole_frames, whole_arrays
from analysis.studies.common.collecting import ByClip, Collector, Measured
from analysis.studies.common.display import display_clip, shown_film
from analysis.studies.common.study import Study
from fima.methods.activation import activation_boxes, channel_mean, class_agnostic_activation_map

__all__ = ["BY_CLIP", "run"]


def run(session: Session, progress: Progress | None = None) -> Study:
    """Activation maps of the shown clips, and how well the maps of every clip follow its motion.

    Scores, per video (ours, label-free; with masks there is localization):
    ``rgb_motion_correlation``, the Pearson correlation of the RGB and the motion map of a clip on the feature grid;
    ``motion_energy_correlation``, that of the RGB map with the size of the frame difference averaged to that grid.
    Their chance level is the same with the motion of three other videos: borders and a liking for the center alone
    correlate any two maps. One video has none.

    Args:
        session: Backbone and videos.
        progress: Called after each video; of whole videos after each batch of windows.

    Returns:
        The study; ``arrays["example_rgb_map"]`` and ``["example_motion_map"]`` are ``(K, T, size, size)`` in [0, 1].
        With ``settings.whole`` the clips are windows all along each video, of whole frames where the backbone takes
        them, and ``arrays["whole_<i>_<name>"]`` is what ``whole_arrays`` gives of the i-th shown video.
    """
    if session.settings.whole:
        return _run_whole(session, progress)
    collector = Collector(session, example=partial(_example, session), against=_agreement, of_motion=("",))
    collector.run(partial(_measure, session), progress)
    return collector.study("cam")


def _run_whole(session: Session, progress: Progress | None) -> Study:
    windows = Windows(session, progress)
    cell = session.extractor.info.spatial_stride if takes_whole_frames(session) else 0
    shown: list[str] = []
    arrays: dict[str, Any] = {}

    def example(clip: Clip, measured: Measured) -> dict[str, Any]:
        shown.append(clip.video.video_id)
        return _example(session, clip, measured)

    def measure(batch: list[Clip]) -> list[Measured]:
        measured = _measure(session, batch)
        windows.done(len(batch))
        return measured

    collector = Collector(session, example=example, against=_agreement, cell=cell, of_motion=("",))
    for video, clips in collector.collect(measure, place=windows):
        if video.video_id in shown:
            place = len(arrays.setdefault("whole_video_id", []))
            arrays["whole_video_id"].append(video.video_id)
            made = whole_arrays(session, video, clips, cell)
            arrays |= {f"whole_{place}_{name}": array for name, array in made.items()}
    arrays["whole_video_id"] = np.array(arrays.get("whole_video_id", []))
    source = {"whole": {"hop": windows.hop, "weight": "triangular"}}
    return collector.study("cam", arrays, source=source | ({"crop": "whole frame"} if cell else {}))


@dataclass(frozen=True)
class _Maps:
    """One clip on the feature grid: channel means ``(1, T', H', W')`` of its features, and its motion energy."""

    rgb: Tensor
    motion: Tensor
    energy: Tensor


def _measure(session: Session, batch: list[Clip]) -> list[Measured]:
    clip = to_batch(batch, session.extractor.device)
    features = session.extractor(clip)
    rgb, motion = (channel_mean(maps).float().cpu() for maps in (features.rgb, features.motion))
    size = (rgb.shape[2], rgb.shape[3], rgb.shape[4])
    energy = motion_energy(clip, size=size, boundary=session.settings.boundary).cpu()
    maps = [_Maps(rgb[i], motion[i], energy[i : i + 1]) for i in range(len(batch))]
    return [Measured(_agreement(m, m), kept=m) for m in maps]


def _agreement(maps: _Maps, other: _Maps) -> dict[str, float]:
    """Correlation of the RGB map of one clip with the motion of another, or of the same."""
    rgb, motion = (class_agnostic_activation_map(m[None]) for m in (maps.rgb, other.motion))
    motion, energy = (_like(m, rgb) for m in (motion, other.energy))
    return {
        "rgb_motion_correlation": float(map_correlation(rgb, motion)),
        "motion_energy_correlation": float(map_correlation(rgb, energy)),
    }


BY_CLIP = ByClip(_measure, _agreement)
"""At many layers."""


def _like(maps: Tensor, other: Tensor) -> Tensor:
    """Maps ``(1, T', H', W')`` on the grid of others: whole frames of another video may be wider."""
    if maps.shape == other.shape:
        return maps
    return torch.nn.functional.interpolate(maps[None], size=other.shape[1:], mode="trilinear")[0]


def _example(session: Session, clip: Clip, measured: Measured) -> dict[str, Any]:
    frames, motion = display_clip(session, clip)
    spec = session.spec
    example = shown_film(session, clip, frames) | {"motion_frames": motion}
    for name, mean in (("rgb", measured.kept.rgb), ("motion", measured.kept.motion)):
        cells = mean.shape[2:]
        size = [round(spec.size * side / min(cells)) for side in cells]  # of whole frames the square is shown
        activation = class_agnostic_activation_map(
            mean[None], size=(spec.num_frames, *size), normalize=session.settings.normalize
        )
        activation = center_crop(activation, spec.size)
        example[f"{name}_map"] = activation[0].numpy()
        example[f"{name}_box"] = activation_boxes(activation)[0].numpy()
    return example
