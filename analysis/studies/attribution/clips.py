"""What an attribution study does with one clip: its maps, their scores, and what the figure shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.backbone.randomized import cascade
from analysis.inputs.sessions import Session
from analysis.inputs.video.clips import Clip, read_clip, to_batch
from analysis.inputs.video.partners import OtherVideos
from analysis.measures.attribution import Attribution, attribute, baseline_clip, frame_share, motion_scores
from analysis.measures.common.agreement import motion_energy
from analysis.measures.common.sanity import can_differ, rank_correlation
from analysis.measures.localization import chance_levels, localization_scores
from analysis.studies.attribution.explained import Explained
from analysis.studies.common.collecting import Measured
from analysis.studies.common.display import display_clip

__all__ = ["STAGES", "MeasuredMap", "Measuring", "Setting", "example_of", "follows_motion"]

STAGES = 6
"""Points of the sanity check's curve."""
_LOCALIZATION = ("energy", "auroc")


@dataclass(frozen=True)
class Setting:
    """What is asked of every clip.

    Attributes:
        session: Backbone and videos.
        explained: Gives each clip its target.
        needs_other: Whether that is the clip of another video.
        layers: Layers of the backbone, from the top.
        counts: How many of them the sanity check randomizes, stage by stage.
    """

    session: Session
    explained: Explained
    needs_other: bool
    layers: list[str]
    counts: list[int]

    @property
    def method(self) -> str:
        """Name of the attribution method."""
        return self.session.settings.method

    def maps(self, extractor: FeatureExtractor, clip: Tensor, others: Tensor | None) -> Attribution:
        """Attribution of clips by a backbone, the session's or a randomized one.

        Args:
            extractor: Gives the features, and the references.
            clip: ``(N, 3, T, H, W)``.
            others: The clips that ``other`` compares with.
        """
        settings = self.session.settings
        return attribute(
            extractor.prepared_map, clip, self.explained.targets(extractor, clip, others), self.start(clip),
            method=self.method, steps=settings.steps, internal_batch_size=settings.batch_size,
            seed=settings.seed, prepare=extractor.prepare,
        )  # fmt: skip

    def start(self, clip: Tensor) -> Tensor:
        """The baselines of clips."""
        return baseline_clip(self.session.settings.baseline, clip)


@dataclass(frozen=True)
class MeasuredMap:
    """What is kept of a clip.

    Attributes:
        map: Its attribution ``(1, T, H, W)``.
        energy: Its motion energy, of that shape.
        grid: ``(T', H', W')`` of the features.
        other: The clip ``(T, 3, size, size)`` that it was compared with, where the target needs one.
        classes: Labels of the explained classes.
    """

    map: Tensor
    energy: Tensor
    grid: tuple[int, ...]
    other: Tensor | None
    classes: list[str]


class Measuring:
    """A batch of clips → results."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        session = setting.session
        ((_, self._randomized),) = cascade(session.extractor, [len(setting.layers)], session.settings.seed)
        self._others = OtherVideos(session)

    def __call__(self, batch: list[Clip]) -> list[Measured | None]:
        """Results of clips; None for one without another video that it needs."""
        return [self._measure(clip) for clip in batch]

    def _measure(self, clip: Clip) -> Measured | None:
        other = self._others.clip(clip.video) if self._setting.needs_other else None
        if self._setting.needs_other and other is None:
            return None
        device = self._setting.session.extractor.device
        frames = to_batch([clip], device)
        others = None if other is None else _batch_of(other, device)
        attribution = self._setting.maps(self._setting.session.extractor, frames, others)
        kept = self._kept(attribution, frames, other)
        located, chance = _located(clip, attribution.map)
        return Measured(self._scores(attribution, kept, frames, others) | located, chance, kept)

    def _kept(self, attribution: Attribution, frames: Tensor, other: Tensor | None) -> MeasuredMap:
        session = self._setting.session
        with torch.no_grad():
            grid = tuple(session.extractor.feature_map(frames).shape[2:])
        size = (frames.shape[2], frames.shape[3], frames.shape[4])
        energy = motion_energy(frames, size=size, boundary=session.settings.boundary).cpu()
        return MeasuredMap(attribution.map, energy, grid, other, self._setting.explained.classes(frames))

    def _scores(
        self, attribution: Attribution, kept: MeasuredMap, frames: Tensor, others: Tensor | None
    ) -> dict[str, float]:
        """How well the map follows the motion, depends on the weights, and on the input alone."""
        setting, start = self._setting, self._setting.start(frames)
        counted = can_differ(frames, start, setting.method)
        randomized = setting.maps(self._randomized, frames, others).map
        scores = follows_motion(kept.map, kept.energy, kept.grid)
        scores["sanity_correlation"] = float(rank_correlation(kept.map, randomized, counted))
        if setting.method in ("integrated_gradients", "gradient_shap"):
            scores["convergence_delta"] = float(attribution.convergence_delta)
            size = (frames - start).abs().sum(dim=1).cpu()
            scores["input_correlation"] = float(rank_correlation(kept.map, size, counted))
        return scores


def follows_motion(attribution_map: Tensor, energy: Tensor, grid: tuple[int, ...]) -> dict[str, float]:
    """``analysis.measures.attribution.motion_scores`` of one clip, as numbers."""
    length, height, width = grid
    return {name: float(v) for name, v in motion_scores(attribution_map, energy, (length, height, width)).items()}


def _located(clip: Clip, attribution_map: Tensor) -> tuple[dict[str, float], dict[str, float]]:
    """Localization scores and chance levels of one clip, where its mask is known."""
    if clip.truth is None:
        return {}, {}
    mask, known = clip.truth.mask[None], clip.truth.known[None]
    values = localization_scores(attribution_map.abs(), mask, known)
    levels = chance_levels(mask, known)
    return {name: float(values[name]) for name in _LOCALIZATION}, {name: float(levels[name]) for name in _LOCALIZATION}


def example_of(setting: Setting, clip: Clip, measured: Measured) -> dict[str, Any]:
    """What the figure shows of a clip; its frames are read again, and the randomization is done step by step."""
    session, kept = setting.session, measured.kept
    share = frame_share(kept.map)[0].numpy()
    maps, correlations = _randomize(setting, clip, kept)
    return {
        "video_id": clip.video.video_id,
        "seconds": clip.seconds,
        "frames": display_clip(session, clip)[0],
        "map": kept.map[0].numpy(),
        "share": share,
        "energy": kept.energy[0].mean(dim=(1, 2)).numpy(),
        "time_correlation": measured.scores["time_correlation"],
        "convergence_delta": measured.scores.get("convergence_delta", np.nan),
        "input_correlation": measured.scores.get("input_correlation", np.nan),
        "sanity": np.array(correlations),
        "sanity_map": maps[:, int(np.nan_to_num(share).argmax())].numpy(),
        **({"class": kept.classes[0]} if kept.classes else {}),
    }


def _randomize(setting: Setting, clip: Clip, kept: MeasuredMap) -> tuple[Tensor, list[float]]:
    """Maps ``(S, T, H, W)`` of the backbone and of its randomized stages, and rank correlations with the first."""
    session = setting.session
    device = session.extractor.device
    with clip.video.open() as reader:
        frames = read_clip(reader, clip.start, session.spec)
    batch = _batch_of(frames, device)
    others = None if kept.other is None else _batch_of(kept.other, device)
    counted = can_differ(batch, setting.start(batch), setting.method)
    maps, correlations = [kept.map[0]], [1.0]
    for _, extractor in cascade(session.extractor, setting.counts, session.settings.seed):
        randomized = setting.maps(extractor, batch, others).map
        correlations.append(float(rank_correlation(kept.map, randomized, counted)))
        maps.append(randomized[0])
    return torch.stack(maps), correlations


def _batch_of(frames: Tensor, device: torch.device) -> Tensor:
    """Frames ``(T, 3, H, W)`` uint8 as clips ``(1, 3, T, H, W)`` in [0, 1]."""
    return (frames[None].movedim(1, 2).float() / 255).to(device)
