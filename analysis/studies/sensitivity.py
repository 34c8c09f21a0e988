"""Motion sensitivity over clips of many videos: how far features go when motion or appearance is changed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, to_batch
from analysis.inputs.video.partners import OtherVideos, partners_of
from analysis.inputs.video.videos import VideoSource
from analysis.measures.common.order import CONDITIONS
from analysis.measures.sensitivity import ALTERATIONS, cosine_distance, replace_background, sensitivity_scores
from analysis.measures.temporal import pool_features
from analysis.studies.battery import battery_levels, battery_scores
from analysis.studies.common.collecting import Collector, Measured
from analysis.studies.common.labeled import check_labeled, mean_over_clips, with_default_data
from analysis.studies.common.study import Study

__all__ = ["run"]

CHANCE = {"motion_share": 0.5}
"""A distance has none; what another video's is stands beside it instead."""
_MOMENTS = 6  # of the clip that the figure shows


def run(session: Session, progress: Progress | None = None) -> Study:
    """Cosine distance between the pooled features of clips and of their altered selves.

    Scores, per video: those of ``analysis.measures.sensitivity.sensitivity_scores``; and ``other_video``, the mean
    distance to three videos of other recordings and classes, so that networks can be compared whose distances are all
    small or all large. A single video has none.

    With ``settings.battery``, also those of ``analysis.studies.battery.battery_scores``: what probes of the classes
    know of the order of frames, from the same features.

    The background is replaced, and the motion share told, where the object's mask is known in all frames of a clip.
    The new one comes from one of those videos, and rests, so that no other motion comes with it: its background alone
    where that is known, otherwise the middle frame of its clip with its object in it. A camera's motion stops.

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
    pooled: dict[str, tuple[VideoSource, Tensor]] = {}
    for video, clips in collector.collect(measuring, progress):
        pooled[video.video_id] = video, torch.from_numpy(clips[0][1][1]["ordered"])
        for _, (example, _) in clips:
            measuring.show(example)
        if battery:
            videos.append(video)
            rows.append({name: mean_over_clips([found[name] for _, (_, found) in clips]) for name in CONDITIONS})
    levels = dict(CHANCE)
    if battery:
        scores = battery_scores(session, videos, {name: np.stack([row[name] for row in rows]) for name in CONDITIONS})
        collector.add_columns(videos, scores)
        levels |= battery_levels(scores, [video.label or 0 for video in videos])
    _compare_with_others(collector, pooled)
    return collector.study("sensitivity", measuring.example, levels=levels)


def _compare_with_others(collector: Collector, pooled: Mapping[str, tuple[VideoSource, Tensor]]) -> None:
    """The distance of every video's first clip from those of its partners."""
    partners = partners_of([video for video, _ in pooled.values()], collector.session.settings.seed)
    for name, others in partners.items():
        video, features = pooled[name]
        for other in others:
            distance = cosine_distance(features[None], pooled[other.video_id][1][None])
            collector.add(video, Measured({"other_video": distance}))


class _Measuring:
    """A batch of clips → scores, with what is carried from batch to batch: the shown clip."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._others = OtherVideos(session)
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
        found = {i: self._others.background(one.video) for i, one in enumerate(batch) if _whole_mask(one) is not None}
        backgrounds = {i: background for i, background in found.items() if background is not None}
        replaced = list(backgrounds)
        if replaced:
            changed = _with_backgrounds(clip[replaced], [batch[i] for i in replaced], list(backgrounds.values()))
            altered["background_replaced"] = _spread(self._features(changed), replaced, features)
            strips["background_replaced"] = _spread(_moments(changed), replaced, strips["original"])
        scores = sensitivity_scores(features, altered)
        orders = {"ordered": features, **{name: altered[name] for name in CONDITIONS[1:]}}
        return [
            Measured(
                {name: column[i] for name, column in scores.items()},
                kept=(
                    self._example(clip, {n: s[i] for n, s in strips.items() if not s[i].isnan().any()}),
                    {name: pooled[i].float().numpy() for name, pooled in orders.items()},
                ),
            )
            for i, clip in enumerate(batch)
        ]

    def _features(self, clip: Tensor) -> Tensor:
        """Pooled features ``(N, C)`` on the CPU."""
        with torch.no_grad():
            return pool_features(self._session.extractor.feature_map(clip)).cpu()

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


def _with_backgrounds(clip: Tensor, clips: list[Clip], backgrounds: list[Tensor]) -> Tensor:
    masks = torch.stack([mask for one in clips if (mask := _whole_mask(one)) is not None])
    still = torch.stack(backgrounds)[:, :, None].to(clip.device, clip.dtype) / 255
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
