"""What people have around and in front of weights; what is refused, in one line that names it."""

import re

import pytest
import torch
from torch import nn

from fima.checkpoints import load_backbone
from fima.errors import CheckpointError, InputError

CASE = "videomae_finetune"


@pytest.fixture(scope="module")
def weights(transformers_golden):
    return transformers_golden.parts(CASE)["module"]


@pytest.fixture
def save(tmp_path):
    def write(content, name="file.pth"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return write


def before(prefix, state):
    return {prefix + key: value for key, value in state.items()}


CONTAINERS = {
    "DataParallel": lambda state: before("module.", state),
    "DataParallel twice": lambda state: {"model": before("module.module.", state)},
    "torch.compile": lambda state: {"model": before("_orig_mod.", state)},
    "a compiled block": lambda state: {k.replace("blocks.1.", "blocks.1._orig_mod."): v for k, v in state.items()},
    "Lightning": lambda state: {"state_dict": before("net.", state), "pytorch-lightning_version": "2.5"},
    "a wrapper's own name": lambda state: {"state_dict": before("model.backbone.", state)},
    "moving average alone": lambda state: {"model_ema": state},
    "moving average beside": lambda state: {"model": state, "model_ema": {k: 0 * v for k, v in state.items()}},
    "timm": lambda state: {"state_dict_ema": state, "epoch": 3},
    "DeepSpeed": lambda state: {"module": state, "ds_version": "0.9"},
    "float64": lambda state: {"module": {key: value.double() for key, value in state.items()}},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name, weights, save, transformers_golden, rel_err):
    loaded = load_backbone(save(CONTAINERS[name](weights)))
    with torch.inference_mode():
        found = loaded.backbone(transformers_golden.clip(CASE))
    assert rel_err(found, transformers_golden.tensor(CASE, "native", "final")) <= 1e-4
    assert loaded.report.format == "VideoMAE (official)"


def test_which_weights_were_taken_is_said(weights, save):
    loaded = load_backbone(save({"model": weights, "model_ema": weights}))
    assert "the weights are those under 'model'; the file also holds model_ema" in loaded.report.notes
    assert loaded.report.ignored["model_ema.head.bias"] == "moving average of the weights, not taken"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype, weights, save, transformers_golden, rel_err):
    loaded = load_backbone(save({"module": {key: value.to(dtype) for key, value in weights.items()}}))
    assert {p.dtype for p in loaded.backbone.parameters()} == {torch.float32}
    exact = load_backbone(save({"module": {key: value.to(dtype).float() for key, value in weights.items()}}))
    clip = transformers_golden.clip(CASE)
    with torch.inference_mode():
        assert torch.equal(loaded.backbone(clip), exact.backbone(clip))


def test_safetensors_alone(weights, tmp_path, transformers_golden, rel_err):
    from safetensors.torch import save_file

    save_file(weights, tmp_path / "weights.safetensors")
    loaded = load_backbone(tmp_path / "weights.safetensors")
    with torch.inference_mode():
        found = loaded.backbone(transformers_golden.clip(CASE))
    assert rel_err(found, transformers_golden.tensor(CASE, "native", "final")) <= 1e-4


def test_mmaction2(weights, save, transformers_golden, rel_err):
    """The same weights under MMAction2's names, which store the table of positions too."""
    from fima.models.hub.positions import sine_cosine_table

    names = {"patch_embed.proj": "patch_embed.projection", "mlp.fc1": "mlp.layers.0.0", "mlp.fc2": "mlp.layers.1"}
    state = {"backbone.pos_embed": sine_cosine_table(4 * 16, 128)[None].clone()}
    for key, value in weights.items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        state["cls_head.fc_cls." + key[5:] if key.startswith("head.") else "backbone." + key] = value
    state |= {
        f"data_preprocessor.{word}": torch.full((3, 1), value) for word, value in (("mean", 127.5), ("std", 51.0))
    }
    loaded = load_backbone(save({"state_dict": state, "meta": {}}))
    assert loaded.report.format == "VideoMAE (MMAction2)"
    assert loaded.input.mean == pytest.approx((0.5,) * 3)
    assert loaded.input.std == pytest.approx((0.2,) * 3)
    plain = load_backbone(save({"module": weights})).backbone
    clip = transformers_golden.clip(CASE)
    with torch.inference_mode():
        assert rel_err(loaded.backbone(clip), plain(clip)) < 1e-6
    with pytest.raises(InputError, match=r"has positions for 8 frames of 64 x 64 pixels, not for the grid \(8, 4, 4\)"):
        loaded.backbone(transformers_golden.clip("videomae_pretrain"))


def test_positions_that_fit_no_frames_are_refused(weights, save):
    with pytest.raises(CheckpointError, match=r"no pos_embed of square frames in it: it has 63 positions"):
        load_backbone(save({"module": weights | {"pos_embed": torch.zeros(1, 63, 128)}}))


def test_interpolated_positions_when_asked_for(weights, save, transformers_golden):
    from fima.models.hub.positions import sine_cosine_table

    path = save({"module": weights | {"pos_embed": sine_cosine_table(4 * 16, 128)[None].clone()}})
    asked = load_backbone(path, input_spec="num_frames=16")
    with torch.inference_mode():
        found = asked.backbone(transformers_golden.clip("videomae_pretrain"))
        own = asked.backbone(transformers_golden.clip(CASE))
        assert torch.equal(own, load_backbone(path).backbone(transformers_golden.clip(CASE)))
    assert found.shape == (2, 128, 8, 4, 4)
    assert asked.settings["resize"]
    assert "positions are interpolated to 16 frames of 64 x 64 pixels, as asked for" in asked.report.notes


def test_mmaction2_timesformer(save, transformers_golden, rel_err):
    names = (
        (r"blocks\.(\d+)\.temporal_norm1\.", r"transformer_layers.layers.\1.attentions.0.norm."),
        (r"blocks\.(\d+)\.temporal_attn\.qkv\.", r"transformer_layers.layers.\1.attentions.0.attn.in_proj_"),
        (r"blocks\.(\d+)\.temporal_attn\.proj\.", r"transformer_layers.layers.\1.attentions.0.attn.out_proj."),
        (r"blocks\.(\d+)\.temporal_fc\.", r"transformer_layers.layers.\1.attentions.0.temporal_fc."),
        (r"blocks\.(\d+)\.norm1\.", r"transformer_layers.layers.\1.attentions.1.norm."),
        (r"blocks\.(\d+)\.attn\.qkv\.", r"transformer_layers.layers.\1.attentions.1.attn.in_proj_"),
        (r"blocks\.(\d+)\.attn\.proj\.", r"transformer_layers.layers.\1.attentions.1.attn.out_proj."),
        (r"blocks\.(\d+)\.norm2\.", r"transformer_layers.layers.\1.ffns.0.norm."),
        (r"blocks\.(\d+)\.mlp\.fc1\.", r"transformer_layers.layers.\1.ffns.0.layers.0.0."),
        (r"blocks\.(\d+)\.mlp\.fc2\.", r"transformer_layers.layers.\1.ffns.0.layers.1."),
        (r"patch_embed\.proj\.", "patch_embed.projection."),
        (r"^head\.", "cls_head.fc_cls."),
    )
    state = {}
    for key, value in transformers_golden.parts("timesformer")["model_state"].items():
        name = key.removeprefix("model.")
        for ours, theirs in names:
            name = re.sub(ours, theirs, name)
        state[name if name.startswith("cls_head") else "backbone." + name] = value
    loaded = load_backbone(save({"state_dict": state}))
    assert loaded.report.format == "TimeSformer (MMAction2)"
    with torch.inference_mode():
        found = loaded.backbone(transformers_golden.clip("timesformer"))
    assert rel_err(found, transformers_golden.tensor("timesformer", "native", "final")) <= 1e-4


HOLES = {
    "bias of values": ("blocks.2.attn.v_bias", "1 of 55 entries missing: blocks.2.attn.qkv.bias"),
    "a layer": ("blocks.1.mlp.fc1.weight", "1 of 56 entries missing: blocks.1.mlp.fc1.weight"),
    "patches": ("patch_embed.proj.weight", "VideoMAE: no patch_embed.proj.weight in it"),
}


@pytest.mark.parametrize("name", HOLES)
def test_a_hole_is_named(name, weights, save):
    key, message = HOLES[name]
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_backbone(save({"module": {k: v for k, v in weights.items() if k != key}}))


def test_a_stranger_inside_is_named(weights, save):
    with pytest.raises(CheckpointError, match=r"1 without a place in it: blocks\.0\.attn\.relative"):
        load_backbone(save({"module": weights | {"blocks.0.attn.relative": torch.ones(3)}}))


def test_the_users_word_decides_where_keys_do_not(save, transformers_golden):
    target = transformers_golden.parts("vjepa2")["target_encoder"]
    assert load_backbone(save({"encoder": target})).arch == "vjepa2"
    assert load_backbone(save({"encoder": target}), "videomae").arch == "videomae"
    with pytest.raises(CheckpointError, match=r"holds V-JEPA 2 \(vjepa2\), but --arch says tiny"):
        load_backbone(save({"encoder": target}), "tiny")


REFUSED = {
    "module.base_model.layer1.0.conv1.net.weight": "TSM",
    "blocks.0.ls1.gamma": "InternVideo2",
    "layers.3.mixer.in_proj.weight": "VideoMamba.*install mamba-ssm",
    "blocks.0.multipathway_blocks.1.conv.weight": "pytorchvideo SlowFast.*install pytorchvideo",
    "blocks.1.res_blocks.0.branch2.conv_a.weight": "pytorchvideo X3D",
    "cls_positional_encoding.cls_token": "pytorchvideo MViT",
    "backbone.layer1.0.conv2.0.conv.weight": "MMAction2's 3-D ResNet.*install mmaction2",
    "features.0.0.attn.relative_position_bias_table": "Video Swin",
}


@pytest.mark.parametrize("key", REFUSED)
def test_families_that_cannot_be_built_are_named(key, save):
    with pytest.raises(CheckpointError, match=f"is a checkpoint of {REFUSED[key]}.*--arch package.module:factory"):
        load_backbone(save({"state_dict": {key: torch.ones(2, 2)}}))


def test_the_nearest_family_of_an_unknown_file_is_named(weights, save):
    image = {key: value for key, value in weights.items() if "q_bias" not in key and "v_bias" not in key}
    image |= {"cls_token": torch.ones(1, 1, 128), "patch_embed.proj.weight": torch.ones(128, 3, 16, 16)}
    image |= {f"blocks.{number}.attn.qkv.bias": torch.ones(384) for number in range(4)}
    with pytest.raises(CheckpointError, match=r"no network known here.*nearest is v\w+, \d+ of whose \d+ kinds"):
        load_backbone(save(image))


def test_code_is_refused_with_a_way_out(tmp_path):
    torch.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "whole.pt")
    torch.jit.script(nn.Sequential(nn.Linear(2, 2))).save(tmp_path / "script.pt")
    with pytest.raises(CheckpointError, match=r"wants torch.nn.modules.*save its weights alone"):
        load_backbone(tmp_path / "whole.pt")
    with pytest.raises(CheckpointError, match=r"is a TorchScript program.*save its state_dict"):
        load_backbone(tmp_path / "script.pt")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 15, 64, 64), "VideoMAE takes frames in multiples of 2"),
        ((1, 3, 16, 60, 64), "VideoMAE takes sides in multiples of 16 pixels .*, got 60 x 64"),
        ((3, 16, 64, 64), r"clip must be \(N, 3, T, H, W\), got \(3, 16, 64, 64\)"),
    ],
)
def test_clips_that_do_not_fit(shape, message, weights, save):
    backbone = load_backbone(save({"module": weights})).backbone
    with pytest.raises(InputError, match=message):
        backbone(torch.zeros(shape))
