"""The page of a report in a real browser: films, explorer, figures, colors, phone, print, and names that do harm."""

import re

import numpy as np
import pytest

from analysis.report import Report, make_report
from analysis.settings import Settings
from benchmarks.star import moving_shape
from fima.data.transcode.encode import write_video

pytestmark = pytest.mark.slow

EVIL = "<img src=x onerror=alert(1)>"
LABELS = ("random", "random_1")
MEGABYTE = 1e6


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Two untrained backbones, four videos of which all are shown, every measure that applies."""
    folder = tmp_path_factory.mktemp("report")
    videos = []
    for i in range(4):
        videos.append(folder / f"{EVIL if i == 0 else f'clip {i}'}.mp4")
        frames = moving_shape(i, num_frames=48, height=120, width=160).frames
        write_video(videos[-1], [frame.transpose(1, 2, 0) for frame in frames], fps=25)
    settings = Settings(video=tuple(map(str, videos)), show=4, steps=1)
    return make_report(Report(settings, ("random", "random:1"), (), folder / "out")).index


@pytest.fixture
def tab(browser, report):
    """Opens the page; at the end nothing may have gone wrong on it or left it."""
    contexts, wrong, allowed = [], [], ("data:", report.as_uri())

    def open_(**context):
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}))
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda ask: None if ask.url.startswith(allowed) else wrong.append(ask.url))
        page.goto(report.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def test_the_page_is_one_file_of_bounded_size(report):
    assert report.stat().st_size < 15 * MEGABYTE
    text = report.read_text()
    assert not re.findall(r'<(?:img|video|script|iframe|source)[^>]* src="(?!data:)', text)
    assert "<link" not in text.replace('<link rel="icon" href="data:,">', "")


def test_everything_in_it_is_there_and_has_a_text(tab):
    page = tab()
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    told = "images => images.map(i => [i.naturalWidth > 700, i.alt])"
    pictures = page.eval_on_selector_all(".figure img:not(.photos)", told)
    assert len(pictures) >= 10
    assert all(shown and alt for shown, alt in pictures)
    for title in ("What may be concluded", "Against random, on the same videos", "Where the features are strong",
                  "Does a patch match its own motion?", "Each measure"):  # fmt: skip
        assert page.get_by_role("heading", name=title, exact=True).count() == 1
    for left_out in ("localize", "embedding"):
        assert page.locator(f"#{left_out} .out").count() == 1
    for target in page.eval_on_selector_all("a[href^='#']", "links => links.map(a => a.getAttribute('href'))"):
        assert page.locator(target).count() == 1
    assert page.locator("#differences tbody tr").count() > 20
    assert page.locator("details[open]").count() == 0


@pytest.mark.parametrize(("width", "height", "held"), [(1400, 900, "#forest table"), (390, 844, "#findings li")])
def test_the_first_screen_says_what_was_found(tab, width, height, held):
    page = tab(viewport={"width": width, "height": height})
    title, findings, shown = (page.locator(what).first.bounding_box() for what in ("h1", "#findings", held))
    assert title["y"] < findings["y"] < shown["y"] + 1
    assert shown["y"] + shown["height"] <= height
    assert 1 <= page.locator("#findings li").count() <= 6
    for row in page.locator("#forest tr:not(.group) .difference").all():
        assert row.is_visible()
        assert re.search(r"\[[+−]?\d", row.text_content())


def test_better_lies_right_of_zero(tab):
    page = tab()
    for word, side in (("better", 1), ("worse", -1)):
        for row in page.locator(f"#forest tr.{word}").all():
            assert row.locator("b").text_content() == word
            zero, mean = (row.locator(what).first.bounding_box() for what in (".axis-strip .chance", ".axis-strip svg"))
            assert side * (mean["x"] + mean["width"] / 2 - zero["x"]) > 0
    assert page.locator("#forest .difference b").count() == page.locator("#forest tr.better, #forest tr.worse").count()


def test_a_name_does_no_harm(tab):
    page = tab()
    assert page.locator(".clip figcaption").first.text_content() == EVIL
    assert page.locator('img[src="x"]').count() == 0
    assert EVIL in page.locator("#explorer .fx-clips button").first.text_content()


def test_films_play_stop_and_move_together(tab):
    page = tab()
    assert page.locator(".clip").count() == 4
    clip = page.locator(".clip").nth(1)
    assert clip.locator("video").count() == 1 + len(LABELS)
    clip.evaluate(
        "figure => Promise.all([...figure.querySelectorAll('video')].map(v => v.readyState > 1 ||"
        " new Promise(done => v.addEventListener('loadeddata', done))))"
    )
    sizes = clip.evaluate("figure => [...figure.querySelectorAll('video')].map(v => [v.videoWidth, v.videoHeight])")
    assert sizes == [[224, 224], [452, 224], [452, 224]]
    button, slider = clip.get_by_role("button"), clip.get_by_role("slider")
    # Seek: all films to the middle of frame 5, the time of that frame beside the slider.
    slider.fill("5")
    fps = 12.5
    assert _times(clip) == pytest.approx([5.5 / fps] * 3, abs=1e-3)
    assert re.fullmatch(r"\d\.\d\d s", clip.locator("output").text_content())
    slider.press("ArrowRight")
    assert _times(clip) == pytest.approx([6.5 / fps] * 3, abs=1e-3)
    # Play: they run, past the end and over again, never far apart for long.
    button.click()
    assert button.text_content() == "Pause"
    together = (
        "figure => new Promise(done => {"
        " const films = [...figure.querySelectorAll('video')], first = films[0].currentTime;"
        " const look = () => { const t = films.map(v => v.currentTime);"
        " const near = Math.max(...t) - Math.min(...t) < 0.12, moved = Math.abs(t[0] - first) > 0.1;"
        " near && moved ? done(t) : requestAnimationFrame(look) };"
        " look(); })"
    )
    for _ in range(5):
        clip.evaluate(together)
    assert clip.evaluate("figure => [...figure.querySelectorAll('video')].every(v => !v.paused)")
    # Pause: exactly the same frame.
    button.click()
    times = _times(clip)
    assert times == pytest.approx([times[0]] * 3, abs=1e-3)
    assert clip.evaluate("figure => [...figure.querySelectorAll('video')].every(v => v.paused)")
    # All at once.
    page.get_by_role("button", name="Play all").click()
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => !v.paused)")
    page.get_by_role("button", name="Pause all").click()
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => v.paused)")


def _times(clip):
    return clip.evaluate("figure => [...figure.querySelectorAll('video')].map(v => v.currentTime)")


def _redrawn(page):
    """Clicks are answered at the next redraw."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_the_explorer_shows_the_saved_affinities(tab, report):
    page = tab()
    explorer = page.locator(".fima-explorer")
    assert explorer.count() == 1
    explorer.locator(".fx-clips button").nth(2).click()
    _redrawn(page)
    row, column = map(int, re.findall(r"\d+", explorer.locator("[data-part=patch]").text_content()))
    panels = explorer.locator(".fx-maps .fx-panel")
    assert panels.count() == 2
    for at, label in enumerate(LABELS):
        with np.load(report.parent / label / "affinity.npz") as arrays:
            matrix = arrays["example_affinity"][2]
            width = int(arrays["grid"][1])
        shown = panels.nth(at).locator("dd").all_text_contents()
        patch = row * width + column
        assert float(shown[0].replace("−", "-")) == pytest.approx(matrix[patch, patch], abs=6e-4)
        assert float(shown[1].replace("−", "-")) == pytest.approx(matrix[patch].max(), abs=6e-4)


def test_a_figure_of_each_checkpoint_alone(tab):
    page = tab()
    section = page.locator("#attribution")
    section.locator("summary").first.click()
    panels = section.locator(".panel")
    assert [panels.nth(i).is_visible() for i in range(2)] == [True, False]
    section.locator(".choices label").nth(1).click()
    assert [panels.nth(i).is_visible() for i in range(2)] == [False, True]
    section.locator(".choices input").nth(1).focus()
    page.keyboard.press("ArrowLeft")
    assert [panels.nth(i).is_visible() for i in range(2)] == [True, False]
    sources = panels.locator("img:not(.photos)").evaluate_all("images => images.map(image => image.src)")
    assert sources[0] != sources[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_follow_the_system_until_the_button_is_pressed(tab, scheme):
    page = tab(color_scheme=scheme)
    assert _is_dark(page) == (scheme == "dark")
    page.locator("#theme").focus()
    page.keyboard.press("Enter")
    assert _is_dark(page) == (scheme == "light")
    page.keyboard.press("Enter")
    assert _is_dark(page) == (scheme == "dark")


def _is_dark(page):
    """Whether ink is lighter than paper, on the page and in the explorer."""
    ink, paper, explorer = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('.fima-explorer')).color]"
    )
    bright = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in (ink, paper, explorer)]
    assert bright[0] == bright[2]
    return bright[0] > bright[1]


@pytest.mark.parametrize("width", [360, 390, 800])
def test_nothing_is_wider_than_the_window(tab, width):
    page = tab(viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper(tab, tmp_path):
    page = tab(color_scheme="dark")
    file = tmp_path / "report.pdf"
    page.pdf(path=file, format="A4", print_background=True)
    assert len(re.findall(rb"/Type /Page\b", file.read_bytes())) > 5
    page.emulate_media(media="print")
    assert not _is_dark(page)
    for hidden in (".players", ".choices", "#theme", ".fima-explorer"):
        assert not page.locator(hidden).first.is_visible()
    for name in ("#attribution", "#sensitivity"):
        assert all(panel.is_visible() for panel in page.locator(f"{name} .panel").all())
