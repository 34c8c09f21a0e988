"""Token networks through the measures: time against their bare forward passes, and the memory that attention takes.

Times are ratios of one run, parts and whole in turn: what a study does with a batch of clips over the forward passes
that it needs, of RGB and of motion, or of RGB alone for attention. Memory is the peak of a process of its own: a
measure of 8,192 tokens over the features that it is made of; the weights of all queries at once would take 805 MB.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from limits import check, finish, medians, peak_elsewhere, peak_mib
from torch import Tensor

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.measures.affinity import affinity_scores, spatial_affinity
from analysis.measures.attention import attention_spread, received_attention, time_reach
from analysis.measures.common.agreement import map_correlation, motion_energy
from analysis.measures.pca import component_colors, fit_basis, principal_components
from fima.checkpoints import untrained_backbone
from fima.methods.activation import class_agnostic_activation_map
from fima.models.attention import attention_between_slices
from fima.transforms.motion import frame_difference

CLIPS, SIZE, ROUNDS = 2, 160, 3
ARCHS: dict[str, dict[str, Any]] = {"videomae-small": {}, "timesformer": {"dim": 384, "depth": 12}}
MOST_TIME, MOST_MEMORY = 1.05, 1.25
LONG: dict[str, Any] = {"dim": 192, "depth": 2, "heads": 3, "num_frames": 64, "size": 256}


def main() -> None:
    for arch, settings in ARCHS.items():
        extractor = FeatureExtractor(untrained_backbone(arch, **settings))
        for name, (measure, passes) in _measures(extractor).items():
            _compare(arch, name, extractor, measure, passes)
    for name, base in (("attention", "passes"), ("affinity", "features")):
        bare = peak_elsewhere(base)
        peak = peak_elsewhere(name)
        check(f"8,192 tokens, {name}: peak {peak:.0f} MiB over {bare:.0f} MiB", peak / bare, most=MOST_MEMORY)


def _compare(
    arch: str, name: str, extractor: FeatureExtractor, measure: Callable[[Tensor], object], passes: int
) -> None:
    clip = torch.rand(CLIPS, 3, extractor.reads.num_frames, SIZE, SIZE)
    bare, whole = medians(
        lambda: _passes(extractor, clip, passes), lambda: measure(clip), rounds=ROUNDS, clock=time.process_time
    )
    said = f"{arch}, {name}: {whole:.2f} s of processor over {passes} bare pass{'es' * (passes > 1)}, {bare:.2f} s"
    check(said, whole / bare, most=MOST_TIME)


def _measures(extractor: FeatureExtractor) -> dict[str, tuple[Callable[[Tensor], object], int]]:
    """What studies do with a batch of clips in memory, and how many passes that takes."""

    def cam(clip: Tensor) -> object:
        features = extractor(clip)
        maps = class_agnostic_activation_map(features.rgb)
        size = (maps.shape[1], maps.shape[2], maps.shape[3])
        return map_correlation(maps, motion_energy(clip, size=size))

    def affinity(clip: Tensor) -> object:
        features = extractor(clip)
        grid = (features.rgb.shape[3], features.rgb.shape[4])
        return affinity_scores(spatial_affinity(features.rgb, features.motion), grid=grid)

    def pca(clip: Tensor) -> object:
        features = extractor(clip)
        basis = fit_basis(features.rgb)
        return [component_colors(principal_components(maps, basis), basis) for maps in (features.rgb, features.motion)]

    def attention(clip: Tensor) -> object:
        between = attention_between_slices(extractor.backbone, extractor.prepare(clip))
        return received_attention(between), attention_spread(between), time_reach(between)

    return {"cam": (cam, 2), "affinity": (affinity, 2), "pca": (pca, 2), "attention": (attention, 1)}


def _passes(extractor: FeatureExtractor, clip: Tensor, count: int) -> None:
    with torch.inference_mode():
        for inputs in (clip, frame_difference(clip, boundary="repeat"))[:count]:
            extractor.backbone(extractor.prepare(inputs))


def _peak(what: str) -> float:
    extractor = FeatureExtractor(untrained_backbone("vjepa2", **LONG))
    clip = torch.rand(1, 3, LONG["num_frames"], LONG["size"], LONG["size"])
    work: dict[str, Callable[[Tensor], object]] = {name: of for name, (of, _) in _measures(extractor).items()}
    work |= {"passes": lambda given: _passes(extractor, given, 1), "features": extractor}
    work[what](clip)
    return peak_mib()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(_peak(sys.argv[1]))
    else:
        main()
        finish()
