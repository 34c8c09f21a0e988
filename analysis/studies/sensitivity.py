"""Motion sensitivity over clips of many videos: how far features go when motion or appearance is changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.inputs.clips import Clip, to_batch
from analysis.inputs.sessions import Progress, Session
from analysis.measures.order import CONDITIONS
from analysis.measures.sensitivity import ALTERATIONS, cosine_distance, replace_background, sensitivity_scores
from analysis.measures.temporal import pool_features
from analysis.studies.battery import battery_levels, battery_scores
from analysis.studies.collecting import Collector, Measured
from analysis.studies.labeled import check_labeled, mean_over_clips, with_default_data
from analysis.studies.study import Study

__all__ = ["run"]

CHANCE = {"motion_share": 0.5}
"""A distance has none; what another video's is stands beside it instead."""
_MOMENTS = 6  # of the clip that the figure shows


def run(session: Session, progress: Progress | None = None) -> Study:
    """Cosine distance between the pooled features of clips and of their altered selves.

    Scores, per video: those of ``analysis.measures.sensitivity.sensitivity_scores``; and ``other_video``, the
    distance to the last clip of the video before, so that networks can be compared whose distances are all small or
    all large. The first video has none. Neighbors in a list may be of one class or scene: it tells the distance of
    another video, not of the most different one.

    With ``settings.battery``, also those of ``analysis.studies.battery.battery_scores``: what probes of the classes
    know of the order of frames, from the same features.

    The background is replaced, and the motion share told, where the object's mask is known in all frames of a clip.
    The new one comes from the video before, and rests, so that no other motion comes with it: its background alone
    where that is known, otherwise the middle frame of that clip with its object in it. A camera's motion stops.

    Args:
        session: Backbone and videos.
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_frames"]`` is uint8 ``(R, K, size, size, 3)``: K moments of one clip as the
        network sees it and of its alterations, by ``example_name``.
    """
    battery = session.settings.battery
    if battery:
        session = with_default_data(session)
        check_labeled(session, "--battery")
    measuring = _Measuring(session)
    collector = Collector(session, truth=session.has_truth)
    videos, rows = [], []
    for video, clips in collector.collect(measuring, progress):
        for _, (example, _) in clips:
            measuring.show(example)
        if battery:
            videos.append(video)
            rows.append({name: mean_over_clips([found[name] for _, (_, found) in clips]) for name in CONDITIONS})
    levels = dict(CHANCE)
    if battery:
        scores = battery_scores(session, videos, {name: np.stack([row[name] for row in rows]) for name in CONDITIONS})
        for place, video in enumerate(videos):
            collector.add(video, Measured({name: column[place] for name, column in scores.items()}))
        levels |= battery_levels(scores, [video.label or 0 for video in videos])
    return collector.study("sensitivity", measuring.example, levels=levels)


@dataclass(frozen=True)
class _Before:
    """The last clip of the latest complete video: features ``(C,)`` and a still background uint8 ``(3, H, W)``."""

    features: Tensor
    background: Tensor


class _Measuring:
    """A batch of clips → scores, with what is carried from batch to batch: the video before, and the shown clip."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._before: _Before | None = None
        self._offered = (-1, 0)  # video, and the most alterations of a clip of it so far
        self.example: dict[str, np.ndarray] = {}

    def show(self, example: dict[str, np.ndarray] | None) -> None:
        """Show a clip of a complete video: the first, until one comes that has more alterations."""
        if example is not None and len(example["example_name"]) > self._num_shown:
            self.example = example

    @property
    def _num_shown(self) -> int:
        return len(self.example.get("example_name", ()))

    def __call__(self, batch: list[Clip]) -> list[Measured]:
        seed = self._session.settings.seed
        clip = to_batch(batch, self._session.extractor.device)
        strips = {"original": _moments(clip)}
        features = self._features(clip)
        altered = {}
        for name, alter in ALTERATIONS.items():
            changed = alter(clip, seed)
            strips[name], altered[name] = _moments(changed), self._features(changed)
        before = self._befores(batch, features)
        replaced = [i for i, last in enumerate(before) if last is not None and _whole_mask(batch[i]) is not None]
        if replaced:
            changed = _with_backgrounds(clip[replaced], [batch[i] for i in replaced], [before[i] for i in replaced])
            altered["background_replaced"] = _spread(self._features(changed), replaced, features)
            strips["background_replaced"] = _spread(_moments(changed), replaced, strips["original"])
        scores = sensitivity_scores(features, altered)
        orders = {"ordered": features, **{name: altered[name] for name in CONDITIONS[1:]}}
        if any(before):
            others = torch.stack([torch.full_like(features[0], torch.nan) if b is None else b.features for b in before])
            scores["other_video"] = cosine_distance(features, others)
        return [
            Measured(
                {name: column[i] for name, column in scores.items()},
                kept=(
                    self._example(clip, {n: s[i] for n, s in strips.items() if not s[i].isnan().any()}),
                    {name: found[i].float().numpy() for name, found in orders.items()},
                ),
            )
            for i, clip in enumerate(batch)
        ]

    def _features(self, clip: Tensor) -> Tensor:
        """Pooled features ``(N, C)`` on the CPU."""
        with torch.no_grad():
            return pool_features(self._session.extractor.feature_map(clip)).cpu()

    def _befores(self, batch: list[Clip], features: Tensor) -> list[_Before | None]:
        """For every clip the latest video that came to its end: whatever the batches, and never a broken one."""
        before = []
        for i, clip in enumerate(batch):
            before.append(self._before)
            if clip.last:
                self._before = _Before(features[i], _background(clip))
        return before

    def _example(self, clip: Clip, strips: dict[str, Tensor]) -> dict[str, np.ndarray] | None:
        """What the figure shows of a clip, if that is more than of its video's earlier clips and of what is shown."""
        offered = self._offered[1] if self._offered[0] == clip.video_index else 0
        if len(strips) <= max(offered, self._num_shown):
            return None
        self._offered = (clip.video_index, len(strips))
        seconds = clip.seconds
        frames = torch.stack(list(strips.values())).mul(255).round().to(torch.uint8)  # (R, 3, K, H, W)
        return {
            "example_video_id": np.array(clip.video.video_id),
            "example_name": np.array(list(strips)),
            "example_frames": frames.permute(0, 2, 3, 4, 1).contiguous().numpy(),
            "example_seconds": seconds[_times(len(seconds))] - seconds[0],
        }


def _whole_mask(clip: Clip) -> Tensor | None:
    """Its mask, bool ``(T, H, W)``, where it is known everywhere and has an object at all."""
    truth = clip.truth
    return truth.mask if truth is not None and bool(truth.known.all()) and bool(truth.mask.any()) else None


def _background(clip: Clip) -> Tensor:
    """uint8 ``(3, H, W)``: a clip's background alone, where that is known; otherwise its middle frame."""
    if clip.truth is not None and clip.truth.background is not None:
        return clip.truth.background
    return clip.frames[len(clip.frames) // 2]


def _with_backgrounds(clip: Tensor, clips: list[Clip], before: list[_Before | None]) -> Tensor:
    masks = torch.stack([mask for one in clips if (mask := _whole_mask(one)) is not None])
    backgrounds = torch.stack([last.background for last in before if last is not None])
    still = backgrounds[:, :, None].to(clip.device, clip.dtype) / 255
    return replace_background(clip, masks.to(clip.device), still)


def _spread(values: Tensor, places: list[int], like: Tensor) -> Tensor:
    """``values`` at their places in a tensor of NaN."""
    spread = torch.full_like(like, torch.nan)
    spread[places] = values
    return spread


def _times(length: int) -> np.ndarray:
    return np.linspace(0, length - 1, min(_MOMENTS, length)).round().astype(int)


def _moments(clip: Tensor) -> Tensor:
    """Some frames ``(N, 3, K, H, W)`` on the CPU."""
    return clip[:, :, _times(clip.shape[2]).tolist()].cpu()
