"""The parts of a report that need no kernel; tests/end_to_end runs whole ones."""

import dataclasses
import json

import nbformat
import pytest

from analysis.cli import _parser
from analysis.report import Report, _labels, make_report, notebook_parameters, notebook_path
from analysis.settings import Settings
from fima.errors import InputError

MEASURES = ("cam", "affinity", "temporal", "localize", "sensitivity")
# Settings of some measures only.
OWN = {"hop": ("temporal",), "normalize": ("cam",), "masks": ("localize", "sensitivity")}


@pytest.mark.parametrize("name", MEASURES)
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


@pytest.mark.parametrize("name", MEASURES)
def test_flags_are_the_settings(name):
    args = vars(_parser().parse_args([name]))
    fields = {field.name for field in dataclasses.fields(Settings)} - {
        own for own, measures in OWN.items() if name not in measures
    }
    assert fields <= set(args)
    for field in dataclasses.fields(Settings):
        if field.name in args:
            assert args[field.name] == field.default


@pytest.mark.parametrize("path", [*(f"analysis/{name}" for name in (*MEASURES, "compare")), "notebooks/explore"])
def test_notebooks_are_stored_without_output(repo_dir, path):
    notebook = json.loads((repo_dir / f"{path}.ipynb").read_text())
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_labels_are_unique_folder_names():
    labels = _labels(["runs/a/last.pth.tar", "last-2.pt", "runs/b/last.pth.tar", None, "x/<b>&.ckpt", "v1.2-best.ckpt"])
    assert list(labels) == ["last", "last-2", "last-3", "tiny-fima", "b", "v1.2-best"]


def test_unknown_parameters_are_refused_before_anything_is_made(tmp_path):
    report = Report(Settings(), (None,), MEASURES, tmp_path / "out", parameters={"siez": "1"})
    with pytest.raises(InputError, match=r"'siez' is in none of the notebooks cam, .*, sensitivity; known: .*size"):
        make_report(report)
    assert not (tmp_path / "out").exists()


def test_a_bad_parameter_value_is_refused_before_anything_is_made(tmp_path):
    report = Report(Settings(), (None,), MEASURES, tmp_path / "out", parameters={"size": "0"})
    with pytest.raises(InputError, match="size must be"):
        make_report(report)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="is not empty"):
        make_report(Report(Settings(), (None,), MEASURES, tmp_path))
    with pytest.raises(InputError, match="is a file"):
        make_report(Report(Settings(), (None,), MEASURES, tmp_path / "mine.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
