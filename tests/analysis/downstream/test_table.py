"""Numbers of a downstream study against hand-worked ones, twins, and what shuffled labels must give."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from analysis.downstream.answers import Answer, gather, write_predictions
from analysis.downstream.cached import ClipTable, neighbors, probe
from analysis.downstream.conclusions import conclude
from analysis.downstream.floor import metadata_floor, nearest_answers
from analysis.downstream.folds import Parts, make_scopes
from analysis.downstream.plan import Checkpoint, Job, parse_checkpoints, plan_jobs
from analysis.downstream.table import collect, compare, differences_csv, majority_rate, results_csv
from analysis.downstream.videos import Videos
from fima.errors import InputError
from fima.evaluation.intervals import interval


def make_videos(labels: list[int], test: int, groups: list[int] | None = None) -> Videos:
    ids = tuple(f"v{place}" for place in range(len(labels)))
    places = np.arange(len(labels))
    return Videos(
        ids, tuple(Path(f"/d/{video}.mp4") for video in ids), np.array(labels), ("no", "yes"), places[:-test],
        places[-test:], None if groups is None else np.array(groups), "" if groups is None else "x",
    )  # fmt: skip


def answer(
    name: str, seed: int, predictions: list[int], where: str = "split", folds: list[int] | None = None
) -> Answer:
    nothing = [0] * len(predictions)
    return Answer(name, "linear", seed, where, np.array(predictions), np.array(folds or nothing), 0.5)


# Two training videos of "yes", one of "no"; four test videos.
SMALL = make_videos([1, 1, 0, 0, 0, 1, 1], 4)
SMALL_SCOPES = {"split": Parts(np.array([0, 2]), np.array([1]), np.array([3, 4, 5, 6]))}


def test_a_cell_worked_by_hand() -> None:
    answers = [
        answer("a", 0, [-1, -1, -1, 0, 1, 1, 1]),  # 3 of 4
        answer("a", 1, [-1, -1, -1, 0, 1, 0, 1]),  # 2 of 4
    ]
    cell = collect(answers, SMALL, SMALL_SCOPES, ["a"])["split"]["linear"]["a"]
    assert np.isnan(cell.values[:3]).all()
    assert cell.values[3:].tolist() == [1.0, 0.0, 0.5, 1.0]
    assert cell.summary.mean == 0.625
    assert cell.seeds == (0.75, 0.5)
    assert cell.confusion.tolist() == [[2, 2], [1, 3]]
    assert [one.mean for one in cell.classes] == [0.5, 0.75]
    assert [one.num_videos for one in cell.classes] == [2, 2]
    assert cell.majority == 0.5  # training has most of "yes", half of the test is
    assert cell.folds == ()
    assert (cell.summary.low, cell.summary.high) == interval([1.0, 0.0, 0.5, 1.0], limits=(0, 1))[:2]


def test_folds_are_scored_fold_by_fold() -> None:
    videos = make_videos([0, 0, 1, 1, 1, 0], 2)
    halves = np.arange(3), np.arange(3, 6)
    scopes = {f"fold{n + 1}": Parts(halves[1 - n][:2], halves[1 - n][2:], halves[n]) for n in range(2)}
    one = answer("a", 0, [0, 0, 0, 1, 1, 1], "folds", [1, 1, 1, 2, 2, 2])
    cell = collect([one], videos, scopes, ["a"])["folds"]["linear"]["a"]
    assert cell.folds == (2 / 3, 2 / 3)
    assert cell.summary.num_videos == 6
    # Fold 1 is trained on labels 1, 1, 0 and would say 1: right once; fold 2 on 0, 0, 1: right once.
    assert majority_rate(videos, scopes, "folds") == pytest.approx(2 / 6)


def test_altered_clips_are_tasks_of_their_own() -> None:
    given = {"scopes": ["fold1"], "seeds": [0], "fold_seeds": [0]}
    jobs = plan_jobs(parse_checkpoints(["tiny-vd"]), Path("r"), tasks=["knn"], shown=["rgb", "static"], **given)
    assert [(job.task, job.scope, job.base, job.shown) for job in jobs] == [
        ("features", "all", "features", "rgb"),
        ("features", "all-static", "features", "static"),
        ("knn", "fold1", "knn", "rgb"),
        ("knn-static", "fold1", "knn", "static"),
    ]
    assert "--shown" not in jobs[0].command(Path("r"), "tiny", 1)
    assert jobs[1].command(Path("r"), "tiny", 1)[-2:] == ["--shown", "static"]
    on = jobs[0].command(Path("r"), "tiny", 1, "cuda")
    assert on[on.index("--device") + 1] == "cuda"
    tuned = Job(Checkpoint("a", "a"), "finetune", "split", 0, Path("x")).command(Path("r"), "tiny", 1, "cuda")
    assert tuned[tuned.index("--trainer.accelerator") + 1] == "gpu"
    with pytest.raises(InputError, match="--shown: there is no 'frozen'"):
        plan_jobs(parse_checkpoints(["tiny-vd"]), Path("r"), tasks=["knn"], shown=["frozen"], **given)


def test_the_floor_is_what_the_number_of_frames_tells(tmp_path: Path) -> None:
    facts = np.array([[1.0, 25, 8, 8]] * 6 + [[2.0, 25, 8, 8]] * 6)
    labels = np.array([0] * 6 + [1] * 6)
    assert nearest_answers(facts, labels, facts[[0, 11]]).tolist() == [0, 1]
    same = np.ones((12, 4))
    assert nearest_answers(same, labels, same[:2]).tolist() == [0, 0]  # the first five, by order alone
    kept = tmp_path / "facts.csv"
    missing = metadata_floor(SMALL, SMALL_SCOPES, kept)["split"]
    assert missing.summary.num_videos == 0  # no file is there
    facts = [[float(label), 25, 8, 8] for label in SMALL.labels]  # as if the class were in the number of frames
    kept.write_text("log_frames,fps,height,width\n" + "".join(",".join(map(str, row)) + "\n" for row in facts))
    known = metadata_floor(SMALL, SMALL_SCOPES, kept)["split"]
    assert known.summary.num_videos == 4
    assert known.summary.mean == 0.5  # two of three training videos are "yes", and all three vote
    kept.write_text("log_frames,fps\n1,x\n")
    assert metadata_floor(SMALL, SMALL_SCOPES, kept)["split"].summary.num_videos == 0


def test_differences_of_known_size() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=400)
    videos = make_videos(labels.tolist(), 300, groups=list(range(400)))
    scopes = {"split": Parts(np.arange(80), np.arange(80, 100), np.arange(100, 400))}
    worse = np.where(rng.random(400) < 0.6, labels, 1 - labels)
    better = worse.copy()
    wrong = np.flatnonzero((worse != labels) & (np.arange(400) >= 100))
    better[wrong[:60]] = labels[wrong[:60]]  # 60 of 300 test videos more: 0.2
    answers = [answer(n, 0, np.where(np.arange(400) < 100, -1, p).tolist()) for n, p in (("w", worse), ("b", better))]
    table = collect(answers, videos, scopes, ["w", "b"])
    (one,) = compare(table, videos)
    assert (one.first, one.second) == ("w", "b")
    assert one.paired.mean == pytest.approx(0.2)
    # Of a share p of ones and none below 0, the standard error is sqrt(p (1 - p) / n).
    error = np.sqrt(0.2 * 0.8 / 300)
    assert one.paired.low == pytest.approx(0.2 - 1.96 * error, abs=0.008)
    assert one.paired.high == pytest.approx(0.2 + 1.96 * error, abs=0.008)
    assert one.by_source == pytest.approx((one.paired.low, one.paired.high), abs=0.008)
    assert one.clear
    told = conclude(table, [one], grouped=True)
    assert "b is better than w in linear probe by 20.0 points" in told[0]
    (same,) = compare(
        collect([answers[0], answer("x", 0, answers[0].predictions.tolist())], videos, scopes, "wx"), videos
    )
    assert same.paired.mean == same.paired.low == same.paired.high == 0
    assert not same.clear
    rows = list(csv.DictReader(io.StringIO(differences_csv([one]))))
    assert float(rows[0]["difference"]) == pytest.approx(0.2)
    assert [row["checkpoint"] for row in csv.DictReader(io.StringIO(results_csv(table)))] == ["w", "b"]


def test_intervals_over_recordings_are_those_of_recordings() -> None:
    rng = np.random.default_rng(1)
    of_group = (rng.random(30) < 0.5).astype(float)
    values = np.repeat(of_group, 10)  # all ten videos of a recording alike
    low, high, units = interval(values, np.repeat(np.arange(30), 10))
    assert units == 30
    assert (low, high) == pytest.approx(interval(of_group)[:2])
    inner = interval(values)
    assert high - low > 2.5 * (inner.high - inner.low)  # sqrt(10) of it, in the mean


def drawn_features(labels: np.ndarray, rng: np.random.Generator) -> ClipTable:
    """Classes far apart; two clips of each video."""
    middle = np.array([[4.0, 0.0, 1.0], [0.0, 4.0, 1.0]])
    vectors = middle[labels][:, None] + rng.normal(size=(len(labels), 2, 3)) * 0.5
    return ClipTable(tuple(vectors.astype(np.float32)), {})


@pytest.mark.parametrize("task", ["linear", "knn", "retrieve"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_tasks_on_cached_features_see_classes_and_nothing_where_there_is_nothing(task: str, shuffled: bool) -> None:
    rng = np.random.default_rng(3)
    labels = np.resize([0, 1], 160)
    table = drawn_features(labels, rng)
    given = rng.permutation(labels) if shuffled else labels
    videos = make_videos(given.tolist(), 60)
    right = []
    for parts in make_scopes(videos, 2).values():
        if task == "linear":
            command = Job(Checkpoint("a", "a"), "linear", "split", 0, Path("x")).command(Path("r"), "tiny", 1)
            # Few epochs and rates: what is asked is whether labels of the test leak.
            predictions, about = probe(
                table, videos, parts, [*command, "--optimizer.epochs", "4", "--sweep.lr", "[1.0]"]
            )
            assert about["chosen"]["lr"] == 1.0
        else:
            predictions, about = neighbors(table, videos, parts, task=task)
            assert 0.4 < about["chance"] < 0.6
        right += (predictions == given[parts.test]).tolist()
    share = np.mean(right)
    assert share == pytest.approx(0.5, abs=0.13) if shuffled else share > 0.97  # 2.6 standard errors of 100 videos


def test_a_probe_of_fewer_clips_than_a_batch_takes_them_all() -> None:
    labels = np.resize([0, 1], 18)
    table, videos = drawn_features(labels, np.random.default_rng(0)), make_videos(labels.tolist(), 6)
    (parts, *_) = make_scopes(videos, 3).values()
    assert 2 * len(parts.train) < 32  # two clips of each
    command = Job(Checkpoint("a", "a"), "linear", "split", 0, Path("x")).command(Path("r"), "tiny", 1)
    predictions, _ = probe(table, videos, parts, [*command, "--optimizer.epochs", "40", "--sweep.lr", "[1.0]"])
    assert predictions.tolist() == labels[parts.test].tolist()


def test_videos_without_features_are_left_out_not_guessed() -> None:
    labels = np.resize([0, 1], 40)
    table = drawn_features(labels, np.random.default_rng(0))
    table = ClipTable((*table.vectors[:-1], None), {"v39": "broken"})
    parts = Parts(np.arange(20), np.arange(20, 30), np.arange(30, 40))
    predictions, _ = neighbors(table, make_videos(labels.tolist(), 10), parts, task="knn")
    assert len(predictions) == 9


def test_answers_are_gathered_once_all_folds_are_there(tmp_path: Path) -> None:
    videos = make_videos([0, 1] * 6, 4)
    scopes = make_scopes(videos, 2)
    checkpoints = parse_checkpoints(["random", "a=x.ckpt"])
    jobs = plan_jobs(checkpoints, tmp_path, tasks=["knn"], scopes=list(scopes), seeds=[0, 1], fold_seeds=[0])
    knn = [job for job in jobs if job.task == "knn" and job.checkpoint.name == "a"]
    assert [(job.scope, job.seed) for job in knn] == [("split", 0), ("fold1", 0), ("fold2", 0)]
    for done, job in enumerate(knn):
        assert [one.where for one in gather(jobs, videos, scopes)] == ["split"] * (done > 0)
        job.folder.mkdir(parents=True)
        test = scopes[job.scope].test
        write_predictions(job.folder / "predictions.csv", videos, test, videos.labels[test])
        (job.folder / "result.json").write_text(json.dumps({"chance": 0.25 * done}))
    found = gather(jobs, videos, scopes)
    assert [(one.where, one.chance) for one in found] == [("split", 0.0), ("folds", pytest.approx(0.375))]
    assert found[1].predictions.tolist() == videos.labels.tolist()
    assert sorted(set(found[1].folds)) == [1, 2]


def test_plan_has_what_was_asked_for_cheap_tasks_first() -> None:
    checkpoints = parse_checkpoints(["random", "moco=m.ckpt", "fima=f.ckpt"])
    scopes = ["split", *(f"fold{n}" for n in range(1, 6))]
    tasks = ["finetune", "linear", "knn", "retrieve"]
    jobs = plan_jobs(checkpoints, Path("r"), tasks=tasks, scopes=scopes, seeds=[0, 1, 2], fold_seeds=[0])
    count = {task: sum(job.task == task for job in jobs) for task in ("features", *tasks)}
    # Neighbors: random 3 seeds, the others 1, in 6 scopes. Fine-tuning: 3 · (3 + 5).
    assert count == {"features": 5, "finetune": 24, "linear": 54, "knn": 30, "retrieve": 30}
    order = [job.task for job in jobs]
    assert order.index("finetune") == len(jobs) - 24
    assert len({job.folder for job in jobs}) == len(jobs)


@pytest.mark.parametrize("given", [["a=x", "a=y"], ["a/b=x"], ["=x"], ["a="], ["some/where.ckpt"]])
def test_names_that_are_no_names_are_refused(given: list[str]) -> None:
    with pytest.raises(InputError, match="--ckpt"):
        parse_checkpoints(given)


def test_nothing_finished_concludes_nothing() -> None:
    assert conclude({}, [], grouped=True) == ["Nothing is finished yet, so nothing can be concluded."]
