"""Backbones whose weights are randomized layer by layer from the top, for the sanity check of attribution maps.

Source: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, section 4.1 (cascading randomization).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from analysis.inputs.backbone.features import FeatureExtractor

__all__ = ["cascade", "layers_from_top", "stage_counts"]


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
        seed: Seed of the new weights.

    Yields:
        The count and the extractor: the same copy again and again, so use it before asking for the next one.
    """
    names = layers_from_top(extractor)
    changed = copy.deepcopy(extractor)
    layers = dict(changed.backbone.named_modules())
    done = 0
    for count in counts:
        for place in range(done, count):
            _randomize(layers[names[place]], seed + place)
        done = max(done, count)
        yield count, changed


def stage_counts(num_layers: int, stages: int) -> list[int]:
    """At most ``stages`` numbers of layers, evenly spaced from 1 to all of them; the last is all."""
    spaced = torch.linspace(0, num_layers, stages + 1, dtype=torch.float64)[1:]
    return sorted({max(1, round(float(count))) for count in spaced})


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
