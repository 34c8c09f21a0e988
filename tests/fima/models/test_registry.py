import math
import sys

import pytest
import torch
from torch import nn

from fima.errors import InputError
from fima.input_spec import FIMA_112, InputSpec
from fima.models import backbone_info, backbone_names, create_backbone

SMALL = {"slow_r50": (8, 64), "i3d": (16, 64)}
CONVOLUTIONAL = ("i3d", "r2plus1d_18", "r3d_18", "r3d_18_dilated", "slow_r50", "tiny")


@pytest.mark.parametrize("arch", CONVOLUTIONAL)
@pytest.mark.parametrize("odd", [False, True], ids=["usual", "odd"])
def test_taps_declare_what_hooks_see(arch, odd):
    backbone = create_backbone(arch).eval()
    frames, size = SMALL.get(arch, (16, 32))
    frames, size = frames + 1 * odd, size - 3 * odd
    info = backbone_info(backbone, backbone.input_spec.replace(num_frames=frames, size=size))
    modules, seen = dict(backbone.named_modules()), {}
    for tap in info.taps:
        modules[tap.layer].register_forward_hook(lambda _m, _i, out, name=tap.layer: seen.update({name: out}))
    with torch.no_grad():
        output = backbone(torch.randn(2, 3, frames, size, size))
    for tap in info.taps:
        strides = (tap.temporal_stride, tap.spatial_stride, tap.spatial_stride)
        n, channels, *grid = seen[tap.layer].shape
        assert (n, channels) == (2, tap.channels), tap.layer
        for cells, length, stride in zip(grid, (frames, size, size), strides, strict=True):
            # Sizes that divide come out exactly; the others are rounded one way or the other.
            assert cells in {length // stride, math.ceil(length / stride)}, tap.layer
        assert seen[tap.layer].min() >= 0, tap.layer
    last = info.taps[-1]
    assert (info.channels, info.temporal_stride, info.spatial_stride) == (
        last.channels,
        last.temporal_stride,
        last.spatial_stride,
    )
    torch.testing.assert_close(seen[last.layer], output)


@pytest.mark.parametrize("arch", backbone_names())
def test_class_publishes_the_same_numbers(arch):
    with torch.device("meta"):
        backbone = create_backbone(arch)
    info = backbone_info(backbone)
    assert (backbone.channels, backbone.temporal_stride, backbone.spatial_stride) == (
        info.channels,
        info.temporal_stride,
        info.spatial_stride,
    )
    assert isinstance(backbone.input_spec, InputSpec)
    assert info.input == backbone.input_spec
    with torch.device("meta"):
        create_backbone(arch, **backbone.settings)


@pytest.mark.parametrize("arch", ["tiny", "r2plus1d_18"])
def test_initial_weights(arch):
    torch.manual_seed(0)
    for module in create_backbone(arch).modules():
        if isinstance(module, nn.Conv3d):
            fan_out = module.out_channels * math.prod(module.kernel_size)
            if module.weight.numel() > 5000:
                assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.05)
        elif isinstance(module, nn.BatchNorm3d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()


@pytest.mark.parametrize("arch", ["tiny", "i3d", "r2plus1d_18", "slow_r50"])
def test_channels_last_gives_the_same(arch, rel_err):
    backbone = create_backbone(arch).eval()
    clip = torch.rand(2, 3, 8, 32, 32)
    with torch.no_grad():
        expected = backbone(clip)
        backbone.to(memory_format=torch.channels_last_3d)
        assert rel_err(backbone(clip.contiguous(memory_format=torch.channels_last_3d)), expected) < 1e-5


class TestForeign:
    @pytest.fixture
    def module_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        yield lambda name, text: (tmp_path / f"{name}.py").write_text(text)
        for name in ("mine_ok", "mine_broken", "mine_odd"):
            sys.modules.pop(name, None)

    def test_from_the_current_folder(self, module_file):
        module_file(
            "mine_ok", "from torch import nn\ndef build(width=4):\n    return nn.Conv3d(3, width, 1, (2, 4, 4))\n"
        )
        before = list(sys.path)
        backbone = create_backbone("mine_ok:build", width=6)
        assert sys.path == before
        info = backbone_info(backbone)
        assert (info.channels, info.temporal_stride, info.spatial_stride) == (6, 2, 4)
        assert info.input == FIMA_112
        assert info.taps[0].layer == ""

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("mine_broken:build", "--arch mine_broken:build: cannot be imported: ZeroDivisionError"),
            ("mine_absent:build", "--arch mine_absent:build: cannot be imported: ModuleNotFoundError"),
            ("mine_odd:nothing", "cannot be imported: AttributeError"),
            ("mine_odd:number", "expected a callable"),
            ("mine_odd:text", "must return an nn.Module, got str"),
            ("mine_odd:fails", "the factory raised RuntimeError: no weights"),
        ],
        ids=lambda value: value.split(":")[-1].split()[0],
    )
    def test_errors_are_one_line(self, module_file, name, message):
        module_file("mine_broken", "1 / 0\n")
        module_file("mine_odd", "number = 3\ntext = lambda: 'x'\ndef fails():\n    raise RuntimeError('no weights')\n")
        with pytest.raises(InputError, match=message) as caught:
            create_backbone(name)
        assert "\n" not in str(caught.value)

    def test_tokens_need_a_layout(self):
        class Tokens(nn.Module):
            def forward(self, clip):
                return clip[:, :, ::2, ::8, ::8].flatten(2).transpose(1, 2)

        with pytest.raises(InputError, match=r"Tokens must return a feature map .* got \(1, 1568, 3\)"):
            backbone_info(Tokens())
        info = backbone_info(Tokens(), to_ncthw=lambda x: x.transpose(1, 2).unflatten(2, (8, 14, 14)))
        assert (info.channels, info.temporal_stride, info.spatial_stride) == (3, 2, 8)

    def test_dry_run_leaves_no_trace(self):
        backbone = nn.Sequential(nn.Conv3d(3, 4, 3, 2, 1), nn.BatchNorm3d(4), nn.Dropout())
        backbone[2].eval()
        before = {name: value.clone() for name, value in backbone.state_dict().items()}
        assert backbone_info(backbone).channels == 4
        assert [module.training for module in backbone.modules()] == [True, True, True, False]
        assert all(value.equal(before[name]) for name, value in backbone.state_dict().items())

    def test_module_that_fails(self):
        backbone = nn.Conv3d(1, 4, 3)
        with pytest.raises(InputError, match=r"Conv3d fails on a clip \(1, 3, 16, 112, 112\): RuntimeError"):
            backbone_info(backbone)
        assert backbone.training


def test_unknown_name_suggests_and_lists():
    with pytest.raises(InputError, match=r"--arch r2plus1d-18: .*did you mean r2plus1d_18\?.*i3d, .*tiny"):
        create_backbone("r2plus1d-18")
    with pytest.raises(InputError, match="known: i3d"):
        create_backbone("zzz")


def test_unknown_setting_is_named():
    with pytest.raises(InputError, match=r"--arch slow_r50: .*depth.*stem_temporal_stride"):
        create_backbone("slow_r50", depth=3)
