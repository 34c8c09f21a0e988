"""Attribution over clips of many videos: which pixels, when, move the pooled feature towards a target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.inputs.clips import Clip, ClipStream
from analysis.inputs.videos import VideoSource
from analysis.measures.attribution import Target
from analysis.measures.sanity import layers_from_top, stage_counts
from analysis.measures.statistics import VideoScores
from analysis.plotting.attribution import draw_attribution
from analysis.settings import ATTRIBUTION_TARGETS
from analysis.studies.attribution.clips import Measuring, Setting, example_of, follows_motion
from analysis.studies.attribution.explained import choose_explained
from analysis.studies.base import Examples, Progress, Session, Study, provenance, score_arrays, study_videos
from analysis.studies.display import stack_examples
from fima.errors import InputError

__all__ = ["TARGETS", "run"]

TARGETS = ATTRIBUTION_TARGETS


def run(
    session: Session,
    progress: Progress | None = None,
    *,
    target: Target | None = None,
    stages: int = 6,
) -> Study:
    """Attribution maps of clips: whether they follow the motion, lie on the object, and depend on the weights.

    Scores, per video (ours):

    - ``time_correlation``, ``motion_correlation``: ``analysis.measures.attribution.motion_scores``, on the grid of the
      features; chance: the same with the motion of the video before. One video has none.
    - ``convergence_delta``: ``Attribution.convergence_delta``; not for Grad-CAM and occlusion.
    - ``sanity_correlation``: rank correlation with the map of the same backbone with all weights randomized; chance 0.
      Integrated gradients stay above it, as each is a product with clip − baseline; ``input_correlation``, that of the
      map with the size of clip − baseline alone, says what a map without any network comes to.
    - ``energy``, ``auroc``: localization of the absolute map, where the object's mask is known.

    Args:
        session: Backbone and videos; its settings say method, target, baseline and steps.
        progress: Called after each video.
        target: A function of pooled features, such as ``analysis.measures.attribution.logit_target``, instead of the
            settings' target. Randomized backbones get the reference that they give themselves; a function or a
            classifier is kept, and so is the class.
        stages: Points of the sanity check's curve, for the shown clips.

    Returns:
        The study; ``arrays["example_map"]`` is ``(K, T, size, size)``, signed.

    Raises:
        InputError: For a setting that cannot be used (a logit needs a checkpoint with a classifier), or when no clip
            has a video before it that ``other`` needs.
    """
    setting = _setting(session, target, stages)
    stream = session.stream(truth=session.has_truth)
    found = _Found(setting, Examples(len(session.videos), session.settings.show))
    for video, clips in study_videos(session, stream, Measuring(setting), progress):
        found.add(video, [(clip, result) for clip, result in clips if result is not None])
    if not found.shown:
        raise InputError("target other: compares with the video before; give at least two videos that can be read")
    return _study(setting, found, stream)


def _setting(session: Session, target: Target | None, stages: int) -> Setting:
    if not stages >= 1:
        raise InputError(f"stages must be at least 1, got {stages}")
    asked = target or session.settings.target
    layers = layers_from_top(session.extractor)
    explained = choose_explained(session, asked)
    return Setting(session, explained, asked == "other", layers, stage_counts(len(layers), stages))


@dataclass
class _Found:
    """What is kept of the videos, in the order in which they come."""

    setting: Setting
    chosen: Examples
    scores: VideoScores = field(default_factory=VideoScores)
    chance: VideoScores = field(default_factory=VideoScores)
    classes: dict[str, list[str]] = field(default_factory=dict)
    shown: list[dict[str, Any]] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    last: dict[str, Any] | None = None

    def add(self, video: VideoSource, results: list[tuple[Clip, dict[str, Any]]]) -> None:
        """The clips of a video that could be measured."""
        if not results:
            self.without.append(video.video_id)
            return
        for _, result in results:
            self.scores.add(video.video_id, result["scores"])
            self.chance.add(video.video_id, result["chance"] | self._chance_to_follow(result))
        self.classes[video.video_id] = sorted({name for _, result in results for name in result["classes"]})
        clip, result = results[0]
        self.last = results[-1][1]
        if clip.repeated(self.setting.session.spec):
            self.repeated.append(video.video_id)
        if self.chosen.take(clip.video_index):
            self.shown.append(example_of(self.setting, clip, result))

    def _chance_to_follow(self, result: dict[str, Any]) -> dict[str, float]:
        """How well a map follows the motion of the video before."""
        return {} if self.last is None else follows_motion(result["map"], self.last["energy"], result["grid"])


def _study(setting: Setting, found: _Found, stream: ClipStream) -> Study:
    session, settings = setting.session, setting.session.settings
    levels = {name: summary.mean for name, summary in found.chance.summaries().items() if summary.num_videos}
    summaries = found.scores.summaries(levels | {"sanity_correlation": 0.0}, seed=settings.seed)
    per_video = {"video_id": np.array(found.scores.video_ids), **found.scores.per_video()}
    asked = {"method": settings.method, "baseline": settings.baseline, "steps": settings.steps}
    return Study(
        measure="attribution",
        arrays={
            **stack_examples(found.shown),
            "sanity_layers": np.array([0, *setting.counts]),
            "layer_names": np.array(setting.layers),
            **score_arrays(per_video, summaries),
        },
        scores=summaries,
        per_video=per_video,
        provenance=provenance(session, "attribution")
        | asked
        | setting.explained.described(found.classes)
        | {"without_reference": found.without},
        skipped=stream.skipped,
        repeated=found.repeated,
        draw=draw_attribution,
    )
