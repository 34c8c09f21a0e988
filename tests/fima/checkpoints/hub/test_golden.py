"""Files of the authors' layouts, loaded and run, against the numbers of the authors' code."""

import itertools

import pytest
import torch

from fima.checkpoints import load_backbone
from fima.errors import InputError
from fima.models import create_backbone
from fima.models.attention import read_attention
from fima.models.capture import find_tap, read_maps

CASES = [
    "videomae_pretrain",
    "videomae_finetune",
    "videomaev2_pretrain",
    "vjepa1",
    "vjepa1_small_tokens",
    "vjepa2",
    "vjepa21",
    "timesformer",
    "hiera",
    "uniformer",
    "hf_videomae",
    "hf_timesformer",
]
LIMIT = 1e-4

#: What each case's other feature maps are called as layers.
LAYERS = {
    "videomae_finetune": {"final_fc_norm": "fc_norm"},
    "vjepa21": {"norm0": "norms_block.0", "norm1": "norms_block.1", "norm2": "norms_block.2"},
    "hiera": {"stage0": "blocks.0", "stage1": "blocks.1", "stage2": "blocks.3"},
    "uniformer": {"stage0": "blocks1.0", "stage1": "blocks2.0", "stage2": "blocks3.0"},
}


@pytest.fixture(scope="module")
def files(transformers_golden, tmp_path_factory):
    """Case → what was loaded from its file, each written and read once."""
    folder, loaded = tmp_path_factory.mktemp("files"), {}

    def load(case):
        if case not in loaded:
            loaded[case] = load_backbone(transformers_golden.write(case, folder / case))
        return loaded[case]

    return load


def maps(loaded, clip, layers):
    taps = [find_tap(loaded.backbone, layer, loaded.info) for layer in layers]
    with torch.inference_mode():
        found = read_maps(loaded.backbone, clip, taps)
    return [found[tap.layer] for tap in taps]


@pytest.mark.parametrize("case", CASES)
def test_feature_maps(case, files, transformers_golden, rel_err):
    loaded = files(case)
    for label in transformers_golden.cases[case]["outs"]:
        if label == "encoder_native":
            continue
        (final,) = maps(loaded, transformers_golden.clip(case, label), [None])
        with torch.inference_mode():
            assert torch.equal(loaded.backbone(transformers_golden.clip(case, label)), final)
        assert rel_err(final, transformers_golden.tensor(case, label, "final")) <= LIMIT, label


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("hiera", "uniformer")])
def test_middle_block(case, files, transformers_golden, rel_err):
    block = transformers_golden.cases[case]["middle_block"]
    (middle,) = maps(files(case), transformers_golden.clip(case), [f"blocks.{block}"])
    assert rel_err(middle, transformers_golden.tensor(case, "native", "middle")) <= LIMIT


@pytest.mark.parametrize("case", LAYERS)
def test_layers(case, files, transformers_golden, rel_err):
    found = maps(files(case), transformers_golden.clip(case), LAYERS[case].values())
    for (what, layer), feature_map in zip(LAYERS[case].items(), found, strict=True):
        expected = transformers_golden.tensor(case, "native", what)
        if (case, what) == ("uniformer", "stage0"):
            feature_map = feature_map[..., ::2, ::2]
        assert rel_err(feature_map, expected) <= LIMIT, layer


@pytest.mark.parametrize(("case", "head"), [("videomae_finetune", "head"), ("uniformer", "head")])
def test_classes_from_the_head_in_the_file(case, head, files, transformers_golden, rel_err):
    layer = {"videomae_finetune": "blocks.3", "uniformer": None}[case]
    (last,) = maps(files(case), transformers_golden.clip(case), [layer])
    pooled = last.mean(dim=(2, 3, 4))
    if case == "videomae_finetune":
        pooled = files(case).backbone.fc_norm(pooled)
        assert rel_err(pooled.detach(), transformers_golden.tensor(case, "native", "pooled")) <= LIMIT
    state = next(iter(transformers_golden.parts(case).values()))
    logits = pooled @ state[f"{head}.weight"].T + state[f"{head}.bias"]
    assert rel_err(logits.detach(), transformers_golden.tensor(case, "native", "logits")) <= LIMIT


def test_hiera_pooled(files, transformers_golden, rel_err):
    (last,) = maps(files("hiera"), transformers_golden.clip("hiera"), [None])
    pooled = files("hiera").backbone.norm(last.mean(dim=(2, 3, 4))).detach()
    assert rel_err(pooled, transformers_golden.tensor("hiera", "native", "pooled")) <= LIMIT


@pytest.mark.parametrize("case", ["timesformer", "hf_timesformer"])
def test_class_token(case, files, transformers_golden, rel_err):
    from fima.models.capture import capture

    backbone = files(case).backbone
    with torch.inference_mode(), capture(backbone, [f"blocks.{len(backbone.blocks) - 1}"]) as seen:
        backbone(transformers_golden.clip(case))
        cls = backbone.norm(next(iter(seen.values()))[0][0])[:, 0]
    assert rel_err(cls, transformers_golden.tensor(case, "native", "cls")) <= LIMIT


class TestWrongReadings:
    """The golden numbers of mistakes are far from ours: they would have been noticed."""

    @pytest.mark.parametrize("label", ["larger", "nonsquare"])
    def test_vjepa2_with_the_positions_of_another_size(self, label, files, transformers_golden, rel_err):
        (final,) = maps(files("vjepa2"), transformers_golden.clip("vjepa2", label), [None])
        assert rel_err(final, transformers_golden.tensor("vjepa2", label, "if_crop_size_kept")) > 0.2

    def test_vjepa21_as_vjepa2(self, files, transformers_golden, rel_err):
        (final,) = maps(files("vjepa21"), transformers_golden.clip("vjepa21"), [None])
        assert rel_err(final, transformers_golden.tensor("vjepa21", "native", "if_read_as_vjepa2")) > 0.5

    @pytest.mark.parametrize("case", ["vjepa1", "vjepa2"])
    def test_the_other_encoder(self, case, files, transformers_golden, rel_err, tmp_path):
        expected = transformers_golden.tensor(case, "encoder_native", "final")
        clip = transformers_golden.clip(case, "encoder_native")
        (final,) = maps(files(case), clip, [None])
        assert rel_err(final, expected) > 0.5
        content = transformers_golden.content(case)
        del content["target_encoder"]
        torch.save(content, tmp_path / "only_encoder.pt")
        (final,) = maps(load_backbone(tmp_path / "only_encoder.pt"), clip, [None])
        assert rel_err(final, expected) <= LIMIT


@pytest.mark.parametrize("case", CASES)
def test_orientation(case, files, transformers_golden):
    """The cell that moves most is that of the tubelet that was changed."""
    loaded = files(case)
    clip = transformers_golden.clip(case)[:1]
    overlapping = case in ("hiera", "uniformer")  # their tubelets share every second frame
    backbone = without_branches(loaded) if overlapping else loaded.backbone
    steps, sides = loaded.info.temporal_stride, loaded.info.spatial_stride
    length = 1 if overlapping else steps
    with torch.inference_mode():
        before = backbone(clip)
        grid = before.shape[2:]
        for cell in list(itertools.product(*map(range, grid)))[:: max(1, before[0, 0].numel() // 9)]:
            t, y, x = cell
            changed = clip.clone()
            changed[
                :, :, t * steps : t * steps + length, y * sides : (y + 1) * sides, x * sides : (x + 1) * sides
            ] *= -1
            moved = (backbone(changed) - before).norm(dim=1)[0]
            assert moved.flatten().argmax() == torch.arange(moved.numel()).reshape(grid)[cell], cell


def without_branches(loaded):
    """The same network with its residual branches silenced: its last grid is too coarse to probe otherwise."""
    backbone = create_backbone(loaded.arch, **loaded.settings).eval()
    backbone.load_state_dict(loaded.backbone.state_dict())
    with torch.no_grad():
        for name, module in backbone.named_modules():
            if name.endswith(("attn.proj", "mlp.fc2", "conv2")) or ("blocks" in name and name.endswith("pos_embed")):
                module.weight.zero_()
                module.bias.zero_()
    return backbone


class TestAttention:
    @pytest.mark.parametrize("case", [case for case in CASES if "timesformer" not in case])
    def test_received(self, case, files, transformers_golden, rel_err):
        found = read_attention(files(case).backbone, transformers_golden.clip(case))
        (received,) = found.values()
        assert rel_err(received, transformers_golden.tensor(case, "native", "attention")) <= LIMIT
        torch.testing.assert_close(received.sum(dim=(2, 3, 4)), torch.ones(received.shape[:2]))

    def test_divided(self, files, transformers_golden, rel_err):
        backbone, clip = files("timesformer").backbone, transformers_golden.clip("timesformer")
        found = read_attention(backbone, clip, ["blocks.3.attn", "blocks.3.temporal_attn"])
        paid = read_attention(backbone, clip, ["blocks.3.attn"], from_class_token=True)
        for name, received in {
            "attention_space": found["blocks.3.attn"],
            "attention_time": found["blocks.3.temporal_attn"],
            "attention_space_from_cls": paid["blocks.3.attn"],
        }.items():
            assert rel_err(received, transformers_golden.tensor("timesformer", "native", name)) <= LIMIT, name

    def test_cells_average_to_all(self, files, transformers_golden):
        backbone, clip = files("vjepa2").backbone, transformers_golden.clip("vjepa2")[:1]
        cells = itertools.product(range(4), range(4), range(4))
        each = [read_attention(backbone, clip, cell=cell)["blocks.3.attn"] for cell in cells]
        torch.testing.assert_close(torch.stack(each).mean(dim=0), read_attention(backbone, clip)["blocks.3.attn"])

    def test_what_cannot_be_read_is_said(self, files, transformers_golden):
        backbone, clip = files("timesformer").backbone, transformers_golden.clip("timesformer")
        with pytest.raises(InputError, match=r"no attention in layer norm; there is blocks\.0"):
            read_attention(backbone, clip, ["norm"])
        with pytest.raises(InputError, match="cells do not all see each other"):
            read_attention(backbone, clip, cell=(0, 0, 0))
        with pytest.raises(InputError, match=r"cell \(9, 0, 0\) is outside the grid \(4, 4, 4\)"):
            read_attention(files("vjepa2").backbone, transformers_golden.clip("vjepa2"), cell=(9, 0, 0))
        with pytest.raises(InputError, match="Tiny has no attention over its cells"):
            read_attention(create_backbone("tiny"), clip)
