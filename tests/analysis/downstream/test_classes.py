"""`fima-analyze classes`: results of runs, class by class, against counts by hand and the runs' own numbers."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.cli import main
from analysis.downstream.class_results import cells_of, name_runs, read_run, read_runs
from fima.cli import main as fima
from fima.errors import InputError
from fima.evaluation.intervals import interval

CLASSES = ("dog", "cat, tabby", "owl")
# (video, true class, answer): dogs 2 of 3, cats 1 of 2, no owl is tested
ROWS = (("a", 0, 0), ("b", 0, 0), ("c", 0, 2), ("d", 1, 1), ("e", 1, 0))


def classifier_run(folder, rows=ROWS, classes=CLASSES, task="linear", ckpt="x/moco.ckpt", **more):
    folder.mkdir(parents=True)
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "label", "prediction", *(f"score_{name}" for name in classes)])
        writer.writerows([video, classes[label], classes[guess], *[0] * len(classes)] for video, label, guess in rows)
    checkpoint = {"path": ckpt, "sha256": "5" * 64}
    content = {"task": task, "per_class": dict.fromkeys(classes, 0.5), "checkpoint": checkpoint, "warnings": []}
    (folder / "result.json").write_text(json.dumps({**content, **more}))
    return folder


def knn_run(folder, rows=ROWS, classes=CLASSES, ckpt="x/moco.ckpt", **more):
    folder.mkdir(parents=True)
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "label", "class_name", "weighted@1", "majority@1", "weighted@20", "majority@20"])
        writer.writerows([video, label, classes[label], 2, 2, guess, 1] for video, label, guess in rows)
    content = {"task": "knn", "classes": len(classes), "class_names": classes, "checkpoint": ckpt, "sha256": "7" * 64}
    (folder / "knn.json").write_text(json.dumps({**content, **more}))
    return folder


@pytest.mark.parametrize("make", [classifier_run, knn_run])
def test_counts_and_shares_by_hand(tmp_path, make):
    run = read_run(make(tmp_path / "r"))
    assert run.class_names == CLASSES
    assert run.videos == tuple("abcde")
    ((cell,),) = [part.values() for part in cells_of([run], ["moco"]).values()]
    assert cell.confusion.tolist() == [[2, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert [one.num_videos for one in cell.classes] == [3, 2, 0]
    assert [one.mean for one in cell.classes[:2]] == [pytest.approx(2 / 3), 0.5]
    assert np.isnan(cell.classes[2].mean)
    assert cell.summary.mean == 0.6
    assert (cell.classes[0].low, cell.classes[0].high) == interval([1.0, 1.0, 0.0], limits=(0, 1))[:2]


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("task", ["knn", "linear"])
def test_jobs_of_a_downstream_study_are_read(tmp_path, capsys, task, older):
    folder = classifier_run(tmp_path / "split" / "moco" / f"{task}-0")
    content = {"task": task, "seed": 0, "top1": 0.6, "unreadable": {}, **({"k": 5} if task == "knn" else {})}
    if not older:
        content |= {"checkpoint": {"path": "x/moco.ckpt"}, "class_names": CLASSES}
    (folder / "result.json").write_text(json.dumps(content))
    run = read_run(folder)
    assert name_runs([run]) == ["moco"]
    assert run.class_names == (tuple(sorted(CLASSES)) if older else CLASSES)
    assert run.how == ("weighted@5" if task == "knn" else "")
    ((cell,),) = [part.values() for part in cells_of([run], ["moco"]).values()]
    assert cell.summary.mean == 0.6
    assert main(["classes", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert "classes.csv" in capsys.readouterr().out


def test_votes_are_chosen_and_said(tmp_path):
    folder = knn_run(tmp_path / "r")
    assert read_run(folder).how == "weighted@20"
    assert read_run(folder, votes="majority@20").predictions.tolist() == [1] * 5
    with pytest.raises(InputError, match=r"--votes weighted@7: .* has weighted@1, majority@1, weighted@20"):
        read_run(folder, votes="weighted@7")


def test_results_without_names_of_classes_take_those_that_were_tested(tmp_path):
    assert read_run(knn_run(tmp_path / "r", class_names=None)).class_names == ("dog", "cat, tabby", "class 2")


def test_runs_go_by_checkpoint_then_by_folder(tmp_path):
    a = classifier_run(tmp_path / "a", ckpt="runs/moco/last.ckpt")
    b = classifier_run(tmp_path / "b", ckpt="runs/fima/last.ckpt", task="finetune")
    c = classifier_run(tmp_path / "c", ckpt=None)
    d = classifier_run(tmp_path / "d", ckpt="runs/moco/last.ckpt")
    assert name_runs(read_runs([a, b, c])) == ["moco", "fima", "random"]
    assert name_runs(read_runs([a, b, d])) == ["a", "b", "d"]


def test_the_command_writes_pictures_and_numbers(tmp_path, capsys):
    runs = [
        classifier_run(tmp_path / "a"),
        knn_run(tmp_path / "b"),
        classifier_run(tmp_path / "c", ROWS[:4], ckpt="fima.ckpt"),
    ]
    assert main(["classes", *map(str, runs), "--out", str(tmp_path / "out"), "--format", "png", "svg"]) == 0
    names = {f"{stem}.{kind}" for stem in ("classes", "confusion") for kind in ("png", "svg")}
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == names | {"classes.csv", "classes.json"}
    with (tmp_path / "out" / "classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["task"], row["run"], row["class"]): (row["accuracy"], row["videos"]) for row in rows}
    assert len(found) == 9
    assert found["linear", "moco", "dog"] == ("0.666667", "3")
    assert found["linear", "fima", "cat, tabby"] == ("1", "1")
    assert found["knn", "moco", "owl"] == ("", "0")
    about = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert [run["accuracy"] for run in about["runs"]] == [0.6, 0.6, 0.75]
    assert about["runs"][1]["sha256"] == "7" * 64
    assert "its 4 test videos are not those" in about["warnings"][0]
    assert about["warnings"][0] in capsys.readouterr().err
    svg = (tmp_path / "out" / "confusion.svg").read_text()
    for text in ("linear probe", "k-NN, weighted@20", "moco", "fima", "cat, tabby", "numbers are test videos"):
        assert text in svg
    assert "own test split" not in svg + (tmp_path / "out" / "classes.svg").read_text()


def test_names_of_ones_own(tmp_path, capsys):
    runs = [str(classifier_run(tmp_path / name)) for name in "ab"]
    assert main(["classes", *runs, "--out", str(tmp_path / "o"), "--names", "one", "two"]) == 0
    assert "two" in (tmp_path / "o" / "classes.csv").read_text()
    for names, message in ((["one"], "--names: 1 names for 2 runs"), (["x", "x"], "--names: x is the name of two")):
        assert main(["classes", *runs, "--out", str(tmp_path / "p"), "--names", *names]) == 2
        assert message in capsys.readouterr().err


def _other(folder):
    return classifier_run(folder, classes=("dog", "fox", "owl"))


def _fewer(folder):
    return classifier_run(folder, ROWS[:2], classes=("dog", "cat, tabby"))


def _no_result(folder):
    folder.mkdir()
    return folder


def _bad_json(folder):
    (classifier_run(folder) / "result.json").write_text("{")
    return folder


def _retrieval(folder):
    return classifier_run(folder, task="retrieval")


def _detection(folder):
    return classifier_run(folder, task="linear", person_boxes="x.csv")


def _no_predictions(folder):
    (classifier_run(folder) / "predictions.csv").unlink()
    return folder


def _empty(folder):
    return classifier_run(folder, rows=())


def _stranger(folder):
    path = classifier_run(folder) / "predictions.csv"
    path.write_text(path.read_text().replace("owl", "eel"))
    return folder


def _outside(folder):
    return knn_run(folder, [("a", 0, 3)])


def _no_table(folder):
    (classifier_run(folder) / "predictions.csv").write_text("a,b\n1,2\n")
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_other, "class 1 is 'fox', but in"),
        (_fewer, "has 2 classes, but"),
        (_no_result, "holds no result"),
        (_bad_json, "is not a JSON file"),
        (_retrieval, "is of retrieval; expected fima finetune, linear or knn"),
        (_detection, "expected fima finetune, linear or knn"),
        (_no_predictions, "predictions.csv: cannot be read"),
        (_empty, "holds no video"),
        (_stranger, "is of 'eel', which is no class"),
        (_outside, "names a class outside 0 to 2"),
        (_no_table, "is no table of predictions of linear"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, capsys, make, message):
    runs = [str(classifier_run(tmp_path / "good")), str(make(tmp_path / "bad"))]
    assert main(["classes", *runs, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


def test_a_run_given_twice_is_refused(tmp_path):
    folder = classifier_run(tmp_path / "a")
    with pytest.raises(InputError, match="is given twice"):
        read_runs([folder, tmp_path / "b" / ".." / "a"])


def test_real_runs_give_their_own_numbers(tmp_path):
    data = "shapes:easy,videos=20,num_frames=20,size=40"
    for split in ("train", "test"):
        words = ["--ckpt=tiny-fima", f"--data={data}", f"--split={split}", "--clips=1"]
        assert fima(["extract", *words, f"--out={tmp_path / split}.parquet"]) == 0
    tables = [f"--features-{split}={tmp_path / split}.parquet" for split in ("train", "test")]
    threads = torch.get_num_threads()
    fast = ["--optimizer.lr=1", "--optimizer.epochs=5", "--log.progress=none", "--trainer.threads=1"]
    assert fima(["linear", *tables, *fast, f"--out={tmp_path / 'linear'}"]) == 0
    torch.set_num_threads(threads)
    assert fima(["knn", *tables, f"--out={tmp_path / 'knn'}"]) == 0
    runs = [str(tmp_path / name) for name in ("linear", "knn")]
    assert main(["classes", *runs, "--out", str(tmp_path / "out")]) == 0
    result, knn = (json.loads((tmp_path / name).read_text()) for name in ("linear/result.json", "knn/knn.json"))
    about = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert [run["name"] for run in about["runs"]] == ["tiny-fima", "tiny-fima"]
    assert about["runs"][0]["accuracy"] == result["top1"]["value"]
    assert about["runs"][1]["accuracy"] == knn["scores"]["rgb"]["weighted@20"]["value"]
    with (tmp_path / "out" / "classes.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == "linear"]
    for row in rows:
        expected = result["per_class"][row["class"]]
        assert (
            row["accuracy"] == "" if expected is None else float(row["accuracy"]) == pytest.approx(expected, abs=1e-5)
        )
    cell = cells_of(read_runs(runs), ["a", "b"])["linear"]["a"]
    with (tmp_path / "linear" / "confusion.csv").open(newline="") as file:
        assert cell.confusion.tolist() == [[int(x) for x in row[1:]] for row in list(csv.reader(file))[1:]]
    for name in ("confusion", "classes"):
        assert np.asarray(Image.open(tmp_path / "out" / f"{name}.png").convert("L")).std() > 10
