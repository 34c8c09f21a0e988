import pytest
import torch
import torch.nn.functional as F

from fima.errors import InputError
from fima.models import backbone_info, create_backbone


@pytest.fixture(scope="module")
def state(golden):
    return {name: value for name, value in golden.state("slow_r50").items() if not name.startswith("head.")}


def twin(state, x, stem_stride):
    """The network again, from the definition in the paper's table and the names alone."""

    def norm(x, name):
        s = state
        y = (x - s[f"{name}.running_mean"].view(1, -1, 1, 1, 1)) / (
            s[f"{name}.running_var"].view(1, -1, 1, 1, 1) + 1e-5
        ).sqrt()
        return y * s[f"{name}.weight"].view(1, -1, 1, 1, 1) + s[f"{name}.bias"].view(1, -1, 1, 1, 1)

    x = F.conv3d(x, state["s1.pathway0_stem.conv.weight"], None, (stem_stride, 2, 2), (2, 3, 3))
    x = norm(x, "s1.pathway0_stem.bn").clamp(min=0)
    x = F.max_pool3d(F.pad(x, (1, 1, 1, 1)), (1, 3, 3), (1, 2, 2))
    for stage, blocks in zip("2345", (3, 4, 6, 3), strict=True):
        for index in range(blocks):
            name = f"s{stage}.pathway0_res{index}"
            stride = 2 if stage != "2" and index == 0 else 1
            kernel = 1 if stage in "23" else 3
            y = F.conv3d(x, state[f"{name}.branch2.a.weight"], padding=(kernel // 2, 0, 0))
            y = norm(y, f"{name}.branch2.a_bn").clamp(min=0)
            y = F.conv3d(y, state[f"{name}.branch2.b.weight"], None, (1, stride, stride), (0, 1, 1))
            y = norm(y, f"{name}.branch2.b_bn").clamp(min=0)
            y = norm(F.conv3d(y, state[f"{name}.branch2.c.weight"]), f"{name}.branch2.c_bn")
            if index == 0:
                x = norm(F.conv3d(x[..., ::stride, ::stride], state[f"{name}.branch1.weight"]), f"{name}.branch1_bn")
            x = (x + y).clamp(min=0)
    return x


@pytest.mark.parametrize(("frames", "size", "stride"), [(8, 64, 1), (5, 45, 1), (33, 32, 2)], ids=str)
def test_features_are_the_twin_s(state, golden, rel_err, frames, size, stride):
    backbone = create_backbone("slow_r50").eval()
    backbone.load_state_dict(state, strict=True)
    clip = golden.clip(2, frames, size, size)
    with torch.no_grad():
        assert rel_err(backbone(clip), twin(state, clip, stride)) <= 1e-5


def test_entries_are_the_reference_s_in_order(state):
    ours = create_backbone("slow_r50").state_dict()
    assert [(n, v.shape) for n, v in ours.items()] == [(n, v.shape) for n, v in state.items()]


@pytest.mark.parametrize(
    ("setting", "frames", "steps"), [(None, 8, 8), (None, 31, 31), (None, 32, 16), (1, 32, 32), (2, 8, 4)]
)
def test_stem_follows_the_clip_unless_told(setting, frames, steps):
    backbone = create_backbone("slow_r50", width=4, stem_temporal_stride=setting).eval()
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, frames, 32, 32)).shape == (1, 128, steps, 1, 1)
    spec = backbone.input_spec.replace(num_frames=frames)
    assert backbone_info(backbone, spec).temporal_stride == frames / steps if frames != 31 else 1


def test_settings_build_it_again():
    backbone = create_backbone("slow_r50", width=8, temporal_kernels=(3, 3, 3, 3), stem_temporal_kernel=1)
    again = create_backbone("slow_r50", **backbone.settings)
    shapes = [[value.shape for value in b.state_dict().values()] for b in (backbone, again)]
    assert shapes[0] == shapes[1]
    assert backbone.s2[0].branch2.a.kernel_size == (3, 1, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stem_temporal_stride": 3}, "stem_temporal_stride must be 1, 2 or None, got 3"),
        ({"temporal_kernels": (1, 2, 3, 3)}, "must be odd, got 2"),
        ({"temporal_kernels": (1, 3)}, "4 numbers"),
        ({"width": 0}, "width must be at least 1"),
    ],
    ids=str,
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        create_backbone("slow_r50", **settings)
