"""Weights randomized from the top, on backbones with known answers."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.backbone.randomized import cascade, layers_from_top, stage_counts
from analysis.measures.attribution import (
    attribute,
    baseline_clip,
    logit_target,
)
from analysis.measures.common.sanity import rank_correlation
from fima.checkpoints import untrained_backbone


def _rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class Colors(nn.Module):
    """Answers by the colors that its weights choose, and by nothing else."""

    def __init__(self, channels):
        super().__init__()
        self.stem = nn.Conv3d(3, channels, 1, bias=False)

    def forward(self, clip):
        return self.stem(clip)


class Unweighted(Colors):
    """Its weights change nothing, as if the method showed the input's edges only."""

    def forward(self, clip):
        return clip + 0 * self.stem(clip)


def _extractor(backbone):
    loaded = untrained_backbone("tiny", seed=0)
    return FeatureExtractor(replace(loaded, backbone=backbone, input=loaded.input.replace(num_frames=4, size=8)))


def _sanity(backbone, channels):
    extractor = _extractor(backbone)
    clip = _rand(1, 3, 4, 8, 8)
    target = [logit_target(lambda pooled: pooled.sum(dim=1, keepdim=True), 0)]
    start = baseline_clip("mean", clip)

    def found(using):
        return attribute(using.feature_map, clip, target, start, steps=4).map

    randomized = [found(changed) for _, changed in cascade(extractor, [1], seed=1)]
    return float(rank_correlation(found(extractor), randomized[0]))


def test_the_sanity_check_tells_whether_a_map_depends_on_the_weights():
    only_red = Colors(1)
    with torch.no_grad():
        only_red.stem.weight.copy_(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1, 1))
    assert _sanity(only_red, 1) < 0.6
    assert _sanity(Unweighted(3), 3) == pytest.approx(1)


def test_layers_are_those_that_are_read_from_the_top(tiny):
    names = layers_from_top(tiny)
    weighted = [name for name, module in tiny.backbone.named_modules() if list(module.parameters(recurse=False))]
    assert sorted(names) == sorted(weighted)
    assert names[-1] == "stem.0"
    assert names[0].startswith("stage3")
    below = layers_from_top(FeatureExtractor(tiny.loaded, layer="stage1"))
    assert {name.split(".")[0] for name in below} == {"stage1", "stem"}


def test_the_cascade_changes_the_first_layers_only_and_alike_for_a_seed(tiny):
    names = layers_from_top(tiny)
    original = tiny.backbone.state_dict()
    convolutions = [name for name in names if isinstance(tiny.backbone.get_submodule(name), nn.Conv3d)]
    runs = {seed: [] for seed in (0, 0.5, 1)}
    for seed, kept in runs.items():
        for count, changed in cascade(tiny, [2, 5, len(names)], int(seed)):
            state = {name: weight.clone() for name, weight in changed.backbone.state_dict().items()}
            for name in convolutions:
                same = torch.equal(state[f"{name}.weight"], original[f"{name}.weight"])
                assert same == (name not in names[:count])
            kept.append(state)
    assert all(torch.equal(w, runs[0.5][i][n]) for i, state in enumerate(runs[0]) for n, w in state.items())
    assert not torch.equal(runs[0][-1]["stem.0.weight"], runs[1][-1]["stem.0.weight"])


def test_weights_without_an_initializer_keep_their_deviation():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.linspace(-3, 3, 3000).view(3, 1000))

        def forward(self, clip):
            return clip * self.token.mean(dim=1).view(1, 3, 1, 1, 1)

    extractor = _extractor(Bare())
    assert layers_from_top(extractor) == [""]
    ((_, changed),) = cascade(extractor, [1])
    assert not torch.equal(changed.backbone.token, extractor.backbone.token)
    assert changed.backbone.token.std().item() == pytest.approx(extractor.backbone.token.std().item(), rel=0.1)


@given(st.integers(1, 200), st.integers(1, 12))
def test_stages_ascend_to_all_layers(num_layers, stages):
    counts = stage_counts(num_layers, stages)
    assert counts == sorted(set(counts))
    assert 1 <= counts[0] <= counts[-1] == num_layers
    assert len(counts) <= stages
