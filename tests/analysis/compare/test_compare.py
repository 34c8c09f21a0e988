"""Comparisons: the numbers of the separate studies, one scale for all, pages and command lines."""

import csv
import dataclasses
import json
from dataclasses import replace
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
import torch

from analysis.cli import _parser, main
from analysis.compare import compare, compare_scores
from analysis.inputs.backbone.checkpoints import plan_sources, run_checkpoints
from analysis.inputs.backbone.twins import untrained_twins
from analysis.inputs.sessions import open_sessions
from analysis.inputs.video.sharing import FrameCache, SharedExtractor, share_videos
from analysis.inputs.video.videos import VideoList, VideoSource, list_videos
from analysis.measures.common.numbers import number
from analysis.measures.common.statistics import paired_difference
from analysis.plotting.compare.figures import affinity_range, draw_compared_affinity, draw_compared_temporal
from analysis.report import notebook_parameters, notebook_path
from analysis.settings import Settings
from analysis.studies import CORE, run
from benchmarks.star import moving_shape
from fima.checkpoints import save_backbone, untrained_backbone
from fima.cli import main as fima
from fima.data.transcode.encode import write_video
from fima.errors import CheckpointError, InputError

SMALL = {"num_frames": 8, "frame_stride": 2, "size": 56, "batch_size": 3}
FLAGS = ["--num-frames", "8", "--frame-stride", "2", "--size", "56", "--batch-size", "3"]
UNTRAINED = ("random", "random:1")
MEASURES = ("cam", "affinity", "temporal")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Five videos of 40 frames, 64 x 80 pixels."""
    folder = tmp_path_factory.mktemp("videos")
    for number_ in range(5):
        frames = moving_shape(number_, num_frames=40, height=64, width=80).frames
        write_video(folder / f"v{number_}.mp4", frames.transpose(0, 2, 3, 1), fps=25)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two files of different weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = []
    for seed, name in ((5, "a"), (6, "b")):
        loaded = untrained_backbone("tiny", seed=seed)
        paths.append(str(save_backbone(folder / f"{name}.pth", loaded.backbone, arch="tiny", input=loaded.input)))
    return paths


@pytest.fixture(scope="module")
def settings(videos):
    return Settings(data=str(videos), **SMALL)


@pytest.fixture(scope="module")
def compared(settings, checkpoints):
    return compare(settings, [*checkpoints, "random"], measures=MEASURES)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_study_is_the_same_alone_and_in_a_comparison(measure, compared, settings, checkpoints):
    for name, ckpt in zip(("a", "b", "untrained"), (*checkpoints, "random"), strict=True):
        alone, inside = run(measure, replace(settings, ckpt=ckpt)), compared.studies[measure][name]
        assert alone.scores == inside.scores or _nan_equal(alone.scores, inside.scores)
        for key, values in alone.video_scores.items():
            np.testing.assert_array_equal(values, inside.video_scores[key])
        for key, array in alone.arrays.items():
            np.testing.assert_array_equal(array, inside.arrays[key])


@pytest.mark.parametrize("measure", [*CORE, "attribution"])
def test_any_study_of_a_drawn_video_is_the_same_in_a_comparison(measure):
    settings = Settings(num_frames=8, size=32, steps=2)
    alone = run(measure, replace(settings, ckpt="random"))
    made = compare(settings, UNTRAINED, measures=[measure])
    for name, values in alone.video_scores.items():
        np.testing.assert_array_equal(made.studies[measure]["untrained"].video_scores[name], values)
    own = {"cam": ["cam", "scores"], "affinity": ["affinity"], "temporal": ["temporal", "scores"]}
    own |= {"localize": ["localize", "scores"], "mover": ["mover", "scores"]}
    assert [stem for stem, _ in made.figures()] == [f"compare-{stem}" for stem in own.get(measure, ["scores"])]


def _nan_equal(first, second):
    return first.keys() == second.keys() and all(repr(first[k]) == repr(second[k]) for k in first)


def test_differences_are_paired_differences_of_the_separate_studies(compared, settings, checkpoints):
    for measure in MEASURES:
        alone = [run(measure, replace(settings, ckpt=ckpt)) for ckpt in (*checkpoints, "random")]
        rows = {(d.score, d.other): d for d in compared.differences if d.measure == measure}
        assert set(rows) == {(score, other) for score in alone[0].scores for other in ("b", "untrained")}
        for (score, other), row in rows.items():
            second = alone[1 if other == "b" else 2]
            assert second.video_scores["video_id"].tolist() == alone[0].video_scores["video_id"].tolist()
            expected = paired_difference(alone[0].video_scores[score], second.video_scores[score])
            got = (row.difference, row.low, row.high, row.share_higher)
            np.testing.assert_equal(got, (expected.mean, expected.low, expected.high, expected.share_higher))
            assert row.num_videos == expected.num_videos
            assert row.baseline == "a"
            if row.num_videos:
                assert row.other_mean - row.baseline_mean == pytest.approx(row.difference, abs=1e-9)


def test_videos_are_paired_by_name_not_by_place(compared):
    studies = dict(compared.studies["affinity"])
    second = studies["b"]
    order = [3, 0, 4, 1]  # one video is missing, the others are shuffled
    studies["b"] = replace(second, video_scores={name: values[order] for name, values in second.video_scores.items()})
    row = next(d for d in compare_scores(studies) if d.other == "b" and d.score == "contrast")
    kept = sorted(order)
    expected = paired_difference(studies["a"].video_scores["contrast"][kept], second.video_scores["contrast"][kept])
    assert (row.difference, row.low, row.high, row.num_videos) == (expected.mean, expected.low, expected.high, 4)


def test_the_sentence(compared):
    row = replace(
        compared.differences[0], other="B", difference=0.11, low=0.07, high=0.15, share_higher=0.73, num_videos=60
    )
    assert row.sentence == "B higher on 73 % of videos, difference 0.110 [0.070, 0.150]"
    assert row.clear
    assert not replace(row, low=-0.01).clear
    one = replace(row, num_videos=1, low=float("nan"), high=float("nan"))
    assert one.sentence == "B higher on the one video, difference 0.110"
    assert [number(v) for v in (0.0, 0.00123, -1.5, float("nan"))] == ["0.000", "0.0012", "\N{MINUS SIGN}1.500", "–"]


def test_all_checkpoints_see_the_same_clips(compared):
    first, *others = compared.studies["cam"].values()
    for other in others:
        for name in ("example_frames", "example_seconds", "example_video_id"):
            np.testing.assert_array_equal(first.arrays[name], other.arrays[name])


def test_panels_share_their_limits(compared):
    studies = compared.studies["affinity"]
    figure = draw_compared_affinity(studies)
    images = [ax.images[0] for part in figure.subfigs for ax in part.axes if ax.images]
    assert len(images) == 3
    means = [study.arrays["affinity_mean"] for study in studies.values()]
    assert {image.get_clim() for image in images} == {affinity_range(studies)}
    assert affinity_range(studies) == (min(map(np.min, means)), max(map(np.max, means)))
    above = draw_compared_temporal(compared.studies["temporal"]).subfigs[0]
    assert len(above.axes) == 3
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in above.axes}) == 1


def test_shares_of_the_distributions_are_percent(compared):
    above = draw_compared_temporal(compared.studies["temporal"]).subfigs[0]
    for ax in above.axes:
        for patch in ax.patches:
            assert patch.get_data().values.sum() == pytest.approx(100)


def test_a_notebook_draws_every_figure_once(compared, monkeypatch):
    drawn = list(compared.figures())
    monkeypatch.setattr(type(compared), "figures", lambda self: map(drawn.pop, [0] * len(drawn)))
    stems = [stem for stem, _ in drawn]
    shown = compared._repr_mimebundle_()
    assert [f'alt="{stem} figure"' in shown["text/html"] for stem in stems] == [True] * len(stems)
    assert shown["text/html"].count(shown["image/png"]) == 1
    assert not drawn


def test_a_notebook_shows_the_table_where_there_is_no_figure(compared):
    without = replace(compared, studies={}, training={})
    shown = without._repr_mimebundle_()
    assert shown.keys() == {"text/plain", "text/html"}
    assert shown["text/html"].startswith("<table>")


def test_a_grid_of_another_size_is_drawn_at_its_own(settings, tmp_path):
    paths = []
    for size in (32, 56):
        loaded = untrained_backbone("tiny", seed=size)
        spec = loaded.input.replace(size=size)
        paths.append(str(save_backbone(tmp_path / f"{size}.pth", loaded.backbone, arch="tiny", input=spec)))
    studies = compare(replace(settings, size=None), paths, measures=["affinity"], untrained=False).studies["affinity"]
    images = [ax.images[0] for ax in draw_compared_affinity(studies).subfigs[0].axes if ax.images]
    assert [len(image.get_array()) for image in images] == [16, 49]
    assert len({image.get_clim() for image in images}) == 1


def test_decoded_frames_are_kept_up_to_the_bound(videos):
    source = VideoSource("v0", videos / "v0.mp4")
    with source.open() as reader:
        expected = reader.frames([7, 3, 3, 20], short_side=32)
    frame = expected[0].numel()
    for limit in (0, 2 * frame, 2**20):
        cache = FrameCache(limit)
        shared = share_videos(VideoList([source]), cache).videos[0]
        for _ in range(2):
            with shared.open() as reader:
                assert len(reader) == 40
                assert reader.fps == 25
                torch.testing.assert_close(reader.frames([7, 3, 3, 20], short_side=32), expected, rtol=0, atol=0)
        assert cache.used == (3 * frame if limit == 2**20 else 0)
    (known,) = share_videos(VideoList([replace(source, path=videos / "gone.mp4")]), cache).videos
    with known.open() as reader:  # what is kept is not decoded again: the file is not there
        torch.testing.assert_close(reader.frames([20, 7], short_side=32), expected[[3, 0]], rtol=0, atol=0)
        with pytest.raises(FileNotFoundError):
            reader.frames([8], short_side=32)


def test_features_of_a_batch_are_computed_once():
    extractor = SharedExtractor(untrained_backbone("tiny"), limit=2**30)
    calls = []
    extractor.backbone.register_forward_hook(lambda *_: calls.append(1))
    clip = torch.rand(2, 3, 8, 32, 32)
    first = extractor(clip)
    passes = len(calls)
    assert extractor(clip.clone(memory_format=torch.channels_last_3d)) is first
    assert len(calls) == passes
    changed = clip.clone()
    changed[1, 2, 7, 31, 31] = torch.nextafter(changed[1, 2, 7, 31, 31], torch.tensor(2.0))
    assert extractor(changed) is not first
    assert len(calls) == 2 * passes
    extractor.forget()
    torch.testing.assert_close(extractor(clip).motion, first.motion)
    assert len(calls) == 3 * passes
    full = SharedExtractor(untrained_backbone("tiny"), limit=0)
    assert full(clip) is not full(clip)


def test_names_are_short_and_unique(tmp_path):
    files = ["runs/x/last.ckpt", "runs/y/last.ckpt", "runs/x/v1.2.pth.tar", "z/v1.2.pth.tar", "random", "random:7"]
    names = [column.name for column in plan_sources(files).columns]
    assert names == ["x", "y", "x/v1.2", "z/v1.2", "untrained", "untrained seed 7"]
    seeds = [column.seed for column in plan_sources(files, seed=3).columns]
    assert seeds == [None] * 4 + [3, 7]
    assert [c.name for c in plan_sources(files[:2], ["one", "two"]).columns] == ["one", "two"]


def test_a_runs_folder_gives_its_steps_in_order(tmp_path):
    for step in (20, 3, 100):
        torch.save({"global_step": step}, tmp_path / f"step-{step:08d}.ckpt")
    (tmp_path / "last.ckpt").hardlink_to(tmp_path / "step-00000100.ckpt")
    torch.save({"global_step": 50}, tmp_path / "best.ckpt")
    found = run_checkpoints(tmp_path)
    assert list(found) == [3, 20, 50, 100]
    assert found[50].name == "best.ckpt"
    assert found[100].name == "step-00000100.ckpt"
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"other\.ckpt: does not say its step"):
        run_checkpoints(tmp_path)


def test_untrained_takes_after_the_checkpoint(videos, tmp_path):
    loaded = untrained_backbone("tiny", seed=1)
    spec = loaded.input.replace(num_frames=8, size=32, mean=(0.1, 0.2, 0.3))
    path = save_backbone(tmp_path / "a.pth", loaded.backbone, arch="tiny", input=spec)
    made = compare(Settings(data=str(videos)), ["random:4", str(path)], measures=["affinity"])
    inputs = [entry["input"] for entry in made.report()["checkpoints"]]
    assert made.names == ["untrained seed 4", "a"]
    assert inputs[0] == inputs[1] == spec.to_dict()
    assert list_videos(made.settings).videos[0].video_id in made.studies["affinity"]["a"].video_scores["video_id"]


def test_without_an_untrained_checkpoint_its_twin_is_compared_too(settings, checkpoints, tmp_path):
    made = compare(settings, checkpoints, measures=["affinity"])
    assert made.names == ["a", "b", "untrained"]
    assert made.untrained == ["untrained"]
    asked = compare(settings, [*checkpoints, "random"], measures=["affinity"])
    assert made.differences == asked.differences or repr(made.differences) == repr(asked.differences)
    for left_out in ({"untrained": False}, {"settings": replace(settings, twin=True)}):
        alone = compare(**{"settings": settings, "checkpoints": checkpoints, "measures": ["affinity"], **left_out})
        assert alone.names == ["a", "b"]
        assert ("--no-untrained" in alone.command) == ("untrained" in left_out)


def test_every_architecture_and_input_has_its_own_twin(checkpoints):
    sources = plan_sources([*checkpoints, "small-fima"]).columns
    sessions = open_sessions(Settings(), sources, same_clips=False)
    twins = untrained_twins(sessions)
    assert list(twins) == ["untrained (a)", "untrained (small-fima)"]
    assert [twin.loaded.arch for twin in twins.values()] == ["tiny", sessions["small-fima"].loaded.arch]
    assert not untrained_twins(sessions | {"x": twins["untrained (a)"]})
    assert list(untrained_twins({"untrained": sessions["a"]})) == ["untrained (untrained)"]


PRETRAIN = [
    "--recipe=fima-small", "--windows.short_side=null", "--windows.num_frames=16", "--views.size=32",
    "--method.queue_size=16", "--method.hidden=32", "--method.width=16", "--method.feedforward=16", "--method.dim=16",
    "--optimizer.batch_size=2", "--optimizer.epochs=1", "--loader.workers=0", "--checkpoints.every_steps=1",
    "--log.tensorboard=false", "--log.progress=lines",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(videos, tmp_path_factory):
    """A run of two steps that keeps both."""
    out = tmp_path_factory.mktemp("runs") / "tiny-run"
    threads = torch.get_num_threads()
    try:
        assert fima(["pretrain", *PRETRAIN, "--data", str(videos), "--out", str(out)]) == 0
    finally:
        torch.set_num_threads(threads)
    return out


def test_a_runs_folder_makes_curves_over_its_steps(trained, settings, tmp_path):
    made = compare(settings, [str(trained), "random"], measures=["affinity"])
    assert made.names == ["tiny-run", "untrained"]
    steps = made.training["tiny-run"]
    assert [step.step for step in steps] == [1, 2]
    for step in steps:
        alone = run("affinity", replace(settings, ckpt=str(trained / f"step-{step.step:08d}.ckpt")))
        assert step.scores["affinity"] == alone.scores
        assert step.checkpoint["sha256"] == alone.provenance["checkpoint"]["sha256"]
    assert made.studies["affinity"]["tiny-run"].scores == steps[-1].scores["affinity"]
    figure = dict(made.figures())["compare-training"]
    for ax, score in zip(figure.axes, steps[0].scores["affinity"], strict=True):
        line = next(line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o")
        assert list(line.get_xdata()) == [1, 2]
        np.testing.assert_array_equal(line.get_ydata(), [step.scores["affinity"][score].mean for step in steps])
    saved = {path.name for path in made.save(tmp_path / "out")}
    assert {"compare-training.png", "compare-training.npz"} <= saved
    curves = np.load(tmp_path / "out" / "compare-training.npz")
    assert curves["0_step"].tolist() == [1, 2]


def test_a_run_alone_compares_its_first_with_its_last(trained, settings):
    plan = plan_sources([str(trained)])
    assert [(column.name, column.step) for column in plan.columns] == [("tiny-run step 1", 1), ("tiny-run step 2", 2)]
    assert list(plan.runs) == ["tiny-run"]


class _Page(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.images = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))


def test_the_command_as_typed(videos, checkpoints, tmp_path, capsys):
    hostile = '<script>alert("1")</script>'
    argv = ["compare", "--ckpt", checkpoints[0], "--ckpt", checkpoints[1], "random", "--data", str(videos), *FLAGS]
    argv += ["--name", "[bold]one", hostile, "$none$", "--out", str(tmp_path / "out"), "--format", "svg", "--show", "1"]
    assert main([*argv, "--measure", *MEASURES[:2]]) == 0
    out = tmp_path / "out"
    stems = ["affinity", "cam", "scores"]
    expected = {f"compare-{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    expected |= {f"compare-{stem}.npz" for stem in MEASURES[:2]} | {"compare.json", "compare.csv", "index.html"}
    assert {path.name for path in out.glob("[!.]*")} == expected
    report = json.loads((out / "compare.json").read_text())
    assert [entry["name"] for entry in report["checkpoints"]] == ["[bold]one", hostile, "$none$"]
    assert [bool(entry["checkpoint"]["sha256"]) for entry in report["checkpoints"]] == [True, True, False]
    rows = list(csv.DictReader((out / "compare.csv").open(encoding="utf-8")))
    for row, entry in zip(rows, report["differences"], strict=True):
        assert (row["measure"], row["score"], row["other"]) == (entry["measure"], entry["score"], entry["other"])
        assert entry["difference"] is None or float(row["difference"]) == entry["difference"]
    text = (out / "index.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.tags.count("script") == 4  # colors, films, and the explorer with its data
    assert hostile not in text
    assert "&lt;script&gt;" in text
    figures = [image for image in page.images if "alt" in image]
    assert len(figures) == 3
    assert all(image["src"].startswith("data:image/") and hostile in image["alt"] for image in figures)
    assert "://" not in text
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0].split()[:4] == ["score", "better", "chance", "[bold]one"]
    assert len(lines[2 : lines.index("")]) == len(rows)  # a line each
    assert (
        len(
            {
                line.index(name)
                for line in lines
                for name in (hostile, "$none$ ")
                if line.startswith(MEASURES) and name in line
            }
        )
        == 1
    )
    assert "untrained weights: $none$" in printed
    arrays = np.load(out / "compare-affinity.npz")
    assert arrays["names"].tolist() == ["[bold]one", hostile, "$none$"]
    np.testing.assert_array_equal(
        arrays["1_score_contrast"], report["measures"]["affinity"][hostile]["per_video"]["contrast"]
    )


def test_notebook_parameters_and_flags_are_the_settings():
    fields = {field.name: field.default for field in dataclasses.fields(Settings) if field.name != "ckpt"}
    own = {"ckpts": None, "names": None, "measures": None, "untrained": True, "out": None}
    assert notebook_parameters("compare") == {*fields, *own}
    cells = nbformat.read(notebook_path("compare"), as_version=4).cells
    values: dict = {}
    exec(next(cell for cell in cells if cell.metadata.get("tags") == ["parameters"]).source, values)
    flags = vars(_parser().parse_args(["compare"]))
    assert flags["ckpt"] is None
    for name, default in fields.items():
        assert values[name] == (None if default == () else default), name
        assert flags[name] == default, name
    assert {name: values[name] for name in own} == own
    assert flags["untrained"] is own["untrained"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_equal_runs_give_equal_files(settings, tmp_path):
    for name in ("one", "two"):
        compare(settings, UNTRAINED, measures=["affinity"]).save(tmp_path / name)
    for path in (tmp_path / "one").glob("[!.]*"):
        first, second = path.read_bytes(), (tmp_path / "two" / path.name).read_bytes()
        if path.suffix == ".json":
            first, second = ({**json.loads(text), "created": None} for text in (first, second))
        assert first == second or path.suffix == ".html", path.name


def test_a_measure_that_does_not_apply_is_left_out_and_said(videos):
    settings = Settings(data=str(videos), num_frames=8, size=8)  # a single position: no affinity
    made = compare(settings, UNTRAINED)
    assert "affinity" in made.left_out
    assert "at least 2 positions" in made.left_out["affinity"]
    assert "affinity" not in made.studies
    assert "cam" in made.studies
    with pytest.raises(InputError, match="at least 2 positions"):
        compare(settings, UNTRAINED, measures=["affinity"])


def test_a_broken_video_is_skipped_for_all(videos, tmp_path, capsys):
    for path in videos.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    (tmp_path / "broken.mp4").write_text("no video")
    argv = ["compare", "--data", str(tmp_path), "--measure", "affinity", *FLAGS, "--out", str(tmp_path / "out")]
    assert main(argv) == 3
    printed = capsys.readouterr().out
    assert "skipped broken" in printed
    assert printed.split()[:5] == ["score", "better", "chance", "tiny-vd", "against"]
    assert "broken" in (tmp_path / "out" / "skipped.csv").read_text()
    assert "broken" in (tmp_path / "out" / "index.html").read_text()


def test_bad_input_is_one_line(checkpoints, videos, tmp_path, capsys):
    a, b = checkpoints
    (tmp_path / "empty").mkdir()
    copy = tmp_path / "copy.pth"
    copy.write_bytes((videos.parent / a).read_bytes())
    before = sorted(tmp_path.rglob("*"))
    for words, said in [
        (["--ckpt", a], "at least two checkpoints"),
        (["--ckpt", a, a], "are the same checkpoint"),
        (["--ckpt", a, str(copy)], "are the same checkpoint (SHA-256"),
        (["--ckpt", "random", "random:0"], "are the same checkpoint (seed 0)"),
        (["--ckpt", a, str(tmp_path / "empty")], "no checkpoint in this folder"),
        (["--ckpt", a, str(tmp_path / "none.pth")], "none.pth"),
        (["--ckpt", a, b, "--name", "one"], "--name: give one for each checkpoint, got 1 for 2"),
        (["--ckpt", a, b, "--name", "one", "one"], "names must differ"),
        (["--ckpt", a, b, "--measure", "color"], "--measure color: there is no such measure; known: cam, affinity"),
        (["--ckpt", a, b, "--size", "0"], "size must be"),
    ]:
        assert main(["compare", *words, "--out", str(tmp_path / "out")]) == 2, words
        captured = capsys.readouterr()
        assert said in captured.err
        assert captured.err.count("\n") == 1
        assert captured.out == ""
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("frames", [4, 16])
def test_videos_without_another_moment_have_no_scores_to_draw(tmp_path, frames):
    """As long as a clip: nothing is misaligned; with 4 frames there is one slice, and no score at all."""
    drawn = moving_shape(0, num_frames=frames, height=64, width=64).frames
    video = write_video(tmp_path / "v.mp4", drawn.transpose(0, 2, 3, 1), fps=25)
    settings = Settings(video=str(video), num_frames=frames, frame_stride=1, size=32)
    found = compare(settings, UNTRAINED, measures=["temporal"])
    assert not any("offset" in row.score for row in found.differences)
    assert {row.num_videos for row in found.differences} <= {1}
    written = found.save(tmp_path / "out")
    assert {path.name for path in written} >= {"compare-temporal.png", "compare.csv", "index.html"}
