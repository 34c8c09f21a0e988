"""The parts of a report that need no kernel and no browser; tests/end_to_end runs whole ones with notebooks."""

import base64
import dataclasses
import json
import math

import nbformat
import numpy as np
import pytest
from PIL import Image

from analysis.cli import _parser
from analysis.compare.explorers import explorer_clips
from analysis.compare.page import _score_table
from analysis.measures.common.statistics import Summary
from analysis.measures.registry import MEASURES
from analysis.pages.pictures import clip_films, picture
from analysis.report import Report, make_report, measuring, notebook_parameters, notebook_path, plan
from analysis.report.plan import labels
from analysis.settings import Settings
from analysis.studies import load_study, run
from benchmarks.star import moving_shape
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import write_video
from fima.errors import InputError

WITH_SETTINGS = (
    "cam",
    "affinity",
    "temporal",
    "localize",
    "mover",
    "sensitivity",
    "attention",
    "pca",
    "attribution",
    "faithfulness",
    "probe",
    "units",
    "background",
)
SMALL = Settings(data="shapes:camera,videos=3,size=56", split="test", num_frames=8, size=32)
OWN = {
    name: [m.name for m in MEASURES.values() if name in m.settings] for m in MEASURES.values() for name in m.settings
}
"""Setting → the measures that alone have it."""


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_notebook_parameters_are_the_settings(name):
    fields = {field.name: field.default for field in dataclasses.fields(Settings)}
    for own, measures in OWN.items():
        if name not in measures:
            del fields[own]
    assert notebook_parameters(name) == {*fields, "out"}
    cells = nbformat.read(notebook_path(name), as_version=4).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    values: dict = {}
    exec(tagged[0].source, values)
    for field, default in fields.items():
        assert values[field] == (None if default == () else default), field


@pytest.mark.parametrize("name", [*WITH_SETTINGS, "embedding", "mechanism"])
def test_notebooks_of_measures_take_videos_and_a_place_to_write_to(name):
    assert {"ckpt", "video", "data", "split", "num_frames", "size", "out"} <= notebook_parameters(name)


@pytest.mark.parametrize("name", [*WITH_SETTINGS, "report"])
def test_flags_are_the_settings(name):
    args = vars(_parser().parse_args([name, *(["--out", "x"] if name == "report" else [])]))
    fields = {field.name for field in dataclasses.fields(Settings)} - {
        own for own, measures in OWN.items() if name not in (*measures, "report")
    }
    assert fields <= {*args, "masks"}
    for field in dataclasses.fields(Settings):
        if field.name in args:
            assert args[field.name] == field.default


def test_checkpoints_may_be_given_together_or_one_by_one():
    for words_ in (["--ckpt", "a", "b"], ["--ckpt", "a", "--ckpt", "b"]):
        assert _parser().parse_args(["report", *words_, "--out", "x"]).ckpt == ["a", "b"]


def test_notebooks_are_stored_without_output(repo_dir):
    paths = [path for folder in ("analysis", "notebooks") for path in (repo_dir / folder).glob("*.ipynb")]
    assert len(paths) > 12
    for path in paths:
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs"), path
            assert cell.get("execution_count") is None, path


def test_labels_are_unique_folder_names():
    found = labels(["runs/a/last.pth.tar", "last-2.pt", "runs/b/last.pth.tar", None, "x/<b>&.ckpt", "v1.2-best.ckpt"])
    assert list(found) == ["a", "last-2", "b", "tiny-fima", "b-2", "v1.2-best"]
    assert list(labels(["random", "random:1", "random"])) == ["random", "random_1", "random-2"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"parameters": {"siez": "1"}}, r"'siez' is in none of the notebooks; known: .*size"),
        ({"parameters": {"size": "0"}}, "size must be"),
        ({"parameters": {"size": "["}}, "size must be a YAML value"),
        ({"measures": ("camm",)}, "measure 'camm': there is no such measure; known: cam, affinity"),
        ({"measures": ("cam",), "notebooks": ("affinity",)}, "--notebook affinity: is not among the measures cam"),
        ({"checkpoints": ("no/such.ckpt",)}, "no/such.ckpt"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_made(tmp_path, given, message):
    report = Report(**{"settings": SMALL, "checkpoints": (None,), "notebooks": (), "out": tmp_path / "out", **given})
    with pytest.raises((InputError, FileNotFoundError), match=message):
        make_report(report)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="is not empty"):
        make_report(Report(SMALL, (None,), (), tmp_path))
    with pytest.raises(InputError, match="is a file"):
        make_report(Report(SMALL, (None,), (), tmp_path / "mine.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Name → measure → (study as it was run, as it was read back), of two untrained backbones."""
    found: dict = {}
    for name in ("random", "random:1"):
        folder = tmp_path_factory.mktemp("saved")
        for measure in ("cam", "affinity", "localize"):
            study = run(measure, dataclasses.replace(SMALL, ckpt=name))
            study.save(folder)
            found.setdefault(name, {})[measure] = study, load_study(folder / measure)
    return found


def test_the_explorer_gets_the_saved_affinities(studies):
    affinity = {name: of["affinity"][1] for name, of in studies.items()}
    cam = {name: of["cam"][1] for name, of in studies.items()}
    clips = explorer_clips(affinity, cam)
    first = affinity["random"].arrays
    assert [clip.name for clip in clips] == [str(video) for video in first["example_video_id"]]
    for i, clip in enumerate(clips):
        for name, study in affinity.items():
            np.testing.assert_array_equal(clip.affinity[name], study.arrays["example_affinity_slices"][i])
            np.testing.assert_array_equal(clip.mean[name], study.arrays["example_affinity"][i])
        # The frame of a slice is the one at the time that the slice is said to be at.
        times = cam["random"].arrays["example_seconds"][i].tolist()
        for frame, seconds in zip(clip.rgb, clip.frame_seconds, strict=True):
            np.testing.assert_array_equal(frame, cam["random"].arrays["example_frames"][i][times.index(seconds)])
    alone = explorer_clips(affinity, {})
    assert (alone[0].rgb == first["example_frame"][0]).all()


def _bytes(address):
    return base64.b64decode(address.split(",", 1)[1])


def test_films_hold_the_frames_of_the_clips(studies, tmp_path):
    cam = {name: of["cam"][1] for name, of in studies.items()}
    clips = clip_films(cam)
    arrays = cam["random"].arrays
    assert [clip.name for clip in clips] == [str(video) for video in arrays["example_video_id"]]
    for i, clip in enumerate(clips):
        assert [film.label for film in clip.films] == ["", "random", "random:1"]
        np.testing.assert_allclose(clip.seconds, arrays["example_seconds"][i], atol=5e-4)
        for film in clip.films:
            file = tmp_path / "film.mp4"
            file.write_bytes(_bytes(film.address))
            with VideoReader(file) as reader:
                assert len(reader) == film.frames == 8
                assert reader.fps == pytest.approx(film.fps)
                shown = reader.frames([3])[0].permute(1, 2, 0).numpy()
            assert shown.shape[:2] == (film.height, film.width)
            if not film.label:
                error = np.abs(shown.astype(int) - arrays["example_frames"][i][3])
                assert error.mean() < 8  # H.264, with half the colors


def test_a_large_picture_becomes_webp_and_a_small_one_stays(tmp_path):
    rng = np.random.default_rng(0)
    noise = np.kron(rng.integers(0, 255, (60, 80, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    noise += rng.integers(0, 20, noise.shape, np.uint8) // 2
    for name, array, kind in (("large", noise, "webp"), ("small", noise[:20, :30], "png")):
        Image.fromarray(array).save(tmp_path / f"{name}.png")
        made = picture(tmp_path / f"{name}.png")
        assert made.address.startswith(f"data:image/{kind};base64,")
        assert (made.width, made.height) == array.shape[1::-1]
        (tmp_path / "again").write_bytes(_bytes(made.address))
        with Image.open(tmp_path / "again") as image:
            assert image.size == array.shape[1::-1]
    assert len(picture(tmp_path / "large.png").address) < (tmp_path / "large.png").stat().st_size


def _study(studies, measure="cam", **scores):
    return dataclasses.replace(studies["random"]["cam"][1], measure=measure, scores=scores)


def test_the_table_has_every_score_of_every_checkpoint(studies):
    one, two = Summary(0.5, 0.1, 0.4, 0.6, 3, 0.25), Summary(-0.5, 0.1, math.nan, math.nan, 1)
    both = {"auroc_foreground": one, "displacement": one}
    columns = {"a": _study(studies, "affinity", **both), "b": _study(studies, "affinity", auroc_foreground=two)}
    assert _score_table("affinity", columns) == [
        ("AUROC, foreground", "0.250", ["0.500 [0.400, 0.600]", "−0.500"]),
        ("displacement (cells)", "0.250", ["0.500 [0.400, 0.600]", "–"]),
    ]


@pytest.fixture(scope="module")
def unmasked(tmp_path_factory):
    """A video of which nobody knows where its object is."""
    path = tmp_path_factory.mktemp("video") / "plain.mp4"
    frames = moving_shape(0, num_frames=24, height=48, width=48).frames
    write_video(path, [frame.transpose(1, 2, 0) for frame in frames], fps=12)
    return str(path)


def test_each_measure_runs_once_for_each_checkpoint_and_what_does_not_apply_is_named(tmp_path, unmasked, monkeypatch):
    calls = []

    def counted(name, session, progress):
        calls.append((name, session.settings.ckpt))
        return run(name, session, progress)

    out = tmp_path / "out"
    settings = Settings(video=(unmasked,), num_frames=8, size=32)
    measures = ("cam", "localize", "embedding")
    # Nobody asks for these by name: a wish for all of them is made of STUDIES.
    monkeypatch.setattr(plan, "STUDIES", measures)
    monkeypatch.setattr(measuring, "run", counted)
    steps: list = []
    made = make_report(Report(settings, ("random", "random:1"), (), out), lambda *step: steps.append(step))
    assert sorted(calls) == sorted((n, c) for n in ("cam", "localize") for c in ("random:0", "random:1"))
    named = [f"{measure} of {name}" for name in ("random", "random_1") for measure in measures]
    assert list(dict.fromkeys(name for _, _, name in steps)) == [*named, "the page"]
    shares = [done / total for done, total, _ in steps]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert made.skipped == 0
    page = made.index.read_text()
    assert page.count("Left out: needs a data set of several videos (--data)") == 1
    assert sorted(path.name for path in out.glob("[!.]*")) == ["compare-cam.png", "index.html", "random", "random_1"]
    assert {"cam.npz", "cam.json", "cam.png"} == {path.name for path in (out / "random").glob("[!.]*")}


def test_a_measure_that_was_asked_for_and_does_not_apply_is_an_error(tmp_path, unmasked):
    settings = Settings(video=(unmasked,), num_frames=8, size=32)
    for measure, message in (("localize", "mask"), ("embedding", "--data")):
        with pytest.raises(InputError, match=message):
            make_report(Report(settings, ("random",), (), tmp_path / "out", measures=(measure,)))
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_untrained_twin_stands_beside_scores_that_an_architecture_alone_has(tmp_path):
    measures = ("cam", "affinity")
    given = {"settings": SMALL, "notebooks": (), "measures": measures}
    page = make_report(Report(checkpoints=("tiny-fima",), out=tmp_path / "one", **given)).index.read_text()
    assert load_study(tmp_path / "one" / "tiny-fima" / "affinity").has_twin
    assert not load_study(tmp_path / "one" / "tiny-fima" / "cam").has_twin
    assert "; untrained 0." in page
    assert "An untrained twin&#39;s scores stand beside" in page or "An untrained twin's scores stand beside" in page
    make_report(Report(checkpoints=("tiny-fima", "random"), out=tmp_path / "two", **given))
    assert not load_study(tmp_path / "two" / "tiny-fima" / "affinity").has_twin


def test_what_costs_most_is_only_measured_on_request(tmp_path):
    given = {"settings": SMALL, "checkpoints": ("random",), "out": tmp_path}
    assert "faithfulness" not in plan.make_plan(Report(notebooks=(), **given)).measures
    assert plan.make_plan(Report(notebooks=(), measures=("faithfulness",), **given)).measures == ["faithfulness"]
