"""Spatial affinity of RGB and motion features over clips of many videos (FIMA paper, Figure 5a)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from analysis.inputs.clips import Clip, to_batch
from analysis.inputs.features import Features
from analysis.measures.affinity import affinity_chance, affinity_scores, spatial_affinity, spatial_affinity_slices
from analysis.measures.statistics import StreamingMean, VideoScores
from analysis.plotting.affinity import draw_affinity
from analysis.studies.base import Examples, Progress, Session, Study, provenance, score_arrays, study_videos
from analysis.studies.display import display_clip, stack_examples
from fima.errors import InputError
from fima.methods.activation import class_agnostic_activation_map

__all__ = ["run"]

_MOST_POSITIONS = 56 * 56
"""A matrix of this many rows and columns takes 80 MB; finer grids are for other measures."""


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
    mean = StreamingMean()
    shown: list[dict[str, Any]] = []
    repeated: list[str] = []
    chosen = Examples(len(session.videos), session.settings.show)
    stream = session.stream()
    for video, clips in study_videos(session, stream, lambda batch: _measure(session, batch, chosen), progress):
        mean.add(np.mean([result["affinity"] for _, result in clips], axis=0))
        for _, result in clips:
            scores.add(video.video_id, result["scores"])
            chance.add(video.video_id, result["chance"])
        if clips[0][0].repeated(session.spec):
            repeated.append(video.video_id)
        if chosen.take(clips[0][0].video_index):
            shown.append(_example(session, *clips[0]))
    levels = {name: summary.mean for name, summary in chance.summaries().items()}
    summaries = scores.summaries(levels, seed=session.settings.seed)
    per_video = {"video_id": np.array(scores.video_ids), **scores.per_video()}
    return Study(
        measure="affinity",
        arrays={
            "affinity_mean": mean.mean,
            "grid": np.array(shown[0]["mask"].shape),
            **stack_examples(shown),
            **score_arrays(per_video, summaries),
        },
        scores=summaries,
        per_video=per_video,
        provenance=provenance(session, "affinity"),
        skipped=stream.skipped,
        repeated=repeated,
        draw=draw_affinity,
    )


def _measure(session: Session, batch: list[Clip], chosen: Examples) -> list[dict[str, Any]]:
    features = session.extractor(to_batch(batch, session.extractor.device))
    grid = (features.rgb.shape[-2], features.rgb.shape[-1])
    _check_grid(session, grid)
    compared, mask = session.compared(features), features.foreground()
    affinity = spatial_affinity(compared.rgb, compared.motion)
    values = _scores(affinity, mask, grid)
    levels = _chance(mask, grid)
    # The most active RGB position is the patch whose row a figure shows.
    patch = class_agnostic_activation_map(features.rgb, normalize="clip").mean(dim=1).flatten(1).argmax(dim=1)
    return [
        {
            "affinity": affinity[i].float().cpu().numpy(),
            "affinity_slices": _slices(compared, i) if chosen.may_take(clip.video_index) else None,
            "mask": mask[i].cpu().numpy(),
            "patch": int(patch[i]),
            "scores": {name: float(column[i]) for name, column in values.items()},
            "chance": {name: float(column[i]) for name, column in levels.items()},
        }
        for i, clip in enumerate(batch)
    ]


def _slices(features: Features, i: int) -> np.ndarray:
    """``(T', P, P)`` of one clip; only those that a figure shows are computed."""
    return spatial_affinity_slices(features.rgb[i : i + 1], features.motion[i : i + 1])[0].float().cpu().numpy()


def _check_grid(session: Session, grid: tuple[int, int]) -> None:
    positions = grid[0] * grid[1]
    where = f"{session.loaded.arch} gives {grid[0]} x {grid[1]} at {session.settings.layer or 'its output'}"
    if positions < 2:
        raise InputError(
            f"size {session.spec.size}: affinity needs at least 2 positions, {where}; "
            "try a larger --size or an earlier --layer"
        )
    if positions > _MOST_POSITIONS:
        raise InputError(
            f"size {session.spec.size}: affinity compares at most {_MOST_POSITIONS} positions, {where}; "
            "try a smaller --size or a later --layer"
        )


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
    """A clip for the figure: its middle frame and motion, and the motion at the middle of every slice."""
    frames, motion = display_clip(session, clip)
    seconds, length = clip.seconds, len(frames)
    slices = len(result["affinity_slices"])
    centers = [min(length - 1, int((i + 0.5) * length / slices)) for i in range(slices)]
    return {
        "video_id": clip.video.video_id,
        "seconds": seconds[length // 2],
        "frame": frames[length // 2],
        "motion_frame": motion[length // 2],
        "slice_seconds": seconds[centers],
        "slice_motion_frame": motion[centers],
        **{name: result[name] for name in ("affinity", "affinity_slices", "mask", "patch")},
    }
