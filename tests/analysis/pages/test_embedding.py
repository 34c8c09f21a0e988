"""The page of an embedding: what it holds, and how it works in a browser."""

import base64
import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from analysis.inputs.sessions import Session, open_session
from analysis.inputs.video.videos import VideoSource
from analysis.pages.embedding import page_data, thumbnail_sheets, write_page
from analysis.settings import Settings
from analysis.studies.embedding.study import run
from analysis.studies.embedding.table import run_on_table
from fima.data.datasets import VideoRecord
from fima.evaluation.feature_store import table as feature_table
from fima.evaluation.features import VideoFeatures
from tests.pages import open_page

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


def _data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_the_page_holds_the_map_and_nothing_from_elsewhere(tmp_path):
    study = _study(clips=2)
    study.save(tmp_path)
    page = (tmp_path / "index.html").read_text()
    data = _data_of(page)
    points, drawn = np.array(data["points"]), study.arrays["points"]
    assert points.min() >= 0
    assert points.max() <= 1
    scale = (points.max(axis=0) - points.min(axis=0)) / np.ptp(drawn, axis=0)
    assert scale[0] == pytest.approx(scale[1], abs=1e-3)  # neither axis is stretched
    assert data["neighbors"] == study.arrays["neighbors"].tolist()
    assert study.arrays["neighbors"][:, 0].tolist() == study.arrays["nearest"].tolist()
    assert 'url=index.html"' in (tmp_path / "embedding.html").read_text()
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


@pytest.mark.slow
def test_names_do_no_harm_in_a_browser(tmp_path, browser):
    write_page(tmp_path / "page.html", run(_evil_session()))
    tab, wrong = open_page(browser, tmp_path / "page.html")
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
    tab, wrong = open_page(
        browser, tmp_path / "page.html", viewport={"width": width, "height": 800}, color_scheme=scheme,
        reduced_motion="reduce",
    )  # fmt: skip
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The mouse, over the mark of clip 5: its place as the script computes it.
    x, y = tab.evaluate("at(5)")
    tab.hover("#map", position={"x": x, "y": y})
    shown = tab.locator("#details .name")
    arrays = study.arrays
    near = arrays["neighbors"]
    assert shown.first.text_content() == arrays["video_id"][arrays["video"][5]]
    # The keyboard: from clip to clip, in the order of the data.
    tab.focus("#map")
    tab.keyboard.press("Home")
    for i in range(4):
        ids = [arrays["video_id"][arrays["video"][j]] for j in (i, *near[i])]
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
    tab, wrong = open_page(
        browser, tmp_path / "page.html", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    x, y = tab.evaluate("at(3)")
    tab.locator("#map").tap(position={"x": x, "y": y})
    ids = study.arrays["video_id"][study.arrays["video"]]
    assert tab.locator("#details .name").first.text_content() == ids[3]
    assert wrong == []


def _write_table(path, study_features, ids, labels, names, clips, **about):
    videos = []
    for i, video in enumerate(ids):
        record = VideoRecord(Path("x"), video, labels[i], None if labels[i] is None else names[labels[i]])
        vectors = study_features[i * clips : (i + 1) * clips].astype(np.float32)
        videos.append((VideoFeatures(i, record, {"rgb": vectors}), None))
    pq.write_table(feature_table(videos, "rgb", {"class_names": names, **about}), path)
    return path


@pytest.mark.slow
def test_the_page_of_a_table_in_a_browser(tmp_path, browser):
    rng, ids = np.random.default_rng(0), [f"v{i}" for i in range(8)]
    path = _write_table(tmp_path / "a.parquet", rng.normal(size=(16, 3)), ids, [0, 1] * 4, ["a", "b"], 2)
    write_page(tmp_path / "page.html", run_on_table(path))
    tab, wrong = open_page(browser, tmp_path / "page.html", viewport={"width": 360, "height": 800})
    tab.focus("#map")
    tab.keyboard.press("End")
    assert "clip 2" in tab.locator("#details section").first.inner_text()
    assert tab.locator("#details .picture").count() == 0
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong == []
