"""Faithfulness of maps over clips of many videos: do the cells that a map ranks first carry the feature?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.backbone.randomized import cascade, layers_from_top, stage_counts
from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, read_clip, to_batch
from analysis.measures.attribution import attribute, baseline_clip, cosine_target
from analysis.measures.common.sanity import rank_correlation
from analysis.measures.common.statistics import StreamingMean
from analysis.measures.faithfulness import area, cell_order, center_map, deletion_curve, insertion_curve
from analysis.measures.temporal import pool_features
from analysis.studies.common.attended import attention_map
from analysis.studies.common.collecting import Collector, Measured
from analysis.studies.common.display import display_clip
from analysis.studies.common.study import Study
from fima.methods.activation import class_agnostic_activation_map

__all__ = ["KINDS", "run"]

KINDS = ("", "motion_", "attention_", "attribution_")
"""Prefix of the scores of a map: RGB activation, motion activation, attention received, attribution."""
_CENTER = "center_"
_STEPS = 10
_RANDOM = 4  # orders that chance is the mean of
_STAGES = 5

Grid = tuple[int, int, int]


def run(session: Session, progress: Progress | None = None) -> Study:
    """Deletion, insertion and randomization of every map that there is of a clip, on the grid of the features.

    Scores, per video, of each map (``KINDS``; attention of token networks alone) and of a map that is strongest in the
    center: ``deletion`` and ``insertion``, areas under the cosine with the intact clip's pooled feature; ``gain``, what
    insertion has more; of the network's own maps ``sanity_correlation``, the rank correlation with the map of the same
    backbone with all weights randomized. Chance of the first two is the mean of four random orders. (Taking cells away
    in random order is putting them back in another: one level for both.)

    Cells are replaced by the clip blurred, or by ``settings.baseline``, if that is not ``mean``; attribution is of the
    cosine with the intact feature, against the same.

    Args:
        session: Backbone and videos; ``settings.method`` and ``steps`` are those of attribution.
        progress: Called after each video.

    Returns:
        The study; ``arrays["curve_<deletion or insertion>_<kind>"]`` is the mean over videos, ``(S + 1,)``, and
        ``arrays["example_sanity_<kind>"]`` the rank correlation by randomized layers of the shown clips.
    """
    curves: dict[str, StreamingMean] = {}
    maps = _Maps(session)
    collector = Collector(session, example=partial(_example, maps))
    for _, clips in collector.collect(partial(_measure_all, maps), progress):
        for name in clips[0][1].curves:
            mean = np.mean([kept.curves[name] for _, kept in clips], axis=0)
            curves.setdefault(f"curve_{name}", StreamingMean()).add(mean)
    arrays = {name: mean.mean for name, mean in curves.items()} | {"sanity_layers": np.array([0, *maps.counts])}
    levels = {f"{kind}sanity_correlation": 0.0 for kind in KINDS} | {f"{kind}gain": 0.0 for kind in (*KINDS, _CENTER)}
    references = frozenset(f"{_CENTER}{name}" for name in ("deletion", "insertion", "gain"))
    source = {"replaced_by": maps.fill, "method": session.settings.method, "steps": session.settings.steps}
    return collector.study("faithfulness", arrays, levels=levels, source=source, references=references)


@dataclass(frozen=True)
class _Kept:
    """Maps ``(T', H', W')`` by kind, and curves by ``<deletion or insertion>_<kind>``."""

    maps: Mapping[str, Tensor]
    curves: Mapping[str, NDArray[np.float64]]


class _Maps:
    """What gives the maps of a clip, by the session's backbone and by randomized ones."""

    def __init__(self, session: Session) -> None:
        self.session, self.settings = session, session.settings
        self.fill = "blurred" if session.settings.baseline == "mean" else session.settings.baseline
        layers = len(layers_from_top(session.extractor))
        self.counts = stage_counts(layers, _STAGES)
        ((_, self.randomized),) = cascade(session.extractor, [layers], session.settings.seed)

    def of(self, extractor: FeatureExtractor, clip: Tensor, replaced: Tensor) -> dict[str, Tensor]:
        """Maps ``(T', H', W')`` on the CPU of one clip ``(1, 3, T, H, W)`` with its `replacement`, by kind."""
        features = extractor(clip)
        grid = (features.rgb.shape[2], features.rgb.shape[3], features.rgb.shape[4])
        maps = {
            "": class_agnostic_activation_map(features.rgb)[0],
            "motion_": class_agnostic_activation_map(features.motion)[0],
        }
        if (attention := attention_map(extractor, clip, self.settings.layer)) is not None:
            maps["attention_"] = attention[0]
        maps["attribution_"] = self._attribution(extractor, clip, replaced, pool_features(features.rgb)[0], grid)
        return {kind: found.detach().float().cpu() for kind, found in maps.items()}

    def _attribution(
        self, extractor: FeatureExtractor, clip: Tensor, replaced: Tensor, feature: Tensor, grid: Grid
    ) -> Tensor:
        """How much every cell holds up the cosine with the clip's own feature: what deletion asks."""
        found = attribute(
            extractor.prepared_map, clip, [cosine_target(feature)], replaced,
            method=self.settings.method, steps=self.settings.steps, internal_batch_size=self.settings.batch_size,
            seed=self.settings.seed, prepare=extractor.prepare,
        )  # fmt: skip
        return F.adaptive_avg_pool3d(found.map[None], grid)[0, 0]

    def replacement(self, clip: Tensor) -> Tensor:
        """What is shown in cells that are taken away."""
        return baseline_clip(self.fill, clip)

    def pooled(self, clips: Tensor) -> Tensor:
        """Pooled features of clips, in batches."""
        with torch.no_grad():
            batches = torch.split(clips, self.settings.batch_size)
            return torch.cat([pool_features(self.session.extractor.feature_map(batch)) for batch in batches])


def _measure_all(maps: _Maps, batch: list[Clip]) -> list[Measured]:
    return [_measure(maps, clip) for clip in batch]


def _measure(maps: _Maps, clip: Clip) -> Measured:
    frames, seed = to_batch([clip], maps.session.extractor.device), maps.settings.seed
    replaced = maps.replacement(frames)
    found, randomized = (maps.of(by, frames, replaced) for by in (maps.session.extractor, maps.randomized))
    grid = _grid(found[""])
    shown = (maps.pooled, frames, replaced)
    orders = {kind: cell_order(values, seed=seed) for kind, values in (found | {_CENTER: center_map(grid)}).items()}
    curves = {}
    for kind, order in orders.items():
        for name, curve in (("deletion", deletion_curve), ("insertion", insertion_curve)):
            curves[f"{name}_{kind}"] = curve(*shown, order, grid, steps=_STEPS)
    noise = [cell_order(torch.zeros(grid), seed=seed + 1 + i) for i in range(_RANDOM)]
    level = np.mean([deletion_curve(*shown, order, grid, steps=_STEPS) for order in noise], axis=0)
    curves |= {"deletion_random": level, "insertion_random": level[::-1].copy()}
    scores: dict[str, float] = {}
    for kind in orders:
        deletion, insertion = (area(curves[f"{name}_{kind}"]) for name in ("deletion", "insertion"))
        scores |= {f"{kind}deletion": deletion, f"{kind}insertion": insertion, f"{kind}gain": insertion - deletion}
        if kind in found:
            scores[f"{kind}sanity_correlation"] = _correlation(found[kind], randomized[kind])
    chance = {f"{kind}{name}": area(level) for kind in orders for name in ("deletion", "insertion")}
    return Measured(scores, chance, _Kept(found, curves))


def _correlation(first: Tensor, second: Tensor) -> float:
    return float(rank_correlation(first[None], second[None]))


def _grid(maps: Tensor) -> Grid:
    return maps.shape[0], maps.shape[1], maps.shape[2]


def _example(maps: _Maps, clip: Clip, measured: Measured) -> dict[str, Any]:
    """What the figure shows: a frame, the maps at its time, and how they change as layers are randomized."""
    session, kept = maps.session, measured.kept
    shown = display_clip(session, clip)[0]
    with clip.video.open() as reader:
        frames = read_clip(reader, clip.start, session.spec)
    batch = (frames[None].movedim(1, 2).float() / 255).to(session.extractor.device)
    replaced = maps.replacement(batch)
    correlations = {kind: [1.0] for kind in kept.maps}
    for _, extractor in cascade(session.extractor, maps.counts, session.settings.seed):
        for kind, values in maps.of(extractor, batch, replaced).items():
            correlations[kind].append(_correlation(kept.maps[kind], values))
    middle = len(shown) // 2
    slices = {kind: values[middle * len(values) // len(shown)] for kind, values in kept.maps.items()}
    return {
        "video_id": clip.video.video_id,
        "seconds": clip.seconds[middle],
        "frame": shown[middle],
        **{f"map_{kind}": _unit(values).numpy() for kind, values in slices.items()},
        **{f"sanity_{kind}": np.array(values) for kind, values in correlations.items()},
    }


def _unit(values: Tensor) -> Tensor:
    """Ranks of a frame's cells in [0, 1]: what deletion goes by, and the same for every kind of map."""
    ranks = values.flatten().argsort().argsort().float()
    return (ranks / max(1, len(ranks) - 1)).reshape(values.shape)
