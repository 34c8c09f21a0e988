"""Spatial affinity of RGB and motion features over clips of many videos (FIMA paper, Figure 5a)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from analysis.inputs.backbone.features import Features
from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, to_batch
from analysis.measures.affinity import affinity_chance, affinity_scores, spatial_affinity, spatial_affinity_slices
from analysis.measures.common.statistics import StreamingMean
from analysis.studies.common.collecting import ByClip, Collector, Examples, Measured
from analysis.studies.common.display import display_clip
from analysis.studies.common.study import Study
from fima.errors import InputError
from fima.methods.activation import class_agnostic_activation_map

__all__ = ["BY_CLIP", "run"]

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
    mean, grid = StreamingMean(), np.zeros(2, dtype=int)
    collector = Collector(session, example=partial(_example, session), moving=True)
    for _, clips in collector.collect(partial(_measure, session, collector.examples), progress):
        mean.add(np.mean([kept["affinity"] for _, kept in clips], axis=0))
        grid = np.array(clips[0][1]["mask"].shape)
    return collector.study("affinity", {"affinity_mean": mean.mean, "grid": grid})


def _measure(session: Session, shown: Examples, batch: list[Clip]) -> list[Measured]:
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
        Measured(
            scores={name: column[i] for name, column in values.items()},
            chance={name: column[i] for name, column in levels.items()},
            kept={
                "affinity": affinity[i].float().cpu().numpy(),
                "affinity_slices": _slices(compared, i) if shown.may_take(clip.video_index) else None,
                "mask": mask[i].cpu().numpy(),
                "patch": int(patch[i]),
            },
        )
        for i, clip in enumerate(batch)
    ]


BY_CLIP = ByClip(lambda session, batch: _measure(session, Examples(1, 0), batch))
"""At many layers."""


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


def _example(session: Session, clip: Clip, measured: Measured) -> dict[str, Any]:
    """A clip for the figure: its middle frame and motion, and the motion at the middle of every slice."""
    frames, motion = display_clip(session, clip)
    seconds, length = clip.seconds, len(frames)
    slices = len(measured.kept["affinity_slices"])
    centers = [min(length - 1, int((i + 0.5) * length / slices)) for i in range(slices)]
    return {
        "video_id": clip.video.video_id,
        "seconds": seconds[length // 2],
        "frame": frames[length // 2],
        "motion_frame": motion[length // 2],
        "slice_seconds": seconds[centers],
        "slice_motion_frame": motion[centers],
        **measured.kept,
    }
