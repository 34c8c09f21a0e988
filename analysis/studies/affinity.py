"""Spatial affinity of RGB and motion features over clips of many videos (FIMA paper, Figure 5a)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from analysis.affinity import affinity_chance, affinity_scores, spatial_affinity, spatial_affinity_slices
from analysis.clips import Clip, to_batch
from analysis.plotting.affinity import draw_affinity
from analysis.statistics import StreamingMean, VideoScores
from analysis.studies.base import Progress, Session, Study, examples, provenance, study_videos
from analysis.studies.display import display_clip, stack_examples
from fima.activation import class_agnostic_activation_map, foreground_mask
from fima.errors import InputError

__all__ = ["run"]


def run(session: Session, progress: Progress | None = None) -> Study:
    """Affinity matrices averaged over clips, then videos; four scores per video, for all and for foreground rows.

    Args:
        session: Backbone and videos.
        progress: Called after each video.

    Returns:
        The study; ``arrays["affinity_mean"]`` is ``(P, P)``, row = RGB position, column = motion position, both
        row-major over ``arrays["grid"]``.

    Raises:
        InputError: If the feature map has a single position; no affinity can be told from chance there.
    """
    scores, chance = VideoScores(), VideoScores()
    mean: StreamingMean | None = None
    shown: list[dict[str, Any]] = []
    wanted = examples(len(session.videos), session.settings.show)
    stream = session.stream()
    for video, clips in study_videos(session, stream, lambda batch: _measure(session, batch), progress):
        results = [result for _, result in clips]
        mean = mean or StreamingMean()
        mean.add(np.mean([result["affinity"] for result in results], axis=0))
        for result in results:
            scores.add(video.video_id, result["scores"])
            chance.add(video.video_id, result["chance"])
        if clips[0][0].video_index in wanted:
            shown.append(_example(session, *clips[0]))
    assert mean is not None  # study_videos raises where no video is left
    levels = {name: summary.mean for name, summary in chance.summaries().items()}
    arrays = {
        "affinity_mean": mean.mean,
        "grid": np.array(shown[0]["mask"].shape),
        **stack_examples(shown),
        "video_id": np.array(scores.video_ids),
        **{f"score_{name}": values for name, values in scores.per_video().items()},
        **{f"chance_{name}": np.array(level) for name, level in levels.items()},
    }
    return Study(
        measure="affinity",
        arrays=arrays,
        scores=scores.summaries(levels, seed=session.settings.seed),
        per_video={"video_id": np.array(scores.video_ids), **scores.per_video()},
        provenance=provenance(session, "affinity"),
        skipped=stream.skipped,
        draw=draw_affinity,
    )


def _measure(session: Session, batch: list[Clip]) -> list[dict[str, Any]]:
    features = session.extractor(to_batch(batch, session.extractor.device))
    grid = (features.rgb.shape[-2], features.rgb.shape[-1])
    if grid[0] * grid[1] < 2:
        raise InputError(
            f"size {session.spec.size}: affinity needs a feature map of at least 2 positions, "
            f"{session.loaded.arch} gives {grid[0]} x {grid[1]}; try a larger --size or an earlier --layer"
        )
    affinity = spatial_affinity(features.rgb, features.motion)
    slices = spatial_affinity_slices(features.rgb, features.motion)
    mask = foreground_mask(features.rgb, features.motion)
    values = _scores(affinity, mask, grid)
    levels = _chance(mask, grid)
    # The most active RGB position is the patch whose row a figure shows.
    patch = class_agnostic_activation_map(features.rgb, normalize="clip").mean(dim=1).flatten(1).argmax(dim=1)
    return [
        {
            "affinity": affinity[i].float().cpu().numpy(),
            "affinity_slices": slices[i].float().cpu().numpy(),
            "mask": mask[i].cpu().numpy(),
            "patch": int(patch[i]),
            "scores": {name: float(column[i]) for name, column in values.items()},
            "chance": {name: float(column[i]) for name, column in levels.items()},
        }
        for i in range(len(batch))
    ]


def _scores(affinity: torch.Tensor, mask: torch.Tensor, grid: tuple[int, int]) -> dict[str, torch.Tensor]:
    everywhere = affinity_scores(affinity, grid=grid)
    foreground = affinity_scores(affinity, mask, grid=grid)
    return everywhere | {f"{name}_foreground": column for name, column in foreground.items()}


def _chance(mask: torch.Tensor, grid: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Chance levels of every clip: the displacement of foreground rows depends on where they lie."""
    everywhere = affinity_chance(grid)
    columns = {name: torch.full((len(mask),), float(level)) for name, level in everywhere.items()}
    for name, level in affinity_chance(grid, mask).items():
        columns[f"{name}_foreground"] = torch.as_tensor(level, dtype=torch.float32).cpu().expand(len(mask))
    return columns


def _example(session: Session, clip: Clip, result: dict[str, Any]) -> dict[str, Any]:
    frames, motion = display_clip(session, clip)
    middle = len(frames) // 2
    return {
        "video_id": clip.video.video_id,
        "start_seconds": clip.start_seconds + middle * session.spec.frame_stride / clip.fps,
        "frame": frames[middle],
        "motion_frame": motion[middle],
        **{name: result[name] for name in ("affinity", "affinity_slices", "mask", "patch")},
    }
