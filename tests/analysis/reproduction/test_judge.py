"""The table of real clips: numbers are those of the studies, differences are paired, verdicts follow from both."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from analysis.cli import main
from analysis.inputs.sessions import open_session
from analysis.measures.common.statistics import paired_difference
from analysis.reproduction import rows as rows_module
from analysis.reproduction.aims import verdict
from analysis.reproduction.judge import COLUMNS, judge
from analysis.settings import Settings
from analysis.studies import run

SETTINGS = Settings(data="shapes:easy,videos=3,size=56", size=56, num_frames=8)
FLAGS = ("--data", SETTINGS.data, "--size", "56", "--num-frames", "8", "--device", "cpu")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def judged(kept):
    return judge(["tiny-vd", "tiny-fima"], SETTINGS, dense=2, kept=kept)


def row(judged, name):
    return next(row for row in judged.rows if row.name == name)


def per_video(judged, name, measure, score):
    return row(judged, name).studies[measure].video_scores[score]


def test_the_rows_are_checkpoints_their_maps_one_twin_and_plain_maps(judged):
    own = [f"{name}{of}" for name in ("tiny-vd", "tiny-fima") for of in (", motion map", ", --dense 2")]
    untrained = ["untrained tiny", "centered Gaussian", "frame difference"]
    assert [row.name for row in judged.rows] == ["tiny-vd", "tiny-fima", *own, *untrained]


@pytest.mark.parametrize(
    ("name", "measure", "score", "settings"),
    [
        ("tiny-vd", "localize", "ring_auroc", {}),
        ("tiny-fima, motion map", "localize", "motion_auroc", {}),
        ("tiny-vd, --dense 2", "localize", "iou", {"dense": 2}),
        ("untrained tiny", "localize", "energy", {"ckpt": "random"}),
        ("untrained tiny", "mover", "picture", {"ckpt": "random"}),
        ("frame difference", "mover", "difference_world", {}),
    ],
)
def test_a_cell_holds_what_the_study_of_that_map_alone_gives(judged, name, measure, score, settings):
    ckpt = name.split(",")[0] if name.startswith("tiny") else "tiny-vd"
    alone = run(measure, Settings(**{"data": SETTINGS.data, "size": 56, "num_frames": 8, "ckpt": ckpt} | settings))
    plain = score.removeprefix("motion_").removeprefix("difference_")
    np.testing.assert_array_equal(per_video(judged, name, measure, plain), alone.video_scores[score])


def test_differences_are_of_the_checkpoint_minus_the_other_in_pairs(judged):
    found = {(d.other, d.baseline, d.measure, d.score): d for d in judged.differences}
    against = ["untrained tiny", "centered Gaussian", "frame difference", "tiny-fima"]
    assert list(dict.fromkeys(base for other, base, *_ in found if other == "tiny-vd")) == against
    for name in against:
        own, other = (per_video(judged, n, "localize", "auroc") for n in ("tiny-vd", name))
        difference = found["tiny-vd", name, "localize", "auroc"]
        assert difference.difference == pytest.approx(np.mean(own - other))
        assert difference.low == paired_difference(other, own, limits=(0, 1)).low


def test_every_aim_has_a_verdict_of_its_own_number(judged):
    of = {v.aim: v for v in judged.verdicts if v.checkpoint == "tiny-vd"}
    scores = row(judged, "tiny-vd").studies["localize"].scores
    assert of["AUROC ≥ 0.85"].mean == scores["auroc"].mean
    assert of["AUROC ≥ 0.85"].says == verdict(scores["auroc"].mean, scores["auroc"].low, scores["auroc"].high, 0.85)
    assert {"AUROC, --dense 2 ≥ 0.85", "mover in the world, motion map ≥ 0.65"} <= set(of)
    assert {"AUROC above centered Gaussian", "mover in the world of untrained tiny near 0.5"} <= set(of)


def test_without_an_interval_nothing_is_met_but_by_the_mean():
    assert verdict(0.9, math.nan, math.nan, 0.85) == "met by the mean; open by its interval"
    assert verdict(0.8, math.nan, math.nan, 0.85) == "missed"


def test_what_an_earlier_run_kept_is_not_measured_again_and_gives_the_same_table(judged, kept, monkeypatch):
    monkeypatch.setattr(rows_module, "run", lambda *_: pytest.fail("measured again"))
    assert judge(["tiny-vd", "tiny-fima"], SETTINGS, dense=2, kept=kept).text() == judged.text()


def test_a_study_of_other_videos_is_not_taken_for_one_of_these(kept):
    other = judge(["tiny-vd"], Settings(data="shapes:easy,videos=2,size=56", size=56, num_frames=8), dense=1, kept=kept)
    assert len(per_video(other, "tiny-vd", "localize", "auroc")) == 2


def test_where_no_object_has_a_place_for_a_copy_localization_stands_alone(monkeypatch):
    def refuse(measure, session, progress=None):
        if measure == "mover":
            raise rows_module.InputError("no clip has a moving object and a free place")
        return run(measure, session, progress)

    monkeypatch.setattr(rows_module, "run", refuse)
    judged = judge(["tiny-vd"], SETTINGS, dense=1)
    assert "tiny-vd: no mover: no clip has a moving object and a free place" in judged.text()
    assert list(row(judged, "untrained tiny").studies) == ["localize"]


def test_the_command_writes_a_table_and_its_numbers(tmp_path, capsys):
    out = tmp_path / "table.md"
    words = ["judge", "--ckpt", "tiny-vd", "random:3", *FLAGS, "--dense", "1", "--out", str(out)]
    assert main(words) == 0
    assert out.read_text() in capsys.readouterr().out
    heads = out.read_text().splitlines()[0].strip("|").split(" | ")
    assert [head.strip() for head in heads][1:] == list(COLUMNS.values())
    report = json.loads((tmp_path / "table.json").read_text())
    cell = report["rows"]["tiny-vd"]["localize"]["scores"]["auroc"]
    alone = run("localize", open_session(Settings(ckpt="tiny-vd", data=SETTINGS.data, size=56, num_frames=8)))
    assert cell["mean"] == pytest.approx(alone.scores["auroc"].mean)
    assert "untrained seed 3" in report["rows"]  # given by name, so without a twin or verdicts of its own
    assert {verdict["checkpoint"] for verdict in report["aims"]} == {"tiny-vd"}


@pytest.mark.slow
def test_the_module_under_its_name_of_before_refuses_in_one_line(tmp_path):
    words = [sys.executable, "-m", "analysis.reproduction.judge", "--ckpt", "tiny-vd", "--data", str(tmp_path / "no")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
