"""Class-agnostic activation maps over clips of many videos (FIMA paper, Figures 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from analysis.inputs.clips import Clip, to_batch
from analysis.inputs.sessions import Progress, Session
from analysis.measures.agreement import map_correlation, motion_energy
from analysis.studies.collecting import Collector, Measured
from analysis.studies.display import display_clip
from analysis.studies.study import Study
from fima.methods.activation import activation_boxes, class_agnostic_activation_map

__all__ = ["run"]


def run(session: Session, progress: Progress | None = None) -> Study:
    """Activation maps of the shown clips, and how well the maps of every clip follow its motion.

    Scores, per video (ours, label-free; with masks there is localization):
    ``rgb_motion_correlation``, the Pearson correlation of the RGB and the motion map of a clip on the feature grid;
    ``motion_energy_correlation``, that of the RGB map with the size of the frame difference averaged to that grid.
    Their chance level is the same with the motion of three other videos: borders and a liking for the center alone
    correlate any two maps. One video has none.

    Args:
        session: Backbone and videos.
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_rgb_map"]`` and ``["example_motion_map"]`` are ``(K, T, size, size)`` in [0, 1].
    """
    collector = Collector(session, example=partial(_example, session), against=_agreement)
    collector.run(partial(_measure, session), progress)
    return collector.study("cam")


@dataclass(frozen=True)
class _Maps:
    """One clip on the feature grid: channel means ``(1, T', H', W')`` of its features, and its motion energy."""

    rgb: Tensor
    motion: Tensor
    energy: Tensor


def _measure(session: Session, batch: list[Clip]) -> list[Measured]:
    clip = to_batch(batch, session.extractor.device)
    features = session.extractor(clip)
    rgb, motion = (maps.mean(dim=1, keepdim=True).float().cpu() for maps in (features.rgb, features.motion))
    size = (rgb.shape[2], rgb.shape[3], rgb.shape[4])
    energy = motion_energy(clip, size=size, boundary=session.settings.boundary).cpu()
    maps = [_Maps(rgb[i], motion[i], energy[i : i + 1]) for i in range(len(batch))]
    return [Measured(_agreement(m, m), kept=m) for m in maps]


def _agreement(maps: _Maps, other: _Maps) -> dict[str, float]:
    """Correlation of the RGB map of one clip with the motion of another, or of the same."""
    rgb, motion = (class_agnostic_activation_map(m[None]) for m in (maps.rgb, other.motion))
    return {
        "rgb_motion_correlation": float(map_correlation(rgb, motion)),
        "motion_energy_correlation": float(map_correlation(rgb, other.energy)),
    }


def _example(session: Session, clip: Clip, measured: Measured) -> dict[str, Any]:
    frames, motion = display_clip(session, clip)
    spec = session.spec
    example: dict[str, Any] = {
        "video_id": clip.video.video_id,
        "seconds": clip.seconds,
        "fps": clip.fps / spec.frame_stride,
        "frames": frames,
        "motion_frames": motion,
    }
    for name, mean in (("rgb", measured.kept.rgb), ("motion", measured.kept.motion)):
        activation = class_agnostic_activation_map(
            mean[None], size=(spec.num_frames, spec.size, spec.size), normalize=session.settings.normalize
        )
        example[f"{name}_map"] = activation[0].numpy()
        example[f"{name}_box"] = activation_boxes(activation)[0].numpy()
    return example
