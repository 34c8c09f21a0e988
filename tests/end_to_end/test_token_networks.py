"""Small files of VideoMAE and V-JEPA 2, made by the golden rule, through every command as a user types it."""

import json

import numpy as np
import pytest

import analysis
from analysis.cli import main as analyze
from fima.cli import main as fima

pytestmark = pytest.mark.slow

DRAWN = ("--data", "shapes:easy,videos=4,size=64,num_frames=24")
MORE = ("--data", "shapes:easy,videos=20,size=64,num_frames=24")
TRAINED = [
    *MORE,
    *[
        "--input.num_frames",
        "8",
        "--input.size",
        "64",
        "--input.frame_stride",
        "2",
        "--optimizer.batch_size",
        "4",
        "--optimizer.epochs",
        "1",
    ],
    *[
        "--optimizer.warmup_epochs",
        "0",
        "--test.clips",
        "1",
        "--test.crops",
        "1",
        "--test.size",
        "64",
        "--loader.workers",
        "0",
    ],
    *["--validation.fraction", "0.3"],
]
CASES = {"videomae_pretrain": 16, "vjepa2": 8}  # with the frames of a clip


@pytest.fixture(scope="module", params=CASES)
def network(request, transformers_golden, tmp_path_factory):
    """A file, and flags for clips of its own size."""
    folder = tmp_path_factory.mktemp("network")
    file = str(transformers_golden.write(request.param, folder / request.param))
    frames = CASES[request.param]
    flags = ["--num-frames", str(frames), "--size", "64", "--frame-stride", "1", "--ckpt", file]
    return file, flags, f"num_frames={frames};size=64;frame_stride=1"


MEASURES = (
    "cam",
    "affinity",
    "temporal",
    "localize",
    "mover",
    "sensitivity",
    "attention",
    "pca",
    "attribution",
    "embed",
)


@pytest.mark.parametrize("measure", MEASURES)
def test_measures(network, measure, tmp_path):
    _, flags, _ = network
    steps = ["--steps", "2"] if measure == "attribution" else []
    data = MORE if measure == "embed" else DRAWN
    assert analyze([measure, *flags, *data, *steps, "--out", str(tmp_path)]) == 0
    study = analysis.load(tmp_path / ("embedding" if measure == "embed" else measure))
    assert not study.untrained
    assert any(np.isfinite(summary.mean) for summary in study.scores.values())


def test_pages(network, tmp_path):
    file, flags, spec = network
    assert analyze(["explore", *flags, *DRAWN, "--out", str(tmp_path / "explore")]) == 0
    assert analyze(["gallery", "--ckpt", file, *MORE, "--input-spec", spec, "--out", str(tmp_path / "gallery")]) == 0
    wanted = ["--measure", "cam", "attention"]
    assert analyze(["report", *flags, *DRAWN, *wanted, "--no-notebooks", "--out", str(tmp_path / "report")]) == 0
    for page in ("gallery", "report"):
        assert (tmp_path / page / "index.html").stat().st_size > 0


def test_features_and_training(network, tmp_path):
    file, _, spec = network
    assert fima(["extract", "--ckpt", file, *DRAWN, "--input-spec", spec, "--out", str(tmp_path / "f.parquet")]) == 0
    assert fima(["knn", "--ckpt", file, *MORE, "--input-spec", spec, "--k", "1", "--out", str(tmp_path / "knn")]) == 0
    for command, preset in (("finetune", "videomae"), ("linear", "severe")):
        out = tmp_path / command
        milestones = ["--optimizer.milestones", "[]"] if preset == "severe" else []
        argv = [command, "--ckpt", file, "--preset", preset, *TRAINED, *milestones, "--out", str(out)]
        assert fima(argv) == 0
        assert 0 <= json.loads((out / "result.json").read_text())["top1"]["value"] <= 1


def test_the_token_recipe_trains(tmp_path):
    small = ("--method.backbone_settings", "{dim: 32, depth: 2}", "--windows", "{num_frames: 16, short_side: 64}")
    fast = ("--views.size", "64", "--method.queue_size", "64", "--optimizer.batch_size", "4", "--optimizer.epochs", "1",
            "--optimizer.warmup_epochs", "0", "--trainer.max_steps", "2", "--trainer.precision", "32-true",
            "--loader.workers", "0")  # fmt: skip
    assert fima(["pretrain", "--recipe", "fima-videomae", *MORE, *small, *fast, "--out", str(tmp_path / "run")]) == 0
    study = analysis.run("attention", tmp_path / "run", data="shapes:easy,videos=2,size=64", size=64)
    assert not study.untrained


def test_networks_of_different_grids_are_compared(transformers_golden, tmp_path, capsys):
    files = [str(transformers_golden.write(case, tmp_path / case)) for case in CASES]
    argv = ["compare", "--ckpt", *files, "tiny-fima", "--measure", "affinity", "localize", *DRAWN, "--size", "64"]
    assert analyze([*argv, "--num-frames", "8", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert any("affinity: top-1 agreement" in line and "grids differ" in line for line in printed.splitlines())
    assert "Their grids differ" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert analyze(["explore", "--ckpt", files[0], "tiny-fima", "--size", "64", "--out", str(tmp_path / "x")]) == 2
    assert "the checkpoints have different feature maps" in capsys.readouterr().err
