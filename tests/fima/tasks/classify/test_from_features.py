"""`fima linear` on tables of `fima extract`: the ordinary probe's numbers without its videos."""

import csv
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from fima.cli import main
from fima.evaluation.feature_store import read_clip_vectors, read_features
from fima.files.claims import RECORDS
from fima.tasks.classify.classifier import ClassifierHead, load_classifier

DATA = "shapes:easy,videos=24,num_frames=20,size=40"
SPEC = "num_frames=8;frame_stride=2;size=24"
FAST = ["--log.progress=lines", "--log.tensorboard=false", "--trainer.threads=1", "--optimizer.epochs=3"]


def typed(*words):
    threads = torch.get_num_threads()
    try:
        return main(["linear", *FAST, *map(str, words)])
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for split in ("train", "test"):
        words = ["--ckpt=tiny-vd", f"--data={DATA}", f"--split={split}", "--clips=2", f"--input-spec={SPEC}"]
        assert main(["extract", *words, f"--out={folder / split}.parquet"]) == 0
    return folder / "train.parquet", folder / "test.parquet"


@pytest.fixture
def flags(tables):
    return (f"--features-train={tables[0]}", f"--features-test={tables[1]}")


def result(folder):
    return json.loads((folder / "result.json").read_text())


def scores(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["video"] for row in rows], np.array([[float(row[k]) for k in list(row)[3:]] for row in rows])


@pytest.mark.parametrize(
    "more", [("--optimizer.lr", 3.0), ("--sweep.lr", "[0.3, 3.0]", "--head.dropout", 0.2, "--optimizer.batch_size", 8)]
)
def test_tables_give_the_numbers_of_the_videos(tables, flags, tmp_path, more):
    assert typed(*flags, f"--out={tmp_path / 'tables'}", *more) == 0
    clips = [f"--{name}=2" for name in ("input.clips_per_epoch", "validation.clips", "test.clips")]
    shape = ["--input.num_frames=8", "--input.frame_stride=2", "--input.size=24", "--input.augmented=false"]
    videos = ["--ckpt=tiny-vd", f"--data={DATA}", "--features=true", "--loader.workers=0"]
    assert typed(*videos, *clips, *shape, f"--out={tmp_path / 'videos'}", *more) == 0
    ours, theirs = (result(tmp_path / name) for name in ("tables", "videos"))
    names, values = scores(tmp_path / "tables")
    expected_names, expected = scores(tmp_path / "videos")
    assert names == expected_names
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(values, expected, atol=2e-4)
    for key in ("top1", "top5", "mean_class", "videos", "differs_from_preset", "clips", "crops", "average", "warnings"):
        assert ours[key] == theirs[key], key
    assert ours["chosen"] == theirs["chosen"]
    assert [t["top1"] for t in ours["sweep"]["trials"]] == [t["top1"] for t in theirs["sweep"]["trials"]]
    assert ours["input"] == theirs["input"]
    assert ours["checkpoint"] | {"format": ""} == theirs["checkpoint"] | {"format": ""}
    assert ours["features"] | {"layer": "output", "shown": "rgb"} == ours["features"]
    head, whole = ClassifierHead(128, 10), load_classifier(tmp_path / "videos" / "chosen.ckpt").classifier.head
    head.load_state_dict(torch.load(tmp_path / "tables" / "head.ckpt", weights_only=True)["classifier"]["state_dict"])
    assert torch.allclose(head.fc.weight, whole.fc.weight, atol=1e-4)


def test_its_own_settings_repeat_it(flags, tmp_path):
    assert typed(*flags, f"--out={tmp_path / 'a'}", "--optimizer.lr=1", "--validation.choose=last") == 0
    assert typed("--config", tmp_path / "a" / "config.yaml", f"--out={tmp_path / 'b'}") == 0
    assert (tmp_path / "a" / "predictions.csv").read_bytes() == (tmp_path / "b" / "predictions.csv").read_bytes()
    names = {path.name for path in (tmp_path / "a").iterdir() if path.is_file()}
    assert names - {RECORDS} == {"config.yaml", "head.ckpt", "result.json", "predictions.csv", "confusion.csv"}


def test_vectors_are_those_of_the_rows_in_any_order(tables, tmp_path):
    table = pq.read_table(tables[0])
    mixed = table.take(np.random.default_rng(0).permutation(len(table)))
    pq.write_table(mixed, tmp_path / "mixed.parquet")
    videos = read_features(tmp_path / "mixed.parquet").video_ids
    found = read_clip_vectors(tmp_path / "mixed.parquet", videos)
    for video, vectors in zip(videos, found, strict=True):
        rows = [row["vector"] for row in mixed.select(["video", "vector"]).to_pylist() if row["video"] == video]
        assert np.array_equal(vectors, np.array(rows, np.float32))


def test_videos_may_have_different_numbers_of_clips(tables, tmp_path):
    """As clips placed half over each other do."""
    table = pq.read_table(tables[0])
    pq.write_table(table.slice(1), tmp_path / "train.parquet")
    words = (f"--features-train={tmp_path / 'train.parquet'}", f"--features-test={tables[1]}", "--optimizer.lr=1")
    assert typed(*words, f"--out={tmp_path / 'o'}", "--validation.choose=last") == 0
    assert result(tmp_path / "o")["differs_from_preset"]["optimizer.batch_size"] == 47


def without(column, value):
    def change(table):
        place = table.column_names.index(column)
        return table.set_column(place, table.schema.field(column), pa.array([value] * len(table), table[column].type))

    return change


def narrower(table):
    vectors = pa.array([v[:5] for v in table["vector"].to_pylist()], pa.list_(pa.float32(), 5))
    place = table.column_names.index("vector")
    return table.set_column(place, "vector", vectors)


FAULTS = {
    "one alone": (lambda a, b: [f"--features-train={a}"], "--features-test: is missing"),
    "not there": (lambda a, b: [f"--features-train={a}", "--features-test=no.parquet"], "no.parquet: no such file"),
    "no table": (lambda a, b: [f"--features-train={a}", f"--features-test={a.parent / 'x.txt'}"], "is no parquet"),
    "videos": (lambda a, b: [*both(a, b), "--data=UCF101"], "--data: needs videos"),
    "checkpoint": (lambda a, b: [*both(a, b), "--ckpt", "tiny-fima"], "--ckpt: needs videos"),
    "crops": (lambda a, b: [*both(a, b), "--test.crops=3"], "--test.crops: needs videos"),
    "clips as in the preset": (lambda a, b: [*both(a, b), "--test.clips", "10"], "--test.clips: needs videos"),
    "split": (lambda a, b: [*both(a, b), "--val-split", "val"], "--val-split: needs videos"),
    "colors": (lambda a, b: [*both(a, b), "--augment.hue=0.2"], "--augment.hue: needs videos"),
    "test chooses": (lambda a, b: [*both(a, b), "--validation.choose=test"], "chosen on validation"),
    "statistics": (lambda a, b: [*both(a, b), "--head.backbone_mode=train"], "nothing can be cached"),
    "batch": (lambda a, b: [*both(a, b), "--optimizer.batch_size=99"], "--optimizer.batch_size 99: one step needs"),
}


def both(a, b):
    return [f"--features-train={a}", f"--features-test={b}"]


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line_and_leave_nothing(tables, tmp_path, fault, capfd):
    (tables[0].parent / "x.txt").write_text("no table")
    words, message = FAULTS[fault]
    assert typed(*words(*tables), f"--out={tmp_path / 'o'}") == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("fima linear: error: ")
    assert message in lines[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"), [(without("label", None), "has no label"), (narrower, "its vectors have 5 numbers")]
)
def test_tables_that_do_not_fit_are_refused(tables, tmp_path, change, message, capfd):
    pq.write_table(change(pq.read_table(tables[1])), tmp_path / "test.parquet")
    assert typed(*both(tables[0], tmp_path / "test.parquet"), f"--out={tmp_path / 'o'}") == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "o").exists()


def test_fine_tuning_needs_videos(tables, tmp_path, capfd):
    assert main(["finetune", *both(*tables), f"--out={tmp_path / 'o'}"]) == 2
    assert "only a linear probe" in capfd.readouterr().err


def test_a_table_of_results_reads_it_and_names_the_shipped_backbone(flags, tmp_path, capsys):
    assert typed(*flags, f"--out={tmp_path / 'a'}", "--optimizer.lr=1", "--validation.choose=last") == 0
    assert result(tmp_path / "a")["checkpoint"]["path"] == "tiny-vd"
    capsys.readouterr()
    assert main(["table", str(tmp_path / "a")]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\| tiny-vd +\| tiny +\|", printed)
    assert "trained on train, tested on test (24 listed), 10 classes" in printed
    assert "num\\_frames=20" in printed
