"""Shift and stitch: what a convolution gives at a smaller stride, cell by cell."""

import copy
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import analysis
from analysis.cli import main
from analysis.inputs.backbone.dense import shift_and_stitch
from analysis.inputs.backbone.features import FeatureExtractor
from analysis.settings import Settings
from fima.checkpoints import untrained_backbone
from fima.errors import InputError


@given(
    factor=st.sampled_from([2, 4]), cell=st.sampled_from([1, 2, 3]), wider=st.integers(0, 3),
    rows=st.integers(1, 3), columns=st.integers(1, 3),
)  # fmt: skip
def test_a_convolution_without_padding_gives_its_dense_version(factor, cell, wider, rows, columns):
    stride = factor * cell
    kernel = stride + wider * cell
    torch.manual_seed(0)
    net = nn.Conv3d(3, 4, (1, kernel, kernel), stride=(1, stride, stride))
    clip = torch.rand(2, 3, 2, kernel + stride * (rows - 1), kernel + stride * (columns - 1))
    dense = shift_and_stitch(net, clip, factor, stride=stride)
    finer = copy.deepcopy(net)
    finer.stride = (1, cell, cell)
    before = (stride - cell) // 2
    padded = F.pad(clip, (before, stride - cell - before) * 2 + (0, 0), mode="reflect")
    assert dense.shape == (2, 4, 2, factor * rows, factor * columns)
    torch.testing.assert_close(dense, finer(padded), rtol=1e-4, atol=1e-5)


def test_fine_cells_lie_where_their_coarse_cell_lies():
    """A bright cell is bright in its k × k fine cells' center of mass."""
    net = nn.AvgPool3d((1, 8, 8))
    clip = torch.zeros(1, 3, 2, 32, 32)
    clip[..., 8:16, 16:24] = 1
    dense = shift_and_stitch(net, clip, 4, stride=8)[0, 0, 0]
    rows, columns = (dense.sum(dim=axis) for axis in (1, 0))
    places = torch.arange(16) + 0.5
    assert float((rows * places).sum() / rows.sum()) == pytest.approx(1.5 * 4)
    assert float((columns * places).sum() / columns.sum()) == pytest.approx(2.5 * 4)


@pytest.mark.parametrize("layer", [None, "blocks.1"])
def test_an_extractor_gives_finer_maps_and_its_own_when_asked(layer):
    loaded = untrained_backbone("tiny", seed=0)
    clip = torch.rand(2, 3, 16, 64, 64)
    if layer is not None and layer not in dict(loaded.backbone.named_modules()):
        layer = next(tap.layer for tap in FeatureExtractor(loaded).info.taps)
    plain, dense = (FeatureExtractor(loaded, layer=layer, dense=k) for k in (1, 2))
    coarse, fine = plain(clip), dense(clip)
    assert fine.motion.shape[3:] == tuple(2 * side for side in coarse.motion.shape[3:])
    assert torch.equal(dense.coarse()(clip).rgb, coarse.rgb)
    step = 64 // fine.rgb.shape[3]
    shifted = F.pad(plain.prepare(clip), (step // 2, 0, step // 2, 0, 0, 0), mode="reflect")[..., :64, :64]
    torch.testing.assert_close(fine.rgb[..., ::2, ::2], plain.prepared_map(shifted), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("stride", "factor", "size", "said"),
    [(3, 2, 12, "3 pixels must be a multiple of 2"), (2, 4, 12, "2 pixels must be a multiple of 4"),
     (0, 2, 13, "13 x 13 pixels are no whole cells")],
)  # fmt: skip
def test_cells_that_cannot_be_parted_are_refused(stride, factor, size, said):
    with pytest.raises(InputError, match=rf"--dense.*{said}"):
        shift_and_stitch(nn.AvgPool3d((1, 4, 4)), torch.rand(1, 3, 2, size, size), factor, stride=stride)


def test_only_1_2_and_4_are_taken():
    for wrong in (0, 3, 8, True, "2"):
        with pytest.raises(InputError, match="dense must be one of 1, 2, 4"):
            Settings(dense=wrong)


def test_the_command_says_the_cost_and_keeps_it(tmp_path, capsys):
    words = ["--ckpt", "random", "--size", "64", "--num-frames", "8", "--out", str(tmp_path)]
    assert main(["cam", "--dense", "2", *words]) == 0
    assert "--dense 2: 4 passes for every map instead of one" in capsys.readouterr().err
    content = json.loads((tmp_path / "cam.json").read_text())
    assert content["provenance"]["dense"] == {"factor": 2, "passes": 4}
    assert "dense maps: each cell of the grid in 2 × 2" in analysis.load(tmp_path / "cam").figure().get_suptitle()


def test_measures_that_do_not_map_keep_the_networks_grid():
    study = analysis.run("affinity", "random", size=64, num_frames=8, dense=2)
    assert study.arrays["grid"].tolist() == [8, 8] or study.arrays["grid"].prod() <= 64
    assert study.provenance["dense"]["passes"] == 1


@pytest.mark.parametrize("measure", ["cam", "localize", "mover"])
def test_maps_of_every_measure_follow_the_finer_grid(measure):
    plain, dense = (
        analysis.run(measure, "random", size=64, num_frames=8, dense=k).per_video().iloc[0, 1:] for k in (1, 2)
    )
    assert not plain.equals(dense)
