"""Files appear whole or not at all."""

import json

import numpy as np
import pytest

from analysis.output import output_folder, to_plain, write_json, write_npz
from fima.errors import InputError
from fima.files.claims import RECORDS


def test_files_appear_together_when_the_block_ends(tmp_path):
    out = tmp_path / "a" / "b"
    with output_folder(out, "cam", {}) as folder:
        (folder / "one.txt").write_text("1")
        (folder / "sub").mkdir()
        (folder / "sub" / "two.txt").write_text("2")
        assert not (out / "one.txt").exists()
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files == [RECORDS, "one.txt", "sub/two.txt"]


def test_numbers_from_papermill_are_no_folder():
    with pytest.raises(InputError, match=r"out must be a path, got 2024.*-r NAME TEXT"):
        output_folder(2024, "cam", {})


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_nothing_and_keeps_what_was_there(tmp_path, error):
    new, old = tmp_path / "new" / "deep", tmp_path / "old"
    old.mkdir()
    (old / "cam.json").write_text("before")

    def fail(out):
        with output_folder(out, "cam", {}) as folder:
            (folder / "cam.json").write_text("half")
            raise error

    for out in (new, old):
        with pytest.raises(error):
            fail(out)
    assert not (tmp_path / "new").exists()
    assert (old / "cam.json").read_text() == "before"
    assert [path.name for path in old.iterdir()] == ["cam.json"]


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=f"--out {out}: cannot be made"), output_folder(out, "cam", {}):
            pass


def test_npz_is_byte_identical_for_equal_arrays(tmp_path):
    arrays = {"b": np.arange(6.0).reshape(2, 3), "a": np.array(["x", "yy"])}
    write_npz(tmp_path / "1.npz", arrays)
    write_npz(tmp_path / "2.npz", {name: array.copy() for name, array in arrays.items()})
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    assert np.load(tmp_path / "1.npz")["b"].tolist() == arrays["b"].tolist()


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "x.json", {"a": float("nan"), "b": np.array([1.5, np.inf]), "c": (np.int64(2), tmp_path)})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": [1.5, None], "c": [2, str(tmp_path)]}
    assert to_plain({1: np.bool_(True)}) == {"1": True}
