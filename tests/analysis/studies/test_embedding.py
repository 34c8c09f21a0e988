"""Embedding: scores against brute force and scikit-learn, the map against its definition, the study, the page."""

import base64
import html
import io
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples
from sklearn.metrics.pairwise import cosine_similarity

from analysis.cli import main as analyze
from analysis.inputs.sessions import Session, open_session
from analysis.inputs.videos import VideoSource
from analysis.measures import embedding
from analysis.measures.embedding import (
    limit_perplexity,
    match_chance,
    nearest_label_hits,
    nearest_of_others,
    project,
    shuffled_silhouette,
    silhouettes,
)
from analysis.pages.embedding import page_data, thumbnail_sheets, write_page
from analysis.plotting.embedding import COLOR_CYCLE, MARKERS, draw_map, draw_scores, largest_groups
from analysis.plotting.style import new_figure
from analysis.settings import Settings
from analysis.studies.embedding.study import run
from analysis.studies.embedding.table import run_on_table
from fima.checkpoints import load_backbone
from fima.cli import main as fima
from fima.data.datasets import VideoRecord
from fima.errors import InputError
from fima.evaluation.feature_store import table as feature_table
from fima.evaluation.features import VideoFeatures

SEEDS = st.integers(0, 1000)
EVIL = "<img src=x onerror=alert(1)>"
SMALL = {"num_frames": 8, "size": 32}


def _clips(seed, number=30, channels=4, videos=10, classes=3):
    """Features, labels and videos; a video has one label."""
    rng = np.random.default_rng(seed)
    video = np.sort(np.concatenate([np.arange(videos), rng.integers(videos, size=number - videos)]))
    return rng.normal(size=(number, channels)) + 0.5, rng.integers(classes, size=videos)[video], video


# Nearest neighbors


@given(SEEDS)
def test_hits_are_those_of_a_search_one_by_one(seed):
    features, labels, videos = _clips(seed)
    similarity = cosine_similarity(features)
    for i, hit in enumerate(nearest_label_hits(features, labels, videos)):
        others = [j for j in range(len(features)) if videos[j] != videos[i]]
        assert hit == (labels[max(others, key=lambda j: similarity[i, j])] == labels[i])


def test_a_clips_own_video_is_no_neighbor_and_lengths_do_not_count():
    features = np.array([[1, -0.2], [9, -0.1], [1, 1], [0, 5]])
    assert nearest_of_others(features, [0, 0, 1, 2]).tolist() == [2, 2, 3, 2]
    assert nearest_label_hits(features, ["a", "a", "a", "b"], [0, 0, 1, 2]).tolist() == [True, True, False, False]


def test_of_equals_the_first_is_the_nearest():
    assert nearest_of_others(np.ones((4, 2)), [0, 1, 2, 3]).tolist() == [1, 0, 0, 0]


@given(st.lists(st.integers(0, 2), min_size=2, max_size=5), SEEDS)
def test_chance_is_the_mean_over_all_orders_of_the_labels(labels, seed):
    features = np.random.default_rng(seed).normal(size=(len(labels), 3))
    videos = np.arange(len(labels))
    orders = [nearest_label_hits(features, order, videos).mean() for order in itertools.permutations(labels)]
    assert match_chance(labels) == pytest.approx(np.mean(orders))


def test_chance_by_hand():
    assert match_chance([0, 0, 1, 1]) == pytest.approx(1 / 3)
    assert match_chance([0, 0, 0, 1]) == pytest.approx(1 / 2)
    assert match_chance([0, 1, 2]) == 0


# Silhouettes


@given(SEEDS, st.integers(2, 6))
def test_silhouettes_are_scikit_learns(seed, classes):
    features, labels, _ = _clips(seed, classes=classes)
    labels[:2] = 0, 1
    np.testing.assert_allclose(
        silhouettes(features, labels), silhouette_samples(features, labels, metric="cosine"), atol=1e-9
    )


def test_silhouettes_by_hand():
    features = np.array([[1, 0], [2, 0], [0, 1], [0, 3], [-1, 0.0]])
    # a = 0 within each pair; b = 1 to the other; the last is alone.
    assert silhouettes(features, [0, 0, 1, 1, 2]).tolist() == [1, 1, 1, 1, 0]
    # a = 1, b = (0 + 1) / 2 for the first.
    assert silhouettes(features[:4], [0, 1, 0, 1])[0] == pytest.approx(-0.5)


def test_a_row_of_zeros_is_1_away_from_all_and_alike_clips_have_none():
    features = np.array([[0, 0], [1, 0], [1, 0], [0, 1.0]])
    expected = silhouette_samples(features, [0, 0, 1, 1], metric="cosine")
    np.testing.assert_allclose(silhouettes(features, [0, 0, 1, 1]), expected)
    assert silhouettes(np.full((4, 3), 0.7), [0, 0, 1, 1]).tolist() == [0, 0, 0, 0]


def test_many_clips_go_in_blocks(monkeypatch):
    features, labels, videos = _clips(3, number=50)
    whole = silhouettes(features, labels), nearest_of_others(features, videos)
    monkeypatch.setattr(embedding, "_BLOCK", 120)
    np.testing.assert_allclose(silhouettes(features, labels), whole[0], atol=1e-12)
    assert np.array_equal(nearest_of_others(features, videos), whole[1])


def test_shuffling_goes_over_videos():
    features, _, videos = _clips(0, number=12, videos=2)
    # Two videos with a label each: whichever way they are shuffled, the groups are the same.
    own = silhouettes(features, videos)
    expected = np.mean([own[videos == v].mean() for v in (0, 1)])
    assert shuffled_silhouette(features, videos, videos) == pytest.approx(expected)


def test_shuffled_labels_give_the_mean_over_all_orders():
    features = np.random.default_rng(1).normal(size=(5, 3))
    labels, videos = [0, 0, 1, 1, 2], np.arange(5)
    orders = [silhouettes(features, order).mean() for order in itertools.permutations(labels)]
    found = shuffled_silhouette(features, labels, videos, shuffles=3000)
    assert found == pytest.approx(np.mean(orders), abs=0.02)
    assert found == shuffled_silhouette(features, labels, videos, shuffles=3000)


# The map


@pytest.mark.parametrize(("number", "channels"), [(12, 3), (70, 60)])
def test_the_map_is_scikit_learns_of_rows_of_length_1(number, channels):
    features = np.random.default_rng(0).normal(size=(number, channels)) + 1
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    parts = PCA(min(50, channels), svd_solver="full").fit_transform(rows)
    expected = TSNE(2, perplexity=min(30, (number - 1) / 3), init="pca", random_state=3, n_jobs=1).fit_transform(
        parts / parts[:, 0].std()
    )
    np.testing.assert_array_equal(project(features, seed=3), expected)


def test_the_map_is_the_same_again_and_knows_no_lengths():
    features, _, _ = _clips(2)
    found = project(features)
    assert found.dtype == np.float32
    assert np.array_equal(found, project(features))
    assert np.array_equal(found, project(features * 2.0 ** np.arange(-15, 15)[:, None]))


def test_clusters_stay_together():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 15)
    features = np.eye(8)[labels] + 0.05 * rng.normal(size=(60, 8))
    found = project(features)
    gaps = np.linalg.norm(found[:, None] - found, axis=2) + np.diag(np.full(60, np.inf))
    assert (labels[gaps.argmin(axis=1)] == labels).all()


@pytest.mark.parametrize("features", [np.random.default_rng(0).normal(size=(5, 3)), np.eye(6)[:, :1] * 2 - 1])
def test_few_clips_and_one_channel_make_a_map(features):
    found = project(features)
    assert found.shape == (len(features), 2)
    assert np.isfinite(found).all()


def test_clips_that_are_all_alike_are_at_one_place():
    assert not project(np.outer(np.arange(1, 8), [1.0, 2.0])).any()


def test_perplexity_is_limited_by_the_clips():
    assert limit_perplexity(30, 1000) == 30
    assert limit_perplexity(30, 10) == 3
    with pytest.raises(InputError, match="perplexity must be above 0"):
        limit_perplexity(0, 10)


def test_what_cannot_be_used_is_refused():
    features = np.random.default_rng(0).normal(size=(6, 3))
    with pytest.raises(InputError, match="at least 5 clips, got 4"):
        project(features[:4])
    with pytest.raises(InputError, match="finite"):
        project(np.where(features == features[2, 1], np.nan, features))
    with pytest.raises(InputError, match=r"features must be \(N, C\), got \(6,\)"):
        silhouettes(features[:, 0], np.arange(6))
    with pytest.raises(InputError, match=r"labels must be \(6,\)"):
        silhouettes(features, np.arange(5))
    with pytest.raises(InputError, match="at least two labels, got 1"):
        silhouettes(features, np.zeros(6))
    with pytest.raises(InputError, match="at least two videos"):
        nearest_label_hits(features, np.arange(6), np.zeros(6))


# The study


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
    for kind in ("npz", "png", "html"):
        one, two = ((tmp_path / name / f"embedding.{kind}").read_bytes() for name in ("one", "two"))
        assert one == two, kind
    reports = [json.loads((tmp_path / name / "embedding.json").read_text()) for name in ("one", "two")]
    for report in reports:
        del report["created"]
    assert reports[0] == reports[1]
    assert reports[0]["films"] == ["embedding.html"]


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


# The figure


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


# The page


def _data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_the_page_holds_the_map_and_nothing_from_elsewhere(tmp_path):
    study = _study(clips=2)
    study.save(tmp_path)
    page = (tmp_path / "embedding.html").read_text()
    data = _data_of(page)
    points, drawn = np.array(data["points"]), study.arrays["points"]
    assert points.min() >= 0
    assert points.max() <= 1
    scale = (points.max(axis=0) - points.min(axis=0)) / np.ptp(drawn, axis=0)
    assert scale[0] == pytest.approx(scale[1], abs=1e-3)  # neither axis is stretched
    assert data["nearest"] == study.arrays["nearest"].tolist()
    assert [group["by"] for group in data["groups"]] == ["label", "background", "video"]
    assert not re.search(r"https?:|<link[^>]*href=\"(?!data:)|src=", page)
    assert "default-src 'none'" in page


def test_names_are_never_markup(tmp_path):
    study = run(_evil_session())
    study.provenance["inputs"]["data"] = study.provenance["checkpoint"]["path"] = EVIL
    write_page(tmp_path / "page.html", study)
    page = (tmp_path / "page.html").read_text()
    assert "<img" not in page
    assert page.count("<script") == page.count("</script>") == 3
    assert html.escape(EVIL) in page
    assert _data_of(page)["video_id"][0] == EVIL


def test_every_thumbnail_is_on_its_tile():
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, size=(300, 1, 1, 3), dtype=np.uint8)
    sheets = thumbnail_sheets(np.broadcast_to(colors, (300, 24, 20, 3)))
    assert len(sheets) == 2
    pictures = [np.array(Image.open(io.BytesIO(base64.b64decode(sheet.split(",")[1])))) for sheet in sheets]
    assert [picture.shape for picture in pictures] == [(16 * 24, 16 * 20, 3), (3 * 24, 16 * 20, 3)]
    for i, color in enumerate(colors[:, 0, 0]):
        row, column = divmod(i % 256, 16)
        tile = pictures[i // 256][24 * row + 8 : 24 * row + 16, 20 * column + 8 : 20 * column + 12]
        assert np.abs(tile.astype(int) - color).max() < 30, i


def test_page_data_of_one_place():
    study = run(_evil_session())
    data = page_data(study.arrays | {"points": np.zeros((6, 2), np.float32)})
    assert (data["points"] == 0.5).all()


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


def _open(browser, path, **context):
    """The page, and a list that collects whatever goes wrong on it or leaves it."""
    tab = browser.new_context(**context).new_page()
    wrong = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    tab.on("request", lambda ask: wrong.append(ask.url[:80]) if not ask.url.startswith(("data:", "file:")) else None)
    tab.goto(path.as_uri())
    return tab, wrong


@pytest.mark.slow
def test_names_do_no_harm_in_a_browser(tmp_path, browser):
    write_page(tmp_path / "page.html", run(_evil_session()))
    tab, wrong = _open(browser, tmp_path / "page.html")
    tab.focus("#map")
    tab.keyboard.press("Home")
    assert tab.locator("#details .name").first.text_content() == EVIL
    assert tab.locator("#legend button").first.text_content() == f"{EVIL} (2)"
    assert tab.locator("img").count() == 0
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_in_a_browser(tmp_path, browser, scheme, width):
    study = _study(clips=2)
    write_page(tmp_path / "page.html", study)
    tab, wrong = _open(
        browser, tmp_path / "page.html", viewport={"width": width, "height": 800}, color_scheme=scheme,
        reduced_motion="reduce",
    )  # fmt: skip
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The mouse, over the mark of clip 5: its place as the script computes it.
    x, y = tab.evaluate("at(5)")
    tab.hover("#map", position={"x": x, "y": y})
    shown = tab.locator("#details .name")
    arrays = study.arrays
    near = arrays["nearest"]
    assert shown.first.text_content() == arrays["video_id"][arrays["video"][5]]
    # The keyboard: from clip to clip, in the order of the data.
    tab.focus("#map")
    tab.keyboard.press("Home")
    for i in range(4):
        ids = [arrays["video_id"][arrays["video"][j]] for j in (i, near[i])]
        assert shown.all_text_contents() == ids
        label = arrays["label_name"][arrays["label"][i]]
        assert f"label: {label}" in tab.locator("#details section").first.inner_text()
        tab.keyboard.press("n")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("Escape")
    assert shown.count() == 0
    # The switch: other names in the legend and another picture; a group alone.
    before = tab.locator("#map").screenshot()
    tab.get_by_label("background", exact=True).check()
    names = {text.rsplit(" (", 1)[0] for text in tab.locator("#legend button").all_text_contents()}
    assert names == set(arrays["background_name"])
    assert tab.locator("#map").screenshot() != before
    first = tab.locator("#legend button").first
    first.click()
    assert first.get_attribute("aria-pressed") == "true"
    assert wrong == []


@pytest.mark.slow
def test_a_finger_chooses_a_clip_on_a_phone(tmp_path, browser):
    study = _study()
    write_page(tmp_path / "page.html", study)
    tab, wrong = _open(
        browser, tmp_path / "page.html", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    x, y = tab.evaluate("at(3)")
    tab.locator("#map").tap(position={"x": x, "y": y})
    ids = study.arrays["video_id"][study.arrays["video"]]
    assert tab.locator("#details .name").first.text_content() == ids[3]
    assert wrong == []


# A table of features


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
        f"embedding.{x}" for x in ("png", "npz", "json", "html")
    }
    assert "nearest has its label" in capsys.readouterr().out
    page = (tmp_path / "e" / "embedding.html").read_text()
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


@pytest.mark.slow
def test_the_page_of_a_table_in_a_browser(tmp_path, browser):
    rng, ids = np.random.default_rng(0), [f"v{i}" for i in range(8)]
    path = _write_table(tmp_path / "a.parquet", rng.normal(size=(16, 3)), ids, [0, 1] * 4, ["a", "b"], 2)
    write_page(tmp_path / "page.html", run_on_table(path))
    tab, wrong = _open(browser, tmp_path / "page.html", viewport={"width": 360, "height": 800})
    tab.focus("#map")
    tab.keyboard.press("End")
    assert "clip 2" in tab.locator("#details section").first.inner_text()
    assert tab.locator("#details .picture").count() == 0
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong == []
