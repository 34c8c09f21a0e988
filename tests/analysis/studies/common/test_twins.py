"""The untrained twin beside every score: the same study of the same clips with fixed random weights."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import analysis
from analysis.cli import _parser, main
from analysis.inputs.backbone.twins import untrained_twin
from analysis.inputs.video.sharing import SharedExtractor
from analysis.inputs.video.videos import list_videos
from analysis.measures.registry import STUDIES
from analysis.settings import Settings
from analysis.studies import open_session, run
from analysis.studies.common.loading import load_study
from fima.checkpoints import load_backbone
from fima.errors import InputError

SMALL = {"data": "shapes:camera,videos=3,size=56", "num_frames": 8, "size": 32}


@pytest.mark.parametrize("measure", ["cam", "affinity", "temporal", "localize", "sensitivity"])
def test_the_twins_scores_are_those_of_an_untrained_backbone_on_the_same_clips(measure):
    study = run(measure, Settings(ckpt="tiny-fima", twin=True, **SMALL))
    alone = run(measure, Settings(ckpt="random", arch="tiny", frame_stride=2, **SMALL))
    trained = run(measure, Settings(ckpt="tiny-fima", **SMALL))
    assert not trained.has_twin
    for name, summary in study.scores.items():
        if name in study.references:
            assert summary.twin_mean is None
            continue
        expected = alone.scores[name]
        np.testing.assert_allclose(
            [summary.twin_mean, summary.twin_low, summary.twin_high], [expected.mean, expected.low, expected.high],
            rtol=1e-5,
        )  # fmt: skip
        assert summary.mean == pytest.approx(trained.scores[name].mean, nan_ok=True)
    study.figure()


def test_the_mover_and_its_own_twin_are_measured_once(monkeypatch):
    study = run("mover", Settings(ckpt="tiny-fima", twin=True, data="shapes:camera,videos=2"))
    for kind in ("picture", "world"):
        assert study.scores[kind].twin_mean == study.scores[f"twin_{kind}"].mean
    assert study.scores["difference_picture"].twin_mean is None
    study.figure()


def test_table_frame_files_and_words_hold_it(tmp_path, capsys):
    words = ["--size", "32", "--num-frames", "8", "--data", SMALL["data"], "--out", str(tmp_path)]
    assert main(["affinity", "--twin", *words]) == 0
    assert "untrained twin" in capsys.readouterr().out
    stored = json.loads((tmp_path / "affinity.json").read_text())["scores"]["auroc"]
    study = load_study(tmp_path / "affinity")
    assert stored["twin_mean"] == study.scores["auroc"].twin_mean
    frame = study.frame()
    assert frame.columns.tolist()[-3:] == ["twin", "twin_low", "twin_high"]
    assert frame["twin"].notna().all()
    assert ", untrained 0." in repr(study)
    assert "Untrained twin, gray diamonds" in study.figure().get_suptitle()
    assert "untrained twin" in study._repr_mimebundle_()["text/html"]


def test_without_the_setting_nothing_changes(tmp_path):
    study = run("affinity", Settings(ckpt="tiny-fima", **SMALL))
    assert study.frame().columns.tolist() == ["score", "mean", "low", "high", "chance", "units"]
    assert all(len(row) == 4 for row in study.table())


def test_an_untrained_backbone_has_no_twin():
    assert untrained_twin(open_session(Settings(ckpt="random", **SMALL))) is None
    assert not run("cam", Settings(ckpt="random", twin=True, **SMALL)).has_twin


class _Own(nn.Module):
    """A network that answers everything alike: its weights are all 0.1."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 6, (2, 8, 8), stride=(2, 8, 8))
        nn.init.constant_(self.conv.weight, 0.1)

    def forward(self, clip):
        return self.conv(clip).abs() + torch.linspace(0, 1, 4)


def test_your_own_module_gets_a_copy_with_new_weights():
    own = _Own()
    study = analysis.run("affinity", own, twin=True, **SMALL)
    assert study.has_twin
    assert study.scores["auroc"].twin_mean != study.scores["auroc"].mean
    assert bool((own.conv.weight == 0.1).all())


def test_a_copy_does_not_remember_the_features_of_the_trained_one():
    settings = Settings(**SMALL)
    session = open_session(settings, load_backbone(_Own()))
    shared = analysis.inputs.sessions.make_session(settings, session.loaded, list_videos(settings), SharedExtractor)
    clip = torch.rand(1, 3, 8, 32, 32)
    before = shared.extractor(clip).rgb
    assert not torch.allclose(untrained_twin(shared).extractor(clip).rgb, before)


@pytest.mark.parametrize("measure", STUDIES)
def test_every_measure_takes_it(measure):
    assert _parser().parse_args([measure, "--twin"]).twin
    assert not _parser().parse_args([measure]).twin


def test_other_values_are_refused():
    with pytest.raises(InputError, match="twin must be true or false"):
        Settings(twin=1)
