"""From checkpoints and videos to clips of an explorer: every checkpoint sees the same clips, decoded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.inputs import sessions as inputs
from analysis.inputs.backbone.checkpoints import plan_columns
from analysis.inputs.backbone.features import Features
from analysis.inputs.video.clips import Clip, to_batch
from analysis.inputs.video.videos import VideoSource
from analysis.measures.affinity import spatial_affinity, spatial_affinity_slices
from analysis.pages.explorer.clip import ExplorerClip
from analysis.settings import DEFAULT_CKPT, Settings
from analysis.studies import Progress, Session
from analysis.studies.attention import attention_of_clip
from analysis.studies.common.collecting import Examples
from analysis.studies.common.display import display_clip
from fima.errors import InputError

__all__ = ["Explored", "clips_from_session", "explore_sessions", "open_sessions"]

_MOST_POSITIONS = 28 * 28
"""A page holds (T' + 1) · P² bytes of every clip and checkpoint: 5 MB at this many, with 8 slices."""


@dataclass(frozen=True)
class Explored:
    """Clips to explore, and the videos that could not be read.

    Attributes:
        clips: In the order of the videos.
        skipped: Video → why it was left out.
    """

    clips: list[ExplorerClip]
    skipped: dict[str, str]

    def arrays(self) -> dict[str, np.ndarray]:
        """All that is drawn, unrounded, of N clips and K checkpoints.

        Returns:
            ``clip`` (N,) and ``checkpoint`` (K,) names, ``grid`` (2,), ``seconds`` (N, T'), ``rgb`` (N, T', S, S, 3),
            ``motion`` (N, T', S, S), ``affinity`` (N, K, T', P, P) and ``affinity_mean`` (N, K, P, P); where any
            checkpoint has attention, ``attention`` (N, K, 1 + T', P, P), NaN of those without.
        """
        clips = self.clips
        return self._attention() | {
            "clip": np.array([clip.name for clip in clips]),
            "checkpoint": np.array(clips[0].checkpoints),
            "grid": np.array(clips[0].grid),
            "seconds": np.array([clip.frame_seconds for clip in clips], dtype=np.float64),
            "rgb": np.stack([clip.rgb for clip in clips]),
            "motion": np.stack([clip.motion for clip in clips]),
            "affinity": np.stack([np.stack(list(clip.affinity.values())) for clip in clips]),
            "affinity_mean": np.stack([np.stack(list(clip.mean.values())) for clip in clips]),
        }

    def _attention(self) -> dict[str, np.ndarray]:
        having = [rows for clip in self.clips for rows in clip.attention.values()]
        if not having:
            return {}
        none = np.full_like(having[0], np.nan)
        rows = [[clip.attention.get(name, none) for name in clip.checkpoints] for clip in self.clips]
        return {"attention": np.array(rows)}


def open_sessions(
    settings: Settings, checkpoints: Sequence[str] = (), names: Sequence[str] | None = None
) -> dict[str, Session]:
    """Name → session of each checkpoint, all with the same videos, whose decoded frames they share.

    Args:
        settings: Videos and clips; its ``ckpt`` is not used.
        checkpoints: Files, names of shipped backbones, folders of training runs, ``random`` or ``random:SEED`` (an
            untrained backbone of the others' architecture); by default ``DEFAULT_CKPT``.
        names: One for each, instead of those made from the paths.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    given = tuple(checkpoints) or (DEFAULT_CKPT,)
    sources = plan_columns(given, names, seed=settings.seed, trust=settings.trust_checkpoint)
    return inputs.open_sessions(settings, sources)


def clips_from_session(session: Session, *, name: str | None = None) -> list[ExplorerClip]:
    """Clips of one checkpoint; see ``explore_sessions``.

    Args:
        session: Backbone and videos.
        name: Of the checkpoint; by default as the settings name it.
    """
    return explore_sessions({name or session.settings.checkpoint: session}).clips


def explore_sessions(sessions: Mapping[str, Session], progress: Progress | None = None) -> Explored:
    """Frames and affinities of the clips of at most ``settings.show`` videos, evenly spaced in the list.

    Args:
        sessions: Checkpoint name → session, of the same videos (``open_sessions``, or one of ``open_session``).
        progress: Called with (videos done, videos in all).

    Raises:
        InputError: If feature maps differ in shape, have too many positions, or no video can be read.
        VideoError: For a given video (not of a data set) that breaks half-way.
    """
    first = next(iter(sessions.values()))
    chosen = Examples(len(first.videos), first.settings.show)
    total, done = min(len(first.videos), first.settings.show), 0
    clips: list[ExplorerClip] = []
    skipped = dict(first.missing)
    for index, video in enumerate(first.videos):
        if not chosen.may_take(index):
            continue
        found = _explore_video(sessions, video, skipped)
        if not found:
            continue
        clips += found
        chosen.take(index)
        done += 1
        if progress is not None:
            progress(done, total)
    if not clips:
        why = next(iter(skipped.values()), "the list is empty")
        raise InputError(f"{first.settings.data}: none of its videos can be used; the first: {why}")
    return Explored(clips, skipped)


def _explore_video(sessions: Mapping[str, Session], video: VideoSource, skipped: dict[str, str]) -> list[ExplorerClip]:
    """All clips of a video; none if it is broken, which is noted."""
    streams = {name: replace(session, videos=[video], missing={}).stream() for name, session in sessions.items()}
    clips = {name: list(stream) for name, stream in streams.items()}
    for stream in streams.values():
        skipped |= stream.skipped
    if any(stream.skipped for stream in streams.values()):
        return []
    together = zip(*clips.values(), strict=True)
    return [_explore_clip(sessions, dict(zip(sessions, same, strict=True))) for same in together]


def _explore_clip(sessions: Mapping[str, Session], clips: Mapping[str, Clip]) -> ExplorerClip:
    features = {
        name: session.compared(session.extractor(to_batch([clips[name]], session.extractor.device)))
        for name, session in sessions.items()
    }
    slices, *grid = _shape(sessions, features)
    session = next(iter(sessions.values()))
    clip = next(iter(clips.values()))
    frames, motion = display_clip(session, clip)
    seconds = clip.seconds
    length = len(frames)
    centers = [min(length - 1, int((i + 0.5) * length / slices)) for i in range(slices)]
    several = session.settings.clips > 1
    return ExplorerClip(
        name=f"{clip.video.video_id}, {seconds[0]:.2f} s" if several else clip.video.video_id,
        rgb=frames[centers],
        motion=motion[centers],
        affinity={name: _numbers(spatial_affinity_slices(f.rgb, f.motion)) for name, f in features.items()},
        mean={name: _numbers(spatial_affinity(f.rgb, f.motion)) for name, f in features.items()},
        grid=(grid[0], grid[1]),
        frame_seconds=seconds[centers].tolist(),
        attention=_attention(sessions, clips, slices, grid[0] * grid[1]),
    )


def _attention(
    sessions: Mapping[str, Session], clips: Mapping[str, Clip], slices: int, places: int
) -> dict[str, np.ndarray]:
    """Attention of the checkpoints that have one on the grid of their features."""
    rows = {
        name: attention_of_clip(session, to_batch([clips[name]], session.extractor.device), slices * places)
        for name, session in sessions.items()
    }
    return {name: of for name, of in rows.items() if of is not None and of.shape == (1 + slices, places, places)}


def _numbers(affinity: Any) -> np.ndarray:
    array: np.ndarray = affinity[0].float().cpu().numpy()
    return array


def _shape(sessions: Mapping[str, Session], features: Mapping[str, Features]) -> tuple[int, int, int]:
    """``(T', H', W')``, the same for all."""
    shapes = {name: tuple(f.rgb.shape[-3:]) for name, f in features.items()}
    _check_alike("feature maps", {name: " x ".join(map(str, shape)) for name, shape in shapes.items()})
    slices, rows, columns = next(iter(shapes.values()))
    if rows * columns > _MOST_POSITIONS:
        size = next(iter(sessions.values())).spec.size
        raise InputError(
            f"size {size}: an explorer shows at most {_MOST_POSITIONS} positions, the features have "
            f"{rows} x {columns}; try a smaller --size or a later --layer"
        )
    return slices, rows, columns


def _check_alike(what: str, of: Mapping[str, str]) -> None:
    if len(set(of.values())) > 1:
        listed = "; ".join(f"{name}: {value}" for name, value in of.items())
        flags = "--num-frames and --frame-stride" if what == "clips" else "--num-frames, --size or --layer"
        raise InputError(f"the checkpoints have different {what} ({listed}); give {flags} to use one for all")
