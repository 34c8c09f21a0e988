"""Attention over videos: a network that attends to change, the command as a user types it, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import analysis
from analysis.cli import main
from analysis.plotting.attention import above_even, largest_share
from fima.checkpoints import load_backbone, save_backbone, untrained_backbone
from fima.input_spec import InputSpec

SPEC = InputSpec((0.5,) * 3, (0.5,) * 3, num_frames=8, frame_stride=2, size=64)
SMALL = ["--arch", "videomae", "--size", "32", "--num-frames", "8"]


class Looks(torch.nn.Module):
    """Attention whose keys are one number of each cell, and whose queries are all alike."""

    window = None

    def heads_of(self, numbers):
        keys = numbers.flatten(1)[:, None, :, None]
        return torch.ones_like(keys), 5 * keys, keys

    def forward(self, numbers):
        return numbers


class Attentive(torch.nn.Module):
    """A network of 8-pixel cells that looks at change, or at nothing in particular."""

    def __init__(self, what):
        super().__init__()
        self.what, self.looks = what, Looks()

    def forward(self, clip):
        change = (clip - clip.roll(1, dims=2)).abs().mean(dim=1)
        change[:, 0] = change[:, 1]
        numbers = (
            F.adaptive_avg_pool3d(change, (4, 8, 8)) if self.what == "change" else clip.new_zeros(len(clip), 4, 8, 8)
        )
        return self.looks(numbers)[:, None]


def measured(what, **settings):
    loaded = replace(load_backbone("tiny-vd"), backbone=Attentive(what), input=SPEC, arch="tests:looks", settings={})
    return analysis.run("attention", loaded, **settings)


def test_a_network_that_attends_to_change():
    study = measured("change", data="shapes:easy,videos=4")
    scores = study.scores
    assert scores["motion_energy_correlation"].mean > 0.8
    assert scores["motion_energy_correlation"].chance < 0.5
    assert scores["auroc"].mean > 0.8
    assert scores["energy"].mean > 1.5 * scores["energy"].chance
    assert scores["spread"].mean < 0.9
    assert scores["difference_auroc"].mean == pytest.approx(scores["auroc"].mean, abs=0.15)
    assert {"center_auroc", "difference_energy"} <= study.references
    assert not any(name.startswith("twin_") for name in scores)


def test_even_attention_scores_chance():
    scores = measured("nothing", data="shapes:easy,videos=2").scores
    assert scores["auroc"].mean == 0.5
    assert scores["time_reach"].mean == pytest.approx(1)
    assert scores["spread"].mean == pytest.approx(1)
    assert scores["energy"].mean == pytest.approx(scores["energy"].chance)
    assert np.isnan(scores["motion_energy_correlation"].mean)


def test_as_a_user_types_it(tmp_path, clips_dir):
    argv = ["attention", *SMALL, "--cell", "1,0,1", "--video", str(clips_dir / "dog.mp4"), "--out", str(tmp_path)]
    assert main(argv) == 0
    assert (tmp_path / "attention.png").stat().st_size > 0
    assert (tmp_path / "attention.mp4").stat().st_size > 0
    study = analysis.load(tmp_path / "attention")
    assert study.arrays["example_cell"].tolist() == [[1, 0, 1]]
    assert study.arrays["example_heads"].shape == (1, 6, 4, 2, 2)
    assert "UNTRAINED" in study.figure().get_suptitle()
    titles = [ax.get_title() for ax in study.figure().axes]
    assert [title for title in titles if title.startswith("head")] == [f"head {number}" for number in range(1, 7)]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A checkpoint of a small token network whose attention is far from even, and so is not its twin's."""
    path = tmp_path_factory.mktemp("attention") / "tokens.pth"
    loaded = untrained_backbone("timesformer", dim=32, depth=2, heads=2, patch_size=8, num_frames=4, size=32)
    with torch.no_grad():
        for parameter in loaded.backbone.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.4)
    save_backbone(path, loaded.backbone, arch="timesformer", input=loaded.input)
    return path


def test_the_untrained_twin_stands_beside(file):
    study = analysis.run("attention", file, layer="blocks.0", frame_stride=2)
    assert study.scores["twin_spread"].mean > 0.99 > study.scores["spread"].mean
    assert np.isfinite(study.arrays["example_rollout_map"]).all()
    for name in ("mean_map", "cell_map", "rollout_map", "twin_map"):
        np.testing.assert_allclose(study.arrays[f"example_{name}"].mean(), 1, rtol=1e-4)
    assert analysis.run("attention", file, layer="blocks.1", frame_stride=2).scores["spread"] != study.scores["spread"]


def test_one_color_scale(file):
    study = analysis.run("attention", file, data="shapes:easy,videos=3", frame_stride=2)
    most = largest_share(study.arrays)
    assert above_even(np.array([0.2, 1, most, 2 * most]), most).tolist() == [0, 0, 1, 1]
    bar = study.figure().axes[-1]
    assert bar.get_ylim() == pytest.approx((1, most))


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ["--ckpt", "tiny-fima"],
            "attention: tiny has no attention over its cells that can be read; it is for token networks",
        ),
        ([*SMALL, "--cell", "1,2"], "cell must be t,y,x of the grid, three whole numbers, got '1,2'"),
        ([*SMALL, "--cell", "0,0,7"], "cell 0,0,7 is outside the grid 4 x 2 x 2"),
        ([*SMALL, "--layer", "patch_embed"], "no one attention in layer patch_embed; there is blocks.0.attn"),
    ],
    ids=["cnn", "cell", "outside", "layer"],
)
def test_refused(argv, said, tmp_path, capsys):
    assert main(["attention", *argv, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_what_each_place_looks_at_is_kept_for_the_explorer(file):
    from analysis.pages.explorer import explore_sessions, open_sessions
    from analysis.settings import Settings

    study = analysis.run("attention", file, frame_stride=2)
    rows = study.arrays["example_rows"][0].astype(np.float32)
    slices, height, width = study.arrays["example_mean_map"].shape[1:]
    assert rows.shape == (1 + slices, height * width, height * width)
    np.testing.assert_allclose(rows.mean(axis=2), 1, rtol=1e-3)
    t, y, x = study.arrays["example_cell"][0]
    own = study.arrays["example_cell_map"][0][t].ravel()  # of the marked cell alone, head by head in even shares
    assert np.corrcoef(rows[1 + t, y * width + x], own)[0, 1] > 0.98
    sessions = open_sessions(Settings(frame_stride=2), [str(file)], ["tokens"])
    explored = explore_sessions(sessions)
    np.testing.assert_array_equal(explored.clips[0].attention["tokens"], study.arrays["example_rows"][0])
    assert explored.arrays()["attention"].shape == (1, 1, *rows.shape)


def test_too_many_cells_have_no_rows(file, monkeypatch):
    monkeypatch.setattr("analysis.studies.attention._MOST_CELLS", 4)
    assert "example_rows" not in analysis.run("attention", file, frame_stride=2).arrays
