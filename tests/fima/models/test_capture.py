"""Reading layers: what is read is what the layer gave, and nothing of the model changes."""

import pytest
import torch
from torch import nn

from fima.errors import InputError
from fima.models import FeatureTap, backbone_info, create_backbone
from fima.models.capture import capture, find_tap, read_maps


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), nn.Conv3d(4, 2, 1))


def _hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_outputs_in_order(network):
    clip = torch.rand(1, 3, 2, 4, 4)
    with capture(network, ["2", "0", ""]) as seen:
        output = network(clip)
    assert list(seen) == ["0", "2", ""]
    assert torch.equal(seen["0"][0], network[0](clip))
    assert seen[""][0] is output


def test_hooks_are_gone_after_an_error(network):
    with pytest.raises(RuntimeError), capture(network, ["0"]):
        network(torch.rand(1, 2, 2, 4, 4))
    assert _hooks(network) == 0


def test_unknown_layer_leaves_no_hook(network):
    with pytest.raises(InputError, match="Sequential has no layer nowhere"), capture(network, ["0", "nowhere"]):
        pass
    assert _hooks(network) == 0


def test_kept_is_what_was_asked_for(network):
    with capture(network, ["1"], keep=lambda layer, inputs, output: inputs[0].shape) as seen:
        network(torch.rand(1, 3, 2, 4, 4))
    assert seen["1"] == [(1, 4, 2, 4, 4)]


def test_a_layer_that_runs_twice_is_refused(network):
    twice = nn.Sequential(network[0], network[1], network[1])
    with pytest.raises(InputError, match="layer 1 runs 2 times in one pass"):
        read_maps(twice, torch.rand(1, 3, 2, 4, 4), [FeatureTap("1", 4, 1, 1)])


def test_maps_of_all_taps_in_one_pass():
    backbone = create_backbone("tiny").eval()
    clip = torch.rand(1, 3, 8, 32, 32)
    with torch.no_grad():
        maps = read_maps(backbone, clip, backbone.taps)
        assert torch.equal(maps[backbone.taps[-1].layer], backbone(clip))
    assert [found.shape[1] for found in maps.values()] == [tap.channels for tap in backbone.taps]


def test_find_tap_names_what_there_is():
    backbone = create_backbone("tiny")
    info = backbone_info(backbone)
    assert find_tap(backbone, None, info) is info.taps[-1]
    assert find_tap(backbone, "stem", info).channels == info.taps[0].channels
    with pytest.raises(InputError, match="--layer nowhere: not in tiny; taps: stem, stage1"):
        find_tap(backbone, "nowhere", info, arch="tiny")
