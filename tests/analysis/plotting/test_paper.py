"""Figures for papers: exact sizes, readable and embedded text, one scale, captions that say what is drawn."""

import itertools
import json
import re
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread
from matplotlib.text import Text

from analysis.commands import figure as command
from analysis.compare.paper_figures import Made, make_figure
from analysis.measures.registry import find_score
from analysis.plotting.common.page import LABEL, fit, paper, text_width
from analysis.plotting.paper import FIGURES
from analysis.plotting.paper.caption import to_latex
from analysis.plotting.paper.layouts import save_paper
from analysis.plotting.paper.maps import draw_maps
from analysis.plotting.paper.matrices import draw_matrices
from analysis.plotting.paper.similarities import draw_similarities
from analysis.plotting.paper.strips import draw_strips
from analysis.plotting.paper.widths import JOURNALS, figure_width
from analysis.settings import Settings
from fima.commands.base import Parser
from fima.commands.base import run as run_command
from fima.errors import InputError

DRAW = {"3": draw_maps, "4": draw_strips, "5a": draw_matrices, "5b": draw_similarities}
INCHES = {
    ("cvpr", "column"): 3.25, ("cvpr", "text"): 6.875, ("ieee", "column"): 3.5, ("ieee", "text"): 7.16,
    ("neurips", "column"): 5.5, ("neurips", "text"): 5.5,
}  # fmt: skip
DATA = {"data": "shapes:camera,videos=3,size=64", "split": "test", "show": 2}


@pytest.fixture(scope="module")
def made():
    """Every figure of the two backbones that come along, measured once."""
    return {name: make_figure(name, Settings(**DATA, normalize="clip" if name == "4" else "frame")) for name in FIGURES}


@pytest.fixture(scope="module")
def real(clips_dir):
    """The same with a third, untrained, on files without masks."""
    video = [str(clips_dir / name) for name in ("dog.mp4", "bear.mp4", "arm_wrestling.mp4")]
    return {
        name: make_figure(name, Settings(video=video, show=2), ["tiny-vd", "tiny-fima", "random"]) for name in FIGURES
    }


def texts(figure):
    """Text that is seen, with its extent in inches."""
    with paper():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        beyond = {label for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for label in _beyond(axis)}
        for text in figure.findobj(Text):
            if text.get_text().strip() and text.get_visible() and text not in beyond:
                yield text, text.get_window_extent(renderer).transformed(figure.dpi_scale_trans.inverted())


def _beyond(axis):
    """Labels of ticks outside of the limits, which exist but are never drawn."""
    low, high = sorted(axis.get_view_interval())
    for tick in axis.get_major_ticks():
        if not low <= tick.get_loc() <= high:
            yield from (tick.label1, tick.label2)


def saved(drawn, tmp_path, kind):
    save_paper(drawn.figure, tmp_path / f"figure.{kind}")
    return tmp_path / f"figure.{kind}"


def pdf_inches(path):
    box = re.search(rb"/MediaBox\s*\[\s*([\d.\s]+)\]", path.read_bytes())[1].split()
    return (float(box[2]) - float(box[0])) / 72


def svg_inches(path):
    return float(ElementTree.parse(path).getroot().get("width").removesuffix("pt")) / 72


@pytest.mark.parametrize(("journal", "width"), list(INCHES))
def test_saved_width_is_the_journals(made, tmp_path, journal, width):
    drawn = draw_matrices(made["5a"].studies, figure_width(width, journal))
    inches = INCHES[journal, width]
    assert pdf_inches(saved(drawn, tmp_path, "pdf")) == pytest.approx(inches, abs=0.01)
    assert svg_inches(saved(drawn, tmp_path, "svg")) == pytest.approx(inches, abs=0.01)
    assert imread(saved(drawn, tmp_path, "png")).shape[1] / 400 == pytest.approx(inches, abs=0.01)


@pytest.mark.parametrize("name", ["3", "4", "5b"])
def test_saved_width_is_exact_for_every_figure(made, tmp_path, name):
    drawn = DRAW[name](made[name].studies, 3.25)
    assert pdf_inches(saved(drawn, tmp_path, "pdf")) == pytest.approx(3.25, abs=0.01)


def test_every_journal_has_been_tested():
    assert {(journal, width) for journal, widths in JOURNALS.items() for width in widths} == set(INCHES)


@pytest.mark.parametrize(("width", "inches"), [("89", 89 / 25.4), ("89mm", 89 / 25.4), ("174.5", 174.5 / 25.4)])
def test_millimeters(width, inches):
    assert figure_width(width, "ieee") == pytest.approx(inches)


@pytest.mark.parametrize("width", ["page", "", "59", "301", "nan", "-80", "inf"])
def test_other_widths_are_refused(width):
    with pytest.raises(InputError, match=r"--width .*: must be column, text, or 60 to 300 \(millimeters\)"):
        figure_width(width)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FIGURES))
def test_fonts_are_embedded_as_text(made, tmp_path, name):
    drawn = made[name].drawn
    pdf = saved(drawn, tmp_path, "pdf").read_bytes()
    assert b"/Type3" not in pdf
    fonts = re.findall(rb"/Subtype\s*/(TrueType|Type0|CIDFontType2|Type1)\b", pdf)
    assert fonts
    assert pdf.count(b"/FontFile2") >= 1  # the outlines come along
    words = [node.text for node in ElementTree.parse(saved(drawn, tmp_path, "svg")).iter() if node.tag.endswith("text")]
    assert any("tiny-fima" in (word or "") for word in words)


@pytest.mark.parametrize(
    "inches", [pytest.param(60 / 25.4, marks=pytest.mark.slow), 3.25, pytest.param(6.875, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", list(FIGURES))
@pytest.mark.parametrize("source", ["made", pytest.param("real", marks=pytest.mark.slow)])
def test_text_is_large_enough_inside_and_never_overlaps(request, source, name, inches):
    figures = request.getfixturevalue(source)
    if source == "real" and name == "3" and inches < 2.5:
        with pytest.raises(InputError, match=r"--width: 4 pictures side by side would be 0.5. inches each"):
            DRAW[name](figures[name].studies, inches)
        return
    drawn = DRAW[name](figures[name].studies, inches)
    assert drawn.figure.get_size_inches()[0] == pytest.approx(inches)
    found = list(texts(drawn.figure))
    assert len(found) > 5
    assert all(text.get_fontsize() >= 6.5 for text, _ in found)
    height = drawn.figure.get_size_inches()[1]
    for text, extent in found:
        assert extent.x0 >= -0.005, text
        assert extent.x1 <= inches + 0.005, text
        assert extent.y0 >= -0.005, text
        assert extent.y1 <= height + 0.005, text
    for (one, first), (other, second) in itertools.combinations(found, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        # A line's extent has room for accents and descenders: lines may share that, letters may not.
        assert across <= 0.005 or down <= 0.03, (one.get_text(), other.get_text())


def test_text_is_dark_and_pictures_show_all_of_the_frame(made):
    for text, _ in texts(made["3"].drawn.figure):
        assert max(mpl.colors.to_rgb(text.get_color())) < 0.2


def test_panels_share_their_limits(made):
    matrices = made["5a"].drawn
    images = [image for ax in matrices.figure.axes for image in ax.images]
    assert {image.get_clim() for image in images} == {tuple(matrices.arrays["limits"])}
    lowest = min(matrices.arrays[f"{at}_affinity_mean"].min() for at in range(2))
    highest = max(matrices.arrays[f"{at}_affinity_mean"].max() for at in range(2))
    assert tuple(matrices.arrays["limits"]) == (lowest, highest)
    _, *shares = made["5b"].drawn.figure.axes
    assert len(shares) == 2
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in shares}) == 1
    for name in ("3", "4"):
        maps = [ax.images[1] for ax in made[name].drawn.figure.axes if len(ax.images) > 1]
        assert {image.get_clim() for image in maps} == {(0, 1)}


def test_what_is_drawn_is_what_is_saved(made, tmp_path):
    drawn = made["5a"].drawn
    images = [image.get_array() for ax in drawn.figure.axes for image in ax.images]
    np.testing.assert_array_equal(images[0], drawn.arrays["0_affinity_mean"])
    np.testing.assert_array_equal(images[1], drawn.arrays["1_affinity_mean"])
    made["5a"].save(tmp_path, "five")
    with np.load(tmp_path / "five.npz") as kept:
        np.testing.assert_array_equal(kept["1_affinity_mean"], drawn.arrays["1_affinity_mean"])
        assert kept["names"].tolist() == ["tiny-vd", "tiny-fima"]
    maps = made["3"].drawn
    overlays = [ax.images[1].get_array() for ax in maps.figure.axes if len(ax.images) > 1]
    for place, overlay in enumerate(overlays):  # clip by clip, checkpoint by checkpoint
        np.testing.assert_array_equal(overlay, maps.arrays[f"{place % 2}_maps"][place // 2])


def test_shown_clips_are_named_as_themselves(made):
    """Of three videos two are shown, the first and the last; the caption must not name the first two."""
    for name in ("3", "4"):
        drawn = made[name].drawn
        shown = made[name].studies["tiny-vd"].arrays["example_video_id"].tolist()
        assert drawn.arrays["video_id"].tolist() == shown == ["test/00000", "test/00002"]
        assert "(a) test/00000, (b) test/00002." in drawn.details


def test_shares_under_the_maps_are_the_clips_scores(made):
    drawn, words = made["3"].drawn, [text.get_text() for text, _ in texts(made["3"].drawn.figure)]
    energy = made["3"].studies["tiny-fima"].arrays["example_energy"]
    np.testing.assert_array_equal(drawn.arrays["1_inside"], energy)
    assert all(f"energy inside {value:.2f}" in words for value in energy)


def test_shares_of_window_pairs_add_up_to_all(made):
    arrays = made["5b"].drawn.arrays
    for at in range(2):
        for kind in ("aligned", "misaligned", "disjoint"):
            if arrays[f"{at}_{kind}_videos"]:
                assert arrays[f"{at}_{kind}_percent"].sum() == pytest.approx(100, abs=1e-6)


SCORES = {
    "3": ["energy"],
    "4": ["rgb_motion_correlation", "motion_energy_correlation"],
    "5a": ["auroc", "contrast", "top1_agreement"],
    "5b": ["offset_auroc", "offset_d_prime"],
}


MEASURES = {"3": "localize", "4": "cam", "5a": "affinity", "5b": "temporal"}


def _written(value):
    text = f"{value:.3f}" if value == 0 or abs(value) >= 0.0095 else f"{value:.2g}"
    return text.replace("-", "−")


@pytest.mark.parametrize("name", list(FIGURES))
def test_numbers_of_the_caption_are_those_of_the_arrays(made, name):
    drawn = made[name].drawn
    assert drawn.caption.count(". ") == 2  # three sentences; the first score is in the second
    for score in SCORES[name]:
        told = drawn.caption if score == SCORES[name][0] else drawn.details
        entry = find_score(MEASURES[name], score)
        assert f"Mean {entry.title} ({entry.meaning}): " in told
        for at, checkpoint in enumerate(("tiny-vd", "tiny-fima")):
            mean, low, high, chance = drawn.arrays[f"{at}_summary_{score}"]
            assert f"{checkpoint} {_written(mean)} [{_written(low)}, {_written(high)}]" in told
            assert f"chance {_written(chance)}" in told
        first, second = (study.video_scores[score] for study in made[name].studies.values())
        assert f"tiny-fima minus tiny-vd, paired: {_written(np.mean(second - first))} [" in told
    assert "N = 3 videos of shapes:camera, split test" in drawn.caption


def test_one_video_has_no_interval_and_one_checkpoint_no_difference():
    made = make_figure("5a", Settings(size=64), ["tiny-vd"], names=["mine"])
    mean, low = made.drawn.arrays["0_summary_auroc"][:2]
    assert np.isnan(low)
    assert f"mine {mean:.3f}; chance 0.500." in made.drawn.caption
    assert "paired" not in made.drawn.caption
    assert "bootstrap" not in made.drawn.caption
    assert "N = 1 video" in made.drawn.caption


@pytest.mark.slow
def test_untrained_weights_are_named(real):
    for name in FIGURES:
        assert "untrained weights: untrained." in real[name].drawn.caption


def test_untrained_weights_are_named_above_their_panel():
    named = make_figure("5a", Settings(size=64), ["random"], names=["mine"])
    assert "mine (untrained)" in [text.get_text() for text, _ in texts(named.drawn.figure)]


def test_a_video_of_one_window_has_no_figure_5b(made):
    study = made["5b"].studies["tiny-vd"]
    short = type(study)(**{**vars(study), "arrays": study.arrays | {"offset_frames": np.zeros(1, int)}})
    with pytest.raises(
        InputError, match=r"figure 5b: no video is longer than one window of 31 frames and a hop of \d+"
    ):
        draw_similarities({"tiny-vd": short}, 3.25)


def test_too_many_rows_are_refused(made):
    studies = dict.fromkeys("abcdefghijkl", made["4"].studies["tiny-vd"])
    with pytest.raises(InputError, match=r"--show 2: 26 rows for each of 2 clips do not fit on a page of 9 inches"):
        draw_strips(studies, 6.875)


def test_names_are_cut_to_the_room_they_have():
    assert fit(9, "long enough", "short") == "long enough"
    assert fit(0.5, "much too long for this", "short") == "short"
    cut = fit(0.5, "much/too/long/for/this.ckpt")
    assert cut.startswith("…")
    assert cut.endswith("ckpt")
    assert 0.35 < text_width(cut, LABEL) <= 0.5
    with pytest.raises(InputError, match=r"--width: 0.05 inches are not enough for 'name'"):
        fit(0.05, "name")


def test_latex_has_no_sign_that_it_would_read_as_its_own():
    text = to_latex("50 % of a_b & c#1 {Δ ≥ ½} −2 – $\\", "fig-1", both_columns=True)
    assert r"50 \% of a\_b \& c\#1 \{$\Delta$ $\geq$ $\frac{1}{2}$\} $-$2 -- \$\textbackslash{}" in text
    assert text.startswith(r"\begin{figure*}")
    assert r"\includegraphics[width=\textwidth]{fig-1}" in text
    assert r"\begin{figure}[t]" in to_latex("", "fig", both_columns=False)


def call(capsys, *words):
    """Exit code, stdout, stderr of the command."""
    parser = Parser(prog="fima-analyze figure")
    command.add_arguments(parser)
    try:
        args = parser.parse_args([str(word) for word in words])
        code = run_command(command.run, args, "fima-analyze figure")
    except SystemExit as leaving:
        code = leaving.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_command_leaves_picture_caption_numbers_and_where_they_come_from(tmp_path, capsys):
    out = tmp_path / "paper" / "affinity.pdf"
    code, printed, _ = call(capsys, "5a", "--data", "shapes:camera,videos=2,size=64", "--width", "column", "--out", out)
    assert code == 0
    names = {path.name for path in out.parent.glob("[!.]*")}
    assert names == {f"affinity.{kind}" for kind in ("pdf", "npz", "txt", "tex", "json")}
    assert pdf_inches(out) == pytest.approx(3.25, abs=0.01)
    caption, details = out.with_suffix(".txt").read_text().strip().split("\n\n")
    assert caption in printed
    report = json.loads(out.with_suffix(".json").read_text())
    assert (report["caption"], report["details"]) == (caption, details)
    assert report["inches"][0] == pytest.approx(3.25)
    assert report["checkpoints"]["tiny-fima"]["checkpoint"]["sha256"]
    assert report["command"].startswith(
        "fima-analyze figure 5a --ckpt tiny-vd tiny-fima --width column --journal cvpr "
    )
    assert "--data shapes:camera,videos=2,size=64" in report["command"]
    before = {path.name: path.read_bytes() for path in out.parent.glob("[!.]*")}
    call(capsys, "5a", "--data", "shapes:camera,videos=2,size=64", "--width", "column", "--out", out)
    for name, content in before.items():
        assert name.endswith("json") or (out.parent / name).read_bytes() == content, name


def test_a_folder_takes_every_format_asked_for(tmp_path, capsys):
    code, *_ = call(capsys, "4", "--ckpt", "tiny-vd", "--size", 64, "--format", "svg", "png", "--out", tmp_path / "new")
    assert code == 0
    kinds = {path.suffix for path in (tmp_path / "new").glob("figure-4.*")}
    assert kinds == {".svg", ".png", ".npz", ".txt", ".tex", ".json"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["6"], "argument FIGURE: invalid choice: '6'"),
        (["3", "--format", "eps"], "argument --format: invalid choice: 'eps'"),
        (["3", "--journal", "nature"], "argument --journal: invalid choice: 'nature'"),
        (["3", "--width", "12"], "--width 12: must be column, text, or 60 to 300 (millimeters)"),
        (["3", "--out", "figure.eps"], "--out figure.eps: must be a folder, or a file ending in pdf, svg, png, found"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    code, printed, error = call(capsys, *words)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1
    assert not printed
    assert not list(tmp_path.iterdir())


def test_unknown_figures_are_refused_from_python():
    with pytest.raises(InputError, match="figure 6: there is no such figure; known: 3, 4, 5a, 5b"):
        make_figure("6", Settings())


def test_global_settings_of_matplotlib_stay(made):
    before = dict(mpl.rcParams)
    assert isinstance(made["4"], Made)
    draw_strips(made["4"].studies, 3.25)
    assert dict(mpl.rcParams) == before
