"""Attribution over clips of many videos: which pixels, when, move the pooled feature towards a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.agreement import motion_energy
from analysis.attribution import (
    Attribution,
    Target,
    attribute,
    baseline_clip,
    cosine_target,
    frame_share,
    motion_scores,
)
from analysis.clips import Clip, read_clip, to_batch
from analysis.features import FeatureExtractor
from analysis.localization import chance_levels, localization_scores
from analysis.plotting.attribution import draw_attribution
from analysis.sanity import can_differ, cascade, layers_from_top, rank_correlation, stage_counts
from analysis.settings import ATTRIBUTION_TARGETS
from analysis.statistics import VideoScores
from analysis.studies.base import Examples, Progress, Session, Study, provenance, score_arrays, study_videos
from analysis.studies.display import display_clip, stack_examples
from analysis.temporal import pool_features
from fima.errors import InputError
from fima.motion import frame_difference

__all__ = ["TARGETS", "run"]

TARGETS = ATTRIBUTION_TARGETS
_LOCALISATION = ("energy", "auroc")


def run(
    session: Session,
    progress: Progress | None = None,
    *,
    target: Target | None = None,
    stages: int = 6,
) -> Study:
    """Attribution maps of clips: whether they follow the motion, lie on the object, and depend on the weights.

    Scores, per video (ours):

    - ``time_correlation``, ``motion_correlation``: ``analysis.attribution.motion_scores``, on the grid of the
      features; chance: the same with the motion of the video before. One video has none.
    - ``convergence_delta``: ``Attribution.convergence_delta``; not for Grad-CAM and occlusion.
    - ``sanity_correlation``: rank correlation with the map of the same backbone with all weights randomised; chance 0.
      Integrated gradients stay above it, as each is a product with clip − baseline; ``input_correlation``, that of the
      map with the size of clip − baseline alone, says what a map without any network comes to.
    - ``energy``, ``auroc``: localisation of the absolute map, where the object's mask is known.

    Args:
        session: Backbone and videos; its settings say method, target, baseline and steps.
        progress: Called after each video.
        target: A function of pooled features, such as ``analysis.attribution.logit_target``, instead of the
            settings' target. Randomised backbones get the reference that they give themselves; a function is kept.
        stages: Points of the sanity check's curve, for the shown clips.

    Returns:
        The study; ``arrays["example_map"]`` is ``(K, T, size, size)``, signed.

    Raises:
        InputError: For a setting that cannot be used, or when no clip has a video before it that ``other`` needs.
    """
    given = session.settings
    setting = _Setting(session, given.method, target or given.target, given.baseline, given.steps)
    if not stages >= 1:
        raise InputError(f"stages must be at least 1, got {stages}")
    scores, chance = VideoScores(), VideoScores()
    shown: list[dict[str, Any]] = []
    repeated: list[str] = []
    without: list[str] = []
    last: dict[str, Any] | None = None
    chosen = Examples(len(session.videos), session.settings.show)
    layers = layers_from_top(session.extractor)
    counts = stage_counts(len(layers), stages)
    stream = session.stream(truth=session.has_truth)
    for video, clips in study_videos(session, stream, _Measuring(setting), progress):
        found = [(clip, result) for clip, result in clips if result is not None]
        if not found:
            without.append(video.video_id)
            continue
        for _, result in found:
            scores.add(video.video_id, result["scores"])
            levels = dict(result["chance"])
            if last is not None:
                levels |= _follows(result["map"], last["energy"], result["grid"])
            chance.add(video.video_id, levels)
        clip, result = found[0]
        last = found[-1][1]
        if clip.repeated(session.spec):
            repeated.append(video.video_id)
        if chosen.take(clip.video_index):
            shown.append(_example(setting, clip, result, counts))
    if not shown:
        raise InputError("target other: compares with the video before; give at least two videos that can be read")
    levels = {name: summary.mean for name, summary in chance.summaries().items() if summary.num_videos}
    summaries = scores.summaries(levels | {"sanity_correlation": 0.0}, seed=session.settings.seed)
    per_video = {"video_id": np.array(scores.video_ids), **scores.per_video()}
    return Study(
        measure="attribution",
        arrays={
            **stack_examples(shown),
            "sanity_layers": np.array([0, *counts]),
            "layer_names": np.array(layers),
            **score_arrays(per_video, summaries),
        },
        scores=summaries,
        per_video=per_video,
        provenance=provenance(session, "attribution") | setting.described() | {"without_reference": without},
        skipped=stream.skipped,
        repeated=repeated,
        draw=draw_attribution,
    )


@dataclass(frozen=True)
class _Setting:
    """What is asked of every clip."""

    session: Session
    method: str
    target: str | Target
    baseline: str
    steps: int

    def described(self) -> dict[str, Any]:
        """For the provenance."""
        target = self.target if isinstance(self.target, str) else getattr(self.target, "__name__", "function")
        return {"method": self.method, "target": target, "baseline": self.baseline, "steps": self.steps}

    def maps(self, extractor: FeatureExtractor, clip: Tensor, others: Tensor | None) -> Attribution:
        """Attribution of clips by a backbone, the session's or a randomised one.

        Args:
            extractor: Gives the features, and the references.
            clip: ``(N, 3, T, H, W)``.
            others: The clips that ``other`` compares with.
        """
        return attribute(
            extractor.prepared_map, clip, self._targets(extractor, clip, others), self.start(clip),
            method=self.method, steps=self.steps, internal_batch_size=self.session.settings.batch_size,
            seed=self.session.settings.seed, prepare=extractor.prepare,
        )  # fmt: skip

    def start(self, clip: Tensor) -> Tensor:
        """The baselines of clips."""
        return baseline_clip(self.baseline, clip)

    def _targets(self, extractor: FeatureExtractor, clip: Tensor, others: Tensor | None) -> list[Target]:
        if not isinstance(self.target, str):
            return [self.target] * len(clip)
        if others is None:
            others = frame_difference(clip, boundary=self.session.settings.boundary)
        with torch.no_grad():
            # One by one, as they are attributed: a batch changes the last digits.
            return [cosine_target(pool_features(extractor.feature_map(one[None]))[0]) for one in others]


class _Measuring:
    """A batch of clips → results, with what is carried from batch to batch: the last clip of the video before."""

    def __init__(self, setting: _Setting) -> None:
        self._setting = setting
        extractor = setting.session.extractor
        everything = len(layers_from_top(extractor))
        ((_, self._randomised),) = cascade(extractor, [everything], setting.session.settings.seed)
        self._before: Clip | None = None

    def __call__(self, batch: list[Clip]) -> list[dict[str, Any] | None]:
        return [self._measure(one) for one in batch]

    def _measure(self, one: Clip) -> dict[str, Any] | None:
        other = None
        if self._setting.target == "other":
            other = self._before
            self._before = one if one.last else self._before  # a broken video does not come so far
            if other is None:
                return None
        setting, session = self._setting, self._setting.session
        device = session.extractor.device
        clip = to_batch([one], device)
        others = None if other is None else to_batch([other], device)
        found = setting.maps(session.extractor, clip, others)
        randomised = setting.maps(self._randomised, clip, others).map
        with torch.no_grad():
            grid = tuple(session.extractor.feature_map(clip).shape[2:])
        boundary = session.settings.boundary
        energy = motion_energy(clip, size=(clip.shape[2], clip.shape[3], clip.shape[4]), boundary=boundary).cpu()
        start = setting.start(clip)
        counted = can_differ(clip, start, setting.method)
        scores = _follows(found.map, energy, grid)
        scores["sanity_correlation"] = float(rank_correlation(found.map, randomised, counted))
        if setting.method in ("integrated_gradients", "gradient_shap"):
            scores["convergence_delta"] = float(found.convergence_delta)
            scores["input_correlation"] = float(
                rank_correlation(found.map, (clip - start).abs().sum(dim=1).cpu(), counted)
            )
        located, chance = _located(one, found.map)
        return {
            "scores": scores | located,
            "chance": chance,
            "map": found.map,
            "energy": energy,
            "grid": grid,
            "other": other,
        }


def _follows(attribution_map: Tensor, energy: Tensor, grid: tuple[int, ...]) -> dict[str, float]:
    length, height, width = grid
    return {name: float(v) for name, v in motion_scores(attribution_map, energy, (length, height, width)).items()}


def _located(clip: Clip, attribution_map: Tensor) -> tuple[dict[str, float], dict[str, float]]:
    """Localisation scores and chance levels of one clip, where its mask is known."""
    if clip.truth is None:
        return {}, {}
    mask, known = clip.truth.mask[None], clip.truth.known[None]
    values = localization_scores(attribution_map.abs(), mask, known)
    levels = chance_levels(mask, known)
    return {name: float(values[name]) for name in _LOCALISATION}, {name: float(levels[name]) for name in _LOCALISATION}


def _example(setting: _Setting, clip: Clip, result: dict[str, Any], counts: list[int]) -> dict[str, Any]:
    """What the figure shows of a clip; its frames are read again, and the randomisation is done step by step."""
    session = setting.session
    device, spec = session.extractor.device, session.spec
    with clip.video.open() as reader:
        frames = read_clip(reader, clip.start, spec)
    batch = (frames[None].movedim(1, 2).float() / 255).to(device)
    others = None if result["other"] is None else to_batch([result["other"]], device)
    counted = can_differ(batch, setting.start(batch), setting.method)
    maps, correlations = [result["map"][0]], [1.0]
    for _, extractor in cascade(session.extractor, counts, session.settings.seed):
        randomised = setting.maps(extractor, batch, others).map
        correlations.append(float(rank_correlation(result["map"], randomised, counted)))
        maps.append(randomised[0])
    share = frame_share(result["map"])[0].numpy()
    strongest = int(np.nan_to_num(share).argmax())
    return {
        "video_id": clip.video.video_id,
        "seconds": clip.seconds(spec),
        "frames": display_clip(session, clip)[0],
        "map": result["map"][0].numpy(),
        "share": share,
        "energy": result["energy"][0].mean(dim=(1, 2)).numpy(),
        "time_correlation": result["scores"]["time_correlation"],
        "convergence_delta": result["scores"].get("convergence_delta", np.nan),
        "input_correlation": result["scores"].get("input_correlation", np.nan),
        "sanity": np.array(correlations),
        "sanity_map": torch.stack([one[strongest] for one in maps]).numpy(),
    }
