"""The explorer draws the numbers it was given: in Python up to half a step, in a browser to the pixel."""

import argparse
import base64
import html
import io
import json
import re
import shutil
from time import monotonic

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from analysis.commands import explore
from analysis.inputs.video.clips import to_batch
from analysis.measures.affinity import affinity_scores, spatial_affinity, spatial_affinity_slices
from analysis.pages.explorer import (
    ExplorerClip,
    ExplorerView,
    clips_from_session,
    explore_sessions,
    explorer_fragment,
    explorer_page,
    open_sessions,
    script_hash,
)
from analysis.pages.explorer.encoding import color_limits, dequantize, encode_clips, palette, quantize
from analysis.settings import Settings
from analysis.studies import open_session
from fima.errors import InputError
from tests.pages import open_page

EVIL = "<img src=x onerror=alert(1)>.mp4"
SMALL = {"num_frames": 8, "size": 56}


def _clip(name="clip", grid=(3, 3), slices=2, checkpoints=("first", "second"), seed=0, **changes):
    rng = np.random.default_rng(seed)
    cells = int(np.prod(grid))
    affinity = {c: rng.uniform(-0.6, 0.9, (slices, cells, cells)).astype(np.float32) for c in checkpoints}
    whole = {
        "rgb": rng.integers(0, 256, (slices, 48, 48, 3), dtype=np.uint8),
        "motion": np.full((slices, 48, 48), 128, np.uint8),
        "affinity": affinity,
        "mean": {c: array.mean(axis=0) for c, array in affinity.items()},
        "grid": grid,
        "frame_seconds": [0.5 * i for i in range(slices)],
    }
    return ExplorerClip(name=name, **(whole | changes))


def _array(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


# Encoding


@given(arrays(np.float64, array_shapes(max_dims=3), elements=st.floats(-1, 1)))
def test_a_value_comes_back_up_to_half_a_step(values):
    codes, low, step = quantize(values)
    assert codes.dtype == np.uint8
    assert 0 < step <= 2 / 255 < 1 / 127
    assert np.abs(dequantize(codes, low, step) - values).max() <= step / 2 + 1e-12


def test_the_ends_of_the_range_come_back_exactly():
    codes, low, step = quantize(np.array([-1.0, 0.0, 1.0]))
    assert codes.tolist() == [0, 128, 255]
    np.testing.assert_allclose(dequantize(codes, low, step)[[0, 2]], [-1, 1], atol=1e-15)


def test_what_is_encoded_is_the_clip():
    clip = _clip(grid=(2, 3), slices=3)
    told = encode_clips([clip])
    assert told["checkpoints"] == ["first", "second"]
    encoded = told["clips"][0]
    assert encoded["grid"] == [2, 3]
    for name, maps in zip(clip.checkpoints, encoded["maps"], strict=True):
        exact = np.concatenate([clip.mean[name][None], clip.affinity[name]])
        values = dequantize(_array(maps["codes"], np.uint8), maps["low"], maps["step"]).reshape(4, 6, 6)
        assert np.abs(values - exact).max() <= maps["step"] / 2 + 1e-9
        assert _array(maps["best"], "<u2").tolist() == exact.argmax(axis=2).ravel().tolist()
        assert _array(maps["ties"], "<u2").tolist() == [1] * 24
        np.testing.assert_array_equal(_array(maps["own"], "<f4").reshape(4, 6), exact[:, range(6), range(6)])
        np.testing.assert_array_equal(_array(maps["top"], "<f4").reshape(4, 6), exact.max(axis=2))
    pictures = [np.array(Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2])))) for text in encoded["rgb"]]
    assert [picture.shape for picture in pictures] == [(48, 48, 3)] * 4
    np.testing.assert_array_equal(pictures[0], pictures[2])  # the average shows the middle frame


def _rows(seed=0, slices=2, cells=9):
    """Attention in shares of an even spread, far from even."""
    drawn = np.random.default_rng(seed).exponential(size=(1 + slices, cells, cells)) ** 2
    return drawn / drawn.mean(axis=2, keepdims=True)


def test_attention_is_encoded_on_a_scale_that_all_clips_share():
    rows = {seed: _rows(seed) for seed in (0, 1)}
    clips = [_clip("a", attention={"second": rows[0]}), _clip("b", attention={"first": rows[1]})]
    told = encode_clips(clips)
    most = told["attention"]["most"]
    assert most == pytest.approx(max(np.quantile(one, 0.999) for one in rows.values()))
    assert [[kept is None for kept in clip["attention"]] for clip in told["clips"]] == [[True, False], [False, True]]
    encoded = told["clips"][0]["attention"][1]
    drawn = dequantize(_array(encoded["codes"], np.uint8), encoded["low"], encoded["step"]).reshape(3, 9, 9)
    expected = np.log(np.clip(rows[0], 1, most)) / np.log(most)
    assert np.abs(drawn - expected).max() <= 0.5 / 255 + 1e-9
    np.testing.assert_array_equal(_array(encoded["top"], "<f4").reshape(3, 9), rows[0].max(axis=2).astype(np.float32))
    assert encode_clips([_clip()])["attention"] is None


def test_rounding_makes_no_ties_and_true_ties_count():
    matrix = np.full((4, 4), 0.5, np.float32)
    matrix[0] = [0.5, 0.5 + 1e-6, -1, 1 - 2e-6]  # far closer than a step
    matrix[1] = [0.7, 0.2, 0.7, 0.1]
    matrix[2] = [0.9, 0.1, 0.9, 0.9]
    clip = _clip(grid=(2, 2), slices=1, checkpoints=("only",), affinity={"only": matrix[None]}, mean={"only": matrix})
    maps = encode_clips([clip])["clips"][0]["maps"][0]
    assert _array(maps["best"], "<u2").tolist()[:4] == [3, 0, 2, 3]  # among equals the same place, else the first
    assert _array(maps["ties"], "<u2").tolist()[:4] == [1, 2, 3, 4]


def test_the_colors_of_all_clips_share_their_limits():
    low, high = _clip(seed=1), _clip(seed=2)
    wide = max(clip.limits[1] for clip in (low, high)), min(clip.limits[0] for clip in (low, high))
    limits = color_limits([low, high])
    assert limits[0] <= wide[1] < limits[0] + 0.01
    assert limits[1] - 0.01 < wide[0] <= limits[1]
    constant = {"only": np.full((1, 4, 4), 0.25, np.float32)}
    flat = _clip(grid=(2, 2), slices=1, affinity=constant, mean={"only": constant["only"][0]})
    assert color_limits([flat]) == (0.25, 0.26)
    expected = np.round(np.array(mpl.colormaps["viridis"].colors) * 255)
    assert np.abs(palette() - expected).max() <= 1


def test_it_begins_where_the_motion_is():
    motion = np.zeros((2, 48, 48), np.uint8)
    motion[1, 32:, 16:32] = 200
    assert _clip(motion=motion).most_moving == 7


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rgb": np.zeros((2, 48, 40, 3), np.uint8)}, "rgb must be uint8"),
        ({"motion": np.zeros((3, 48, 48), np.uint8)}, "motion must be uint8"),
        (
            {"affinity": {"first": np.zeros((2, 8, 9)), "second": np.zeros((2, 9, 9))}},
            "affinity of first must be (2, 9, 9)",
        ),
        ({"grid": (0, 9)}, "grid must be (H', W')"),
        ({"mean": {}}, "same checkpoints"),
        ({"mean": {"first": np.full((9, 9), np.nan), "second": np.zeros((9, 9))}}, "must lie in [-1, 1]"),
        ({"frame_seconds": [1.0]}, "frame_seconds must be 2"),
        ({"attention": {"first": np.ones((2, 9, 9))}}, "attention of first must be (3, 9, 9)"),
        ({"attention": {"first": -np.ones((3, 9, 9))}}, "and not negative"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(changes, words):
    with pytest.raises(InputError, match=re.escape(words)):
        _clip(**changes)


def test_clips_of_different_checkpoints_are_refused():
    with pytest.raises(InputError, match="same checkpoints"):
        explorer_fragment([_clip(), _clip(checkpoints=("first",))])
    with pytest.raises(InputError, match="at least one clip"):
        explorer_fragment([])


# Markup


def test_a_fragment_is_its_own():
    fragment = explorer_fragment([_clip(EVIL)], title=EVIL)
    assert "<img" not in fragment
    assert html.escape(EVIL, quote=False) in fragment.replace("&#34;", '"')
    assert not re.search(r"\sid=|https?:|src=[\"']?h", fragment)
    assert fragment.count("<script") == fragment.count("</script>") == 2
    script = re.search(r"<script>(.*?)</script>", fragment, re.S)[1]
    for line in re.findall(r"^[^{}@\n][^{}\n]*\{", re.search(r"<style>(.*?)</style>", fragment, re.S)[1], re.M):
        assert all(part.strip().startswith((".fima-explorer", "@")) for part in line[:-1].split(",")), line
    assert script.startswith("(() => {")
    assert script.endswith("})();")
    told = json.loads(re.search(r'data-part="data">(.*?)</script>', fragment, re.S)[1])
    assert told["clips"][0]["name"] == EVIL


def test_the_page_lets_only_its_script_run():
    page = explorer_page([_clip()], title=EVIL, warnings=[EVIL], about=EVIL, command=EVIL)
    assert f"script-src &#39;{script_hash()}&#39;" in page or f"script-src '{script_hash()}'" in page
    assert "default-src 'none'" in page
    assert "<img" not in page


def test_a_notebook_shows_the_page_in_a_frame():
    shown = ExplorerView([_clip()], title="A title")._repr_html_()
    inside = html.unescape(re.search(r'srcdoc="([^"]*)"', shown)[1])
    assert inside == explorer_page([_clip()], title="A title")
    assert 'sandbox="allow-scripts"' in shown


# From videos


def test_a_clip_of_a_session_is_the_measure():
    session = open_session(Settings(**SMALL))
    clip = clips_from_session(session)[0]
    features = session.extractor(to_batch(list(session.stream())))
    slices = spatial_affinity_slices(features.rgb, features.motion)[0].numpy()
    np.testing.assert_allclose(clip.affinity["tiny-fima"], slices, atol=1e-6)
    mean = spatial_affinity(features.rgb, features.motion)
    np.testing.assert_allclose(clip.mean["tiny-fima"], mean[0].numpy(), atol=1e-6)
    assert clip.rgb.shape == (len(slices), 224, 224, 3)
    told = encode_clips([clip])["clips"][0]["maps"][0]
    cells = clip.grid[0] * clip.grid[1]
    own, top = (_array(told[name], "<f4")[:cells] for name in ("own", "top"))
    credit = (own == top) / _array(told["ties"], "<u2")[:cells]
    assert credit.mean() == pytest.approx(float(affinity_scores(mean)["top1_agreement"]), abs=1e-6)


def test_checkpoints_see_the_same_clips():
    settings = Settings(data="shapes:camera,videos=3,size=56", split="test", show=2, clips=2, **SMALL)
    sessions = open_sessions(settings, ["tiny-vd", "random:3"], ["one", "two"])
    seen = []
    explored = explore_sessions(sessions, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    assert explored.skipped == {}
    assert len({clip.name for clip in explored.clips}) == 4
    alone = clips_from_session(open_session(Settings(**{**settings.changed(), "ckpt": "tiny-vd"})), name="one")
    for both, one in zip(explored.clips, alone, strict=True):
        assert both.checkpoints == ["one", "two"]
        np.testing.assert_array_equal(both.affinity["one"], one.affinity["one"])
        assert np.abs(both.affinity["one"] - both.affinity["two"]).max() > 0.01
    saved = explored.arrays()
    assert saved["affinity"].shape[:2] == (4, 2)
    np.testing.assert_array_equal(saved["affinity"][3, 1], explored.clips[3].affinity["two"])


def test_different_clips_and_feature_maps_are_refused():
    with pytest.raises(InputError, match="give one for each"):
        open_sessions(Settings(), ["tiny-vd"], ["a", "b"])
    sessions = open_sessions(Settings(**SMALL), ["tiny-vd", "tiny-fima"])
    other = open_session(Settings(num_frames=8, size=112))
    with pytest.raises(InputError, match="different feature maps"):
        explore_sessions({"small": sessions["tiny-vd"], "large": other})


def _run(*words):
    parser = argparse.ArgumentParser()
    explore.add_arguments(parser)
    return explore.run(parser.parse_args(words))


def test_the_command_writes_page_and_arrays(tmp_path, capsys):
    small = ("--num-frames", "8", "--size", "56")
    assert _run("--ckpt", "tiny-vd", "random", *small, "--out", str(tmp_path)) == 0
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["explore.npz", "index.html"]
    assert str(tmp_path / "index.html") in capsys.readouterr().out
    page = (tmp_path / "index.html").read_text()
    assert "Untrained weights: untrained." in page
    assert "fima-analyze explore --num-frames 8 --size 56 --ckpt tiny-vd random" in page
    with np.load(tmp_path / "explore.npz") as saved:
        assert saved["checkpoint"].tolist() == ["tiny-vd", "untrained"]


def test_a_broken_video_of_a_data_set_is_left_out(tmp_path, clips_dir):
    data = tmp_path / "data" / "a class"
    data.mkdir(parents=True)
    (data / EVIL).write_bytes(b"no video")
    shutil.copy(clips_dir / "dog.mp4", data / "dog.mp4")
    assert _run("--data", str(tmp_path / "data"), "--num-frames", "8", "--out", str(tmp_path / "out")) == 3
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Could not be read and left out" in page
    assert "<img" not in page


# In a browser


def _open(browser, path, page, **context):
    """The page, and a list that collects whatever goes wrong on it or leaves it."""
    path.write_text(page)
    tab, wrong = open_page(browser, path, **context)
    _settle(tab)
    return tab, wrong


def _settle(tab):
    """Wait for pictures and two redraws."""
    tab.evaluate(
        "new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 60))"
    )


def _until(tab, condition):
    """Wait until it holds; written out because the page lets no text become code."""
    tab.evaluate(
        "new Promise((done, fail) => { const start = Date.now(); const look = () => { "
        f"if ({condition}) done(); else if (Date.now() - start > 20000) fail(new Error('waited in vain')); "
        "else setTimeout(look, 50); }; look(); })"
    )


def _ask(tab, what, root=0):
    return tab.evaluate(f"document.querySelectorAll('.fima-explorer')[{root}].fimaExplorer.{what}")


def _over(tab, row, column, grid, part="rgb", act="move", root=0):
    """Move to (or click, tap) the middle of a cell."""
    canvas = tab.locator(f".fima-explorer >> nth={root} >> [data-part={part}]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x = box["x"] + (column + 0.5) * box["width"] / grid[1]
    y = box["y"] + (row + 0.5) * box["height"] / grid[0]
    {"move": tab.mouse.move, "click": tab.mouse.click, "tap": tab.touchscreen.tap}[act](x, y)
    _settle(tab)


_COPY = """const copy = (canvas) => {
  const made = document.createElement('canvas');
  [made.width, made.height] = [canvas.width, canvas.height];
  const pen = made.getContext('2d', { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  return pen;
};"""
_PIXELS = (
    f"""(index) => {{ {_COPY}"""
    + """
  const canvas = document.querySelectorAll('.fx-maps .fx-frame')[index];
  const [rows, columns] = JSON.parse(document.querySelector('[data-part=data]').textContent).clips[0].grid;
  const pen = copy(canvas), out = [];
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++)
    out.push([...pen.getImageData((c + 0.16) * canvas.width / columns, (r + 0.16) * canvas.height / rows, 1, 1).data]);
  return out;
}"""
)  # off the middle, where rings and lines are


def _colors_of(values, limits):
    levels = np.rint(255 * np.clip((np.asarray(values) - limits[0]) / (limits[1] - limits[0]), 0, 1)).astype(int)
    return palette()[levels].astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hovering_draws_the_row_of_the_matrix(tmp_path, browser, scheme):
    clips = [_clip("a", (4, 5), 3), _clip("b", (4, 5), 3, seed=5)]
    tab, wrong = _open(browser, tmp_path / "page.html", explorer_page(clips), color_scheme=scheme)
    tab.locator("[data-part=opacity]").fill("100")
    limits = color_limits(clips)
    assert _ask(tab, "state()")["limits"] == pytest.approx(limits)
    for row, column, time in [(0, 0, 0), (3, 4, 1), (1, 2, 3)]:
        tab.locator(f"[data-part=times] button[data-value='{time}']").click()
        _over(tab, row, column, (4, 5))
        patch = 5 * row + column
        for index, name in enumerate(clips[0].checkpoints):
            exact = (clips[0].mean[name] if time == 0 else clips[0].affinity[name][time - 1])[patch]
            drawn = np.array(_ask(tab, f"row({index})"))
            assert np.abs(drawn - exact).max() <= 1 / 255 + 1e-6
            pixels = np.array(tab.evaluate(_PIXELS, index))
            found = _ask(tab, f"facts({index})")
            clear = sorted(set(range(20)) - _near_line(found, (4, 5)))  # where no mark is drawn
            assert len(clear) >= 8
            assert np.abs(pixels[clear, :3] - _colors_of(drawn, limits)[clear]).max() <= 2
            best = int(exact.argmax())
            assert (found["best"], found["row"], found["column"]) == (best, best // 5, best % 5)
            assert found["verdict"] == ("right" if best == patch else "wrong")
            assert found["own"] == pytest.approx(float(exact[patch]))
            panel = tab.locator(".fx-maps .fx-panel").nth(index).inner_text()
            assert f"row {best // 5}, col {best % 5}" in panel
            assert f"{exact[best]:.3f}".replace("-", "−") in panel
    assert wrong == []


def _near_line(found, grid):
    """Cells that the line from the same place to the best match may cross."""
    start = np.array(divmod(found["patch"], grid[1]), dtype=float)
    end = np.array([found["row"], found["column"]], dtype=float)
    places = start + np.linspace(0, 1, 100)[:, None] * (end - start)
    wide = [
        np.rint(places + np.array([down, right])).astype(int) for down in (-0.4, 0, 0.4) for right in (-0.4, 0, 0.4)
    ]
    return {int(row * grid[1] + column) for row, column in np.concatenate(wide)}


@pytest.mark.slow
def test_the_best_match_is_ringed(tmp_path, browser):
    matrix = np.full((9, 9), -0.5, np.float32)
    matrix[0, 8] = 0.5
    clip = _clip(slices=1, checkpoints=("only",), affinity={"only": matrix[None]}, mean={"only": matrix})
    tab, wrong = _open(browser, tmp_path / "page.html", explorer_page([clip]))
    _over(tab, 0, 0, (3, 3))
    white = tab.evaluate(
        f"""() => {{ {_COPY}"""
        + """
      const canvas = document.querySelector('.fx-maps .fx-frame'), cell = canvas.width / 3;
      const pen = copy(canvas);
      const ringed = (row, column) => { const x = (column + 0.5) * cell + 0.32 * cell, y = (row + 0.5) * cell;
        return Math.min(...pen.getImageData(x, y, 1, 1).data.slice(0, 3)) > 200; };
      return [0, 1, 2, 3, 4, 5, 6, 7, 8].filter((i) => ringed(Math.floor(i / 3), i % 3));
    }"""
    )
    assert white == [8]
    assert "off by\n2.8 cells (2 down, 2 right)" in tab.locator(".fx-read").inner_text()
    assert "best match is elsewhere" in tab.locator(".fx-verdict").inner_text()
    assert not tab.locator("[data-part=time-field]").is_visible()  # one slice, one checkpoint, one clip
    assert not tab.locator("[data-part=checkpoint-field]").is_visible()
    assert not tab.locator("[data-part=clips]").is_visible()
    assert wrong == []


@pytest.mark.slow
def test_keyboard_pin_and_switches(tmp_path, browser):
    clips = [_clip("a"), _clip(EVIL, seed=4)]
    tab, wrong = _open(browser, tmp_path / "page.html", explorer_page(clips, title=EVIL), reduced_motion="reduce")
    tab.locator("[data-part=rgb]").focus()
    for key in ("Home", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowRight", "ArrowDown", "PageDown", "Enter"):
        tab.keyboard.press(key)
    state = _ask(tab, "state()")
    assert [state[name] for name in ("row", "column", "time", "pinned")] == [1, 1, 1, True]
    _over(tab, 2, 2, (3, 3))  # pinned: a mouse that passes changes nothing
    assert _ask(tab, "state()")["row"] == 1
    _over(tab, 2, 2, (3, 3), act="click")  # a click moves the pin, another lets go
    assert [_ask(tab, "state()")[name] for name in ("row", "column", "pinned")] == [2, 2, True]
    _over(tab, 2, 2, (3, 3), act="click")
    assert not _ask(tab, "state()")["pinned"]
    tab.keyboard.press("Enter")
    tab.keyboard.press("Escape")
    assert not _ask(tab, "state()")["pinned"]
    _until(tab, "document.querySelector('[data-part=status]').textContent.startsWith('Row 2, column 2')")
    tab.get_by_role("button", name="second", exact=True).click()
    _settle(tab)
    assert _ask(tab, "state()")["checkpoints"] == ["second"]
    assert tab.locator(".fx-maps .fx-panel:visible").count() == 1
    tab.locator("[data-part=clips] button").nth(1).click()
    _settle(tab)
    assert _ask(tab, "state()")["name"] == EVIL
    assert tab.locator("[data-part=clips] button").nth(1).inner_text().strip() == EVIL
    tab.locator("[data-part=limits] button").nth(1).click()
    _settle(tab)
    assert _ask(tab, "state()")["limits"] == [-1, 1]
    assert tab.locator("[data-part=ticks]").inner_text().split() == ["−1.00", "0.00", "1.00"]
    assert not tab.locator(".fx-play").is_visible()  # motion is unwanted
    assert wrong == []


@pytest.mark.slow
def test_slices_play_and_stop(tmp_path, browser):
    tab, wrong = _open(browser, tmp_path / "page.html", explorer_page([_clip(slices=4)]))
    play = tab.get_by_role("button", name="Play the slices")
    play.click()
    _until(tab, "document.querySelector('.fima-explorer').fimaExplorer.state().time === 2")
    play.click()
    assert play.get_attribute("aria-pressed") == "false"
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_finger_on_a_phone(tmp_path, browser, scheme):
    clips = [
        _clip("a long name of a clip that goes on " * 3, seed=i, checkpoints=("x" * 40, "y", "z")) for i in range(5)
    ]
    tab, wrong = _open(
        browser, tmp_path / "page.html", explorer_page(clips), viewport={"width": 390, "height": 844},
        has_touch=True, is_mobile=True, color_scheme=scheme, device_scale_factor=3,
    )  # fmt: skip
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    _over(tab, 2, 1, (3, 3), act="tap")
    state = _ask(tab, "state()")
    assert [state[name] for name in ("row", "column", "pinned")] == [2, 1, True]
    _over(tab, 0, 2, (3, 3), act="tap")
    assert [_ask(tab, "state()")[name] for name in ("row", "column")] == [0, 2]
    color = tab.evaluate("getComputedStyle(document.querySelector('.fima-explorer')).color")
    assert (int(re.search(r"\d+", color)[0]) > 128) == (scheme == "dark")
    assert wrong == []


@pytest.mark.slow
def test_the_address_says_what_is_looked_at(tmp_path, browser):
    clips = [_clip("a"), _clip("b", seed=4)]
    tab, wrong = _open(browser, tmp_path / "page.html", explorer_page(clips))
    assert "#" not in tab.url  # nothing was touched
    tab.locator("[data-part=clips] button").nth(1).click()
    tab.get_by_role("button", name="second", exact=True).click()
    tab.locator("[data-part=rgb]").click(position={"x": 4, "y": 4})
    _until(tab, "location.hash.startsWith('#explorer=1-0-0-0-2-0')")
    again, also_wrong = open_page(browser, tmp_path / "page.html")
    again.goto(tab.url)
    again.reload()
    _settle(again)
    state = _ask(again, "state()")
    assert [state[key] for key in ("clip", "row", "column", "only", "pinned")] == [1, 0, 0, 1, True]
    for broken in ("9-0-0-0-0-0", "0-0-x-0-0-0", "0-0", "0-99-99-99-0-0", "<b>"):
        again.goto("about:blank")
        again.goto(f"{(tmp_path / 'page.html').as_uri()}#explorer={broken}")
        _settle(again)
        assert _ask(again, "state()")["name"] == "a"
    assert wrong == also_wrong == []


@pytest.mark.slow
def test_the_motion_panel_takes_the_pointer_and_the_matrix_has_axes(tmp_path, browser):
    tab, wrong = _open(browser, tmp_path / "page.html", explorer_page([_clip("a", (4, 5), 3)]))
    panel = tab.locator(".fx-maps .fx-panel").nth(1)
    box = panel.locator(".fx-frame").bounding_box()
    tab.mouse.move(box["x"] + 3.5 / 5 * box["width"], box["y"] + 2.5 / 4 * box["height"])
    _settle(tab)
    assert [_ask(tab, "state()")[key] for key in ("row", "column")] == [2, 3]
    assert panel.locator(".fx-down").inner_text().split() == ["0", "RGB", "patch", "19"]
    assert panel.locator(".fx-across").inner_text().split() == ["0", "motion", "patch", "19"]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [{"width": 1400, "height": 900}, {"width": 390, "height": 844}])
def test_the_attention_of_the_patch_lies_beside_its_affinity(tmp_path, browser, viewport):
    rows = _rows()
    clip = _clip("a", checkpoints=("tokens", "cnn"), attention={"tokens": rows})
    tab, wrong = _open(browser, tmp_path / "page.html", explorer_page([clip]), viewport=viewport)
    figures = tab.locator(".fx-matrix figcaption")
    assert [figures.nth(i).inner_text().split("\n")[0] for i in (0, 1)] == ["Its attention", "Affinity matrix"]
    for patch, time in ((0, 0), (5, 2)):
        _ask(tab, f"choose({patch // 3}, {patch % 3})")
        _ask(tab, f"setTime({time})")
        _settle(tab)
        looks, own = _ask(tab, "attention(0)"), rows[time, patch]
        assert (looks["facts"]["best"], looks["facts"]["own"]) == (own.argmax(), pytest.approx(own[patch], rel=1e-6))
        assert int(np.argmax(looks["row"])) == own.argmax() or own.max() > np.quantile(rows, 0.999)
        assert f"at row {own.argmax() // 3}, col {own.argmax() % 3}" in figures.first.inner_text()
        assert _ask(tab, "attention(1)") is None
    matrix = tab.locator(".fx-matrix canvas").first
    box = matrix.bounding_box()
    matrix.click(position={"x": box["width"] / 6, "y": box["height"] / 2})  # the pointer chooses a place of the frame
    assert [_ask(tab, "state()")[key] for key in ("row", "column")] == [1, 0]
    tab.get_by_role("button", name="Affinity matrix", exact=True).click()
    _settle(tab)
    assert figures.first.inner_text().startswith("Affinity matrix")
    assert not tab.locator("[data-part=warm-scale]").is_visible()
    _until(tab, "location.hash.endsWith('-0-0')")  # the last two: range of the data, and the matrix
    tab.reload()
    _settle(tab)
    assert _ask(tab, "state()")["beside"] == 0
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 390])
def test_a_checkpoint_alone_has_its_matrix_beside_it(tmp_path, browser, width):
    page = explorer_page([_clip(checkpoints=("only",))])
    tab, wrong = _open(browser, tmp_path / "page.html", page, viewport={"width": width, "height": 844})
    frame, matrix = (tab.locator(f".fx-maps {name}").bounding_box() for name in (".fx-frame", ".fx-grid"))
    assert matrix["x"] > frame["x"] + frame["width"]
    assert matrix["width"] > 0.8 * frame["width"]
    assert wrong == []


def test_it_opens_where_checkpoints_disagree():
    right, wrong = np.eye(9, dtype=np.float32), np.eye(9, dtype=np.float32)
    wrong[[2, 7]] = wrong[[7, 2]]
    motion = np.zeros((2, 48, 48), np.uint8)
    motion[:, :16, :16], motion[:, 32:, 16:32] = 255, 100  # cell 0 moves most, then cell 7
    clip = _clip(motion=motion, slices=2, affinity={n: np.stack([m, m]) for n, m in (("a", right), ("b", wrong))},
                 mean={"a": right, "b": wrong}, checkpoints=("a", "b"))  # fmt: skip
    assert (clip.most_moving, clip.opening) == (0, 7)
    same = _clip(motion=motion, slices=2, affinity={n: np.stack([right] * 2) for n in "ab"},
                 mean={"a": right, "b": right}, checkpoints=("a", "b"))  # fmt: skip
    assert same.opening == 0


@pytest.mark.slow
def test_two_explorers_do_not_meet(tmp_path, browser):
    page = (
        "<!doctype html><html lang='en'><link rel='icon' href='data:,'><body style='margin: 8px'>"
        + explorer_fragment([_clip("a")], title="One")
        + explorer_fragment([_clip("b", (2, 2), checkpoints=("x",))], title="Two")
        + "</body></html>"
    )
    tab, wrong = _open(browser, tmp_path / "page.html", page)
    _over(tab, 0, 0, (3, 3), root=0)
    _over(tab, 1, 1, (2, 2), root=1)
    states = [_ask(tab, "state()", root=i) for i in (0, 1)]
    assert [(state["name"], state["row"], state["column"]) for state in states] == [("a", 0, 0), ("b", 1, 1)]
    assert len(_ask(tab, "row()", root=1)) == 4
    assert tab.evaluate("typeof now === 'undefined' && typeof palette === 'undefined'")
    assert wrong == []


@pytest.mark.slow
def test_a_notebooks_frame_runs(tmp_path, browser):
    shown = ExplorerView([_clip()])._repr_html_()
    page = f"<!doctype html><html><link rel='icon' href='data:,'><body>{shown}</body></html>"
    tab, wrong = _open(browser, tmp_path / "page.html", page)
    frame = tab.frame_locator("iframe")
    frame.locator("[data-part=rgb]").click(position={"x": 4, "y": 4})
    frame.get_by_text("row 0, column 0", exact=True).wait_for()
    assert frame.locator("[data-part=patch]").inner_text() == "row 0, column 0"
    for width in (1300, 700):  # the frame is as tall as what it holds
        tab.set_viewport_size({"width": width, "height": 800})
        resized = monotonic()
        while abs(frame.locator("body").evaluate("body => body.getBoundingClientRect().bottom - innerHeight")) > 1:
            assert monotonic() - resized < 20
            tab.wait_for_timeout(50)
    assert wrong == []
