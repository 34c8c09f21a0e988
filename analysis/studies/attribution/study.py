"""Attribution over clips of many videos: which pixels, when, move the pooled feature towards a target."""

from __future__ import annotations

from functools import partial

import numpy as np

from analysis.inputs.backbone.randomized import layers_from_top, stage_counts
from analysis.inputs.sessions import Progress, Session
from analysis.measures.attribution import Target
from analysis.settings import ATTRIBUTION_TARGETS
from analysis.studies.attribution.clips import STAGES, MeasuredMap, Measuring, Setting, example_of, follows_motion
from analysis.studies.attribution.explained import choose_explained
from analysis.studies.common.collecting import Collector
from analysis.studies.common.study import Study
from fima.errors import InputError

__all__ = ["TARGETS", "run"]

TARGETS = ATTRIBUTION_TARGETS


def run(
    session: Session,
    progress: Progress | None = None,
    *,
    target: Target | None = None,
    stages: int = STAGES,
) -> Study:
    """Attribution maps of clips: whether they follow the motion, lie on the object, and depend on the weights.

    Scores, per video (ours):

    - ``time_correlation``, ``motion_correlation``: ``analysis.measures.attribution.motion_scores``, on the grid of the
      features; chance: the same with the motion of three other videos. One video has none.
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
            has the other video that ``other`` needs.
    """
    setting = _setting(session, target, stages)
    collector = Collector(
        session,
        example=partial(example_of, setting),
        against=_follows_other,
        truth=session.has_truth,
        moving=target is None and session.settings.target == "motion",
    )
    classes = {
        video.video_id: sorted({name for _, kept in clips for name in kept.classes})
        for video, clips in collector.collect(Measuring(setting), progress)
    }
    if not classes:
        raise InputError("target other: compares with another video; give at least two that can be read")
    settings = session.settings
    source = {
        **{name: getattr(settings, name) for name in ("method", "baseline", "steps")},
        **setting.explained.described(classes),
        "without_reference": collector.unscored,
    }
    arrays = {"sanity_layers": np.array([0, *setting.counts]), "layer_names": np.array(setting.layers)}
    return collector.study("attribution", arrays, levels={"sanity_correlation": 0.0}, source=source)


def _setting(session: Session, target: Target | None, stages: int) -> Setting:
    if not stages >= 1:
        raise InputError(f"stages must be at least 1, got {stages}")
    asked = target or session.settings.target
    layers = layers_from_top(session.extractor)
    explained = choose_explained(session, asked)
    return Setting(session, explained, asked == "other", layers, stage_counts(len(layers), stages))


def _follows_other(one: MeasuredMap, other: MeasuredMap) -> dict[str, float]:
    """How well a map follows the motion of another video."""
    return follows_motion(one.map, other.energy, one.grid)
