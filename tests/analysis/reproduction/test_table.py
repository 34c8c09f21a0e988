"""Tables and verdicts from scores whose answers are worked out by hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import cv2
import numpy as np
import pytest

from analysis.cli import main
from analysis.plotting.style import save_figure
from analysis.reproduction.figures import draw_curves, draw_table
from analysis.reproduction.page import Reproduced, conclude, render_markdown, render_reproduction
from analysis.reproduction.plan import BUDGETS, plan_runs
from analysis.reproduction.score import SCORES
from analysis.reproduction.table import CLAIMS, Claim, collect, curves_to_csv, judge, to_csv, to_markdown
from fima.data.shapes import REGIMES
from fima.errors import InputError
from fima.tasks.pretrain.recipes import parse_pretrain

QUICK = BUDGETS["quick"]


def content(**values):
    """Scores of 40 test videos: constant but for those given."""
    return {
        "values": {name: list(values.get(name, [0.5] * 40)) for name in SCORES},
        "chance": dict.fromkeys(SCORES, 0.1),
    }


def runs_of(methods, seeds=(0,), regimes=("camera",)):
    return plan_runs(QUICK, "nowhere", methods, regimes, seeds)


def test_seeds_are_averaged_video_by_video():
    first, second = runs_of(["fima"], seeds=(0, 1))
    right = [[1.0] * 20 + [0.0] * 20, [1.0] * 30 + [0.0] * 10]
    table = collect({first: content(linear=right[0]), second: content(linear=right[1])})
    cell = table["camera"]["fima"]["linear"]
    assert cell.seeds == (0.5, 0.75)
    np.testing.assert_allclose(cell.values, [1.0] * 20 + [0.5] * 10 + [0.0] * 10)
    assert cell.summary.mean == 0.625
    assert cell.text(percent=True).startswith("62.5 [")
    assert cell.text(percent=True).endswith("(50.0–75.0, 2 seeds)")


def test_verdicts():
    moco, vd, fima = runs_of(["moco", "vd", "fima"])
    third = [1.0] * 12 + [0.0] * 28
    scored = {
        moco: content(linear=third, bias_gap=[1.0] * 20 + [0.0] * 20),
        vd: content(linear=[0.9] * 40),
        fima: content(linear=[0.91] * 40, bias_gap=[0.05] * 40, energy_ratio=[1.7] * 40),
    }
    methods = collect(scored)["camera"]
    assert judge(Claim("", "linear", "vd", "moco", 0.4), methods)[0] == "holds"  # 0.6 above
    assert judge(Claim("", "linear", "vd", "moco", 0.9), methods)[0] == "fails"
    assert judge(Claim("", "linear", "vd", "moco", 0.6), methods)[0] == "open"
    verdict, difference = judge(Claim("", "linear", "fima", "vd"), methods)
    assert verdict == "holds"
    assert difference.mean == pytest.approx(0.01)
    assert judge(Claim("", "energy_ratio", "fima", "", 1.8), methods)[0] == "fails"
    # At most half: half of 0.5 is 0.25, 0.2 above 0.05.
    verdict, difference = judge(Claim("", "bias_gap", "fima", "moco"), methods)
    assert (verdict, round(difference.mean, 6)) == ("holds", 0.2)
    assert judge(Claim("", "linear", "maclr", "moco"), methods) == ("not run", None)


def test_every_claim_is_about_a_score_and_methods_that_exist():
    for claim in CLAIMS:
        assert claim.score in SCORES
        runs_of([claim.first, *([claim.second] if claim.second else [])])
        assert set(claim.regimes) <= set(REGIMES)
    assert any(claim.about("natural,textures=looks") and not claim.about("easy") for claim in CLAIMS)


def test_table_as_text():
    moco, fima = runs_of(["moco", "fima"])
    table = collect({moco: content(energy=[0.2] * 40), fima: content(bias_gap=[-0.1] * 40)})
    text = to_markdown(table)
    assert "### camera" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert "| MoCo |" in text
    assert "−10.0 [−10.0, −10.0]" in text
    listed = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert len(listed) == 2 * len(SCORES)
    assert float(next(r["mean"] for r in listed if (r["method"], r["score"]) == ("moco", "energy"))) == 0.2


def test_figure_draws_means_where_they_are(tmp_path):
    runs = runs_of(["random", "moco", "fima"], seeds=(0, 1), regimes=("easy", "camera"))
    table = collect({run: content(linear=[0.1 + 0.3 * (run.method == "fima")] * 40) for run in runs})
    figure = draw_table(table, "")
    ax = figure.axes[0]
    points = [tuple(p.get_offsets()[0]) for p in ax.collections if len(p.get_offsets()) == 1]
    assert (4.0, pytest.approx(0.4)) in points
    save_figure(figure, tmp_path / "scores.png", "png")
    assert (tmp_path / "scores.png").stat().st_size > 10_000


def test_plan_puts_a_whole_regime_before_the_next_seed():
    runs = plan_runs(QUICK, "runs/x", ["fima", "random", "vd"], ["camera", "easy"], [0, 1])
    assert [(r.method, r.regime, r.seed) for r in runs[:4]] == [
        ("random", "camera", 0), ("vd", "camera", 0), ("fima", "camera", 0), ("random", "easy", 0),
    ]  # fmt: skip
    assert runs[1].folder == Path("runs/x/quick/camera/vd-0")
    command = runs[1].command(1)
    assert command[command.index("--recipe") + 1] == "vd-shapes"
    assert command[command.index("--data") + 1] == "shapes:camera,videos=480"


@pytest.mark.parametrize("part", ["decoder", "foreground", "frame"])
def test_fima_without_a_part_is_its_recipe_with_one_option_off(part):
    (run,), (whole,) = runs_of([f"fima-no-{part}"]), runs_of(["fima"])
    config, same = (parse_pretrain(one.command(1)[1:]) for one in (run, whole))
    assert config.method == same.method | {part: False}
    assert same.method.get(part, True)
    assert config.optimizer == same.optimizer
    assert run.folder.name == f"fima-no-{part}-0"


@pytest.mark.parametrize(("budget", "every"), [("quick", 1), ("small", 2), ("long", 10)])
def test_about_ten_checkpoints_stay(budget, every):
    (run,) = plan_runs(BUDGETS[budget], "x", ["vd"], ["camera"], [0])
    kept = parse_pretrain(run.command(1)[1:]).checkpoints
    assert (kept.every_epochs, kept.keep_every) == (every, every)


def test_natural_looks_need_a_picture_for_each_background(tmp_path, capsys):
    for count in (9, 10):
        (tmp_path / str(count)).mkdir()
        for place in range(count):
            cv2.imwrite(str(tmp_path / str(count) / f"{place}.png"), np.full((64, 64, 3), 20 * place, np.uint8))
    (run,) = runs_of(["fima"], regimes=[f"natural,textures={tmp_path}/10"])
    assert run.folder.parent.parent == Path("nowhere/quick")
    for flags in (
        ["reproduce", "--no-training", "--regimes"],
        ["bias", "--ckpt", "random", "--videos", "4", "4", "--regime"],
    ):
        for regime, found in (("natural", "2 pictures"), (f"natural,textures={tmp_path}/9", "9 pictures")):
            assert main([*flags, regime, "--out", str(tmp_path / "out")]) == 2
            said = capsys.readouterr().err
            assert f"{flags[-1]}: " in said
            assert found in said
            assert "expected at least 10" in said
            assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("methods", "regimes", "seeds", "words"),
    [
        (["simclr"], ["easy"], [0], "--methods: there is no 'simclr'"),
        (["moco"], ["hard"], [0], "--regimes: there is no 'hard'"),
        (["moco"], ["easy"], [-1], "seeds of at least 0"),
        ([], ["easy"], [0], "at least one value each"),
    ],
)
def test_bad_plans(methods, regimes, seeds, words):
    with pytest.raises(InputError) as error:
        plan_runs(QUICK, "x", methods, regimes, seeds)
    assert words in str(error.value)


def test_curves_are_where_the_numbers_are(tmp_path):
    random, vd, fima = runs_of(["random", "vd", "fima-no-frame"])
    values = {0: {random: 0.1}, 15: {vd: 0.2, fima: 0.3}, 75: {vd: 0.6, fima: 0.9}}
    curves = {step: collect({run: content(linear=[v] * 40) for run, v in of.items()}) for step, of in values.items()}
    figure = draw_curves(curves, "camera", "")
    lines = [np.array(line.get_xydata()).round(6).tolist() for line in figure.axes[0].lines]
    assert lines[:2] == [[[15, 0.2], [75, 0.6]], [[15, 0.3], [75, 0.9]]]
    assert [line[0][1] for line in lines[2:]] == [0.1, 0.1]  # untrained, chance
    assert len(figure.axes) == len(SCORES)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["MoCo + L_VD", "FIMA without frame loss", "untrained", "chance"]
    rows = list(csv.DictReader(io.StringIO(curves_to_csv(curves))))
    found = {(row["step"], row["method"]): float(row["mean"]) for row in rows if row["score"] == "linear"}
    assert found[("75", "fima-no-frame")] == 0.9
    assert len(found) == 5


def _reproduced():
    """Three methods of constant scores, of which two are 70 and 75 points better than the first."""
    runs = runs_of(["moco", "vd", "fima"])
    moco, vd, fima = runs
    scored = {
        moco: content(linear=[0.2] * 40),
        vd: content(linear=[0.9] * 40, offset_auroc=[0.6] * 40),
        fima: content(linear=[0.95] * 40, offset_auroc=[0.55] * 40),
    }
    return Reproduced(collect(scored), runs, QUICK, {})


def made_reproduction(folder):
    """The text of its page, with its figure in the folder."""
    made = _reproduced()
    save_figure(draw_table(made.table, ""), folder / "scores.png", "png")
    return render_reproduction(made, folder, command="fima-analyze reproduce")


def test_the_page_says_what_the_claims_come_to_before_any_score(tmp_path):
    made = _reproduced()
    first, seeds, world = conclude(made)
    assert first.startswith("In camera, of the claims written down before: 3 hold (Motion probe: MoCo + L_VD at")
    assert "AUROC of offsets: FIMA above MoCo + L_VD" in first.partition("fail")[2]
    assert (seeds[:29], world[:15]) == ("Every method was trained once", "The numbers are")
    page = made_reproduction(tmp_path)
    places = [
        page.index(text)
        for text in ("<h1>", QUICK.warning, "Not trained yet", "3 hold", ">holds<", "<img", "All scores")
    ]
    assert places == sorted(places)
    assert "0.700 [0.700, 0.700]</td>" in page  # vd - moco, of which 0.400 was claimed
    assert "+0.300 [+0.300, +0.300] <b>holds</b>" in page
    assert "−0.050 [−0.050, −0.050] <b>fails</b>" in page  # fima - vd of the temporal AUROC
    assert "| Motion probe: MoCo + L_VD at least 40 points above MoCo | holds: 0.700" in render_markdown(made)
