"""The gallery: scores against loops and hand-worked cases, films against their videos, the command, the page."""

import argparse
import base64
import csv
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from analysis.commands import gallery as command
from analysis.gallery.building import backgrounds_of
from analysis.gallery.compute import Backgrounds, bias_scores, listed_queries, same_nearest, shared_background
from analysis.gallery.media import SIDE, Media, media_of
from analysis.gallery.page import page_data
from fima.data.clip_protocol import MIDDLE_CLIP
from fima.data.datasets import VideoRecord, open_dataset
from fima.data.protocol_clips import read_test_clips
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import write_video
from fima.errors import InputError
from fima.evaluation.feature_store import FeatureSet
from fima.evaluation.neighbor_report import find_neighbors
from fima.input_spec import InputSpec
from tests.pages import open_page

SPEC = InputSpec((0.5,) * 3, (0.5,) * 3, num_frames=8, frame_stride=2, size=SIDE)
EVIL = "<img src=x onerror=alert(1)>"


def _set(name, vectors, labels):
    count = len(labels)
    ids = tuple(f"{name}/{i}" for i in range(count))
    return FeatureSet(
        ids, np.asarray(labels, np.int64), ("run", "jump", "sit"), np.asarray(vectors, np.float32),
        np.ones(count, np.int64), (None,) * count,
    )  # fmt: skip


def _found(seed, *, queries=7, gallery=11, alike=False):
    """Neighbors of random features, for all inputs."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=queries), rng.integers(3, size=gallery)
    found, features = {}, {}
    for shown in ("rgb", "static", "motion"):
        if not (alike and found):
            vectors = rng.normal(size=(queries, 4)), rng.normal(size=(gallery, 4))
        features[shown] = vectors
        train, test = _set("train", vectors[1], labels[1]), _set("test", vectors[0], labels[0])
        found[shown] = find_neighbors(train, test, 50, center="none")
    return found, features, labels


# Numbers


@given(st.integers(0, 10_000))
def test_listed_neighbors_are_those_of_a_search_one_by_one(seed):
    found, features, (wanted, there) = _found(seed)
    for query in listed_queries(found, range(7)):
        place = query["place"]
        for shown, (tests, trains) in features.items():
            one = tests[place]
            distance = [1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other) for other in trains]
            nearest = sorted(range(11), key=distance.__getitem__)
            if shown == "rgb":
                ranks = [rank + 1 for rank, other in enumerate(nearest) if there[other] == wanted[place]]
                assert query["first"] == (ranks[0] if ranks else None)
            near = query["near"][shown]
            assert len(near) == {"rgb": 5, "static": 3, "motion": 3}[shown]
            assert [other for other, _, _ in near] == nearest[: len(near)]
            assert [hit for _, _, hit in near] == [there[other] == wanted[place] for other in nearest[: len(near)]]
            assert [d for _, d, _ in near] == pytest.approx(
                [distance[other] for other in nearest[: len(near)]], abs=1e-5
            )


@given(st.integers(0, 10_000))
def test_equal_features_find_equal_neighbors(seed):
    found, _, _ = _found(seed, alike=True)
    scores = bias_scores(found, (1, 5), None)
    for shown in ("static", "motion"):
        score = scores[shown]["same_nearest"]
        assert (score["value"], score["high"], score["chance"]) == (1, 1, 1 / 11)
        assert scores[shown]["recall@5"] == scores["rgb"]["recall@5"]
    assert "same_nearest" not in scores["rgb"]
    assert "same_background" not in scores["rgb"]


def test_bias_worked_by_hand():
    """Four queries, four videos on axes: which is nearest can be read off."""
    train = _set("train", np.eye(4), [0, 0, 1, 1])
    toward = {"rgb": [0, 1, 2, 3], "static": [0, 1, 0, 0], "motion": [1, 0, 3, 2]}
    found = {
        shown: find_neighbors(train, _set("test", np.eye(4)[places], [0, 0, 1, 1]), 4, center="none")
        for shown, places in toward.items()
    }
    known = Backgrounds(np.array([5, 6, 5, 6]), np.array([5, 5, 5, 6]), tuple("abcdefg"))
    assert same_nearest(found["rgb"].order, found["static"].order).tolist() == [True, True, False, False]
    assert shared_background(found["rgb"].order, known).tolist() == [True, False, True, True]
    assert shared_background(found["motion"].order, known).tolist() == [True, False, False, False]
    scores = bias_scores(found, (1,), known)
    values = {shown: {name: score["value"] for name, score in row.items()} for shown, row in scores.items()}
    assert values == {
        "rgb": {"recall@1": 1.0, "same_background": 0.75},
        "static": {"recall@1": 0.5, "same_nearest": 0.5, "same_background": 0.5},
        "motion": {"recall@1": 1.0, "same_nearest": 0.0, "same_background": 0.25},
    }
    # Two queries have a background that 3 of 4 videos have, two one that 1 of 4 has.
    assert scores["rgb"]["same_background"]["chance"] == pytest.approx((0.75 + 0.25) / 2)
    assert scores["static"]["same_nearest"]["chance"] == 0.25
    interval = scores["static"]["same_nearest"]
    assert (interval["low"], interval["high"]) == pytest.approx((0.150, 0.850), abs=1e-3)  # of Wilson, 2 of 4


def test_backgrounds_are_known_of_drawn_videos_only(tmp_path):
    train, test = (open_dataset("shapes:easy,videos=5", split=split).records for split in ("train", "test"))
    known = backgrounds_of(train, test)
    assert known.test.tolist() == [one.draw().pattern for one in test]
    assert known.train.tolist() == [one.draw().pattern for one in train]
    assert backgrounds_of([*train, VideoRecord(tmp_path / "a.mp4", "a", 0, "a")], test) is None


# What is shown of a video


def _bytes_of(address, kind):
    assert address.startswith(f"data:{kind};base64,")
    return base64.b64decode(address.split(",")[1])


def _check_media(record, tmp_path):
    media = media_of(record, SPEC)
    clip = read_test_clips(record, SPEC, MIDDLE_CLIP)[0].permute(0, 2, 3, 1).float().numpy()
    still = np.asarray(Image.open(io.BytesIO(_bytes_of(media.still, "image/jpeg"))), np.float32)
    assert np.abs(still - clip[4]).mean() < 8
    (tmp_path / "film.mp4").write_bytes(_bytes_of(media.film, "video/mp4"))
    with VideoReader(tmp_path / "film.mp4") as reader:
        film = reader.frames(np.arange(len(reader))).permute(0, 2, 3, 1).float().numpy()
        assert film.shape == (8, SIDE, SIDE, 3)
        assert np.abs(film - clip).mean() < 8
        return reader.fps


def test_stills_and_films_show_the_clip_in_the_middle(tmp_path):
    drawn = open_dataset("shapes:easy,videos=1", split="test")[0]
    assert _check_media(drawn, tmp_path) == pytest.approx(25 / 2)


def test_of_a_real_video_too(clips_dir, tmp_path):
    _check_media(VideoRecord(clips_dir / "dog.mp4", "dog", None, None), tmp_path)


def test_queries_that_do_not_fit_are_left_out():
    found, _, _ = _found(1)
    queries = listed_queries(found, range(7))
    asked = []

    def media(part, place):
        asked.append((part, place))
        return Media("s" * 60, "f" * 40)

    whole = page_data(found, queries, media, None)
    assert len(whole["queries"]) == 7
    assert len(asked) == len(set(asked)) == len(whole["videos"])
    first = {("test", queries[0]["place"])} | {("train", n[0]) for near in queries[0]["near"].values() for n in near}
    for limit, shown in ((100 * len(first), 1), (1, 1), (100 * len(whole["videos"]), 7)):
        part = page_data(found, queries, media, None, most_bytes=limit)
        assert part["queries"] == whole["queries"][:shown]
        assert part["videos"] == whole["videos"][: len(part["videos"])]
    names = [whole["videos"][place]["name"] for place, _, _ in whole["queries"][3]["near"]["motion"]]
    assert names == [f"train/{place}" for place in found["motion"].order[3, :3]]


# The command


def _run(*typed):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([*typed, "--device", "cpu"]))


def _data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    out = tmp_path_factory.mktemp("drawn") / "gallery"
    typed = ["--data", "shapes:camera,videos=14", "--ckpt", "tiny-fima", "--clips", "1", "--queries", "6"]
    assert _run(*typed, "--out", str(out)) == 0
    return out


def test_all_files_say_the_same(drawn):
    content = json.loads((drawn / "gallery.json").read_text())
    data = _data_of((drawn / "index.html").read_text())
    with (drawn / "neighbors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 14 * 14
    nearest = {(row["shown"], row["query"]): row["neighbor"] for row in rows if row["rank"] == "1"}
    queries = sorted({query for _, query in nearest})
    scores = content["scores"]
    for shown in ("rgb", "static", "motion"):
        first = [row["hit"] == "1" for row in rows if row["rank"] == "1" and row["shown"] == shown]
        assert scores[shown]["recall@1"]["value"] == pytest.approx(np.mean(first))
        assert set(scores[shown]) >= {"recall@5", "recall@10", "same_background"}
        assert "recall@20" not in scores[shown]
        patterns = {
            record.video_id: record.pattern
            for split in ("train", "test")
            for record in open_dataset("shapes:camera,videos=14", split=split)
        }
        same = np.mean([patterns[query] == patterns[nearest[shown, query]] for query in queries])
        assert scores[shown]["same_background"]["value"] == pytest.approx(same)
    same = np.mean([nearest["rgb", query] == nearest["static", query] for query in queries])
    assert scores["static"]["same_nearest"]["value"] == pytest.approx(same)
    assert len(data["queries"]) == len(content["shown"]) == 6
    for query in data["queries"]:
        name = data["videos"][query["video"]]["name"]
        for shown in ("rgb", "static", "motion"):
            listed = [row for row in rows if row["query"] == name and row["shown"] == shown][
                : len(query["near"][shown])
            ]
            for (place, distance, hit), row in zip(query["near"][shown], listed, strict=True):
                assert data["videos"][place]["name"] == row["neighbor"]
                assert distance == pytest.approx(1 - float(row["similarity"]), abs=1e-4)
                assert hit == int(row["hit"])
                video = data["videos"][place]
                assert video["background"] == patterns[video["name"]]
    # Classes alike: six queries of at least six classes, if there are as many.
    labels = [data["videos"][query["video"]]["label"] for query in data["queries"]]
    assert len(set(labels)) == 6
    assert not content["about"]["untrained"]


def test_the_page_needs_nothing_from_elsewhere(drawn):
    page = (drawn / "index.html").read_text()
    assert len(page) < 15_000_000
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|<link[^>]*href=\"(?!data:)| src=", page)
    assert page.count("<script") == page.count("</script>") == 3


def _write_folders(root, *, evil=False):
    """Two classes, two splits; a video is a square that goes one way, in a color of its own."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 3)):
        for label in ("left", "right"):
            (root / split / label).mkdir(parents=True)
            for number in range(count):
                frames = np.full((20, 64, 64, 3), rng.integers(256, size=3), np.uint8)
                for t in range(20):
                    at = 2 * t + 4 if label == "right" else 44 - 2 * t
                    frames[t, 20:36, at : at + 16] = rng.integers(256, size=3)
                name = f"{EVIL}" if evil and number == 0 else f"clip {number}"
                write_video(root / split / label / f"{name}.mp4", frames, fps=10)
    return root


def test_broken_videos_are_left_out_and_backgrounds_unknown(tmp_path, capsys):
    root = _write_folders(tmp_path / "d")
    (root / "test" / "left" / "clip 1.mp4").write_bytes(b"no video")
    shutil.copy(root / "train" / "left" / "clip 2.mp4", root / "test" / "left" / "clip 2.mp4")
    typed = ["--data", str(root), "--ckpt", "random", "--clips", "1", "--out", str(tmp_path / "out")]
    assert _run(*typed) == 3
    said = capsys.readouterr().out
    assert "clip 1: " in said
    assert "1 queries are training videos too" in said
    content = json.loads((tmp_path / "out" / "gallery.json").read_text())
    assert content["about"]["untrained"]
    assert len(content["shown"]) == 5
    assert all("same_background" not in row for row in content["scores"].values())
    page = (tmp_path / "out" / "index.html").read_text()
    for line in ("Untrained weights", "1 video could not be read", "1 query is a training video"):
        assert line in page
    assert "clip 1" in (tmp_path / "out" / "skipped.csv").read_text()


def test_flags_that_cannot_be_used(tmp_path):
    typed = ["--data", "shapes:easy,videos=3", "--ckpt", "random", "--out", str(tmp_path / "out")]
    with pytest.raises(InputError, match="--queries must be at least 1, got 0"):
        _run(*typed, "--queries", "0")
    with pytest.raises(InputError, match="--preset must be one of coclr, fame"):
        _run(*typed, "--preset", "x")
    with pytest.raises(InputError, match="the split must be one of train, val, test, got 'x'"):
        _run(*typed, "--test-split", "x")
    assert not (tmp_path / "out").exists()


def test_the_command_is_quick_to_import():
    line = "import sys, analysis.commands.gallery; print({'torch', 'matplotlib', 'PIL', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# In a browser


def _wait_for_playing(tab, count):
    """Until so many videos have moved on; the page forbids what ``wait_for_function`` does."""
    for _ in range(300):
        times = tab.locator("video").evaluate_all("all => all.map(video => video.currentTime)")
        if len(times) == count and min(times) > 0:
            return
        tab.wait_for_timeout(100)
    pytest.fail(f"{count} videos should play: {times}")


@pytest.mark.slow
def test_hovered_and_focused_videos_play(drawn, browser):
    tab, wrong = open_page(browser, drawn / "index.html", viewport={"width": 1200, "height": 900})
    data = _data_of((drawn / "index.html").read_text())
    film, card = tab.locator("video"), tab.locator("article").first
    assert film.count() == 0
    card.locator("li .tile").nth(2).hover()
    _wait_for_playing(tab, 2)
    assert film.first.evaluate("v => [v.muted, v.loop, v.videoWidth]") == [True, True, SIDE]
    query = data["queries"][0]
    playing = tab.evaluate("[...document.querySelectorAll('video')].map(v => +v.closest('.tile').dataset.video)")
    assert sorted(playing) == sorted([query["near"]["rgb"][2][0], query["video"]])
    tab.mouse.move(1, 1)
    assert film.count() == 0
    # Tab enters a card at its query, arrows go on from there; Escape stops.
    tab.locator("#order").focus()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement === document.querySelector('.query .tile')")
    assert film.count() == 1
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("+document.activeElement.dataset.video") == query["near"]["rgb"][0][0]
    assert film.count() == 2
    tab.keyboard.press("Escape")
    assert film.count() == 0
    tab.keyboard.press("Tab")
    assert (
        tab.evaluate("[...document.querySelectorAll('article')].indexOf(document.activeElement.closest('article'))")
        == 1
    )
    assert wrong == []


@pytest.mark.slow
def test_nothing_moves_unasked_where_less_motion_is_wanted(drawn, browser):
    tab, wrong = open_page(browser, drawn / "index.html", reduced_motion="reduce")
    tile = tab.locator("li .tile").first
    tile.hover()
    assert tab.locator("video").count() == 0
    tile.click()
    assert tab.locator("video").count() == 2
    tile.click()
    assert tab.locator("video").count() == 0
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_filter_order_and_bias_view(drawn, browser, scheme, width):
    tab, wrong = open_page(browser, drawn / "index.html", viewport={"width": width, "height": 800}, color_scheme=scheme)
    data = _data_of((drawn / "index.html").read_text())
    hit = [query["near"]["rgb"][0][2] == 1 for query in data["queries"]]

    def shown():
        return [
            int(one) for one in tab.evaluate("[...document.querySelectorAll('.query .tile')].map(t => t.dataset.video)")
        ]

    videos = [query["video"] for query in data["queries"]]
    assert shown() == videos
    tab.locator("input[value=all]").focus()
    tab.keyboard.press("ArrowRight")
    assert shown() == [video for video, right in zip(videos, hit, strict=True) if right]
    assert tab.locator("#count").text_content() == f"{sum(hit)} of 6 queries shown"
    tab.keyboard.press("ArrowRight")
    assert shown() == [video for video, right in zip(videos, hit, strict=True) if not right]
    tab.get_by_label("all", exact=False).first.check()
    tab.locator("#order").select_option("far")
    assert shown() == [q["video"] for q in sorted(data["queries"], key=lambda q: -q["near"]["rgb"][0][1])]
    tab.locator("#order").select_option("drawn")
    assert tab.locator("article").first.locator("li .tile").count() == 5
    tab.get_by_label("RGB, static and motion side by side").check()
    first = tab.locator("article").first
    for number, name in enumerate(("rgb", "static", "motion")):
        part = first.locator("section").nth(number)
        near = data["queries"][0]["near"][name][:3]
        assert [int(x) for x in part.locator(".tile").evaluate_all("all => all.map(t => t.dataset.video)")] == [
            place for place, _, _ in near
        ]
        words = ["✓ hit" if right else "✗ miss" for _, _, right in near]
        assert part.locator(".verdict").all_text_contents() == words
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong == []


@pytest.mark.slow
def test_names_do_no_harm_in_a_browser(tmp_path, browser):
    root = _write_folders(tmp_path / EVIL, evil=True)
    typed = ["--data", str(root), "--ckpt", "random", "--clips", "1", "--out", str(tmp_path / "out")]
    assert _run(*typed) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<img" not in page
    tab, wrong = open_page(browser, tmp_path / "out" / "index.html")
    assert any(EVIL in name for name in tab.locator(".query .name").all_text_contents())
    tab.locator(".query .tile").first.hover()
    _wait_for_playing(tab, 1)
    assert tab.locator("img:not([src^='data:image/jpeg'])").count() == 0
    assert wrong == []
