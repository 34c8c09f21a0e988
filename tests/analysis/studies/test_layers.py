"""A measure at every depth: the same numbers as layer by layer, from one pass of every clip."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import analysis
from analysis.cli import main
from analysis.commands.beside import save_beside
from analysis.compare import compare
from analysis.inputs.backbone.taps import features_at, find_taps
from analysis.plotting.layers import curve_of, draw_depth
from analysis.settings import Settings
from analysis.studies import open_session, run
from analysis.studies.common.loading import load_study
from analysis.studies.layers import AT_LAYERS
from fima.errors import InputError

SMALL = {"data": "shapes:camera,videos=3,size=56", "num_frames": 16, "size": 32, "frame_stride": 2}
TAPS = ["stem", "stage1", "stage2", "stage3"]


def _settings(**more):
    return Settings(**{"ckpt": "tiny-fima", **SMALL, **more})


@pytest.mark.parametrize("measure", [name for name in AT_LAYERS if name != "probe"])  # a fit of three videos
def test_the_last_layer_has_the_numbers_of_the_measure_alone(measure):
    alone = run(measure, _settings())
    curve = run(measure, _settings(layers="all"))
    assert curve.arrays["layer"].tolist() == TAPS
    shared = [name for name in alone.scores if f"{name}@stage3" in curve.scores]
    assert len(shared) >= 2
    for name in shared:
        there = curve.scores[f"{name}@stage3"]
        np.testing.assert_allclose(curve.video_scores[f"{name}@stage3"], alone.video_scores[name], atol=1e-5)
        assert there.chance == pytest.approx(alone.scores[name].chance, nan_ok=True)
    curve.figure()


def test_a_layer_between_has_those_of_the_measure_at_that_layer():
    """Affinity averages over time; in space stage 2 has the output's grid."""
    alone = run("affinity", _settings(layer="stage2"))
    curve = run("affinity", _settings(layers="all"))
    for name in alone.scores:
        np.testing.assert_allclose(curve.video_scores[f"{name}@stage2"], alone.video_scores[name], atol=1e-4)


def test_features_of_all_layers_are_those_of_each_averaged_to_one_grid():
    session = open_session(_settings())
    taps = find_taps(session.extractor, "all")
    clip = torch.rand(2, 3, 16, 32, 32, generator=torch.Generator().manual_seed(0))
    found = features_at(session.extractor, clip, taps)
    for tap, features in zip(taps, found, strict=True):
        plain = open_session(_settings(layer=tap.layer)).extractor(clip)
        for ours, maps in ((features.rgb, plain.rgb), (features.motion, plain.motion)):
            n, c, *size = maps.shape
            t, h, w = found[-1].rgb.shape[2:]
            blocks = maps.reshape(n, c, t, size[0] // t, h, size[1] // h, w, size[2] // w).mean(dim=(3, 5, 7))
            torch.testing.assert_close(ours, blocks, atol=1e-5, rtol=1e-4)


def test_one_pass_reads_all_layers():
    counts = []
    for more in ({}, {"layers": "all"}):
        session, calls = open_session(_settings(**more)), []
        session.loaded.backbone.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        run("affinity", session)
        counts.append(len(calls))
    assert counts[0] == counts[1] > 0


def test_curves_hold_the_twin_and_are_read_again(tmp_path):
    study = run("cam", _settings(layers="stage1,stage3", twin=True))
    assert curve_of(study, "motion_energy_correlation").shape == (2, 7)
    study.save(tmp_path)
    again = load_study(tmp_path / "layers")
    assert again.scores.keys() == study.scores.keys()
    np.testing.assert_array_equal(curve_of(again, "rgb_motion_correlation"), curve_of(study, "rgb_motion_correlation"))
    again.figure()


def test_several_checkpoints_stand_in_the_same_axes(tmp_path):
    words = ["--size", "32", "--num-frames", "8", "--data", SMALL["data"], "--out", str(tmp_path / "out")]
    assert main(["affinity", "--layers", "all", "--beside", "tiny-vd", "random", *words]) == 0
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json")}
    assert {"layers.json", "tiny-vd/layers.json", "untrained/layers.json"} <= found
    studies = {name: load_study(tmp_path / "out" / name / "layers") for name in ("", "tiny-vd", "untrained")}
    figure = draw_depth(studies)
    assert len({tuple(line.get_ydata()) for line in figure.axes[0].lines}) >= 3
    assert json.loads((tmp_path / "out" / "layers.json").read_text())["provenance"]["measured"] == "affinity"


def test_checkpoints_whose_names_give_one_folder_have_one_each(tmp_path):
    study = run("cam", _settings(layers="stage1,stage3"))
    save_beside({"first": study, "a b": study, "a_b": study}, str(tmp_path), ("png",), tmp_path)
    assert {path.parent.name for path in tmp_path.glob("*/layers.json")} == {"a_b", "a_b-2"}
    assert (tmp_path / "layers.png").read_bytes() != (tmp_path / "a_b" / "layers.png").read_bytes()


def test_networks_of_different_layers_share_an_axis_of_depth():
    small = {"data": SMALL["data"], "size": 32, "num_frames": 8}
    one = run("affinity", Settings(ckpt="random", arch="tiny", layers="all", **small))
    other = run("affinity", Settings(ckpt="random", arch="videomae-tiny", layers="all", **small))
    figure = draw_depth({"tiny": one, "tokens": other})
    assert "share of the way" in figure.axes[0].get_xlabel()
    assert max(float(np.max(line.get_xdata())) for line in figure.axes[0].lines) == 1


def test_what_cannot_be_read_is_refused():
    with pytest.raises(InputError, match=r"--layer nowhere: not in tiny"):
        run("cam", _settings(layers="stem,nowhere"))
    with pytest.raises(InputError, match="publishes its output alone"):
        analysis.run("cam", nn.Conv3d(3, 4, (1, 8, 8), stride=(1, 8, 8)), layers="all", **SMALL)
    with pytest.raises(InputError, match="it goes with none of layer"):
        Settings(layers="all", layer="stem")
    with pytest.raises(InputError, match="--layers: a curve is of one measure"):
        compare(Settings(layers="all", **SMALL))


def test_more_checkpoints_need_layers(capsys):
    assert main(["affinity", "--beside", "tiny-vd"]) == 2
    assert "--beside: puts checkpoints into the same axes of --layers" in capsys.readouterr().err
