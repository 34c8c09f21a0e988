"""Outputs of other people's networks on the grid: every layout against a map made by hand, and a sentence otherwise."""

import re

import pytest
import torch
from torch import nn

from fima.checkpoints import load_backbone
from fima.errors import InputError
from fima.models import backbone_info, create_backbone
from fima.models.adapters import Adapter, as_backbone, feature_map_of
from fima.models.capture import find_tap, read_maps

CLIP = (2, 3, 16, 64, 64)
MAP = torch.arange(2 * 5 * 8 * 4 * 4, dtype=torch.float32).reshape(2, 5, 8, 4, 4)
TOKENS = MAP.flatten(2).mT
CLS = torch.full((2, 1, 5), -1.0)

LAYOUTS = {
    "a feature map": (MAP, {}),
    "channels last": (MAP.movedim(1, -1), {}),
    "channels last, told": (MAP.movedim(1, -1), {"channels_last": True}),
    "tokens": (TOKENS, {"grid": (8, 4, 4)}),
    "tokens after a class token": (torch.cat([CLS, TOKENS], dim=1), {"grid": (8, 4, 4), "num_prefix_tokens": 1}),
    "tokens with their grid (MViT)": ((TOKENS, [8, 4, 4]), {}),
    "frame by frame": (MAP.movedim(2, 1).flatten(0, 1), {}),
    "two pathways (SlowFast)": ([MAP[:, :, ::4], MAP], {"pathway": 1}),
    "a mapping": ({"slow": MAP[:, :, ::4], "fast": MAP}, {"pathway": "fast"}),
    "one of one": ((MAP, None), {}),
    "not contiguous": (MAP.movedim(1, -1).contiguous().movedim(-1, 1), {}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name):
    output, reading = LAYOUTS[name]
    assert torch.equal(feature_map_of(output, CLIP, **reading), MAP)


REFUSED = {
    "no grid": (TOKENS, {}, "returns tokens (2, 128, 5); say grid=(T', H', W')"),
    "class token forgotten": (
        torch.cat([CLS, TOKENS], dim=1),
        {"grid": (8, 4, 4)},
        "grid (8, 4, 4) has 128 cells, 0 tokens before it; the model returns 129; num_prefix_tokens=1 would fit",
    ),
    "another grid": (TOKENS, {"grid": (8, 4, 3)}, "has 96 cells, 0 tokens before it; the model returns 128"),
    "pooled": (MAP.mean((2, 3, 4)), {}, "returns (2, 5) for a clip (2, 3, 16, 64, 64); expected (N, C, T', H', W')"),
    "which pathway": ([MAP, MAP], {}, "returns 2 outputs (0 (2, 5, 8, 4, 4), 1 (2, 5, 8, 4, 4)); choose with pathway="),
    "no such pathway": ([MAP, MAP], {"pathway": 7}, "choose with pathway=, got 7"),
    "no tensor": (None, {}, "returns a NoneType, expected a tensor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_shape_gets_a_sentence(name):
    output, reading, message = REFUSED[name]
    with pytest.raises(InputError, match=re.escape(message)):
        feature_map_of(output, CLIP, **reading)


class TokenNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv3d(3, 8, (2, 16, 16), stride=(2, 16, 16))
        self.layer = nn.Linear(8, 8)

    def forward(self, clip):
        return self.layer(self.patches(clip).flatten(2).mT)


def test_layers_keep_their_names():
    net = TokenNet()
    backbone = as_backbone(net, grid=(8, 4, 4))
    spec = load_backbone(net, grid=(8, 4, 4), input_spec="size=64").input
    info = backbone_info(backbone, spec)
    clip = torch.rand(CLIP)
    taps = [find_tap(backbone, name, info) for name in ("patches", "layer")]
    with torch.no_grad():
        maps = read_maps(backbone, clip, taps)
        assert torch.equal(maps["patches"], net.patches(clip))
        assert torch.equal(maps["layer"], backbone(clip))
    assert (info.channels, info.temporal_stride, info.spatial_stride) == (8, 2, 16)


def test_entries_keep_their_names():
    net = TokenNet()
    holder = nn.ModuleDict({"backbone": Adapter(net, grid=(8, 4, 4))})
    assert set(holder.state_dict()) == {f"backbone.{name}" for name in net.state_dict()}
    other = nn.ModuleDict({"backbone": Adapter(TokenNet(), grid=(8, 4, 4))})
    other.load_state_dict(holder.state_dict())
    assert torch.equal(other["backbone"].model.layer.weight, net.layer.weight)
    assert dict(other["backbone"].named_modules())["layer"] is other["backbone"].model.layer
    assert other["backbone"].get_submodule("layer") is other["backbone"].model.layer


def test_precision_is_the_modules():
    net = TokenNet().double()
    found = as_backbone(net, grid=(8, 4, 4))(torch.rand(CLIP))
    assert found.dtype == torch.float32


def test_a_factory_is_read_by_what_its_module_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token_net_of_test.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    grid, num_prefix_tokens = (8, 7, 7), 0\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.patches = nn.Conv3d(3, 8, (2, 16, 16), stride=(2, 16, 16))\n"
        "    def forward(self, clip):\n"
        "        return self.patches(clip).flatten(2).mT\n"
    )
    backbone = create_backbone("token_net_of_test:Net")
    assert backbone(torch.rand(1, 3, 16, 112, 112)).shape == (1, 8, 8, 7, 7)
    torch.save({"module." + key: value for key, value in backbone.state_dict().items()}, tmp_path / "weights.pt")
    loaded = load_backbone(tmp_path / "weights.pt", "token_net_of_test:Net")
    assert loaded.report.complete
    assert torch.equal(loaded.backbone.model.patches.weight, backbone.model.patches.weight)


def test_a_model_that_publishes_taps_stays_itself():
    tiny = create_backbone("tiny")
    assert as_backbone(tiny) is tiny


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        ({"grid": (8, 4)}, "grid must be (T', H', W'), got (8, 4)"),
        ({"num_prefix_tokens": -1}, "num_prefix_tokens must not be negative"),
    ],
)
def test_readings_that_cannot_be(reading, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Adapter(TokenNet(), **reading)


def test_readings_are_for_own_modules():
    with pytest.raises(InputError, match="grid: for your own module only"):
        load_backbone("tiny-fima", grid=(8, 4, 4))
    with pytest.raises(InputError, match=r"model must be a path, an nn\.Module or a callable, got int"):
        load_backbone(3)
