"""``fima knn`` and ``fima retrieve`` as typed, against scikit-learn and loops over the tables they read."""

import csv
import itertools
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.neighbors import KNeighborsClassifier

from fima.cli import main
from fima.data.datasets import open_dataset
from fima.data.transcode.encode import write_video
from fima.errors import InputError
from fima.evaluation.feature_store import FeatureSet, FeatureSetBuilder, schema
from fima.evaluation.neighbor_report import find_neighbors, knn_scores, recall_scores
from fima.evaluation.neighbor_sets import check_sets, sets_of_tables
from fima.presets.retrieval import retrieval_preset

CLASSES = ("run", "jump", "sit")


def write_table(path, seed, videos=40, *, names=CLASSES, labels=None, spread=1.0, offset=0.0, **about):
    """Two clips of each video, around its class's center."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=videos) if labels is None else np.asarray(labels, int)
    centers = np.random.default_rng(0).normal(size=(10, 8)) * 2
    vectors = (centers[labels][:, None] + spread * rng.normal(size=(len(labels), 2, 8)) + offset).astype(np.float32)
    form = schema(8, {"class_names": list(names), "skipped": [], **about})
    rows = [(f"{path.stem}/{i}", clip) for i in range(len(labels)) for clip in (0, 1)]
    columns = [
        [video for video, _ in rows],
        [clip for _, clip in rows],
        np.repeat(labels, 2).tolist(),
        [names[label] if 0 <= label < len(names) else None for label in np.repeat(labels, 2)],
        [f"{path.stem}-{video}" for video, _ in rows],
        vectors.reshape(-1, 8).tolist(),
    ]
    pq.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, form, strict=True)], form), path)
    return vectors.mean(axis=1), labels


@pytest.fixture
def tables(tmp_path):
    train = write_table(tmp_path / "train.parquet", 1, offset=3.0, sha256="abc")
    test = write_table(tmp_path / "test.parquet", 2, 30, offset=3.0, sha256="abc")
    flags = ["--features-train", str(tmp_path / "train.parquet"), "--features-test", str(tmp_path / "test.parquet")]
    return train, test, flags


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_knn_is_scikit_learns(tables, tmp_path, capsys):
    (train, labels), (test, wanted), flags = tables
    out = tmp_path / "out"
    assert main(["knn", *flags, "--out", str(out), "--k", "3", "7"]) == 0
    result = json.loads((out / "knn.json").read_text())
    rows = rows_of(out / "predictions.csv")
    for k in (3, 7):
        theirs = KNeighborsClassifier(
            k, metric="cosine", algorithm="brute", weights=lambda distance: np.exp((1 - distance) / 0.07)
        ).fit(train, labels)
        assert [int(row[f"weighted@{k}"]) for row in rows] == theirs.predict(test).tolist()
        score = result["scores"]["rgb"][f"weighted@{k}"]
        assert score["value"] == pytest.approx(theirs.score(test, wanted))
        assert score["low"] <= score["value"] <= score["high"]
        assert 0.2 < score["chance"] < 0.5
    assert [(row["video"], row["class_name"]) for row in rows][:2] == [
        (f"test/{i}", CLASSES[wanted[i]]) for i in range(2)
    ]
    assert result["center"] == "none"
    assert result["sha256"] == "abc"
    assert "weighted@3" in capsys.readouterr().out


def test_retrieval_is_a_loop(tables, tmp_path):
    (train, labels), (test, wanted), flags = tables
    out = tmp_path / "out"
    assert main(["retrieve", *flags, "--out", str(out), "--ranks", "1", "5", "10", "--preset", "mscl"]) == 0
    result = json.loads((out / "retrieval.json").read_text())
    found = rows_of(out / "retrieval.csv")
    predictions = rows_of(out / "predictions.csv")
    assert result["center"] == "each"
    assert result["preset"] == "mscl"
    q, g = test - test.mean(0), train - train.mean(0)
    recall = {1: [], 5: [], 10: []}
    for place in range(30):
        cosines = [float(q[place] @ one / np.linalg.norm(q[place]) / np.linalg.norm(one)) for one in g]
        order = sorted(range(40), key=lambda i: -cosines[i])[:10]
        mine = found[10 * place : 10 * place + 10]
        assert [row["query"] for row in mine] == [f"test/{place}"] * 10
        assert [row["neighbor"] for row in mine] == [f"train/{i}" for i in order]
        assert [int(row["rank"]) for row in mine] == list(range(1, 11))
        assert [int(row["hit"]) for row in mine] == [int(labels[i] == wanted[place]) for i in order]
        np.testing.assert_allclose([float(row["similarity"]) for row in mine], [cosines[i] for i in order], atol=2e-6)
        for rank, right in recall.items():
            right.append(any(labels[i] == wanted[place] for i in order[:rank]))
            assert int(predictions[place][f"recall@{rank}"]) == right[-1]
    for rank, right in recall.items():
        assert result["scores"]["rgb"][f"recall@{rank}"]["value"] == pytest.approx(np.mean(right))


def test_shuffled_labels_score_as_chance():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(10, 8)) * 3

    def one(videos, shuffle):
        labels = rng.integers(10, size=videos)
        builder = FeatureSetBuilder()
        given = rng.permutation(labels) if shuffle else labels
        for place, label in enumerate(labels):
            vectors = centers[label] + rng.normal(size=(2, 8))
            builder.add(f"{videos}-{place}", int(given[place]), vectors.astype(np.float32))
        return builder.finish([str(i) for i in range(10)])

    for shuffle in (False, True):
        found = find_neighbors(one(600, shuffle), one(800, False), 20, center="train")
        retrieved, _ = recall_scores(found, (1, 5))
        voted, _ = knn_scores(found, (1, 20))
        for score in (*retrieved.values(), voted["weighted@20"], voted["majority@1"]):
            if shuffle:
                assert abs(score["value"] - score["chance"]) < 0.06
            else:
                assert score["low"] > score["chance"] + 0.2


def test_inputs_of_the_same_videos(tmp_path, capsys):
    out = tmp_path / "out"
    typed = ["retrieve", "--ckpt", "tiny-fima", "--data", "shapes:easy,videos=8", "--clips", "1", "--device", "cpu"]
    assert main([*typed, "--inputs", "rgb", "frozen", "motion", "--ranks", "1", "50", "--out", str(out)]) == 0
    result = json.loads((out / "retrieval.json").read_text())
    assert list(result["scores"]) == ["rgb", "static", "motion"]
    assert list(result["scores"]["motion"]) == ["recall@1"]
    said = capsys.readouterr().err
    assert "warning: the gallery has 8 videos; recall@50 would look at all of them and more, and is left out" in said
    rows = rows_of(out / "retrieval.csv")
    assert {row["shown"] for row in rows} == {"rgb", "static", "motion"}
    assert len(rows) == 3 * 8 * 8
    assert len(rows_of(out / "predictions.csv")) == 3 * 8
    assert result["clips"] == [1]
    assert result["crops"] == 1
    assert main([*typed, "--out", str(out)]) == 2
    assert "holds another run's retrieval (ranks: [1, 50], here [1, 5" in capsys.readouterr().err
    assert main([*typed, "--out", str(out), "--overwrite"]) == 0


def test_a_checkpoint_and_its_tables_give_the_same(tmp_path):
    about = ["--ckpt", "tiny-vd", "--data", "shapes:easy,videos=10", "--clips", "2", "--device", "cpu"]
    for split in ("train", "test"):
        assert main(["extract", *about, "--split", split, "--out", str(tmp_path / f"{split}.parquet")]) == 0
    tables = [f for s in ("train", "test") for f in (f"--features-{s}", str(tmp_path / f"{s}.parquet"))]
    assert main(["retrieve", *about, "--out", str(tmp_path / "a")]) == 0
    assert main(["retrieve", *tables, "--out", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a" / "retrieval.csv").read_text() == (tmp_path / "b" / "retrieval.csv").read_text()
    first, second = (json.loads((tmp_path / x / "retrieval.json").read_text()) for x in "ab")
    for key in ("scores", "sha256", "arch", "input", "protocol", "clips", "crops", "train", "test", "versions"):
        assert first[key] == second[key], key


def test_a_test_video_that_was_trained_on_is_found(tmp_path, capsys):
    assert main(["shapes", str(tmp_path / "s"), "--videos", "4", "--test", "3", "--truth"]) == 0
    train, test = (open_dataset(tmp_path / "s", split=split) for split in ("train", "test"))
    shutil.copy(train[2].path, test[1].path)
    test[2].path.write_bytes(b"broken")
    capsys.readouterr()
    out = tmp_path / "out"
    typed = ["knn", "--ckpt", "random", "--data", str(tmp_path / "s"), "--out", str(out), "--clips", "1"]
    assert main([*typed, "--device", "cpu", "--k", "1"]) == 3
    err = capsys.readouterr().err
    assert f"1 test videos are training videos too: {test[1].video_id} = {train[2].video_id}" in err
    assert rows_of(out / "duplicates.csv") == [{"test": test[1].video_id, "train": train[2].video_id}]
    assert [row["video"] for row in rows_of(out / "skipped.csv")] == [test[2].video_id]
    result = json.loads((out / "knn.json").read_text())
    assert (result["duplicates"], result["skipped"], result["test"]["used"]) == (1, 1, 2)


def test_other_videos_of_the_same_names_are_no_duplicates(tmp_path, capsys):
    """train/a/0.mp4 and test/a/0.mp4, as split folders of one data set and as two data sets of their own."""
    rng = np.random.default_rng(0)
    for split, name, number in itertools.product(("train", "test"), "ab", range(2)):
        (tmp_path / "d" / split / name).mkdir(parents=True, exist_ok=True)
        frames = rng.integers(256, size=(8, 32, 32, 3), dtype=np.uint8)
        write_video(tmp_path / "d" / split / name / f"{number}.mp4", frames, fps=10)
    about = ["--ckpt", "random", "--clips", "1", "--device", "cpu", "--data"]
    assert main(["retrieve", *about, str(tmp_path / "d"), "--out", str(tmp_path / "one")]) == 0
    flags = []
    for split in ("train", "test"):
        table = str(tmp_path / f"{split}.parquet")
        assert main(["extract", *about, str(tmp_path / "d" / split), "--out", table]) == 0
        flags += [f"--features-{split}", table]
    assert main(["retrieve", *flags, "--out", str(tmp_path / "two")]) == 0
    assert "training videos too" not in capsys.readouterr().err
    assert [rows_of(tmp_path / out / "duplicates.csv") for out in ("one", "two")] == [[], []]
    shutil.copy(tmp_path / "d" / "train" / "a" / "1.mp4", tmp_path / "d" / "test" / "b" / "0.mp4")
    assert main(["extract", *about, str(tmp_path / "d" / "test"), "--out", flags[3], "--overwrite"]) == 0
    assert main(["retrieve", *flags, "--out", str(tmp_path / "two"), "--overwrite"]) == 0
    assert rows_of(tmp_path / "two" / "duplicates.csv") == [{"test": "b/0", "train": "a/1"}]


def test_drawn_videos_against_themselves_are_found(tmp_path, capsys):
    about = ["--ckpt", "random", "--clips", "1", "--device", "cpu", "--data", "shapes:easy,videos=4"]
    typed = [*about, "--train-split", "test", "--out", str(tmp_path / "one")]
    assert main(["retrieve", *typed]) == 0
    assert "4 test videos are training videos too: test/00000 = test/00000" in capsys.readouterr().err
    table = str(tmp_path / "t.parquet")
    assert main(["extract", *about, "--split", "test", "--out", table]) == 0
    typed = ["--features-train", table, "--features-test", table, "--out", str(tmp_path / "two")]
    assert main(["retrieve", *typed]) == 0
    assert len(rows_of(tmp_path / "two" / "duplicates.csv")) == 4


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"labels": [0, 1, 3]}, r"test\.parquet: test/2 has label 3, expected 0 to 2"),
        ({"labels": [0, -1, 1]}, r"test\.parquet: test/1 has no label"),
        ({"names": ("run", "leap", "sit")}, "the classes of .* and .* disagree: class 1 is 'jump' and 'leap'"),
        ({"names": ("run", "jump", "sit", "fly")}, "the classes of .* and .* disagree: 3 classes and 4"),
        ({"labels": []}, r"test\.parquet: there is no video in it"),
        ({"sha256": "other"}, "sha256 is other, but that of .* is None"),
    ],
)
def test_sets_that_cannot_be_compared(tmp_path, changes, line):
    write_table(tmp_path / "train.parquet", 1)
    write_table(tmp_path / "test.parquet", 2, 5, **changes)
    with pytest.raises(InputError, match=line):
        sets_of_tables(tmp_path / "train.parquet", tmp_path / "test.parquet", retrieval_preset())


def test_vectors_of_other_lengths():
    def one(channels):
        ones = np.ones((1, channels), np.float32)
        zero = np.zeros(1, np.int64)
        return FeatureSet(("a",), zero, ("x",), ones, zero + 1, (None,))

    with pytest.raises(InputError, match="B: its vectors have 4 numbers, those of A 3"):
        check_sets(one(3), one(4), ("A", "B"))


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ([], "give --ckpt and --data, or --features-train and --features-test"),
        (["--ckpt", "random"], "--data is missing"),
        (["--data", "shapes:easy"], "--ckpt is missing"),
        (["--features-train", "a.parquet"], "give --ckpt and --data, or --features-train and --features-test"),
        (["--ckpt", "random", "--data", "shapes:easy", "--features-train", "a", "--features-test", "b"], "give --ckpt"),
        (["--features-train", "a.parquet", "--features-test", "b.parquet"], "a.parquet: no such file"),
        (["--ckpt", "random", "--data", "shapes:easy,videos=2", "--clips", "0"], "--clips must be at least 1, got 0"),
        (
            ["--ckpt", "random", "--data", "shapes:easy,videos=2", "--preset", "none"],
            "--preset must be one of coclr, fame, fima",
        ),
        (["--ckpt", "random", "--data", "shapes:easy,videos=2", "--test-split", "x"], "the split must be one of"),
        (["--ckpt", "random", "--data", "shapes:easy,videos=2", "--k", "9"], "--k must be at most 2"),
        (["--ckpt", "random", "--data", "shapes:easy,videos=2", "--k", "0"], "--k must be at least 1, got 0"),
        (["--ckpt", "random", "--data", "shapes:easy,videos=2", "--temperature", "0"], "--temperature must be more"),
        (["--ckpt", "no.ckpt", "--data", "shapes:easy,videos=2"], "no.ckpt"),
        (["--ckpt", "random", "--data", "shapes:easy,videos=2", "--device", "tpu"], "--device tpu: cannot be used"),
    ],
)
def test_flags_that_do_not_fit(tmp_path, flags, line, capsys):
    assert main(["knn", *flags, "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.startswith("fima knn: error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
