"""Figures: what is drawn is what was given; nothing global is touched."""

import io
import json
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from analysis.measures.common.statistics import summarize
from analysis.plotting.affinity import draw_matrix, draw_row
from analysis.plotting.common.films import film_names, overlay, safe_name
from analysis.plotting.common.frames import MOST_OPAQUE, faded, show_activation
from analysis.plotting.common.scores import draw_score
from analysis.plotting.style import PHOTOS, colorbar, new_figure, printed, save_figure
from analysis.plotting.temporal import draw_counts, draw_distributions, draw_offsets, draw_similarity
from analysis.settings import Settings
from analysis.studies import CORE, run


@pytest.fixture
def ax():
    return new_figure(2).subplots()


@pytest.mark.parametrize("measure", [*CORE, "attribution"])
def test_figures_leave_pyplot_and_settings_alone(measure):
    before = dict(mpl.rcParams)
    run(measure, Settings(show=1, num_frames=8, size=32, steps=2)).figure()
    assert dict(mpl.rcParams) == before
    assert not plt.get_fignums()


@pytest.mark.parametrize("measure", [*CORE, "attribution", "faithfulness"])
@pytest.mark.parametrize("videos", [1, 3], ids=["one video", "three videos"])
def test_nothing_is_cut_off_or_smaller_than_print_allows(measure, videos, clips_dir):
    names = ["dog.mp4", "arm_wrestling.mp4", "bear.mp4"][:videos]
    shown = {"video": [str(clips_dir / name) for name in names]}
    if measure in ("localize", "mover"):  # which need masks
        shown = {"data": f"shapes:camera,videos={videos}"}
    _check_printed(run(measure, Settings(**shown, num_frames=8, size=56, steps=2)).figure())


@pytest.mark.parametrize("settings", [{"layers": "all"}, {"whole": True}, {"dense": 2, "twin": True}], ids=str)
def test_nor_of_curves_and_whole_videos(settings, clips_dir):
    _check_printed(run("cam", Settings(video=str(clips_dir / "dog.mp4"), num_frames=8, size=56, **settings)).figure())


def test_nor_of_long_notes():
    study = run("attention", Settings(data="shapes:camera,videos=2", num_frames=8))
    assert any(len(note) > 120 for note in study.notes())  # an untrained token network is flat after its norm
    _check_printed(study.figure())


def _check_printed(figure):
    with printed():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        drawn = figure.get_tightbbox(canvas.get_renderer())  # inches
    width, height = figure.get_size_inches()
    assert drawn.x0 >= -0.01
    assert drawn.y0 >= -0.01
    assert drawn.x1 <= width + 0.01
    assert drawn.y1 <= height + 0.01
    words = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    assert not [text for text in words if re.search(r"(^|[\s\[(])-\.?\d", text)]  # a minus is one, not a hyphen
    assert all(text.get_fontsize() >= 6.5 for text in figure.findobj(mpl.text.Text) if text.get_text())


def test_matrix_and_row_are_the_numbers_given(ax):
    affinity = np.linspace(-1, 1, 36).reshape(6, 6)
    image = draw_matrix(affinity, (2, 3), ax=ax, limits=(-1, 1))
    np.testing.assert_array_equal(image.get_array(), affinity)
    assert image.get_clim() == (-1, 1)
    other = new_figure(2).subplots()
    row = draw_row(affinity, 4, np.zeros((20, 30), np.uint8), (2, 3), ax=other, limits=(-1, 1))
    np.testing.assert_array_equal(row.get_array(), affinity[4].reshape(2, 3))
    assert row.get_extent() == [-0.5, 29.5, 19.5, -0.5]
    np.testing.assert_allclose(other.lines[0].get_xydata(), [[24.5, 14.5]])  # best match: the last cell


def test_an_activation_is_as_opaque_as_it_is_strong_and_outlined_at_half_of_its_maximum(ax):
    values = np.zeros((4, 8))
    values[:, 4:] = [0.0, 0.8, 0.8, 0.0]  # a ridge over columns 5 and 6 of cells of 10 pixels
    image = show_activation(np.zeros((40, 80, 3), np.uint8), values, ax=ax)
    assert image.get_extent() == [-0.5, 79.5, 39.5, -0.5]
    assert image.get_clim() == (0, 1)
    np.testing.assert_allclose(image.get_alpha(), MOST_OPAQUE * values)
    line = np.concatenate([path.vertices for path in ax.collections[-1].get_paths()])
    assert sorted(set(line[:, 0].round(6))) == [49.5, 69.5]  # half way between the cells' centers
    flat = show_activation(np.zeros((40, 80), np.uint8), np.ones((4, 8)), ax=ax)
    assert (flat.get_alpha() == MOST_OPAQUE).all()


def test_an_activation_beside_which_there_is_no_picture_hides_nothing(ax):
    values = np.full((4, 8), np.nan)
    values[:, 2:6] = 0.5
    image = show_activation(np.full((40, 80, 3), 255, np.uint8), values, ax=ax, outline=False)
    np.testing.assert_allclose(image.get_alpha(), np.where(np.isnan(values), 0, 0.5 * MOST_OPAQUE))


def test_frames_under_a_map_keep_half_of_their_color():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 200
    np.testing.assert_array_equal(faded(red)[0, 0], [130, 30, 30])
    np.testing.assert_array_equal(faded(np.full((2, 2), 7, np.uint8))[0, 0], [7, 7, 7])


def test_scores_show_mean_interval_and_chance(ax):
    values = np.array([0.2, 0.4, 0.9, np.nan])
    summary = summarize(values, chance=0.1)
    draw_score([(values, summary), None], labels=("all", "none"), ax=ax)
    dots, mean = ax.collections[0], ax.collections[3]
    assert sorted(dots.get_offsets()[:, 1]) == [0.2, 0.4, 0.9]
    assert mean.get_offsets()[0, 1] == summary.mean
    interval, chance = ax.collections[1].get_segments()[0], ax.collections[4].get_segments()[0]
    assert interval[:, 1].tolist() == [summary.low, summary.high]
    assert chance[:, 1].tolist() == [0.1, 0.1]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.500\nall", "–\nnone"]


def test_similarity_below_rounding_is_shown_flat(ax):
    image = draw_similarity(np.array([[1.0, 1 - 1e-7], [1 - 1e-7, 1.0]]), ax=ax)
    low, high = image.get_clim()
    assert high - low == pytest.approx(1e-3)


def test_offsets_and_distributions_are_those_of_the_study(clips_dir):
    paths = [str(clips_dir / name) for name in ("dog.mp4", "bear.mp4", "h265.mp4")]
    study = run("temporal", Settings(video=paths, num_frames=4, size=56))
    curve = draw_offsets(study.arrays, ax=new_figure(2).subplots())
    low, high, drawn = curve.lines[-3:]
    for line, name in ((low, "change_low"), (high, "change_high"), (drawn, "change")):
        np.testing.assert_array_equal(line.get_ydata(), study.arrays[f"offset_{name}"])
    strip = draw_counts(study.arrays, ax=new_figure(2).subplots())
    assert strip.get_yticks().tolist() == [0, 3]
    assert study.arrays["offset_videos"].min() < 3  # the ten-frame video has fewer offsets: the strip says so
    bars = draw_distributions(study.arrays, ax=new_figure(2).subplots())
    labels = [text.get_text() for text in bars.get_legend().get_texts()]
    assert labels[0] == "Δ = 0 (2 videos)"  # the third has no misaligned window to compare with


def test_films_show_the_frame_where_nothing_is_active_and_the_color_bars_color_where_all_is():
    frames = np.full((2, 6, 6, 3), 100, np.uint8)
    maps = np.stack([np.zeros((3, 3)), np.ones((3, 3))])
    high = np.array(mpl.colormaps["inferno"](1.0)[:3]) * 255
    drawn = overlay(frames, maps)
    np.testing.assert_allclose(drawn[0, 3, 3], 100, atol=1)
    np.testing.assert_allclose(drawn[1, 3, 3], 10 + 0.9 * high, atol=1)


@pytest.mark.parametrize(
    ("text", "name"), [("fight/fi001", "fight_fi001"), ("<b>ü</b>", "b_b"), ("..", "video"), ("a" * 99, "a" * 60)]
)
def test_safe_names(text, name):
    assert safe_name(text) == name


def test_films_of_several_videos_are_numbered_in_the_folder_of_their_study():
    assert film_names("cam", ["a/b"]) == ["cam.mp4"]
    assert film_names("pca", ["a/b", "a/b"]) == ["pca/01-a_b.mp4", "pca/02-a_b.mp4"]


def test_a_png_says_where_its_photographs_are():
    figure = new_figure(2.0, 4.0)
    picture, lines = figure.subplots(1, 2)
    colorbar(figure, picture.imshow(np.zeros((4, 4)), vmin=0, vmax=1), picture, "x")
    lines.plot([0, 1])
    buffer = io.BytesIO()
    save_figure(figure, buffer, "png")
    with Image.open(buffer) as image:
        photos = json.loads(image.info[PHOTOS])
        drawn = np.asarray(image.convert("L"))
    assert len(photos) == 2  # the picture and its color bar
    height, width = drawn.shape
    left, top, right, bottom = (round(share * side) for share, side in zip(photos[0], (width, height) * 2, strict=True))
    assert (drawn[top + 3 : bottom - 3, left + 3 : right - 3] < 60).all()  # viridis at its lowest: the picture, whole
    assert (drawn[:, left - 25 : left - 20] > 200).mean() > 0.9
