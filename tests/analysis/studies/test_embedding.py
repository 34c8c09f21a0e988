"""The embedding over videos and of a table of features: numbers, figure, command."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from matplotlib.collections import PathCollection

from analysis.cli import main as analyze
from analysis.inputs.sessions import Session, open_session
from analysis.inputs.video.videos import VideoSource
from analysis.measures.embedding import (
    match_chance,
    nearest_label_hits,
    shuffled_silhouette,
    silhouettes,
)
from analysis.plotting.embedding import COLOR_CYCLE, MARKERS, draw_map, draw_scores, largest_groups
from analysis.plotting.style import new_figure
from analysis.settings import Settings
from analysis.studies.embedding import study
from analysis.studies.embedding.study import run
from analysis.studies.embedding.table import run_on_table
from fima.checkpoints import load_backbone
from fima.cli import main as fima
from fima.data.datasets import VideoRecord
from fima.errors import InputError
from fima.evaluation.feature_store import table as feature_table
from fima.evaluation.features import VideoFeatures

EVIL = "<img src=x onerror=alert(1)>"

SMALL = {"num_frames": 8, "size": 32}


def _study(**settings):
    return run(open_session(Settings(**(SMALL | {"data": "shapes:easy,videos=12", "split": "test"} | settings))))


def _evil_session():
    """Two clips each of three drawn videos whose names are markup."""
    opened = open_session(Settings(**SMALL, clips=2))
    names = [EVIL, '"><script>alert(2)</script>', "</script><b>{{ 7 * 7 }}"]
    videos = [VideoSource(name, None, seed=i) for i, name in enumerate(names)]
    return Session(opened.settings, opened.loaded, opened.extractor, videos)


def test_scores_are_those_of_the_features_of_each_video():
    session = open_session(Settings(**SMALL, data="shapes:easy,videos=12", clips=2))
    study = run(session)
    rows, labels, patterns = [], [], []
    for clip in session.stream():
        with torch.no_grad():
            batch = clip.frames.movedim(1, 0)[None].float() / 255
            rows.append(session.extractor.feature_map(batch).mean(dim=(2, 3, 4))[0].numpy())
        labels.append(clip.video.label)
        patterns.append(clip.video.record.pattern)
    features, videos = np.array(rows), np.repeat(np.arange(12), 2)
    expected = {
        "knn_label": nearest_label_hits(features, labels, videos),
        "knn_background": nearest_label_hits(features, patterns, videos),
        "silhouette_label": silhouettes(features, labels),
        "silhouette_background": silhouettes(features, patterns),
        "silhouette_video": silhouettes(features, videos),
    }
    assert list(study.scores) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(
            study.video_scores[name], values.reshape(12, 2).mean(axis=1), atol=1e-3, err_msg=name
        )
    assert study.scores["knn_label"].chance == match_chance(labels[::2])
    assert study.scores["silhouette_label"].chance == pytest.approx(
        shuffled_silhouette(features, labels, videos), abs=1e-3
    )
    names = study.arrays["label_name"][study.arrays["label"]]
    assert names.tolist() == [v.record.class_name for v in session.videos for _ in range(2)]
    assert study.arrays["background_name"][study.arrays["background"]].tolist() == [f"background {p}" for p in patterns]


def test_equal_runs_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        _study().save(tmp_path / name)
    for file in ("embedding.npz", "embedding.png", "embedding.html", "index.html"):
        one, two = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert one == two, file
    reports = [json.loads((tmp_path / name / "embedding.json").read_text()) for name in ("one", "two")]
    for report in reports:
        del report["created"]
    assert reports[0] == reports[1]
    assert reports[0]["films"] == ["index.html", "embedding.html"]


def test_without_videos_a_drawn_data_set_is_shown():
    study = run(open_session(Settings(ckpt="random", size=16, num_frames=2)))
    assert study.arrays["points"].shape == (120, 2)
    assert study.provenance["command"].startswith("fima-analyze embed --ckpt random --data shapes:camera,videos=120 ")
    assert "UNTRAINED" in study.figure().get_suptitle()


def test_videos_alone_have_neither_labels_nor_backgrounds():
    study = run(_evil_session())
    assert list(study.scores) == ["silhouette_video"]
    assert {"label", "background"}.isdisjoint(study.arrays)
    assert study.arrays["video"].tolist() == [0, 0, 1, 1, 2, 2]
    assert all(study.arrays["video"][study.arrays["nearest"]] != study.arrays["video"])


def test_thumbnails_are_middle_frames():
    study = _study(data="shapes:easy,videos=6", size=80)
    session = open_session(Settings(data="shapes:easy,videos=6", split="test", num_frames=8, size=128))
    clip = next(iter(session.stream())).frames[4].float()  # (3, 128, 128): an even share of pixels
    assert study.arrays["thumbnail"].shape == (6, 64, 64, 3)
    coarse = torch.nn.functional.avg_pool2d(clip, 16)
    shown = torch.from_numpy(study.arrays["thumbnail"][0]).permute(2, 0, 1).float()
    assert (torch.nn.functional.avg_pool2d(shown, 8) - coarse).abs().max() < 12


def test_films_are_the_clips_frames_and_left_out_where_there_are_too_many(monkeypatch):
    arrays = _study(data="shapes:easy,videos=6", num_frames=16, size=32).arrays
    assert arrays["film"].shape == (6, 8, 32, 32, 3)
    clip = next(iter(open_session(Settings(data="shapes:easy,videos=6", split="test", size=32)).stream()))
    shown = clip.frames[torch.linspace(0, 15, 8).round().long()].permute(0, 2, 3, 1)
    assert np.array_equal(arrays["film"][0], shown.numpy())
    assert arrays["film_seconds"][0] == pytest.approx((clip.seconds[-1] - clip.seconds[0]) / 7)
    monkeypatch.setattr(study, "_MOST_FRAMES", 11)
    assert "film" not in _study(data="shapes:easy,videos=6", size=32).arrays


def test_fewer_than_five_clips_are_refused(clips_dir):
    dog = str(clips_dir / "dog.mp4")
    with pytest.raises(InputError, match=r"--video: a map needs at least 5 clips, got 3; .*--clips"):
        run(open_session(Settings(video=dog, clips=3, **SMALL)))
    with pytest.raises(InputError, match="--data shapes:easy,videos=4: a map needs at least 5 clips, got 4"):
        _study(data="shapes:easy,videos=4")
    one = run(open_session(Settings(video=dog, clips=5, **SMALL)))
    assert one.scores == {}
    assert set(one.arrays["nearest"]) == {-1}
    one.figure()


def test_broken_videos_are_left_out(tmp_path):
    assert fima(["shapes", str(tmp_path / "s"), "--videos", "7", "--truth"]) == 0
    videos = sorted((tmp_path / "s").rglob("*.mp4"))
    videos[2].write_bytes(b"no video")
    study = run(open_session(Settings(data=str(tmp_path / "s" / "train.csv"), **SMALL)))
    assert len(study.skipped) == 1
    assert study.arrays["points"].shape == (6, 2)
    assert "label" in study.arrays
    assert "background" not in study.arrays
    for video in videos[3:5]:
        video.write_bytes(b"no video")
    with pytest.raises(InputError, match="at least 5 clips, got 4"):
        run(open_session(Settings(data=str(tmp_path / "s" / "train.csv"), **SMALL)))


def test_the_figure_draws_the_saved_numbers():
    study = _study()
    ax = draw_map(study.arrays, "label", ax=new_figure(3).subplots())
    drawn = np.concatenate([points.get_offsets() for points in ax.collections])
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, study.arrays["points"].astype(float).tolist()))
    ax = draw_scores(study.arrays, ax=new_figure(3).subplots())
    dots = [float(p.get_offsets()[0, 0]) for p in ax.collections if isinstance(p, PathCollection)]
    assert dots == [summary.mean for summary in study.scores.values()]


def test_groups_are_told_apart_without_colors():
    looks = [(MARKERS[i % len(MARKERS)], COLOR_CYCLE[i % len(COLOR_CYCLE)]) for i in range(88)]
    assert len(set(looks)) == 88
    assert len(set(MARKERS)) >= 10


def test_of_many_groups_the_largest_are_named():
    codes = np.concatenate([np.arange(30), np.arange(5, 15), [29]])
    shown = largest_groups(codes)
    assert shown == sorted([*range(5, 15), 29, *range(5), *range(15, 19)])
    arrays = {
        "points": np.random.default_rng(0).normal(size=(len(codes), 2)),
        "label": codes,
        "label_name": np.array([f"class {i}" for i in range(30)]),
    }
    ax = draw_map(arrays, "label", ax=new_figure(3).subplots())
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [*(f"class {i}" for i in shown), "10 others"]


def _data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def _write_table(path, study_features, ids, labels, names, clips, **about):
    videos = []
    for i, video in enumerate(ids):
        record = VideoRecord(Path("x"), video, labels[i], None if labels[i] is None else names[labels[i]])
        vectors = study_features[i * clips : (i + 1) * clips].astype(np.float32)
        videos.append((VideoFeatures(i, record, {"rgb": vectors}), None))
    pq.write_table(feature_table(videos, "rgb", {"class_names": names, **about}), path)
    return path


@pytest.mark.slow
def test_a_table_gives_the_numbers_of_the_videos(tmp_path):
    session = open_session(Settings(**SMALL, data="shapes:easy,videos=12", clips=2))
    study, features = run(session), []
    for clip in session.stream():
        with torch.no_grad():
            features.append(
                session.extractor.feature_map(clip.frames.movedim(1, 0)[None].float() / 255).mean((2, 3, 4))
            )
    names = list(dict.fromkeys(study.arrays["label_name"].tolist()))
    order = sorted(range(len(names)), key=lambda i: -i)  # another numbering of the classes changes nothing
    labels = [order.index(int(label)) for label in study.arrays["label"][::2]]
    names = [names[i] for i in order]
    ids = study.arrays["video_id"].tolist()
    path = _write_table(tmp_path / "f.parquet", torch.cat(features).numpy(), ids, labels, names, 2)
    found = run_on_table(path)
    for name in ("knn_label", "silhouette_label", "silhouette_video"):
        np.testing.assert_allclose(found.video_scores[name], study.video_scores[name], atol=1e-3)
        assert found.scores[name].mean == pytest.approx(study.scores[name].mean, abs=1e-3)
        assert found.scores[name].chance == pytest.approx(study.scores[name].chance, abs=1e-3)
    assert set(found.scores) == {"knn_label", "silhouette_label", "silhouette_video"}
    assert found.arrays["nearest"].tolist() == study.arrays["nearest"].tolist()
    shown = (found.arrays["label_name"][found.arrays["label"]], study.arrays["label_name"][study.arrays["label"]])
    assert shown[0].tolist() == shown[1].tolist()
    assert found.arrays["clip"].tolist() == [0, 1] * 12
    assert {"thumbnail", "background", "seconds"}.isdisjoint(found.arrays)


def test_the_command_reads_a_table_and_names_it(tmp_path, capsys):
    table = tmp_path / "t.parquet"
    data = ["--data", "shapes:camera,videos=12,num_frames=20,size=40", "--split", "test"]
    assert (
        fima(["extract", "--ckpt", "tiny-fima", *data, "--clips", "2", "--layer", "stage2", "--out", str(table)]) == 0
    )
    assert analyze(["embed", "--features", str(table), "--out", str(tmp_path / "e")]) == 0
    report = json.loads((tmp_path / "e" / "embedding.json").read_text())
    sha = load_backbone("tiny-fima").sha256
    source = report["provenance"]
    assert (source["checkpoint"]["sha256"], source["layer"]) == (sha, "stage2")
    assert (source["features"]["path"], source["num_clips"]) == (str(table), 24)
    assert source["command"] == f"fima-analyze embed --features {table}"
    assert (source["inputs"]["data"], source["inputs"]["split"]) == (data[1], "test")
    assert {path.name for path in (tmp_path / "e").glob("[!.]*")} == {
        "index.html",
        *(f"embedding.{x}" for x in ("png", "npz", "json", "html")),
    }
    assert "nearest has its label" in capsys.readouterr().out
    page = (tmp_path / "e" / "index.html").read_text()
    assert _data_of(page)["sheets"] == []
    assert _data_of(page)["clip"] == [0, 1] * 12


def test_other_peoples_tables_and_random_weights_say_what_they_are(tmp_path):
    rng, ids = np.random.default_rng(0), [f"v{i}" for i in range(8)]
    plain = run_on_table(_write_table(tmp_path / "a.parquet", rng.normal(size=(8, 3)), ids, [0, 1] * 4, ["a", "b"], 1))
    assert "unknown checkpoint" in plain.figure().get_suptitle()
    assert not plain.untrained
    path = _write_table(
        tmp_path / "b.parquet", rng.normal(size=(16, 3)), ids, [None] * 8, [], 2, checkpoint="random", seed=7
    )
    random = run_on_table(path)
    assert random.untrained
    assert "random, seed 7" in random.figure().get_suptitle()
    assert list(random.scores) == ["silhouette_video"]


def _mixed_widths(path):
    rows = [
        {"video": f"v{i}", "clip": 0, "label": 0, "class_name": "a", "vector": [1.0] * (3 + i % 2)} for i in range(8)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_tables_that_cannot_be_used_are_refused(tmp_path, capsys):
    rng, ids = np.random.default_rng(0), [f"v{i}" for i in range(8)]
    (tmp_path / "text.parquet").write_text("no table")
    pq.write_table(pa.table({"video": ["a"]}), tmp_path / "other.parquet")
    _mixed_widths(tmp_path / "widths.parquet")
    _write_table(tmp_path / "some.parquet", rng.normal(size=(8, 3)), ids, [0] * 7 + [None], ["a"], 1)
    _write_table(tmp_path / "few.parquet", rng.normal(size=(4, 3)), ids[:4], [0] * 4, ["a"], 1)
    good = _write_table(tmp_path / "good.parquet", rng.normal(size=(8, 3)), ids, [0] * 8, ["a"], 1)
    for words, message in (
        ([tmp_path / "none.parquet"], "none.parquet: no such file"),
        ([tmp_path / "text.parquet"], "is no parquet file"),
        ([tmp_path / "other.parquet"], "has no column clip, label, class_name, vector"),
        ([tmp_path / "widths.parquet"], "not all of one length"),
        ([tmp_path / "some.parquet"], "v7 has no label, but other videos have"),
        ([tmp_path / "few.parquet"], "at least 5 clips, got 4"),
        ([good, "--data", "UCF101"], "--data: is about a backbone and videos"),
        ([good, "--ckpt", "tiny-vd"], "--ckpt: is about a backbone and videos"),
        ([good, "--clips", "3"], "--clips: is about a backbone and videos"),
    ):
        assert analyze(["embed", "--features", *map(str, words), "--out", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
        assert not (tmp_path / "out").exists()
