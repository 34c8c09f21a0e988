"""Units over videos: networks whose channels are known, drawn again in another look, the command, comparisons."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import analysis
from analysis.cli import main
from analysis.studies.common.differences import compare_scores
from fima.checkpoints import load_backbone
from fima.errors import InputError
from fima.input_spec import InputSpec


class Knows(torch.nn.Module):
    """Channels: mean color (looks), how much changes from frame to frame (motion, of this order), a constant."""

    def forward(self, clip):
        color = clip.mean(dim=(1, 2, 3, 4))
        moved = (clip[:, :, 1:] - clip[:, :, :-1]).abs().amax(dim=1).gt(0.05).float().mean(dim=(1, 2, 3))
        return torch.stack([color, moved, torch.zeros_like(color)], dim=1)[:, :, None, None, None]


def measured(data):
    spec = InputSpec((0.0,) * 3, (1.0,) * 3, num_frames=8, frame_stride=1, size=32)
    loaded = replace(load_backbone("tiny-vd"), backbone=Knows(), input=spec, arch="tests:knows", settings={})
    return analysis.run("units", loaded, data=data)


def test_channels_of_looks_and_of_motion():
    study = measured("shapes:easy,videos=60,num_frames=24,size=32,amplitude=0.02-0.3")
    motion, look = study.arrays["motion_correlation"], study.arrays["appearance_correlation"]
    assert look[0] > 0.99  # a mean color does not know order
    assert abs(motion[0]) < 0.4
    assert motion[1] > 0.6  # how much changes is the motion's, in whatever look
    assert look[2] == motion[2] == 0
    assert study.scores["neither"].mean == pytest.approx(1 / 3)
    assert study.provenance["num_redrawn"] == 60
    assert measured("shapes:camera,videos=12,num_frames=24,size=32").provenance["num_recolored"] == 12


def test_the_command_a_twin_and_a_comparison(tmp_path, capsys):
    flags = ["--data", "shapes:easy,videos=12,num_frames=16,size=32", "--num-frames", "4", "--size", "32"]
    for name in ("tiny-vd", "tiny-fima"):
        assert main(["units", *flags, "--ckpt", name, "--out", str(tmp_path / name)]) == 0
    studies = {name: analysis.load(tmp_path / name / "units") for name in ("tiny-vd", "tiny-fima")}
    assert {"both", "twin_both", "softmax_motion"} <= studies["tiny-vd"].scores.keys()
    assert list(compare_scores(studies)) == []  # no video has a share of its own
    assert np.isfinite(studies["tiny-vd"].scores["both"].low)
    assert studies["tiny-vd"].figure().axes
    capsys.readouterr()
    with pytest.raises(InputError, match="needs at least 10, got 3"):
        analysis.run("units", "random", data="shapes:easy,videos=3")
