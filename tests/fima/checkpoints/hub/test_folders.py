"""Hugging Face folders: against transformers itself, in shards, broken."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from fima.checkpoints import load_backbone
from fima.errors import CheckpointError, InputError
from fima.models.capture import find_tap, read_maps

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}


def randomized(model):
    """Norms and biases start at 1 and 0, which would hide a mix-up."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def vivit():
    config = transformers.VivitConfig(image_size=32, num_frames=4, num_labels=5, **SMALL)
    return randomized(transformers.VivitForVideoClassification(config))


def videoprism():
    small = {k: v for k, v in SMALL.items() if k != "num_hidden_layers"}
    config = transformers.VideoPrismVisionConfig(
        image_size=36, num_frames=4, num_spatial_layers=2, num_temporal_layers=2, num_auxiliary_layers=1, **small
    )
    return randomized(transformers.VideoPrismVideoModel(config))


def videomae():
    config = transformers.VideoMAEConfig(image_size=32, num_frames=4, num_labels=5, **SMALL)
    return randomized(transformers.VideoMAEForVideoClassification(config))


def vjepa2():
    config = transformers.VJEPA2Config(
        crop_size=32, frames_per_clip=4, pred_hidden_size=32, pred_num_attention_heads=2, pred_num_hidden_layers=1,
        mlp_ratio=2, **{k: v for k, v in SMALL.items() if k != "intermediate_size"},
    )  # fmt: skip
    return randomized(transformers.VJEPA2Model(config))


def timesformer(attention):
    config = transformers.TimesformerConfig(image_size=32, num_frames=4, attention_type=attention, **SMALL)
    return randomized(transformers.TimesformerModel(config))


MODELS = {
    "vivit": (vivit, lambda m: m.vivit, 32, lambda t: t[:, 1:].unflatten(1, (2, 2, 2))),
    "videoprism": (videoprism, lambda m: m.vision_model, 36, lambda t: t.unflatten(1, (4, 2, 2))),
    "videomae": (videomae, lambda m: m.videomae, 32, lambda t: t.unflatten(1, (2, 2, 2))),
    "vjepa2": (vjepa2, lambda m: m.encoder, 32, lambda t: t.unflatten(1, (2, 2, 2))),
    "timesformer divided": (
        lambda: timesformer("divided_space_time"),
        lambda m: m,
        32,
        lambda t: t[:, 1:].unflatten(1, (2, 2, 4)).permute(0, 3, 1, 2, 4),
    ),
    "timesformer space only": (
        lambda: timesformer("space_only"),
        lambda m: m,
        32,
        lambda t: t[:, 1:].unflatten(0, (2, 4)).unflatten(2, (2, 2)),
    ),
    "timesformer joint": (
        lambda: timesformer("joint_space_time"),
        lambda m: m,
        32,
        lambda t: t[:, 1:].unflatten(1, (2, 2, 4)).permute(0, 3, 1, 2, 4),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_same_as_transformers(name, tmp_path, rel_err):
    build, part, size, to_grid = MODELS[name]
    model = build()
    model.save_pretrained(tmp_path)
    loaded = load_backbone(tmp_path)
    assert (loaded.input.num_frames, loaded.input.size) == (4, size)
    clip = torch.randn(2, 3, 4, size, size)
    with torch.inference_mode():
        expected = to_grid(part(model)(clip.movedim(1, 2)).last_hidden_state).movedim(-1, 1)
        assert rel_err(loaded.backbone(clip), expected) <= 1e-5
    state = load_file(tmp_path / "model.safetensors")
    assert state.keys() == loaded.report.loaded.keys() | loaded.report.ignored.keys()


@pytest.mark.parametrize("name", ["vivit", "videoprism"])
def test_orientation_of_every_layer(name, tmp_path):
    build, _, size, _ = MODELS[name]
    build().save_pretrained(tmp_path)
    loaded = load_backbone(tmp_path)
    clip = torch.randn(1, 3, 4, size, size)
    steps, sides = loaded.info.temporal_stride, loaded.info.spatial_stride
    changed = clip.clone()
    changed[:, :, steps : 2 * steps, :sides, sides : 2 * sides] *= -1
    taps = loaded.info.taps if name == "vivit" else [t for t in loaded.info.taps if "spatial" in t.layer or not t.layer]
    with torch.inference_mode():
        before, after = (read_maps(loaded.backbone, one, taps) for one in (clip, changed))
    for layer, feature_map in before.items():
        moved = (after[layer] - feature_map).norm(dim=1)[0]
        assert torch.equal((moved == moved.max()).nonzero()[0], torch.tensor([1, 0, 1])), layer


def test_temporal_layers_of_videoprism_have_the_place_they_say(tmp_path, rel_err):
    videoprism().save_pretrained(tmp_path)
    loaded = load_backbone(tmp_path)
    last = find_tap(loaded.backbone, "model.temporal_layers.1", loaded.info)
    clip = torch.randn(1, 3, 4, 36, 36)
    with torch.inference_mode():
        found = read_maps(loaded.backbone, clip, [last])[last.layer]
        normed = loaded.backbone.model.layernorm2(found.movedim(1, -1)).movedim(-1, 1)
        assert rel_err(normed, loaded.backbone(clip)) < 1e-6


def test_colors_are_the_processors(tmp_path):
    vivit().save_pretrained(tmp_path)
    processor = {"do_rescale": True, "rescale_factor": 1 / 127.5, "offset": True, "do_normalize": True}
    processor |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    spec = load_backbone(tmp_path).input
    value = torch.arange(256) / 255
    ours = (value - spec.mean[0]) / spec.std[0]
    torch.testing.assert_close(ours, (value * 255 / 127.5 - 1 - 0.5) / 0.5, atol=1e-5, rtol=0)


@pytest.fixture
def folder(transformers_golden, tmp_path):
    return transformers_golden.write("hf_videomae", tmp_path / "hf")


def in_shards(folder, count=3):
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = [f"model-{number + 1:05d}-of-{count:05d}.safetensors" for number in range(count)]
    index = {key: names[number % count] for number, key in enumerate(state)}
    for name in names:
        save_file({key: state[key] for key, file in index.items() if file == name}, folder / name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return names


def test_shards(folder, transformers_golden, rel_err):
    in_shards(folder)
    with torch.inference_mode():
        found = load_backbone(folder).backbone(transformers_golden.clip("hf_videomae"))
    assert rel_err(found, transformers_golden.tensor("hf_videomae", "native", "final")) <= 1e-4


def test_pytorch_model_bin(folder, transformers_golden, rel_err):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with torch.inference_mode():
        found = load_backbone(folder).backbone(transformers_golden.clip("hf_videomae"))
    assert rel_err(found, transformers_golden.tensor("hf_videomae", "native", "final")) <= 1e-4


def test_the_weights_file_of_a_folder_is_the_folder(folder):
    assert load_backbone(folder / "model.safetensors").settings == load_backbone(folder).settings
    assert load_backbone(folder).settings["eps"] == 1e-12


class TestBroken:
    def test_no_weights(self, folder):
        (folder / "model.safetensors").unlink()
        with pytest.raises(CheckpointError, match=r"no weights beside config.json; expected model.safetensors"):
            load_backbone(folder)

    def test_no_configuration(self, folder):
        (folder / "config.json").unlink()
        with pytest.raises(CheckpointError, match=r"is a folder without a config.json"):
            load_backbone(folder)

    def test_configuration_of_another_model(self, folder):
        (folder / "config.json").write_text(json.dumps({"model_type": "vjepa2"}))
        with pytest.raises(CheckpointError, match=r"config.json says vjepa2, but the weights are those of VideoMAE"):
            load_backbone(folder)

    def test_remote_code(self, folder):
        config = {"model_type": "VideoMAEv2", "auto_map": {"AutoModel": "modeling.VideoMAEv2"}}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match=r"model_type 'VideoMAEv2', and its own code \(auto_map\)"):
            load_backbone(folder)

    def test_a_shard_is_missing(self, folder):
        (folder / in_shards(folder)[1]).unlink()
        with pytest.raises(CheckpointError, match=r"00002-of-00003.*no such shard"):
            load_backbone(folder)

    def test_a_shard_of_another_model(self, folder):
        names = in_shards(folder)
        shutil.copy(folder / names[0], folder / names[1])
        with pytest.raises(CheckpointError, match=r"00002-of-00003.*again, which another shard has: mixed shards"):
            load_backbone(folder)

    def test_a_shard_lacks_an_entry(self, folder):
        name = in_shards(folder)[2]
        state = load_file(folder / name)
        lost = next(iter(state))
        save_file({key: value for key, value in state.items() if key != lost}, folder / name)
        with pytest.raises(CheckpointError, match=rf"{name}: has no {lost}, which the index puts there"):
            load_backbone(folder)

    def test_a_damaged_file(self, folder):
        (folder / "model.safetensors").write_bytes(b"not much")
        with pytest.raises(CheckpointError, match=r"not a safetensors file, or a damaged one"):
            load_backbone(folder)

    def test_the_extra_is_not_installed(self, folder, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "safetensors.torch", None)
        with pytest.raises(InputError, match=r"needs safetensors; pip install '\.\[hub\]' in the clone"):
            load_backbone(folder)

    def test_another_size_than_its_own(self, folder):
        backbone = load_backbone(folder).backbone
        with pytest.raises(InputError, match=r"positions for 8 frames of 64 x 64 pixels, not for the grid \(4, 6, 6\)"):
            backbone(torch.zeros(1, 3, 8, 96, 96))
