"""Motion variables of drawn videos: a network that sees where things are, the command, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import analysis
from analysis.cli import main
from analysis.settings import Settings
from analysis.studies import run
from fima.checkpoints import load_backbone
from fima.errors import InputError
from fima.input_spec import InputSpec

DATA = "shapes:easy,videos=80,period=50-90,num_frames=32,size=32"


class Follows(torch.nn.Module):
    """Where what differs from the clip's median is, first and last; or one frame of that alone."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, clip):
        away = (clip - clip.median(dim=2, keepdim=True).values).abs().sum(dim=1)  # (N, T, H, W)
        weight = away / away.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)
        ticks = torch.linspace(-1, 1, clip.shape[-1])
        x, y = (weight * ticks).sum(dim=(2, 3)), (weight * ticks[:, None]).sum(dim=(2, 3))
        places = torch.cat([x, y], dim=1) if self.what == "motion" else torch.stack([x[:, 5], y[:, 5]], dim=1)
        return places[:, :, None, None, None]


def measured(what):
    spec = InputSpec((0.0,) * 3, (1.0,) * 3, num_frames=16, frame_stride=2, size=32)
    loaded = replace(load_backbone("tiny-vd"), backbone=Follows(what), input=spec, arch="tests:follows", settings={})
    return analysis.run("probe", loaded, data=DATA)


def test_a_network_that_follows_the_object_knows_where_it_goes():
    study = measured("motion")
    scores = study.scores
    assert scores["direction_error"].mean < 45
    assert scores["direction_error"].chance == 90
    assert scores["direction_error_backgrounds"].mean < 55
    for control in ("layout_", "pixels_"):
        assert scores[f"{control}direction_error"].mean > 65
    assert measured("place").scores["direction_error"].mean > 65
    assert len(study.arrays["true_direction"]) == 80
    assert {"layout_speed_r2", "pixels_speed_r2"} <= study.references


def test_the_command_has_a_twin(tmp_path, capsys):
    flags = ["--data", DATA.replace("80", "30"), "--num-frames", "8", "--size", "32", "--out", str(tmp_path / "out")]
    assert main(["probe", *flags]) == 0
    report = json.loads((tmp_path / "out" / "probe.json").read_text())
    wanted = {"twin_direction_error", "cells_speed_r2", "speed_r2_textures", "direction_error_speeds"}
    assert wanted <= set(report["scores"])
    assert np.load(tmp_path / "out" / "probe.npz")["predicted_direction"].shape == (30,)
    capsys.readouterr()


def test_what_is_not_drawn_is_refused(clips_dir):
    with pytest.raises(InputError, match="probe needs drawn videos"):
        analysis.run("probe", "random", video=str(clips_dir / "dog.mp4"), size=32)
    with pytest.raises(InputError, match="at least two videos"):
        analysis.run("probe", "random", data="shapes:easy,videos=1", size=32)


def test_at_every_layer_it_is_what_it_is_alone():
    settings = Settings(data=DATA.replace("80", "20"), num_frames=8, size=32, ckpt="tiny-vd")
    together = run("probe", replace(settings, layers="stage1,stage3"))
    assert together.arrays["layer"].tolist() == ["stage1", "stage3"]
    for layer in ("stage1", "stage3"):
        alone = run("probe", replace(settings, layer=layer))
        for name in ("direction_error", "speed_r2", "rotation_r2"):
            found = together.scores[f"{name}@{layer}"]
            assert found.mean == pytest.approx(alone.scores[name].mean, rel=1e-3, nan_ok=True)
            assert found.chance == alone.scores[name].chance
    assert together.figure().axes
