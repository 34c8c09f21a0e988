"""Class-agnostic activation maps over clips of many videos (FIMA paper, Figures 3 and 4)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from analysis.agreement import map_correlation, motion_energy
from analysis.clips import Clip, to_batch
from analysis.plotting.cam import draw_cam
from analysis.render import overlay_movie, safe_name
from analysis.statistics import VideoScores
from analysis.studies.base import Progress, Session, Study, examples, provenance, study_videos
from analysis.studies.display import display_clip, stack_examples
from fima.activation import activation_boxes, class_agnostic_activation_map

__all__ = ["run"]

_CHANCE = {"rgb_motion_correlation": 0.0, "motion_energy_correlation": 0.0}


def run(session: Session, progress: Progress | None = None) -> Study:
    """Activation maps of the shown clips, and how well the maps of every clip follow its motion.

    Scores, per video (ours, label-free; with masks there is localisation):
    ``rgb_motion_correlation``, the Pearson correlation of the RGB and the motion map of a clip on the feature grid;
    ``motion_energy_correlation``, that of the RGB map with the size of the frame difference averaged to that grid.
    Both are 0 by chance.

    Args:
        session: Backbone and videos.
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_rgb_map"]`` and ``["example_motion_map"]`` are ``(K, T, size, size)`` in [0, 1].
    """
    scores = VideoScores()
    shown: list[dict[str, Any]] = []
    wanted = examples(len(session.videos), session.settings.show)
    stream = session.stream()
    for video, clips in study_videos(session, stream, lambda batch: _measure(session, batch, wanted), progress):
        for _, result in clips:
            scores.add(video.video_id, result["scores"])
        if clips[0][0].video_index in wanted:
            # With one video, each of its clips is shown; with more, the first of each.
            chosen = clips[: session.settings.show] if len(session.videos) == 1 else clips[:1]
            shown += [_example(session, clip, result) for clip, result in chosen]
    arrays = {
        **stack_examples(shown),
        "video_id": np.array(scores.video_ids),
        **{f"score_{name}": values for name, values in scores.per_video().items()},
    }
    study = Study(
        measure="cam",
        arrays=arrays,
        scores=scores.summaries(_CHANCE, seed=session.settings.seed),
        per_video={"video_id": np.array(scores.video_ids), **scores.per_video()},
        provenance=provenance(session, "cam"),
        skipped=stream.skipped,
        draw=draw_cam,
    )
    study.movies = _movies(study)
    return study


def _measure(session: Session, batch: list[Clip], wanted: set[int]) -> list[dict[str, Any]]:
    clip = to_batch(batch, session.extractor.device)
    features = session.extractor(clip)
    rgb = class_agnostic_activation_map(features.rgb)
    motion = class_agnostic_activation_map(features.motion)
    energy = motion_energy(clip, size=(rgb.shape[1], rgb.shape[2], rgb.shape[3]), boundary=session.settings.boundary)
    agreement = map_correlation(rgb, motion).tolist()
    following = map_correlation(rgb, energy).tolist()
    results: list[dict[str, Any]] = []
    for i, one in enumerate(batch):
        values = {"rgb_motion_correlation": agreement[i], "motion_energy_correlation": following[i]}
        result: dict[str, Any] = {"scores": values}
        if one.video_index in wanted:
            size = (clip.shape[2], clip.shape[3], clip.shape[4])
            for name, feature_map in (("rgb", features.rgb), ("motion", features.motion)):
                upsampled = class_agnostic_activation_map(feature_map[i : i + 1], size=size)
                result[f"{name}_map"] = upsampled[0].float().cpu().numpy()
                result[f"{name}_box"] = activation_boxes(upsampled)[0].cpu().numpy()
        results.append(result)
    return results


def _example(session: Session, clip: Clip, result: dict[str, Any]) -> dict[str, Any]:
    frames, motion = display_clip(session, clip)
    return {
        "video_id": clip.video.video_id,
        "seconds": clip.start_seconds + np.arange(len(frames)) * session.spec.frame_stride / clip.fps,
        "frames": frames,
        "motion_frames": motion,
        **{name: result[name] for name in ("rgb_map", "rgb_box", "motion_map", "motion_box")},
    }


def _movies(study: Study) -> dict[str, Any]:
    """One film for one clip, a folder of them for several."""
    count = len(study.arrays["example_video_id"])
    names = ["cam.mp4"] if count == 1 else [_movie_name(study, i) for i in range(count)]
    return {name: partial(_write_movie, study, i) for i, name in enumerate(names)}


def _movie_name(study: Study, i: int) -> str:
    return f"cam/{i + 1:02d}-{safe_name(str(study.arrays['example_video_id'][i]))}.mp4"


def _write_movie(study: Study, i: int, path: Path) -> None:
    example = {
        name: study.arrays[f"example_{name}"][i] for name in ("frames", "motion_frames", "rgb_map", "motion_map")
    }
    seconds = study.arrays["example_seconds"][i]
    overlay_movie(path, **example, fps=float(1 / (seconds[1] - seconds[0])))
