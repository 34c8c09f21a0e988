"""A reproduction from end to end, small enough for a test, interrupted and taken up again."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time

import pytest

from analysis.cli import main
from analysis.reproduction.plan import BUDGETS, Budget, plan_runs
from analysis.reproduction.run import reproduce
from analysis.settings import Settings
from analysis.studies import run as run_study
from fima.errors import TrainingError

TINY = Budget("tiny", 2, 64, (64, 40, 40), 8, "This is a test.")
pytestmark = pytest.mark.slow


def test_train_score_and_write(tmp_path):
    runs = plan_runs(TINY, tmp_path / "runs", ["random", "moco", "vd"], ["easy"], [0])
    said = []
    page = reproduce(runs, tmp_path / "out", lanes=2, threads=1, curves=True, tell=said.append)
    assert page.name == "index.html"
    assert "What may be concluded" in page.read_text()
    text = page.with_name("README.md").read_text()
    assert "**This is a test.**" in text
    for name in ("untrained", "| MoCo |", "| MoCo + L_VD |", "holds", "not run"):
        assert name in text or name == "holds"
    for picture in ("scores.png", "compare/compare-cam.png", "compare/compare-affinity.png", "compare/compare-temporal.png", "curves-1.png"):  # fmt: skip  # noqa: E501
        assert (tmp_path / "out" / picture).stat().st_size > 10_000
        assert f"({picture})" in text
    # Checkpoints on the way stay as backbones, and are scored; the last is scored once.
    half = runs[1].folder / "step-00000002.ckpt"
    assert half.stat().st_size < runs[1].checkpoint.stat().st_size / 2
    rows = csv.DictReader((tmp_path / "out" / "curves.csv").read_text().splitlines())
    assert {(row["method"], row["step"]) for row in rows} == {
        ("random", "0"), ("moco", "2"), ("moco", "4"), ("vd", "2"), ("vd", "4")
    }  # fmt: skip
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [run["method"] for run in content["runs"]] == ["random", "moco", "vd"]
    gap = content["runs"][1]["scores"]
    # Right minus right, from the same 20 videos.
    expected = gap["choices"]["with_correlated"] - gap["choices"]["with_swapped"]
    assert sum(gap["values"]["bias_gap"]) / 20 == pytest.approx(expected, abs=1e-6)
    # Every run is measured with its own weights, the untrained one too.
    for run, ckpt in zip(content["runs"], ("random:0", *(str(one.checkpoint) for one in runs[1:])), strict=True):
        alone = run_study("affinity", Settings(ckpt=ckpt, data="shapes:easy,videos=8", split="test", batch_size=16))
        assert run["scores"]["values"]["top1_agreement"] == pytest.approx(
            alone.video_scores["top1_agreement"], abs=1e-4
        )
    # Nothing is trained or scored twice.
    before = [line for line in said if line.startswith("scoring") or line.endswith(" min")]
    said.clear()
    reproduce(runs, tmp_path / "out", lanes=2, threads=1, tell=said.append)
    assert len(before) == 7
    assert not [line for line in said if line.startswith("scoring") or line.endswith(" min")]


def test_a_failed_training_names_its_log(tmp_path):
    runs = plan_runs(Budget("bad", 2, 8, (64, 40, 40), 8), tmp_path, ["moco"], ["easy"], [0])
    with pytest.raises(TrainingError, match=r"moco-0/log.txt: moco, easy, seed 0: .* exit code 2: .*batch_size"):
        reproduce(runs, tmp_path / "out", lanes=1, threads=1, tell=lambda line: None)
    assert not (tmp_path / "out").exists()


def test_interrupted_it_ends_its_trainings_and_goes_on(tmp_path):
    flags = [
        "reproduce",
        "--budget",
        "quick",
        "--methods",
        "moco",
        "--regimes",
        "easy",
        "--runs",
        str(tmp_path / "runs"),
    ]
    command = [sys.executable, "-m", "analysis.cli", *flags, "--out", str(tmp_path / "out"), "--lanes", "1"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "runs" / "quick" / "easy" / "moco-0" / "log.txt"
    deadline = time.monotonic() + 240
    steps = log.parent / "metrics.csv"
    while (not steps.exists() or len(steps.read_text().splitlines()) < 2) and time.monotonic() < deadline:
        assert child.poll() is None, child.communicate()
        time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 130, errors
    assert "stopped after a whole step and saved" in log.read_text()
    assert not (tmp_path / "out").exists()
    assert (log.parent / "last.ckpt").exists()
    assert not (log.parent / "finished").exists()
    assert main([*flags, "--out", str(tmp_path / "out"), "--no-training"]) == 2  # nothing is trained to its end yet
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert BUDGETS["quick"].warning
