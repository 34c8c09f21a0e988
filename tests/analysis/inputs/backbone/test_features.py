"""Features of any backbone: ours, 2-D per frame, tokens; the right normalization; the module left as it was."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from analysis.inputs.backbone.features import FeatureExtractor, choose_device
from fima.checkpoints import untrained_backbone
from fima.errors import InputError
from fima.transforms.motion import frame_difference
from fima.transforms.normalize import normalize

FOREIGN = """
import torch
from torch import nn

class PerFrame(nn.Module):  # a 2-D network over frames
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 8, stride=8)
    def forward(self, clip):
        n, c, t, h, w = clip.shape
        maps = self.conv(clip.transpose(1, 2).reshape(n * t, c, h, w)).relu()
        return maps.reshape(n, t, *maps.shape[1:]).transpose(1, 2)

class Tokens(nn.Module):  # a transformer-like layout (N, L, C), time outermost
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv3d(3, 6, (2, 8, 8), stride=(2, 8, 8))
    def forward(self, clip):
        maps = self.embed(clip)
        self.grid = maps.shape[2:]
        return maps.flatten(2).transpose(1, 2)
    def to_ncthw(self, tokens):
        return tokens.transpose(1, 2).unflatten(2, self.grid)

class Flat(nn.Module):
    def forward(self, clip):
        return clip.mean((2, 3, 4))
"""


def _clip(n=2, t=16, size=56, seed=0):
    return torch.rand(n, 3, t, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def tiny():
    return untrained_backbone("tiny", seed=0)


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    (tmp_path / "foreign.py").write_text(FOREIGN)
    monkeypatch.chdir(tmp_path)
    return lambda name: untrained_backbone(f"foreign:{name}", seed=0)


def test_features_are_those_of_the_normalized_clip_and_its_difference(tiny):
    clip = _clip()
    features = FeatureExtractor(tiny)(clip)
    with torch.no_grad():
        for ours, inputs in ((features.rgb, clip), (features.motion, frame_difference(clip, boundary="repeat"))):
            torch.testing.assert_close(ours, tiny.backbone(normalize(inputs, tiny.input)), rtol=1e-4, atol=1e-5)
    assert features.rgb.shape == (2, tiny.backbone.channels, 2, 7, 7)
    assert not features.rgb.requires_grad


def test_boundary_changes_the_motion_only(tiny):
    clip = _clip(1)
    repeat, wrap = (FeatureExtractor(tiny, boundary=boundary)(clip) for boundary in ("repeat", "wrap"))
    assert torch.equal(repeat.rgb, wrap.rgb)
    assert not torch.allclose(repeat.motion, wrap.motion)


def test_gradient_reaches_the_clip_when_asked_for(tiny):
    clip = _clip(1).requires_grad_()
    FeatureExtractor(tiny, gradient=True)(clip).motion.sum().backward()
    assert clip.grad is not None
    assert clip.grad.abs().sum() > 0


def test_a_layer_is_read_by_name_and_no_hook_stays(tiny):
    tap = FeatureExtractor(tiny).info.taps[0]
    features = FeatureExtractor(tiny, layer=tap.layer)(_clip(1))
    assert features.rgb.shape[1] == tap.channels
    assert not any(module._forward_hooks for module in tiny.backbone.modules())


def test_hooks_go_even_after_an_error(tiny):
    extractor = FeatureExtractor(tiny, layer=FeatureExtractor(tiny).info.taps[0].layer)
    with pytest.raises(InputError, match=r"must be \(N, C, T, H, W\), got \(3, 16, 56, 56\); add a batch axis"):
        extractor(_clip(1)[0])
    tiny.backbone.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyError("broken")))
    with pytest.raises(KeyError):
        extractor(_clip(1))
    assert not any(module._forward_hooks for module in tiny.backbone.modules())


def test_unknown_layers_and_devices_are_refused_by_name(tiny):
    with pytest.raises(InputError, match=r"--layer nowhere: not in tiny; taps: "):
        FeatureExtractor(tiny, layer="nowhere")
    for device in ("gpu", "cuda:99"):
        with pytest.raises(InputError, match=f"device '{device}' cannot be used here"):
            choose_device(device)
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["PerFrame", "Tokens"])
def test_two_dimensional_and_token_backbones_give_feature_maps(foreign, name):
    loaded = foreign(name)
    features = FeatureExtractor(loaded)(_clip(2, t=4, size=32))
    assert features.rgb.shape == {"PerFrame": (2, 5, 4, 4, 4), "Tokens": (2, 6, 2, 4, 4)}[name]
    expected = loaded.backbone(normalize(_clip(2, t=4, size=32), loaded.input))
    if name == "Tokens":  # token (t, y, x) is at that place of the map
        torch.testing.assert_close(features.rgb[0, :, 1, 2, 3], expected[0, 1 * 16 + 2 * 4 + 3], rtol=1e-4, atol=1e-5)


def test_a_backbone_without_a_map_is_refused(foreign):
    with pytest.raises(InputError, match="pooled already: give the module before its head"):
        FeatureExtractor(foreign("Flat"))


def test_a_clip_that_is_too_small_is_refused_with_its_size():
    loaded = untrained_backbone("r3d_18", seed=0)
    pooled = nn.Sequential(loaded.backbone, nn.AvgPool3d(4))
    with pytest.raises(InputError):
        FeatureExtractor(replace(loaded, backbone=pooled))(_clip(1, t=2, size=8))
