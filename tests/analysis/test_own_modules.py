"""Any module on any clip in three lines, the same arrays as the command line, and the module left as it was."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import analysis
from fima.checkpoints import load_backbone, save_backbone, untrained_backbone
from fima.errors import InputError

CLIP = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)


class TokenNet(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv3d(3, 16, (2, 8, 8), stride=(2, 8, 8))
        self.cls = nn.Parameter(torch.randn(1, 1, 16))
        self.block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, clip):
        tokens = self.patches(clip).flatten(2).mT
        return self.block(torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], dim=1))


@pytest.mark.parametrize("measure", ["cam", "affinity", "temporal", "sensitivity"])
def test_a_token_net(measure):
    net = TokenNet().train()
    study = analysis.run(measure, model=net, clip=CLIP, grid=(4, 8, 8), num_prefix_tokens=1)
    assert len(study.per_video()) >= 1
    assert net.training
    assert net.block.training
    assert not any(module._forward_hooks for module in net.modules())


def test_same_arrays_as_the_loaded_backbone():
    tiny = untrained_backbone(seed=3)
    mine = analysis.run("cam", model=tiny.backbone, clip=CLIP, size=56)
    other = analysis.run("cam", model=tiny, clip=torch.from_numpy(CLIP).permute(3, 0, 1, 2), size=56)
    for name, values in mine.arrays.items():
        if np.asarray(values).dtype.kind == "f":
            np.testing.assert_array_equal(values, other.arrays[name])


def test_pathways_and_layers():
    def two(clip):
        return [clip[:, :, ::4, ::8, ::8], clip[:, :, :, ::8, ::8]]

    study = analysis.run("cam", model=two, clip=CLIP, pathway=1)
    assert study.per_video() is not None
    with pytest.raises(InputError, match="choose with pathway="):
        analysis.run("cam", model=two, clip=CLIP)
    inner = analysis.run("cam", model=TokenNet(), clip=CLIP, grid=(4, 8, 8), num_prefix_tokens=1, layer="block.linear2")
    assert inner.per_video() is not None


def test_a_saved_study_of_a_clip_is_drawn_again(tmp_path):
    study = analysis.run("cam", model=nn.Conv3d(3, 4, 3, stride=(1, 8, 8), padding=1), clip=CLIP)
    study.save(tmp_path)
    assert analysis.load(tmp_path).frame().equals(study.frame())


def test_clip_or_video():
    with pytest.raises(InputError, match="give one of clip, video and data"):
        analysis.run("cam", clip=CLIP, data="shapes:camera")


def test_the_file_of_an_own_module_is_read_back(tmp_path):
    loaded = load_backbone(TokenNet(), grid=(4, 8, 8), num_prefix_tokens=1, input_spec="size=64;num_frames=8")
    assert "nothing says what this backbone expects" not in " ".join(loaded.report.notes)
    path = save_backbone(tmp_path / "own.pt", loaded.backbone, arch="m:f", input=loaded.input)
    assert set(torch.load(path)["state_dict"]) == set(TokenNet().state_dict())


def test_the_examples_of_the_documentation_run(repo_dir):
    text = (repo_dir / "docs" / "backbones.md").read_text()
    blocks = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "my_net" not in block]
    assert len(blocks) == 2
    exec("\n".join(blocks), {})
