"""What every page is made with: its policy, its words, its strips."""

import base64
import hashlib
import math
import re

import numpy as np
import pytest

from analysis.pages.environment import data_address, jpeg_address, render, script_hash, write_page
from analysis.pages.strips import strip
from analysis.pages.words import data_title, listed, number, percent, plural, points, signed, skipped_note

EVIL = '</script><script>alert(1)</script><img src=x onerror=alert(1)>"&'


def _page(**content):
    return render("explorer_page.html", **{"title": "T", "explorer": "", **content})


def test_a_page_names_the_hash_of_every_script_that_it_has_and_allows_nothing_else():
    page = _page(title=EVIL, about=EVIL, warnings=[EVIL], findings=[EVIL], command=EVIL, explorer=EVIL)
    policy = re.search(r'Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert script_hash(scripts[0]) == f"sha256-{digest}"
    assert page.count("<script") == page.count("</script>") == 1
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 7  # title twice


def test_what_was_found_stands_before_everything_else():
    page = _page(findings=["One thing."], warnings=["Mind."], explorer="rest", command="fima-analyze x", created="now")
    places = [page.index(text) for text in ("<h1>T</h1>", "Mind.", "One thing.", "rest", "Made now by <code>fima-an")]
    assert places == sorted(places)
    assert "What may be concluded" not in _page()


def test_a_page_of_any_bytes_is_written_whole(tmp_path):
    write_page(tmp_path / "index.html", "a\udcff é")
    assert (tmp_path / "index.html").read_bytes() == b"a&#56575; \xc3\xa9"
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_data_addresses():
    assert data_address("text/plain", b"ab") == "data:text/plain;base64,YWI="
    assert jpeg_address(np.zeros((8, 8, 3), np.uint8)).startswith("data:image/jpeg;base64,/9j/")


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (number(-0.5), "−0.500"), (number(math.nan), "–"), (signed(0.25), "+0.250"), (signed(-0.0012), "−0.0012"),
        (signed(0.0), "0.000"), (percent(0.125), "12.5"), (percent(math.nan), "–"), (points(-0.04), "−4.0"),
        (plural(1, "video"), "1 video"), (plural(2, "query", "queries"), "2 queries"),
        (listed(["a", "b", "c"], 2), "a, b … (3 in all)"), (data_title("/x/UCF101", "test1"), "UCF101 (test1)"),
        (data_title("shapes:camera,videos=9", None), "shapes:camera"),
    ],
)  # fmt: skip
def test_words(made, text):
    assert made == text


def test_skipped_videos_are_counted():
    assert skipped_note([], "x.csv") == []
    assert skipped_note(["a"], "x.csv") == ["1 video could not be read and is left out: a (reasons in x.csv)."]


def test_a_strip_shows_mean_interval_and_reference_on_the_axis():
    # -1 … 1: 0.25 lies at 62.5 %, the interval from 60 to 75 %, the reference at 87.5 %.
    drawn = strip(0.25, 0.2, 0.5, limits=(-1.0, 1.0), reference=0.75, place=0)
    assert 'x="62.50%"' in drawn
    assert 'x1="60.00%" x2="75.00%"' in drawn
    assert 'x1="87.50%" x2="87.50%"' in drawn
    bare = strip(math.nan, math.nan, math.nan, limits=(-1.0, 1.0), reference=None, place=0)
    assert bare.count("<line") == 1
    assert 'x="100.00%"' in strip(9.0, math.nan, math.nan, limits=(-1.0, 1.0), reference=None, place=1)
