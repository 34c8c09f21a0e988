"""The result of a study: data that prints itself shortly, and is the same after saving and loading."""

import base64
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from analysis.plotting.style import save_figure
from analysis.settings import Settings
from analysis.studies import CORE, load_study, run
from fima.errors import InputError

SMALL = {"data": "shapes:camera,videos=3,size=56", "num_frames": 8, "size": 56, "show": 2, "ckpt": "random"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Measure → (study, folder that holds it alone)."""
    studies = {}
    for measure in CORE:
        folder = tmp_path_factory.mktemp(measure)
        studies[measure] = run(measure, Settings(**SMALL)), folder
        studies[measure][0].save(folder, films=False)
    return studies


def _png(study):
    buffer = io.BytesIO()
    save_figure(study.figure(), buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize("measure", CORE)
def test_a_loaded_study_is_the_one_that_was_saved_and_draws_the_same_picture(saved, measure):
    study, folder = saved[measure]
    again = load_study(folder / measure)
    assert again.measure == study.measure
    assert again.arrays.keys() == study.arrays.keys()
    for name, array in study.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])
    for name, summary in study.scores.items():
        np.testing.assert_array_equal(
            np.array(list(vars(summary).values()), float), np.array(list(vars(again.scores[name]).values()), float)
        )
    assert (again.skipped, again.repeated, again.references) == (study.skipped, study.repeated, study.references)
    assert again.table() == study.table()
    assert _png(again) == (folder / f"{measure}.png").read_bytes()


def test_a_study_is_found_by_its_folder_or_any_of_its_files(saved, tmp_path):
    _, folder = saved["affinity"]
    for path in (folder, folder / "affinity.json", folder / "affinity.npz", str(folder / "affinity")):
        assert load_study(path).measure == "affinity"
    (folder / "affinity").mkdir(exist_ok=True)  # as the films of several clips
    assert load_study(folder / "affinity").measure == "affinity"
    with pytest.raises(FileNotFoundError, match="no study in this folder"):
        load_study(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_study(tmp_path / "cam")
    for measure in ("affinity", "cam"):
        for kind in ("json", "npz"):
            file = saved[measure][1] / f"{measure}.{kind}"
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match=r"several studies \(affinity, cam\)"):
        load_study(tmp_path)
    (tmp_path / "cam.json").write_text("[]")
    with pytest.raises(InputError, match="holds no study that can be read"):
        load_study(tmp_path / "cam")


def test_a_study_of_an_earlier_version_is_read_under_todays_names(saved, tmp_path):
    """As written before the spelling changed."""
    study, folder = saved["localize"]
    content = json.loads((folder / "localize.json").read_text())
    content["scores"] = {name.replace("center", "centre"): values for name, values in content["scores"].items()}
    content["references"] = [name.replace("center", "centre") for name in content["references"]]
    (tmp_path / "localize.json").write_text(json.dumps(content))
    np.savez(tmp_path / "localize.npz", **{n.replace("center", "centre"): array for n, array in study.arrays.items()})
    again = load_study(tmp_path)
    assert again.scores.keys() == study.scores.keys()
    assert again.references == study.references
    assert _png(again) == (folder / "localize.png").read_bytes()


def test_files_that_an_earlier_version_wrote_are_drawn_again(repo_dir):
    """``tests/golden/study_before_renaming`` was written by the version before the renaming, on drawn videos."""
    study = load_study(repo_dir / "tests/golden/study_before_renaming/sensitivity")
    assert {"grayscale", "color_jitter"} < study.scores.keys()
    assert study.scores["motion_share"].mean == pytest.approx(0.2430, abs=1e-4)
    assert study.frame().set_index("score").loc["frozen", "units"] == 3
    assert study.figure().get_suptitle()
    assert len(study.per_video()) == 3


def test_frame_has_a_row_for_each_score(saved):
    study, _ = saved["affinity"]
    frame = study.frame()
    assert list(frame.columns) == ["score", "mean", "low", "high", "chance", "units"]
    row = frame.set_index("score").loc["auroc"]
    summary = study.scores["auroc"]
    assert (row["mean"], row["low"], row["high"], row["chance"]) == (summary.mean, summary.low, summary.high, 0.5)
    assert row["units"] == 3
    assert np.isnan(saved["sensitivity"][0].frame().set_index("score").loc["frozen", "chance"])


def test_per_video_has_a_row_for_each_video(saved):
    study, _ = saved["affinity"]
    table = study.per_video()
    assert table.columns[0] == "video_id"
    assert len(table) == 3
    assert table["auroc"].mean() == pytest.approx(study.scores["auroc"].mean)


@pytest.mark.parametrize("measure", CORE)
def test_text_is_a_few_lines(saved, measure):
    lines = repr(saved[measure][0]).splitlines()
    assert lines[0] == f"{measure} of tiny (untrained weights), 3 videos"
    assert 2 <= len(lines) <= 6
    assert max(map(len, lines)) < 110


def test_notebooks_get_text_picture_and_table(saved):
    study, _ = saved["cam"]
    bundle = study._repr_mimebundle_()
    assert bundle["text/plain"] == repr(study)
    with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as picture:
        assert picture.width > 500
    assert bundle["image/png"] in bundle["text/html"]
    assert "<td>correlation of RGB and motion map</td>" in bundle["text/html"]
    assert study == study
    assert study != load_study(saved["cam"][1])


def test_a_study_is_read_without_any_drawing(saved):
    code = (
        "import sys; from analysis.studies import load_study; study = load_study(sys.argv[1]); study.frame()\n"
        "assert not {'matplotlib', 'captum', 'jinja2'} & {name.split('.')[0] for name in sys.modules}, 'draws'"
    )
    subprocess.run([sys.executable, "-c", code, str(saved["cam"][1])], check=True)


def test_where_it_comes_from_is_told_in_ten_lines():
    said = run("cam", Settings(data="shapes:camera,videos=2,size=56", split="test", num_frames=4, size=32)).origin()
    lines = dict(line.split(":", 1) for line in said.splitlines())
    assert len(said.splitlines()) <= 10
    assert lines["checkpoint"].strip() == "small-fima"
    assert "nothing missing, nothing unexpected" in lines["weights"]
    assert "shapes:camera,videos=2,size=56 (test), 2 in all" in lines["videos"]
    assert lines["command"].strip().startswith("fima-analyze cam ")
    assert "untrained, seed 3" in run("cam", Settings(ckpt="random", seed=3, num_frames=4, size=32)).origin()
