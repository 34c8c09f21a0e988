"""Tables of results: what is merged and what is not, by hand; what is written, read back."""

import csv
import io
import json
import math
import re
import statistics
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.cli import main
from fima.errors import InputError
from fima.evaluation.results_table.layout import make_table, published_numbers
from fima.evaluation.results_table.readers import collect, read_result
from fima.evaluation.results_table.render import CSV_COLUMNS, to_latex, to_markdown

INPUT = {"num_frames": 16, "frame_stride": 2, "size": 112}


def score(value):
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def supervised(folder, top1=0.75, *, seed=0, config=(), **changes):
    """A run's result.json and config.yaml, as `fima finetune` writes them."""
    folder.mkdir(parents=True)
    content = {
        "task": "finetune", "preset": "fima", "source": "eval.py", "differs_from_preset": {}, "top1": score(top1),
        "top5": score(0.9), "mean_class": score(top1 - 0.01), "top5_of": 5, "classes": 101, "clips": 10, "crops": 1,
        "placement": "uniform", "crop_fraction": 0.875, "average": "softmax", "centering": None, "input": INPUT,
        "videos": {"tested": 3783, "unreadable": 0, "missing": 0, "listed": 3783}, "seed": seed,
        "chosen": {"epoch": 3, "by": "val"}, "warnings": [], "command": "fima finetune", "versions": {"fima": "0.1"},
        "checkpoint": {"path": "runs/fima/last.ckpt", "sha256": "a" * 64, "arch": "r2plus1d_18", "format": "x"},
    } | changes  # fmt: skip
    settings = {"data": "/d/UCF101", "train_split": "train", "test_split": "test", "features": False, "examples": None}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings | dict(config)))
    (folder / "result.json").write_text(json.dumps(content))
    return folder


def retrieval(folder, recall=0.5, *, seed=0, **changes):
    """As `fima retrieve` writes it."""
    folder.mkdir(parents=True)
    content = {
        "task": "retrieval", "scores": {"rgb": {"recall@1": score(recall) | {"chance": 0.01}, "recall@5": score(0.8)}},
        "checkpoint": "runs/fima/last.ckpt", "sha256": "a" * 64, "arch": "r2plus1d_18", "input": INPUT, "layer": None,
        "preset": "fima", "protocol": {"clips": 10, "crops": 1, "placement": "uniform", "crop_fraction": 0.875},
        "clips": [10], "crops": 1, "center": "each", "unit_clips": False, "seed": seed, "classes": 101,
        "train": {"path": "/d/UCF101", "split": "train", "videos": 9537, "missing": 0, "used": 9537},
        "test": {"path": "/d/UCF101", "split": "test", "videos": 3783, "missing": 0, "used": 3783}, "skipped": 0,
        "duplicates": 0, "versions": {"fima": "0.1"}, "command": ["fima", "retrieve"],
    } | changes  # fmt: skip
    (folder / "retrieval.json").write_text(json.dumps(content))
    return folder


def rows_of(markdown):
    """Rows of a Markdown table as unescaped cells; the rule is left out."""
    lines = [line for line in markdown.splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[re.sub(r"\\(.)", r"\1", cell.strip()) for cell in row] for row in cells]


def printed(capsys, *words):
    assert main(["table", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_seeds_become_mean_and_standard_deviation(tmp_path, capsys):
    for seed, top1 in enumerate((0.70, 0.74, 0.78)):
        supervised(tmp_path / f"runs/{seed}", top1, seed=seed)
    head, row = rows_of(printed(capsys, tmp_path, "--metrics", "top-1", "top-5"))
    assert head[3:] == ["fine-tuning, UCF101 (test), top-1 [1]", "fine-tuning, UCF101 (test), top-5 [1]"]
    assert row == ["fima/last.ckpt", "r2plus1d_18", "16×2, 112", "74.0 ± 4.0 (n = 3)", "90.0 ± 0.0 (n = 3)"]


def test_one_seed_has_no_deviation_and_checkpoints_are_rows(tmp_path, capsys):
    supervised(tmp_path / "a", 0.75)
    theirs = {"path": "runs/moco/last.ckpt", "sha256": "b" * 64, "arch": "i3d", "format": "x"}
    supervised(tmp_path / "b", 0.5, checkpoint=theirs)
    retrieval(tmp_path / "c", 0.25)
    head, first, second = rows_of(printed(capsys, tmp_path, "--metrics", "top-1", "recall@1"))
    assert head[3:] == ["fine-tuning, UCF101 (test), top-1 [1]", "retrieval, UCF101 (test), recall@1 [2]"]
    assert (first[0], *first[3:]) == ("fima/last.ckpt", "75.0", "25.0")
    assert (second[0], *second[3:]) == ("moco/last.ckpt", "50.0", "–")


CHANGES = [
    {"preset": "fame"}, {"clips": 5}, {"crops": 3}, {"placement": "half_overlap"}, {"crop_fraction": None},
    {"average": "logits"}, {"centering": "each"}, {"chosen": {"by": "test"}}, {"classes": 51},
    {"differs_from_preset": {"optimizer.epochs": 3}}, {"config": {"examples": 1000}},
    {"config": {"test_split": "test2"}},
    {"config": {"data": "/d/HMDB51"}}, {"config": {"features": True}}, {"task": "linear"},
    {"videos": {"tested": 3783, "listed": 3784}},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_other_protocols_are_other_columns(tmp_path, changes):
    supervised(tmp_path / "a", 0.5)
    supervised(tmp_path / "b", 0.7, **{"seed": 1, **changes})
    table = make_table([n for n in collect([tmp_path]) if n.metric == "top-1"], {})
    assert sorted(table.cells["mean"].round(3).to_numpy().tolist()[0]) == [0.5, 0.7]
    assert sorted(head.note for head in table.heads) == [1, 2]


@pytest.mark.parametrize(
    "changes", [{"center": "none"}, {"unit_clips": True}, {"clips": [9]}, {"preset": "fame"}], ids=str
)
def test_other_ways_to_retrieve_are_other_columns(tmp_path, changes):
    retrieval(tmp_path / "a")
    retrieval(tmp_path / "b", **changes)
    assert len(make_table(collect([tmp_path]), {}).heads) == 4


def test_what_earlier_versions_called_frozen_is_static(tmp_path):
    for name in ("frozen", "static"):
        retrieval(tmp_path / name, seed=len(name), scores={name: {"recall@1": score(0.5)}}, sha256=None)
    (frozen,), (static,) = (collect([tmp_path / name]) for name in ("frozen", "static"))
    assert frozen.measured_by == static.measured_by
    assert frozen.settings.changes == ('shown="static"',)


def test_a_searched_rate_is_no_other_protocol(tmp_path):
    for seed, rate in enumerate((0.1, 1.0)):
        swept = {"differs_from_preset": {"optimizer.lr": rate}, "sweep": {"lr": rate}, "task": "linear"}
        supervised(tmp_path / str(seed), seed=seed, **swept)
    table = make_table(collect([tmp_path]), {})
    assert table.cells["count"].to_numpy().tolist() == [[2, 2, 2]]
    assert "[1] linear probe on UCF101; preset fima" in to_markdown(table)
    assert 'rate="chosen on validation"' in to_markdown(table)


def test_untrained_backbones_are_one_row_whatever_their_seed(tmp_path, capsys):
    for seed, value in enumerate((0.1, 0.3)):
        retrieval(tmp_path / str(seed), value, seed=seed, sha256=None, checkpoint="random")
    _, row = rows_of(printed(capsys, tmp_path, "--metrics", "recall@1"))
    assert (row[0], row[3]) == ("random", "20.0 ± 14.1 (n = 2)")


def test_the_same_run_twice(tmp_path):
    supervised(tmp_path / "a")
    assert len(collect([tmp_path, tmp_path / "a", tmp_path / "a/result.json"])) == 3
    supervised(tmp_path / "b")
    with pytest.raises(InputError, match=r"a/result\.json and .*b/result\.json: the same fine-tuning .* seed, 0"):
        make_table(collect([tmp_path]), {})


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from((5, 10)), st.integers(0, 3)), min_size=1, unique=True))
def test_every_number_is_in_one_cell(tmp_path_factory, runs):
    """Against a dictionary: (checkpoint, clips) → values."""
    folder, expected = tmp_path_factory.mktemp("runs"), {}
    for place, (name, clips, seed) in enumerate(runs):
        kept = {"path": f"{name}.ckpt", "sha256": name * 64, "arch": "tiny", "format": "x"}
        supervised(folder / str(place), place / 100, seed=seed, clips=clips, checkpoint=kept)
        expected.setdefault((name, str(clips)), []).append(place / 100)
    table = make_table([n for n in collect([folder]) if n.metric == "top-1"], {})
    found = {
        (table.backbones["checkpoint"][row][0], table.settings[head.note - 1].settings.clips): [
            table.cells[name, place][row] for name in ("mean", "std", "count")
        ]
        for row in table.cells.index
        for place, head in enumerate(table.heads)
        if table.cells["count", place][row] > 0
    }
    assert found.keys() == expected.keys()
    for key, (mean, sd, count) in found.items():
        assert count == len(expected[key])
        assert mean == pytest.approx(statistics.mean(expected[key]))
        assert math.isnan(sd) if count == 1 else sd == pytest.approx(statistics.stdev(expected[key]))


def test_footnotes_say_how_and_what_went_wrong(tmp_path, capsys):
    best = {
        "chosen": {"by": "test"},
        "warnings": ["the epoch was chosen on the test split: these numbers are optimistic"],
    }
    supervised(tmp_path / "a", videos={"tested": 3780, "listed": 3783}, **best)
    retrieval(tmp_path / "b", duplicates=2, center="each")
    text = printed(capsys, tmp_path, "--metrics", "top-1", "recall@1")
    assert rows_of(text)[1][3:] == ["75.0 (a,b)", "50.0 (c)"]
    notes = [re.sub(r"\\(.)", r"\1", line) for line in text.splitlines() if line.startswith("- ")]
    assert notes == [
        "- [1] fine-tuning on UCF101; preset fima; 10 clips × 1 crop; crops of 0.875 of the short side; mean of "
        "softmax; no centering; EPOCH CHOSEN ON THE TEST SPLIT: optimistic; trained on train, tested on test "
        "(3783 listed), 101 classes",
        "- [2] retrieval on UCF101; preset fima; 10 clips × 1 crop; crops of 0.875 of the short side; either set "
        "centered by itself; trained on train, tested on test (3783 listed), 101 classes",
        "- (a) 3 of 3783 test videos not tested",
        "- (b) the epoch was chosen on the test split: these numbers are optimistic",
        "- (c) 2 test videos are in the training set too",
    ]


def test_published_numbers_stand_in_rows_of_their_own(tmp_path, capsys):
    supervised(tmp_path / "a", 0.75)
    retrieval(tmp_path / "b", 0.5)
    ours = rows_of(printed(capsys, tmp_path, "--metrics", "top-1", "recall@1"))
    both = rows_of(printed(capsys, tmp_path, "--metrics", "top-1", "recall@1", "--published", "fima", "tclr"))
    assert both[: len(ours)] == ours
    assert both[len(ours) :] == [
        ["published, FIMA README.md: MoCo baseline (UCF101)", "I3D", "–", "76.7", "–"],
        ["published, FIMA README.md: FIMA (UCF101)", "I3D", "–", "84.2", "–"],
        ["published, TCLR README.md: TCLR (UCF101)", "R3D-18", "–", "82", "56.1"],
    ]


def test_published_numbers_need_their_data_set(tmp_path, capsys):
    supervised(tmp_path / "a", config={"data": "/d/ucf"})
    assert main(["table", str(tmp_path), "--published"]) == 0
    shown = capsys.readouterr()
    assert "published," not in shown.out
    assert "no published number is of" in shown.err
    named = rows_of(
        printed(capsys, tmp_path, "--published", "fame", "--data-name", "ucf=UCF-101", "--metrics", "top-1")
    )
    assert named[0][3] == "fine-tuning, UCF-101 (test), top-1 [1]"
    assert named[2] == ["published, FAME README.md: FAME (K400)", "I3D", "–", "88.9"]


def test_published_numbers_are_those_of_the_protocols_page(protocols):
    (lines,) = protocols["Published numbers"]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = [tuple(head.split(", ")) for head in cells[0][4:]]
    stated = {
        (*row[:4], *heads[place]): float(cell) for row in cells[2:] for place, cell in enumerate(row[4:]) if cell != "–"
    }
    numbers = published_numbers([])
    keys = numbers.drop(columns="percent").itertuples(index=False, name=None)
    assert dict(zip(keys, numbers["percent"], strict=True)) == stated
    assert len(numbers) == len(stated) == 40
    assert list(numbers["group"].unique()) == ["fima", "fame", "tclr", "coclr", "slowfast"]
    with pytest.raises(InputError, match=r"--published must be some of fima, .*, got 'mscl'"):
        published_numbers(["mscl"])


AWKWARD = r"a|b_c*<i>&%$#{x}~^\d `e` [1]"


def test_names_are_escaped_in_markdown(tmp_path, capsys):
    supervised(tmp_path / "a")
    text = printed(capsys, tmp_path, "--name", f"runs/fima/last.ckpt={AWKWARD}")
    head, row = rows_of(text)
    assert row[0] == AWKWARD
    assert len(row) == len(head)
    assert not re.search(r"(?<!\\)<", text)


def test_latex_is_escaped_and_has_as_many_cells_in_every_line(tmp_path):
    supervised(tmp_path / "a", 0.7)
    supervised(tmp_path / "b", 0.8, seed=1, warnings=["50 % & more_of_it"])
    retrieval(tmp_path / "c")
    numbers = collect([tmp_path])
    text = to_latex(make_table(numbers, {"runs/fima/last.ckpt": AWKWARD}, published_numbers(["fima"])))
    line = next(line for line in text.splitlines() if line.startswith("a\\textbar{}"))
    assert line.startswith(
        r"a\textbar{}b\_c*\textless{}i\textgreater{}\&\%\$\#\{x\}\textasciitilde{}\textasciicircum{}\textbackslash{}d"
    )
    assert r"75.0 $\pm$ 7.1 (n = 2)\textsuperscript{a}" in line
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    counts = set()
    for one in filter(lambda one: one.endswith(r"\\"), body.splitlines()):
        spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d)\}", one)]
        counts.add(len(re.findall(r"(?<!\\)&", one)) + 1 + sum(spans) - len(spans))
    assert counts == {3 + 5}
    assert r"\begin{tabular}{lllccccc}" in text
    plain = re.sub(r"\\[{}]", "", text)
    assert plain.count("{") == plain.count("}")
    assert r"50 \% \& more\_of\_it" in text
    assert text.isascii()


def test_csv_has_a_row_for_each_number_of_each_run(tmp_path, capsys):
    supervised(tmp_path / "a", 0.7, differs_from_preset={"optimizer.epochs": 3, "test.clips": 5}, clips=5)
    retrieval(tmp_path / "b", 0.5, seed=4)
    out = tmp_path / "made" / "table.csv"
    assert printed(capsys, tmp_path, "--format", "csv", "--published", "fame", "--out", out) == ""
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(row["task"], row["metric"], row["percent"]) for row in rows] == [
        ("finetune", "top-1", "70"), ("finetune", "top-5", "90"), ("finetune", "mean class", "69"),
        ("retrieval", "recall@1", "50"), ("retrieval", "recall@5", "80"), ("finetune", "top-1", "88.9"),
    ]  # fmt: skip
    assert tuple(rows[0]) == CSV_COLUMNS
    first = {
        key: rows[0][key] for key in ("origin", "clips", "crops", "changes", "chosen", "low", "seed", "test_split")
    }
    assert first == {
        "origin": "measured", "clips": "5", "crops": "1", "changes": "optimizer.epochs=3", "chosen": "val", "low": "68",
        "seed": "0", "test_split": "test",
    }  # fmt: skip
    assert (rows[3]["chance"], rows[3]["centering"], rows[3]["seed"]) == ("1", "each", "4")
    assert rows[0]["file"] == str(tmp_path / "a/result.json")
    assert (rows[5]["origin"], rows[5]["seed"]) == ("published, FAME README.md", "")
    assert sorted(path.name for path in out.parent.iterdir()) == [".fima-results.json", "table.csv"]


def test_alike_names_are_told_apart_by_their_hash(tmp_path):
    supervised(tmp_path / "a")
    other = {"path": "/x/runs/fima/last.ckpt", "sha256": "b" * 64, "arch": "r2plus1d_18", "format": "x"}
    supervised(tmp_path / "b", checkpoint=other)
    names = make_table(collect([tmp_path]), {}).backbones["checkpoint"]
    assert names.tolist() == ["fima/last.ckpt (aaaaaaaa)", "fima/last.ckpt (bbbbbbbb)"]
    assert make_table(collect([tmp_path]), {"b" * 64: "B"}).backbones["checkpoint"][1] == "B"


def test_top5_of_few_classes_says_nothing(tmp_path):
    supervised(tmp_path / "a", top5_of=2, classes=2)
    assert [number.metric for number in collect([tmp_path])] == ["top-1", "mean class"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["{}/empty"], r"{}/empty: holds no result, expected result.json, knn.json, retrieval.json in it or"),
        (["{}/nowhere"], r"{}/nowhere: no such file or folder, expected a run"),
        (["{}/other"], r"{}/other/result.json: is no result of fima finetune, linear, knn, retrieve or detect"),
        (["{}/half"], r"{}/half/result.json: lacks what a result of finetune has (KeyError: 'videos')"),
        (["{}/text"], r"{}/text/knn.json: is not a JSON file (Expecting value"),
        (["{}/bare"], r"{}/bare/config.yaml: is needed beside result.json, for the data set"),
        (["{}/good", "--metrics", "top-3"], r"--metrics: no run has 'top-3', only top-1, top-5, mean class"),
        (["{}/good", "--name", "x.ckpt=X"], r"--name x.ckpt: is in none of the runs, which have"),
        (["{}/good", "--data-name", "UCF"], r"--data-name: expected two names with = between them, got 'UCF'"),
        (["{}/good", "--published", "me"], r"--published must be some of fima, fame, tclr, coclr, slowfast, got 'me'"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(tmp_path, words, line, capsys):
    for name, file, text in (
        ("other", "result.json", "[1]"), ("half", "result.json", '{"task": "finetune"}'), ("text", "knn.json", "knn"),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
        (tmp_path / name / "config.yaml").write_text("data: x")
    (tmp_path / "empty/a").mkdir(parents=True)
    supervised(tmp_path / "good")
    (supervised(tmp_path / "bare") / "config.yaml").unlink()
    assert main(["table", *(word.format(tmp_path) for word in words), "--out", str(tmp_path / "x.md")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("fima table: error: " + line.format(tmp_path))
    assert shown.count("\n") == 1
    assert not (tmp_path / "x.md").exists()


def test_no_torch(tmp_path):
    supervised(tmp_path / "a")
    code = (
        "import sys; from fima.cli import main; main(['table', sys.argv[1]]); "
        "print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


DRAWN = ["--ckpt", "random", "--input-spec", "num_frames=4;size=32", "--data", "shapes:easy,videos=8", "--clips", "2"]


def test_what_knn_and_retrieve_write(tmp_path, capsys):
    for seed in (0, 1):
        assert main(["retrieve", *DRAWN, "--seed", str(seed), "--out", str(tmp_path / f"r{seed}")]) == 0
    assert main(["knn", *DRAWN, "--k", "3", "--out", str(tmp_path / "k")]) == 0
    capsys.readouterr()
    head, row = rows_of(printed(capsys, tmp_path, "--metrics", "weighted@3", "recall@1"))
    where = "shapes:easy,videos=8 (test)"
    assert head[3:] == [f"k-NN, {where}, weighted@3 [1]", f"retrieval, {where}, recall@1 [2]"]
    kept = [json.loads((tmp_path / f"r{s}/retrieval.json").read_text())["scores"]["rgb"]["recall@1"] for s in (0, 1)]
    values = [100 * one["value"] for one in kept]
    assert row[4] == f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f} (n = 2)"
    assert row[:3] == ["random", "tiny", "4×2, 32"]


@pytest.mark.slow
def test_what_linear_and_detect_write(tmp_path, capsys, write_miniature):
    linear = ["--ckpt=random", "--arch=tiny", "--data=shapes:easy,videos=16", "--features=true", "--preset=severe"]
    linear += ["--input.num_frames=4", "--input.frame_stride=2", "--input.size=32", "--optimizer.batch_size=4"]
    linear += ["--optimizer.epochs=2", "--test.clips=2", "--validation.choose=last", "--log.tensorboard=false"]
    linear += ["--input.augmented=false", "--loader.workers=0", "--trainer.threads=1", "--log.progress=lines"]
    assert main(["linear", *linear, f"--out={tmp_path / 'linear'}"]) == 0
    ava = write_miniature(tmp_path / "ava", train=2, val=2, seconds=(902, 903))
    detect = ["--ckpt", "random", "--input-spec", "num_frames=4;frame_stride=4;size=32", "--data", str(ava)]
    detect += ["--preset", "small", "--epochs", "1", "--batch-size", "3", "--device", "cpu", "--freeze"]
    command = [sys.executable, "-m", "fima.cli", "detect", *detect, "--out", str(tmp_path / "detect")]
    assert subprocess.run(command, check=False).returncode in (0, 3)
    capsys.readouterr()
    text = printed(capsys, tmp_path / "linear", tmp_path / "detect", "--metrics", "top-1", "mAP")
    kept = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("linear", "detect")]
    assert kept[1]["data"] == str(ava)
    numbers = [number for name in ("linear", "detect") for number in read_result(tmp_path / name / "result.json")]
    assert [n.value for n in numbers if n.metric in ("top-1", "mAP")] == [kept[0]["top1"]["value"], kept[1]["mAP"]]
    assert rows_of(text)[0][3:] == [
        "linear probe, shapes:easy,videos=16 (test), top-1 [1]",
        "detection, ava v2.2 (val), mAP [2]",
    ]
    assert "preset small" in text
    assert "preset severe" in text
