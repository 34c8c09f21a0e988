import csv
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from fima.checkpoints import save_backbone, untrained_backbone
from fima.cli import main
from fima.data.datasets.layouts.ava import open_ava
from fima.data.datasets.layouts.ava_files import read_ava_boxes
from fima.files.claims import claim_output
from fima.tasks.detect.frame_map import LabeledBoxes, frame_map
from fima.tasks.detect.module import DetectModule

QUICK = ["--preset", "small", "--epochs", "2", "--batch-size", "3", "--device", "cpu"]
SPEC = ["--input-spec", "num_frames=4;frame_stride=4;size=32"]


@pytest.fixture(scope="module")
def miniature(tmp_path_factory, write_miniature):
    return write_miniature(tmp_path_factory.mktemp("ava") / "mini", train=3, val=2, seconds=(902, 903))


@pytest.fixture
def copy(miniature, tmp_path):
    return shutil.copytree(miniature, tmp_path / "ava")


def detect(*words):
    return main(["detect", *map(str, words), *QUICK, *SPEC])


def result(folder):
    return json.loads((folder / "result.json").read_text())


def from_table(path, data):
    """Frame-mAP of a written table against the tables of the data set, read anew."""
    numbers = {}

    def number(key):
        return numbers.setdefault(key, len(numbers))

    rows = list(csv.reader(path.open()))
    found = LabeledBoxes(
        np.array([number((row[0], int(row[1]))) for row in rows]),
        np.array([row[2:6] for row in rows], float),
        np.array([int(row[6]) for row in rows]),
        np.array([float(row[7]) for row in rows]),
    )
    true = [
        (number((f.video, f.second)), box, action)
        for f in read_ava_boxes(data.root / "annotations" / "ava_val_v2.2.csv")
        if (f.video, f.second) != ("val-film-1", 903)  # excluded
        for box, actions in zip(f.boxes, f.actions, strict=True)
        for action in actions
    ]
    truth = LabeledBoxes(*(np.array([row[i] for row in true]) for i in range(3)), np.ones(len(true)))
    return frame_map(truth, found, data.evaluated).mean


def test_from_a_checkpoint_to_a_number(miniature, tmp_path, capsys):
    tiny = untrained_backbone("tiny")
    checkpoint = save_backbone(tmp_path / "tiny.pt", tiny.backbone, arch="tiny", input=tiny.input)
    out = tmp_path / "run"
    assert detect("--ckpt", checkpoint, "--data", miniature, "--out", out) == 0
    assert capsys.readouterr().out.startswith("frame-mAP@0.5 ")
    found = result(out)
    assert 0 < found["mAP"] < 1
    assert found["mAP"] == found["mAP_counting_unread"]
    assert found["mAP"] == pytest.approx(from_table(out / "detections.csv", open_ava(miniature)))
    assert found["keyframes"] == {"train": 5, "test": 3, "truth": 3}
    assert found["boxes"] == {"train": 10, "test": 6, "truth": 6}
    assert (found["steps"], found["seed"], found["preset"]["name"], found["freeze"]) == (4, 0, "small", False)
    assert len(found["sha256"]) == 64
    assert found["per_class"]["11"]["AP"] is None
    assert found["per_class"]["12"]["truth"] == 3
    assert found["command"].startswith("fima detect")
    assert sum(1 for _ in (out / "detections.csv").open()) == 6 * 12
    assert not (out / "skipped.csv").exists()
    assert not list(out.rglob(".partial*"))


def stopped_after(monkeypatch, step, act):
    """The run acts, once, in the middle of a step."""
    training_step, calls = DetectModule.training_step, []

    def acting(self, *arguments):
        calls.append(1)
        if len(calls) == step:
            act()
        return training_step(self, *arguments)

    monkeypatch.setattr(DetectModule, "training_step", acting)


def assert_same_detector(left, right):
    whole, resumed = (torch.load(folder / "last.ckpt", weights_only=True) for folder in (left, right))
    assert all(torch.equal(value, resumed["state_dict"][name]) for name, value in whole["state_dict"].items())
    tables = [(folder / "detections.csv").read_text() for folder in (left, right)]
    assert tables[0] == tables[1]


def test_a_signal_ends_in_a_saved_step_and_the_run_goes_on_as_if_it_had_not(miniature, tmp_path, monkeypatch, capsys):
    words = ["--ckpt", "random", "--data", miniature]
    assert detect(*words, "--out", tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        stopped_after(patch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert detect(*words, "--out", tmp_path / "stopped") == 143
    assert "SIGTERM: stopped after a whole step and saved; go on with --resume auto" in capsys.readouterr().err
    assert torch.load(tmp_path / "stopped/last.ckpt", weights_only=True)["step"] == 3  # inside an epoch
    assert not (tmp_path / "stopped/result.json").exists()
    assert detect(*words, "--out", tmp_path / "stopped") == 2  # is there, and --resume is not said
    assert detect(*words, "--out", tmp_path / "stopped", "--resume", "auto") == 0
    assert_same_detector(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_of_an_earlier_version_goes_on(miniature, tmp_path, capsys):
    """Their checkpoint had no trainer's state: weights, optimizer, step and settings of the run."""
    words = ["--ckpt", "random", "--data", miniature]
    assert detect(*words, "--out", tmp_path / "whole") == 0
    new = torch.load(tmp_path / "whole/step-00000002.ckpt", weights_only=True)
    (state,) = new["optimizer_states"]
    for group in state["param_groups"]:
        del group["share"]
    about = result(tmp_path / "whole")
    names = ("preset", "seed", "freeze", "arch", "sha256", "version", "classes", "start_second")
    old = {name: new[name] for name in ("format", "step", "skipped", "state_dict")}
    old |= {"run": {name: about[name] for name in names}, "optimizer": state}
    (tmp_path / "old").mkdir()
    torch.save(old, tmp_path / "old/last.ckpt")
    assert detect(*words, "--out", tmp_path / "old", "--resume", "auto", "--seed", "1") == 2
    assert "the run was begun with seed = 0, not 1" in capsys.readouterr().err
    assert detect(*words, "--out", tmp_path / "old", "--resume", "auto") == 0
    assert_same_detector(tmp_path / "whole", tmp_path / "old")


def test_a_second_run_in_the_same_folder_is_refused(miniature, tmp_path, capsys):
    with claim_output(tmp_path / "run", "held", {}):
        assert detect("--ckpt", "random", "--data", miniature, "--out", tmp_path / "run") == 2
    assert f"--out {tmp_path}/run: another run is writing there" in capsys.readouterr().err


def test_what_is_not_of_the_run_is_never_replaced(miniature, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/detections.csv").write_text("mine")
    assert detect("--ckpt", "random", "--data", miniature, "--out", tmp_path / "run") == 2
    assert "holds detections.csv, not of this run" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["detections.csv"]


def test_a_run_is_not_gone_on_with_otherwise(miniature, tmp_path, capsys):
    words = ["--ckpt", "random", "--data", miniature, "--out", tmp_path / "run", "--freeze"]
    assert detect(*words) == 0
    capsys.readouterr()
    assert detect(*words, "--resume", "auto", "--seed", "1") == 2
    assert "the run was begun with seed = 0, not 1" in capsys.readouterr().err
    assert detect(*words, "--resume", "auto") == 0  # only tests again


def test_what_cannot_be_read_is_skipped_counted_and_listed(copy, tmp_path, capsys):
    shutil.rmtree(copy / "frames/val-film-1")
    shutil.rmtree(copy / "frames/train-film-2")
    for path in sorted((copy / "frames/train-film-0").iterdir())[40:]:
        path.write_bytes(b"")
    words = ["--ckpt", "random", "--data", copy, "--out", tmp_path / "run", "--freeze"]
    assert detect(*words) == 3
    found = result(tmp_path / "run")
    assert found["missing_videos"] == ["train-film-2", "val-film-1"]
    assert found["unread_keyframes"] == {"train": 2, "test": 0}
    assert found["unread_videos"]["train"] == {"train-film-0": 2}
    assert found["keyframes"] == {"train": 4, "test": 2, "truth": 3}
    assert found["mAP_counting_unread"] < found["mAP"]
    rows = list(csv.reader((tmp_path / "run/skipped.csv").open()))
    assert sorted(tuple(row[:3]) for row in rows[1:]) == [
        ("", "train-film-2", ""),
        ("", "val-film-1", ""),
        ("train", "train-film-0", "902"),
        ("train", "train-film-0", "903"),
    ]
    assert "listed in" in capsys.readouterr().out


def test_nothing_to_train_on_is_bad_input(copy, tmp_path, capsys):
    for folder in (copy / "frames").glob("train-*"):
        for path in folder.iterdir():
            path.write_bytes(b"")
    assert detect("--ckpt", "random", "--data", copy, "--out", tmp_path / "run", "--freeze") == 2
    error = capsys.readouterr().err
    assert "none of the 5 training keyframes can be read" in error
    assert error.strip().splitlines()[-1].startswith("fima detect: error: ")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--preset", "ava"], "--preset must be one of maclr, severe, small, got 'ava'"),
        (["--version", "2.0"], "--version must be one of 2.1, 2.2, got '2.0'"),
        (["--epochs", "0"], "epochs must be at least 1, got 0"),
        (["--epochs", "2", "--warmup-epochs", "2"], "optimizer: warmup_epochs must be less than epochs, got 2 of 2"),
        (["--ckpt", "tiny-vd", "--resume", "nowhere.ckpt"], "--resume nowhere.ckpt: no such file"),
        (["--min-score", "1"], "no person box has a score of at least 1.0; lower --min-score"),
        (["--threads", "0"], "--threads must be at least 1"),
    ],
)
def test_bad_flags_are_one_line(miniature, tmp_path, capsys, words, line):
    arguments = ["--ckpt", "random", "--data", miniature, "--out", tmp_path / "run", *words]
    assert main(["detect", *map(str, arguments)]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert line in error
    assert not (tmp_path / "run").exists()


def test_help_loads_no_torch():
    code = "import sys; from fima.cli import main; main(['detect', '--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.slow
def test_as_typed_and_better_than_chance(tmp_path, write_miniature):
    """Two motions that a trained backbone's features tell apart; boxes as a person detector gives them."""
    mini = write_miniature(tmp_path / "mini", train=16, val=6, motions=(0, 1))
    command = [
        *(sys.executable, "-m", "fima.cli", "detect", "--ckpt", "tiny-fima", "--data", str(mini)),
        *("--preset", "small", "--freeze", "--lr", "0.01", "--device", "cpu", "--out", str(tmp_path / "run")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = result(tmp_path / "run")
    assert found["command"] == "fima " + " ".join(command[3:])
    motions = [found["per_class"][name] for name in ("1", "2")]
    chance = sum(one["truth"] for one in motions) / sum(one["detections"] for one in motions)
    assert sum(one["AP"] for one in motions) / 2 > chance + 0.1
