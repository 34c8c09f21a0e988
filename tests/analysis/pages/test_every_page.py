"""What holds for every page, in a browser: the first screen, contrast, targets, keyboard, paper, size."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.cli import main
from analysis.pages.environment import write_page
from tests.analysis.downstream.test_study import made_report
from tests.analysis.reproduction.test_table import made_reproduction
from tests.pages import open_page

pytestmark = pytest.mark.slow

DESK, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
PAPER = {"width": 688, "height": 1017}  # A4 without its margins, in CSS pixels
SMALL = ["--num-frames", "8", "--size", "32"]
NAMES = ("compare", "report", "gallery", "embed", "bias", "downstream", "reproduction", "explore")

CHECKS = Path(__file__).with_name("checks.js").read_text(encoding="utf-8").strip()


def _wrong(tab, check: str) -> list[str]:
    return tab.evaluate(f"{CHECKS}.{check}()")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    from analysis.downstream.page import write_report

    folder = tmp_path_factory.mktemp("pages")
    drawn, pair = ["--data", "shapes:camera,videos=4,size=64", "--split", "test"], ["--ckpt", "tiny-vd", "tiny-fima"]
    commands = {
        "compare": [*pair, *drawn, *SMALL],
        "report": [*pair, *drawn, *SMALL, "--measure", "cam", "affinity", "sensitivity"],
        "gallery": ["--data", "shapes:camera,videos=12,size=64", "--queries", "3", "--clips", "1"],
        "embed": ["--data", "shapes:camera,videos=12,size=64", *SMALL],
        "bias": ["--ckpt", "random", "tiny-vd", "tiny-fima", "--videos", "20", "20", *SMALL],
        "explore": ["--ckpt", "tiny-vd", "tiny-fima", *SMALL],
    }
    for name, words in commands.items():
        assert main([name, *words, "--out", str(folder / name)]) == 0
    (folder / "downstream").mkdir()
    write_report(folder / "downstream", made_report(folder))
    (folder / "reproduction").mkdir()
    write_page(folder / "reproduction" / "index.html", made_reproduction(folder / "reproduction"))
    return {name: folder / name / "index.html" for name in NAMES}


@pytest.fixture(params=NAMES)
def page(request, pages) -> Path:
    return pages[request.param]


def test_the_first_screen_says_what_was_found(page, browser):
    tab, wrong = open_page(browser, page, viewport=DESK)
    assert tab.locator("h1").inner_text()
    if page.parent.name != "explore":  # what it finds depends on the patch that is pointed at
        assert 1 <= tab.locator("#findings li").count() <= 6
        assert tab.locator("#findings").bounding_box()["y"] < 300
    if page.parent.name not in ("embed", "explore"):  # those compare nothing
        box = tab.locator("#forest table").bounding_box()
        # The untrained twin doubles the rows of a comparison of two, which then begins there.
        share = 0.5 if page.parent.name == "compare" else 1
        assert box["y"] + share * box["height"] <= DESK["height"]
    tab.set_viewport_size(PHONE)
    assert tab.locator("#findings li, .fima-explorer").first.bounding_box()["y"] < PHONE["height"]
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_and_targets_hit(page, browser, scheme):
    tab, wrong = open_page(browser, page, viewport=PHONE, color_scheme=scheme)
    for details in tab.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    assert _wrong(tab, "contrast") == []
    assert _wrong(tab, "targets") == []
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong == []


def test_the_difference_and_its_interval_are_seen_on_a_phone(page, browser):
    tab, _ = open_page(browser, page, viewport=PHONE)
    for row in tab.locator("#forest tbody tr:not(.group)").all():
        for part in ("difference", "drawn"):
            box = row.locator(f".{part}").bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= PHONE["width"]


def test_the_keyboard_reaches_everything_and_shows_where_it_is(page, browser):
    tab, wrong = open_page(browser, page, viewport=DESK)
    reachable = tab.evaluate(
        "[...document.querySelectorAll('a[href], button, select, summary, input, [tabindex=\"0\"]')]"
        ".filter(one => one.checkVisibility() && one.tabIndex >= 0 && !one.disabled && one.type !== 'radio').length"
    )
    reached = set()
    for _ in range(reachable + 20):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        focus = "[getComputedStyle(document.activeElement).outlineStyle, document.activeElement.tagName]"
        outline, tag = tab.evaluate(focus)
        assert tag == "BODY" or outline != "none" or tab.evaluate("document.activeElement.type === 'radio'"), tag
    assert len(reached) >= reachable
    assert wrong == []


def test_paper_loses_no_column(page, browser):
    tab, wrong = open_page(browser, page, viewport=PAPER)
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert _wrong(tab, "beyond") == []
    assert tab.evaluate("[...document.querySelectorAll('details')].every(one => one.open)")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert wrong == []


def test_a_dark_page_has_no_white_slab(page, browser):
    tab, wrong = open_page(browser, page, viewport=DESK, color_scheme="dark")
    sheets = tab.locator(".sheet:visible")
    for details in tab.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    for place in range(min(sheets.count(), 3)):
        picture = np.asarray(Image.open(io.BytesIO(sheets.nth(place).screenshot())).convert("L"))
        assert np.median(np.concatenate([picture[8:12, 8:-8].ravel(), picture[-12:-8, 8:-8].ravel()])) < 40
        # Photographs keep their colors: they are not turned with the paper.
        shown = sheets.nth(place).get_attribute("data-photos")
        assert sheets.nth(place).locator(".photos").count() == (shown != "[]")
    assert wrong == []


def test_a_page_is_not_too_large(page):
    assert page.stat().st_size < 15e6
