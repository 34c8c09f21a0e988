"""What an attribution study does with one clip: its maps, their scores, and what the figure shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.inputs.clips import Clip, read_clip, to_batch
from analysis.inputs.features import FeatureExtractor
from analysis.measures.agreement import motion_energy
from analysis.measures.attribution import Attribution, attribute, baseline_clip, frame_share, motion_scores
from analysis.measures.localization import chance_levels, localization_scores
from analysis.measures.sanity import can_differ, cascade, rank_correlation
from analysis.studies.attribution.explained import Explained
from analysis.studies.base import Session
from analysis.studies.display import display_clip

__all__ = ["Measuring", "Setting", "example_of", "follows_motion"]

_LOCALIZATION = ("energy", "auroc")


@dataclass(frozen=True)
class Setting:
    """What is asked of every clip.

    Attributes:
        session: Backbone and videos.
        explained: Gives each clip its target.
        needs_other: Whether that is the clip of another video.
        layers: Of the backbone, from the top.
        counts: How many of them the sanity check randomizes, stage by stage.
    """

    session: Session
    explained: Explained
    needs_other: bool
    layers: list[str]
    counts: list[int]

    @property
    def method(self) -> str:
        """Of attribution."""
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


class Measuring:
    """A batch of clips → results, with what is carried from batch to batch: the last clip of the video before."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        session = setting.session
        ((_, self._randomized),) = cascade(session.extractor, [len(setting.layers)], session.settings.seed)
        self._before: Clip | None = None

    def __call__(self, batch: list[Clip]) -> list[dict[str, Any] | None]:
        """Results of clips; None for one without a video before it that it needs."""
        return [self._measure(one) for one in batch]

    def _measure(self, one: Clip) -> dict[str, Any] | None:
        other = None
        if self._setting.needs_other:
            other = self._before
            self._before = one if one.last else self._before  # a broken video does not come so far
            if other is None:
                return None
        setting, session = self._setting, self._setting.session
        device = session.extractor.device
        clip = to_batch([one], device)
        others = None if other is None else to_batch([other], device)
        found = setting.maps(session.extractor, clip, others)
        randomized = setting.maps(self._randomized, clip, others).map
        with torch.no_grad():
            grid = tuple(session.extractor.feature_map(clip).shape[2:])
        boundary = session.settings.boundary
        energy = motion_energy(clip, size=(clip.shape[2], clip.shape[3], clip.shape[4]), boundary=boundary).cpu()
        start = setting.start(clip)
        counted = can_differ(clip, start, setting.method)
        scores = follows_motion(found.map, energy, grid)
        scores["sanity_correlation"] = float(rank_correlation(found.map, randomized, counted))
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
            "classes": setting.explained.classes(clip),
        }


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


def example_of(setting: Setting, clip: Clip, result: dict[str, Any]) -> dict[str, Any]:
    """What the figure shows of a clip; its frames are read again, and the randomization is done step by step."""
    session = setting.session
    device, spec = session.extractor.device, session.spec
    with clip.video.open() as reader:
        frames = read_clip(reader, clip.start, spec)
    batch = (frames[None].movedim(1, 2).float() / 255).to(device)
    others = None if result["other"] is None else to_batch([result["other"]], device)
    counted = can_differ(batch, setting.start(batch), setting.method)
    maps, correlations = [result["map"][0]], [1.0]
    for _, extractor in cascade(session.extractor, setting.counts, session.settings.seed):
        randomized = setting.maps(extractor, batch, others).map
        correlations.append(float(rank_correlation(result["map"], randomized, counted)))
        maps.append(randomized[0])
    share = frame_share(result["map"])[0].numpy()
    strongest = int(np.nan_to_num(share).argmax())
    return {
        "video_id": clip.video.video_id,
        "seconds": clip.seconds,
        "frames": display_clip(session, clip)[0],
        "map": result["map"][0].numpy(),
        "share": share,
        "energy": result["energy"][0].mean(dim=(1, 2)).numpy(),
        "time_correlation": result["scores"]["time_correlation"],
        "convergence_delta": result["scores"].get("convergence_delta", np.nan),
        "input_correlation": result["scores"].get("input_correlation", np.nan),
        "sanity": np.array(correlations),
        "sanity_map": torch.stack([one[strongest] for one in maps]).numpy(),
        **({"class": result["classes"][0]} if result["classes"] else {}),
    }
