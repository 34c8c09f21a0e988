"""Faithfulness of maps over videos: a network that looks at one cell, token networks, and the command."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import analysis
from analysis.cli import main
from analysis.studies.faithfulness import KINDS

SMALL = {"num_frames": 8, "size": 32, "steps": 4}


class _OneCell(nn.Module):
    """Sees the color of a single cell of a 2 × 4 × 4 grid."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, clip):
        maps = F.avg_pool3d(clip, (4, 8, 8)) * self.scale[:, None, None, None]
        seen = torch.zeros(2, 4, 4)
        seen[1, 2, 1] = 1
        return maps * seen.to(maps)


@pytest.fixture(scope="module")
def one_cell():
    clip = np.random.default_rng(0).integers(40, 255, (8, 32, 32, 3), np.uint8)
    spec = "mean=0,0,0;std=1,1,1"
    return analysis.run("faithfulness", _OneCell(), clip=clip, input_spec=spec, baseline="black", **SMALL)


@pytest.mark.parametrize("kind", ["", "attribution_"])
def test_maps_of_a_network_that_sees_one_cell_are_perfect(one_cell, kind):
    assert one_cell.scores[f"{kind}deletion"].mean == pytest.approx(0.05, abs=1e-6)
    assert one_cell.scores[f"{kind}insertion"].mean == pytest.approx(0.95, abs=1e-6)
    assert one_cell.scores[f"{kind}gain"].mean == pytest.approx(0.9, abs=1e-6)


def test_chance_lies_between_the_best_and_the_worst_order(one_cell):
    assert 0.05 < one_cell.scores["deletion"].chance == one_cell.scores["insertion"].chance < 0.95
    curves = one_cell.arrays
    np.testing.assert_allclose(curves["curve_insertion_random"], curves["curve_deletion_random"][::-1])
    for name, ends in (("deletion", (1, 0)), ("insertion", (0, 1))):
        assert curves[f"curve_{name}_"][[0, -1]] == pytest.approx(ends, abs=1e-6)


@pytest.mark.slow
def test_token_networks_have_attention_too_and_the_figure_names_all(tmp_path):
    study = analysis.run("faithfulness", "random", arch="videomae-tiny", show=1, steps=2)
    assert {f"{kind}gain" for kind in KINDS} <= study.scores.keys()
    grid = study.arrays["example_map_attention_"].shape
    assert grid == study.arrays["example_map_"].shape
    words = {text.get_text() for ax in study.figure().axes for text in [*ax.get_yticklabels()]}
    assert {"attention", "attribution", "centered map"} <= words


def test_a_map_that_follows_the_weights_changes_with_them():
    study = analysis.run("faithfulness", data="shapes:camera,videos=3", show=1, steps=4)
    curve = study.arrays["example_sanity_"][0]
    assert curve[0] == 1 > curve[-1]
    assert study.arrays["sanity_layers"][-1] == study.arrays["sanity_layers"].max()


def test_the_command_saves_and_says_what_cells_became(tmp_path):
    words = ["--size", "32", "--num-frames", "8", "--steps", "2", "--ckpt", "random", "--baseline", "frozen"]
    assert main(["faithfulness", *words, "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "faithfulness.json").read_text())
    assert content["provenance"]["replaced_by"] == "frozen"
    assert "center_gain" in content["references"]
    assert "by the clip at rest" in analysis.load(tmp_path / "faithfulness").figure().get_suptitle()
