"""The documentation as a site: built strictly, and read without a network."""

import os
import re
import subprocess
import sys

import pytest

from tests.pages import open_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(repo_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    done = subprocess.run(command, cwd=repo_dir, capture_output=True, text=True,
                          env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_the_documentation_is_in_it(site, repo_dir):
    pages = {path.stem for path in site.glob("*.html")} - {"404"}
    assert pages == {"index", "CONTRIBUTING", *(path.stem for path in (repo_dir / "docs").glob("[!R]*.md"))}
    reference = "".join(path.read_text() for path in (site / "api").glob("*.html"))
    for name in ("analysis.face.run", "analysis.measures.affinity.spatial_affinity", "fima.checkpoints.load_backbone"):
        assert f'id="{name}"' in reference


def test_nothing_is_loaded_from_elsewhere(site):
    for path in (path for path in site.rglob("*.html") if path.name != "404.html"):
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*src="([^"]+)"|<link[^>]*rel="stylesheet"[^>]*href="([^"]+)"',
                            path.read_text())  # fmt: skip
        for address in filter(None, (one for pair in loaded for one in pair)):
            assert not address.startswith(("http:", "https:", "//")), (path.name, address)
            if not address.startswith("data:"):
                assert (path.parent / address.partition("?")[0]).exists(), (path.name, address)


def test_it_is_read_and_searched_from_the_file(site, browser):
    tab, wrong = open_page(browser, site / "tour.html", viewport={"width": 1400, "height": 900})
    assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    search = tab.locator(".md-search__input")
    search.click()
    search.press_sequentially("affinity")
    tab.locator(".md-search-result__item").first.wait_for(state="attached", timeout=60_000)
    assert wrong == []
