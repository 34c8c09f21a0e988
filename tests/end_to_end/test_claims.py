"""Every command of both programs claims what it writes: what no run wrote is refused and stays as it is."""

import json
import shutil

import pytest

from analysis.cli import main as analyze
from fima.checkpoints.shipped import shipped_path
from fima.cli import main as fima

SMALL = ("--num-frames", "8", "--size", "56", "--device", "cpu")
DRAWN = ("--data", "shapes:easy,videos=4,size=64", "--device", "cpu")
CLIPS = (*DRAWN, "--clips", "1")
TRAIN = (
    "--data",
    "shapes:easy,videos=4,size=64,num_frames=40",
    "--trainer.accelerator",
    "cpu",
    "--loader.workers",
    "0",
)
PRETRAIN = (*TRAIN, "--recipe", "moco-shapes", "--optimizer.batch_size", "2", "--method.queue_size", "8")
PROBE = (*TRAIN, "--preset", "severe", "--features", "true", "--input.augmented", "false", "--optimizer.epochs", "1")
PROBE += (
    "--optimizer.batch_size",
    "2",
    "--optimizer.milestones",
    "[]",
    "--test.clips",
    "1",
    "--validation.fraction",
    "0.5",
)
PROBE += ("--input.num_frames", "8", "--input.size", "32")

COMMANDS = {
    "knn": (fima, ("knn", "--ckpt", "tiny-fima", *CLIPS, "--k", "1", "--out", "."), "predictions.csv"),
    "retrieve": (fima, ("retrieve", "--ckpt", "tiny-fima", *CLIPS, "--out", "."), "retrieval.json"),
    "extract": (fima, ("extract", "--ckpt", "tiny-fima", *CLIPS, "--split", "test", "--out", "f.parquet"), "f.parquet"),
    "export": (fima, ("export", "tiny-fima", "b.pth", "--format", "backbone", "--overwrite"), "b.pth"),
    "table": (fima, ("table", "knn", "--out", "README.md"), "README.md"),
    "shapes": (fima, ("shapes", ".", "--videos", "1", "--set", "size=64"), "train.csv"),
    "prepare": (fima, ("prepare", "../source", ".", "--workers", "1", "--overwrite"), "a.mp4"),
    "pretrain": (fima, ("pretrain", *PRETRAIN, "--trainer.max_steps", "1", "--out", "."), "config.yaml"),
    "pretrain-steps": (fima, ("pretrain", *PRETRAIN, "--trainer.max_steps", "1", "--out", "."), "step-00000050.ckpt"),
    "linear": (fima, ("linear", "--ckpt", "tiny-fima", *PROBE, "--out", "."), "result.json"),
    "finetune": (
        fima,
        ("finetune", "--ckpt", "tiny-fima", *PROBE[:4], "--preset", "fima", "--out", "."),
        "predictions.csv",
    ),
    **{
        measure: (analyze, (measure, *SMALL, "--out", "."), f"{measure}.json")
        for measure in (
            "cam",
            "affinity",
            "temporal",
            "localize",
            "sensitivity",
            "attention",
            "pca",
            "attribution",
            "mechanism",
        )
    },
    "embed": (analyze, ("embed", *SMALL, *DRAWN[:2], "--out", "."), "embedding.npz"),
    "compare": (analyze, ("compare", *SMALL, "--out", "."), "index.html"),
    "explore": (analyze, ("explore", *SMALL, "--out", "."), "index.html"),
    "figure": (analyze, ("figure", "3", *SMALL, "--out", "."), "figure-3.tex"),
    "gallery": (analyze, ("gallery", *CLIPS, "--out", "."), "neighbors.csv"),
    "bias": (analyze, ("bias", *SMALL, "--videos", "20", "20", "--out", "."), "bias.json"),
    "reproduce": (analyze, ("reproduce", "--runs", "runs", "--out", "."), "README.md"),
    "judge": (analyze, ("judge", *SMALL, "--out", "."), "judge.json"),
    "worlds": (analyze, ("worlds", "shapes:easy", "--out", "."), "worlds.png"),
    "classes": (analyze, ("classes", "knn", "--out", "."), "classes.csv"),
    "report": (
        analyze,
        ("report", *SMALL, "--measure", "cam", "--no-notebooks", "--overwrite", "--out", "."),
        "index.html",
    ),
}


@pytest.fixture
def place(tmp_path, monkeypatch, clips_dir):
    """A folder to write into, with a video to prepare beside it and results to read in it."""
    (tmp_path / "source").mkdir()
    shutil.copy(clips_dir / "dog.mp4", tmp_path / "source" / "a.mp4")
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def finished_knn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("knn")
    assert fima(["knn", "--ckpt", "tiny-fima", *CLIPS, "--k", "1", "--out", str(folder)]) == 0
    return folder


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_no_run_wrote_is_refused_and_stays(place, command, capsys, request):
    main, words, name = COMMANDS[command]
    if "knn" in words[1:]:
        shutil.copytree(request.getfixturevalue("finished_knn"), place / "knn")
    (place / name).write_bytes(b"mine")
    before = content(place)
    assert main(list(words)) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert name in said or "not empty" in said
    assert content(place) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "other"),
    [
        (("cam", *SMALL), ("--ckpt", "tiny-vd")),
        (("cam", *SMALL), ("--normalize", "clip")),
        (("compare", *SMALL, "--measure", "cam"), ("--seed", "1")),
        (("explore", *SMALL), ("--seed", "1")),
        (("figure", "3", *SMALL), ("--seed", "1")),
        (("gallery", *CLIPS), ("--queries", "2")),
        (("bias", *SMALL, "--videos", "20", "20"), ("--seed", "1")),
        (("classes", "knn"), ("--names", "x")),
    ],
    ids=" ".join,
)
def test_the_same_run_replaces_its_results_and_another_only_if_asked(place, finished_knn, words, other, capsys):
    shutil.copytree(finished_knn, place / "knn")
    words = [*words, "--out", "."]
    assert analyze(words) == 0
    (place / "mine.txt").write_text("mine")
    before = content(place)
    assert analyze(words) == 0
    assert content(place).keys() == before.keys()
    capsys.readouterr()
    first = content(place)
    assert analyze([*words, *other]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert content(place) == first
    assert analyze([*words, *other, "--overwrite"]) == 0
    assert content(place).keys() == before.keys()


def test_an_input_is_never_replaced_though_a_run_wrote_it(place, capsys):
    words = ["cam", *SMALL, "--out", "."]
    assert analyze(words) == 0
    before = content(place)
    assert analyze([*words, "--video", "cam.mp4", "--overwrite"]) == 2
    assert "holds cam.mp4" in capsys.readouterr().err
    assert content(place) == before


def test_results_of_an_earlier_version_are_replaced_only_if_asked(place, capsys):
    words = ["cam", *SMALL, "--out", "."]
    assert analyze(words) == 0
    (place / ".fima-results.json").unlink()
    before = content(place)
    assert analyze(words) == 2
    assert "an earlier version of fima" in capsys.readouterr().err
    assert content(place) == before
    assert analyze([*words, "--overwrite"]) == 0
    assert list(json.loads((place / ".fima-results.json").read_text())["results"]) == ["cam"]


def test_the_default_folder_is_of_the_checkpoint(place):
    shutil.copy(shipped_path("tiny-vd"), "mine.ckpt")
    for ckpt in ((), ("--ckpt", "tiny-vd"), ("--ckpt", "mine.ckpt")):
        assert analyze(["affinity", *SMALL, *ckpt]) == 0
    assert sorted(path.name for path in (place / "reports").iterdir()) == [
        "affinity",
        "affinity-mine",
        "affinity-tiny-vd",
    ]
