"""The whole command on a small drawn set: stopped, gone on with, against the commands it stands for; its page."""

from __future__ import annotations

import argparse
import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.commands import downstream
from analysis.downstream.conclusions import conclude
from analysis.downstream.identity import Known, identity, pretrained_on
from analysis.downstream.page import Report, write_report
from analysis.downstream.plan import Checkpoint, Job, parse_checkpoints, plan_jobs
from analysis.downstream.table import collect, compare
from analysis.jobs import claim
from fima.errors import InputError
from fima.input_spec import InputSpec
from tests.pages import open_page

DRIVER = """
import argparse, sys
from analysis.commands import downstream
from fima.commands.base import run
parser = argparse.ArgumentParser()
downstream.add_arguments(parser)
sys.exit(run(downstream.run, parser.parse_args(), "fima-analyze downstream"))
"""


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    downstream.add_arguments(parser)
    return parser.parse_args(given)


def predictions(folder: Path) -> list[tuple[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return [(row["video"], row["prediction"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "shapes"
    command = [sys.executable, "-m", "fima.cli", "shapes", str(folder), "--videos", "50", "--test", "20",
               "--set", "size=64", "--truth"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_cheap_tasks_are_those_of_the_commands_and_are_not_done_twice(drawn: Path, tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    given = ["--data", str(drawn), "--ckpt", "tiny-vd", "--tasks", "linear", "knn", "retrieve", "--seeds",
             "0", "--folds", "0", "--runs", str(runs), "--out", str(out)]  # fmt: skip
    assert downstream.run(arguments(*given)) == 0
    (linear,) = (
        job
        for job in plan_jobs(
            parse_checkpoints(["tiny-vd"]), runs, tasks=["linear"], scopes=["split"], seeds=[0], fold_seeds=[0]
        )
        if job.task == "linear"
    )
    assert linear.finished
    command = linear.command(runs, "tiny", 1)
    command[command.index("--out") + 1] = str(tmp_path / "linear")
    subprocess.run([sys.executable, "-m", "fima.cli", *command], check=True, capture_output=True)
    assert predictions(tmp_path / "linear") == predictions(linear.folder)
    for task, score in (("knn", "weighted@5"), ("retrieve", "recall@1")):
        where = tmp_path / task
        command = [task, "--ckpt", "tiny-vd", "--data", str(drawn), "--clips", "5", "--out", str(where)]
        command += ["--k", "5"] if task == "knn" else []
        subprocess.run([sys.executable, "-m", "fima.cli", *command], check=True, capture_output=True)
        theirs = json.loads(next(where.glob("[!.]*.json")).read_text())["scores"]["rgb"][score]
        ours = json.loads((runs / "split/tiny-vd" / f"{task}-0" / "result.json").read_text())
        assert ours["top1"] == pytest.approx(theirs["value"])
        assert ours["chance"] == pytest.approx(theirs["chance"])
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}
    assert downstream.run(arguments(*given)) == 0
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_stopped_fine_tuning_goes_on(drawn: Path, tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    given = ["--data", str(drawn), "--ckpt", "random", "--arch", "tiny", "--tasks", "finetune", "--seeds", "0",
             "--folds", "0", "--runs", str(runs), "--out", str(out)]  # fmt: skip
    folder = runs / "split/random/finetune-0"
    child = subprocess.Popen([sys.executable, "-c", DRIVER, *given], stderr=subprocess.PIPE)
    while child.poll() is None and not (folder / "last.ckpt").exists():
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 143
    assert not (folder / "result.json").exists()
    deadline = time.monotonic() + 120
    while "stopped after a whole step" not in (folder / "log.txt").read_text() and time.monotonic() < deadline:
        time.sleep(0.1)  # it saves and ends by itself
    assert downstream.run(arguments(*given, "--no-training")) == 0
    assert "Nothing is finished yet" in (out / "index.html").read_text()
    assert downstream.run(arguments(*given)) == 0
    assert "going on" in (folder / "log.txt").read_text() or (folder / "log.txt").read_text().count("finetune of") > 1
    result = json.loads((folder / "result.json").read_text())
    assert result["chosen"]["by"] == "val"
    assert result["videos"]["tested"] == 20
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [(row["where"], row["task"], row["checkpoint"]) for row in rows] == [("split", "finetune", "random")]
    assert float(rows[0]["mean"]) == pytest.approx(result["top1"]["value"], abs=1e-6)


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    lists = tmp_path / "lists" / "split"
    lists.mkdir(parents=True)
    (lists / "test.csv").write_text("a.mp4,x\n")
    job = Job(Checkpoint("a", "a.ckpt"), "finetune", "split", 0, tmp_path / "job")
    spec = InputSpec((0.5,) * 3, (0.5,) * 3)
    claim(job.folder, identity(job, tmp_path, Known("tiny", spec, "12ab")))
    claim(job.folder, identity(job, tmp_path, Known("tiny", spec, "12ab")))
    with pytest.raises(InputError, match=r"other weights.*12ab, now 34cd"):
        claim(job.folder, identity(job, tmp_path, Known("tiny", spec, "34cd")))
    (lists / "test.csv").write_text("b.mp4,x\n")
    with pytest.raises(InputError, match=r"other videos.*test.csv"):
        claim(job.folder, identity(job, tmp_path, Known("tiny", spec, "12ab")))


def test_pre_training_on_the_same_data_is_found_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"data: {tmp_path}/x/../data\nsplit: train\n")
    one = Checkpoint("a", str(tmp_path / "last.ckpt"))
    assert pretrained_on(one, str(tmp_path / "data"))
    assert not pretrained_on(one, str(tmp_path / "other"))
    assert not pretrained_on(Checkpoint("random", "random"), str(tmp_path / "data"))
    report = made_report(tmp_path)
    told = conclude(report.table, report.differences, grouped=True, seen=["a"])
    assert any(sentence.startswith("a: pre-trained, without labels, on videos of this data set") for sentence in told)
    assert len(told) == len(report.conclusions) + 1


def made_report(tmp_path: Path) -> Report:
    """Three checkpoints, one with a name that markup could be; numbers from a coin."""
    from analysis.downstream.answers import Answer
    from analysis.downstream.folds import make_scopes
    from analysis.downstream.videos import Videos

    rng = np.random.default_rng(0)
    labels = np.resize([0, 0, 1], 150)
    ids = tuple(f"v{place}" for place in range(150))
    names = ("<b>fight</b>", "noFight")
    videos = Videos(
        ids, tuple(Path(f"/d/{video}.mp4") for video in ids), labels, names, np.arange(100), np.arange(100, 150),
        np.arange(150) // 3, "x<y",
    )  # fmt: skip
    scopes = make_scopes(videos, 3)
    checkpoints = tuple(parse_checkpoints(["random", "moco=m<i>.ckpt", "fima=f.ckpt"]))
    folds = np.zeros(150, np.int64)
    for number in range(1, 4):
        folds[scopes[f"fold{number}"].test] = number
    answers = []
    for strength, checkpoint in zip((0.5, 0.6, 0.8), checkpoints, strict=True):
        for task in ("linear", "finetune"):
            for seed in range(2):
                said = np.where(rng.random(150) < strength, labels, 1 - labels)
                on_split = np.where(np.arange(150) < 100, -1, said)
                answers.append(Answer(checkpoint.name, task, seed, "split", on_split, 0 * folds, 0.5))
                answers.append(Answer(checkpoint.name, task, seed, "folds", said, folds, 0.5))
    table = collect(answers, videos, scopes, [one.name for one in checkpoints])
    spec = InputSpec((0.5,) * 3, (0.5,) * 3)
    known = {one: Known("tiny", spec, "ab" * 32 if one.trained else None) for one in checkpoints}
    jobs = plan_jobs(checkpoints, tmp_path, tasks=["linear"], scopes=["split"], seeds=[0], fold_seeds=[0])
    return Report("data & more", "cmd", videos, scopes, checkpoints, known, tuple(jobs), table, compare(table, videos))


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path: Path, browser: Any) -> None:
    report = made_report(tmp_path)
    write_report(tmp_path, report)
    page, wrong = open_page(
        browser, tmp_path / "index.html", viewport={"width": 360, "height": 800}, color_scheme="dark"
    )
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 500)")
    # In the dark a figure with photographs or maps lies over itself, unnamed.
    named = page.locator('img:not([alt=""])')
    assert [len(text) > 20 for text in named.evaluate_all("images => images.map(i => i.alt)")] == [True] * 5
    assert set(page.locator("b, i").all_text_contents()) == {"better"}  # names are text
    assert "better than random" in page.locator("section").first.inner_text()
    assert "Not complete" in page.locator("header").inner_text()
    # The forest: two checkpoints in two tasks, in points, where the interval over videos and recordings is widest.
    rows = page.locator("#forest tbody tr:not(.group)")
    assert rows.count() == 4
    one = next(d for d in report.differences if (d.where, d.first, d.second) == ("folds", "random", "fima"))
    low, high = one.interval
    assert (low, high) == (min(one.paired.low, one.by_source[0]), max(one.paired.high, one.by_source[1]))
    told = f"{100 * one.paired.mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]".replace("-", "\N{MINUS SIGN}")
    assert told in rows.nth(1).inner_text()
    page.locator("#results summary").click()
    cell = report.table["split"]["linear"]["random"]
    table = page.locator("#results table").first.locator("tbody tr")
    assert table.count() == 6
    assert f"{100 * cell.summary.mean:.1f}" in table.first.inner_text()
    assert wrong == []
    for stem in ("scores", "confusion-split", "classes-folds"):
        assert (tmp_path / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
