"""The sanity check of attribution maps: with the weights randomized layer by layer from the top, a map must change.

Source: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, section 4.1 (cascading randomization).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from analysis.inputs.features import FeatureExtractor
from analysis.measures.agreement import map_correlation

__all__ = ["can_differ", "cascade", "layers_from_top", "rank_correlation", "stage_counts"]


def layers_from_top(extractor: FeatureExtractor) -> list[str]:
    """Names of the modules that own weights, from the layer that is read back to the input.

    Modules above that layer have no say and are left out. Order is that in which modules begin to run; those that
    never run as modules (their weights are used by another) stand last.
    """
    backbone, spec = extractor.backbone, extractor.loaded.input
    owners = {name for name, module in backbone.named_modules() if _owned(module)}
    started: list[str] = []
    reached: list[int] = []

    def start(name: str, *_: Any) -> None:
        if name in owners and name not in started:
            started.append(name)

    def reach(*_: Any) -> None:
        reached.append(len(started))

    handles = [
        module.register_forward_pre_hook(partial(start, name))
        for name, module in backbone.named_modules()
        if name in owners
    ]
    handles.append(backbone.get_submodule(extractor.tap.layer).register_forward_hook(reach))
    try:
        with torch.no_grad():
            extractor.feature_map(torch.full((1, 3, spec.num_frames, spec.size, spec.size), 0.5).to(extractor.device))
    finally:
        for handle in handles:
            handle.remove()
    never = [name for name, _ in backbone.named_modules() if name in owners and name not in started]
    return started[: reached[-1]][::-1] + never[::-1]


def cascade(
    extractor: FeatureExtractor, counts: Sequence[int], seed: int = 0
) -> Iterator[tuple[int, FeatureExtractor]]:
    """Copies whose top layers are randomized, more and more.

    A layer is initialized as its class does, and otherwise from a normal distribution with the deviation of its
    weights. What it becomes depends on the seed and its name alone.

    Args:
        extractor: Left as it was.
        counts: Ascending numbers of randomized layers.
        seed: Of the new weights.

    Yields:
        The count and the extractor: the same copy again and again, so use it before asking for the next one.
    """
    names = layers_from_top(extractor)
    changed = copy.deepcopy(extractor)
    done = 0
    for count in counts:
        for place in range(done, count):
            _randomize(changed.backbone.get_submodule(names[place]), seed + place)
        done = max(done, count)
        yield count, changed


def stage_counts(num_layers: int, stages: int) -> list[int]:
    """At most ``stages`` numbers of layers, evenly spaced from 1 to all of them; the last is all."""
    spaced = torch.linspace(0, num_layers, stages + 1, dtype=torch.float64)[1:]
    return sorted({max(1, round(float(count))) for count in spaced})


def rank_correlation(first: Tensor, second: Tensor, where: Tensor | None = None) -> Tensor:
    """Spearman's correlation of absolute maps.

    Args:
        first: ``(N, T, H, W)``.
        second: The same shape.
        where: Bool of that shape, positions that count; by default all.

    Returns:
        ``(N,)`` float64 in [-1, 1], 0 by chance; NaN where a map is flat.

    Source: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, section 3.
    """
    counted = torch.ones_like(first, dtype=torch.bool) if where is None else where
    correlations = []
    for a, b, inside in zip(first, second, counted, strict=True):
        ranks = (torch.from_numpy(rankdata(x[inside].abs().numpy()))[None] for x in (a, b))
        correlations.append(map_correlation(*ranks))
    return torch.cat(correlations)


def can_differ(clip: Tensor, baseline: Tensor, method: str) -> Tensor:
    """Positions ``(N, T, H, W)``, bool on the CPU, where a map says something of the network.

    What equals its baseline gets no attribution (next to none by gradient SHAP and occlusion) whatever the network:
    before a resting background a frozen baseline would make all maps alike. Grad-CAM has no baseline.
    """
    if method == "grad_cam":
        return torch.ones_like(clip[:, 0], dtype=torch.bool).cpu()
    return (clip != baseline).any(dim=1).cpu()


def _randomize(module: nn.Module, seed: int) -> None:
    devices = {weight.device for weight in _owned(module) if weight.is_cuda}
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed)
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
            return
        for weight in _owned(module):
            weight.normal_(std=float(weight.std()) if weight.numel() > 1 and float(weight.std()) > 0 else 0.02)


def _owned(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))
