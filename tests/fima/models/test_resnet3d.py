import functools

import pytest
import torch
import torch.nn.functional as F

from fima.models import create_backbone

REFERENCE = {"r2plus1d_18": "r2plus1d", "r3d_18": "r3d", "r3d_18_dilated": "r3d"}


@pytest.fixture(scope="module")
def reference_state(golden):
    return functools.cache(golden.state)


class Twin:
    """The networks again, as plain functions of a state dict: nothing is shared with the library but the names."""

    def __init__(self, state, *, dilated):
        self.state, self.dilated = state, dilated

    def norm(self, x, name):
        s = self.state
        scale = s[f"{name}.weight"] / (s[f"{name}.running_var"] + 1e-5).sqrt()
        shift = s[f"{name}.bias"] - s[f"{name}.running_mean"] * scale
        return x * scale.view(1, -1, 1, 1, 1) + shift.view(1, -1, 1, 1, 1)

    def conv(self, x, name, stride, dilation=1):
        weight = self.state[f"{name}.weight"]
        k = weight.shape[2:]
        padding = (dilation * (k[0] // 2), k[1] // 2, k[2] // 2)
        return F.conv3d(x, weight, None, stride, padding, (dilation, 1, 1))

    def conv3x3x3(self, x, name, stride, dilation=1):
        if f"{name}.weight" in self.state:
            return self.conv(x, name, stride, dilation)
        x = self.conv(x, f"{name}.0", (1, stride[1], stride[2]))
        return self.conv(self.norm(x, f"{name}.1").clamp(min=0), f"{name}.3", (stride[0], 1, 1))

    def block(self, x, name, strided):
        dilated = self.dilated and name == "layer4.0"
        stride = (1 if dilated else 2, 2, 2) if strided else (1, 1, 1)
        y = self.conv3x3x3(x, f"{name}.conv1.0", stride, 2 if dilated else 1)
        y = self.norm(y, f"{name}.conv1.1").clamp(min=0)
        y = self.norm(self.conv3x3x3(y, f"{name}.conv2.0", (1, 1, 1)), f"{name}.conv2.1")
        if strided:
            x = self.norm(self.conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        return (y + x).clamp(min=0)

    def __call__(self, x):
        x = self.norm(self.conv(x, "stem.0", (1, 2, 2)), "stem.1").clamp(min=0)
        if "stem.3.weight" in self.state:
            x = self.norm(self.conv(x, "stem.3", (1, 1, 1)), "stem.4").clamp(min=0)
        for layer in (1, 2, 3, 4):
            for index in (0, 1):
                x = self.block(x, f"layer{layer}.{index}", strided=layer > 1 and index == 0)
        return x


@pytest.mark.parametrize("arch", REFERENCE)
@pytest.mark.parametrize("size", [(16, 32), (9, 45)], ids=["even", "odd"])
def test_features_are_the_twin_s(arch, size, golden, reference_state, rel_err):
    state = reference_state(REFERENCE[arch])
    backbone = create_backbone(arch).eval()
    backbone.load_state_dict(state, strict=True)
    clip = golden.clip(2, size[0], size[1], size[1])
    with torch.no_grad():
        assert rel_err(backbone(clip), Twin(state, dilated=arch.endswith("dilated"))(clip)) <= 1e-5


@pytest.mark.parametrize("arch", REFERENCE)
def test_entries_are_the_reference_s_in_order(arch, golden):
    ours = [(name, list(value.shape), str(value.dtype)) for name, value in create_backbone(arch).state_dict().items()]
    assert ours == [tuple(entry) for entry in golden.names[REFERENCE[arch]]]


@pytest.mark.parametrize(("arch", "steps"), [("r2plus1d_18", 2), ("r3d_18", 2), ("r3d_18_dilated", 4)])
def test_grid(arch, steps):
    with torch.no_grad():
        assert create_backbone(arch).eval()(torch.zeros(1, 3, 16, 112, 112)).shape == (1, 512, steps, 7, 7)


def test_dilated_differs_from_plain_with_the_same_weights(golden):
    plain, dilated = create_backbone("r3d_18").eval(), create_backbone("r3d_18_dilated").eval()
    dilated.load_state_dict(plain.state_dict(), strict=True)
    clip = golden.clip(1, 16, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(plain(clip).mean(2), dilated(clip).mean(2))
