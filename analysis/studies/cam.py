"""Class-agnostic activation maps over clips of many videos (FIMA paper, Figures 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from analysis.inputs.clips import Clip, to_batch
from analysis.measures.agreement import map_correlation, motion_energy
from analysis.measures.statistics import VideoScores
from analysis.plotting.cam import draw_cam
from analysis.plotting.films import overlay_film, safe_name
from analysis.studies.base import Examples, Progress, Session, Study, provenance, score_arrays, study_videos
from analysis.studies.display import display_clip, stack_examples
from fima.methods.activation import activation_boxes, class_agnostic_activation_map

__all__ = ["run"]


def run(session: Session, progress: Progress | None = None) -> Study:
    """Activation maps of the shown clips, and how well the maps of every clip follow its motion.

    Scores, per video (ours, label-free; with masks there is localization):
    ``rgb_motion_correlation``, the Pearson correlation of the RGB and the motion map of a clip on the feature grid;
    ``motion_energy_correlation``, that of the RGB map with the size of the frame difference averaged to that grid.
    Their chance level is the same with the motion of the video before: borders and a liking for the center alone
    correlate any two maps. One video has none.

    Args:
        session: Backbone and videos.
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_rgb_map"]`` and ``["example_motion_map"]`` are ``(K, T, size, size)`` in [0, 1].
    """
    scores, chance = VideoScores(), VideoScores()
    shown: list[dict[str, Any]] = []
    repeated: list[str] = []
    before: _Maps | None = None
    chosen = Examples(len(session.videos), session.settings.show)
    stream = session.stream()
    for video, clips in study_videos(session, stream, lambda batch: _measure(session, batch), progress):
        for _, maps in clips:
            scores.add(video.video_id, _agreement(maps, maps))
            if before is not None:
                chance.add(video.video_id, _agreement(maps, before))
        before = clips[-1][1]
        if clips[0][0].repeated(session.spec):
            repeated.append(video.video_id)
        if chosen.take(clips[0][0].video_index):
            # With one video, several of its clips are shown; with more, the first of each.
            several = clips[: session.settings.show] if len(session.videos) == 1 else clips[:1]
            shown += [_example(session, clip, maps) for clip, maps in several]
    levels = {name: summary.mean for name, summary in chance.summaries().items()}
    summaries = scores.summaries(levels, seed=session.settings.seed)
    per_video = {"video_id": np.array(scores.video_ids), **scores.per_video()}
    study = Study(
        measure="cam",
        arrays={**stack_examples(shown), **score_arrays(per_video, summaries)},
        scores=summaries,
        per_video=per_video,
        provenance=provenance(session, "cam"),
        skipped=stream.skipped,
        repeated=repeated,
        draw=draw_cam,
    )
    study.films = _films(study)
    return study


@dataclass(frozen=True)
class _Maps:
    """One clip on the feature grid: channel means ``(1, T', H', W')`` of its features, and its motion energy."""

    rgb: Tensor
    motion: Tensor
    energy: Tensor


def _measure(session: Session, batch: list[Clip]) -> list[_Maps]:
    clip = to_batch(batch, session.extractor.device)
    features = session.extractor(clip)
    rgb, motion = (maps.mean(dim=1, keepdim=True).float().cpu() for maps in (features.rgb, features.motion))
    size = (rgb.shape[2], rgb.shape[3], rgb.shape[4])
    energy = motion_energy(clip, size=size, boundary=session.settings.boundary).cpu()
    return [_Maps(rgb[i], motion[i], energy[i : i + 1]) for i in range(len(batch))]


def _agreement(maps: _Maps, other: _Maps) -> dict[str, float]:
    """Correlation of the RGB map of one clip with the motion of another, or of the same."""
    rgb, motion = (class_agnostic_activation_map(m[None]) for m in (maps.rgb, other.motion))
    return {
        "rgb_motion_correlation": float(map_correlation(rgb, motion)),
        "motion_energy_correlation": float(map_correlation(rgb, other.energy)),
    }


def _example(session: Session, clip: Clip, maps: _Maps) -> dict[str, Any]:
    frames, motion = display_clip(session, clip)
    spec = session.spec
    example: dict[str, Any] = {
        "video_id": clip.video.video_id,
        "seconds": clip.seconds,
        "fps": clip.fps / spec.frame_stride,
        "frames": frames,
        "motion_frames": motion,
    }
    for name, mean in (("rgb", maps.rgb), ("motion", maps.motion)):
        activation = class_agnostic_activation_map(
            mean[None], size=(spec.num_frames, spec.size, spec.size), normalize=session.settings.normalize
        )
        example[f"{name}_map"] = activation[0].numpy()
        example[f"{name}_box"] = activation_boxes(activation)[0].numpy()
    return example


def _films(study: Study) -> dict[str, Any]:
    """One film for one clip, a folder of them for several."""
    count = len(study.arrays["example_video_id"])
    names = ["cam.mp4"] if count == 1 else [_film_name(study, i) for i in range(count)]
    return {name: partial(_write_film, study, i) for i, name in enumerate(names)}


def _film_name(study: Study, i: int) -> str:
    return f"cam/{i + 1:02d}-{safe_name(str(study.arrays['example_video_id'][i]))}.mp4"


def _write_film(study: Study, i: int, path: Path) -> None:
    example = {
        name: study.arrays[f"example_{name}"][i] for name in ("frames", "motion_frames", "rgb_map", "motion_map")
    }
    fps = float(study.arrays["example_fps"][i])
    overlay_film(path, **example, fps=fps)
