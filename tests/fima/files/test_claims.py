"""A result folder belongs to the run that wrote it; whatever else lies there stays as it is."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fima.errors import InputError
from fima.files.claims import RECORDS, claim_file, claim_output, results_folder
from fima.files.writing import write_text


def write(folder, settings, files, *, overwrite=False, **rules):
    """A run of kind "cam" that writes these files together."""
    with results_folder(folder, "cam", settings, overwrite=overwrite, **rules) as scratch:
        for name, content in files.items():
            write_text(scratch / name, content)


def content(folder):
    """Every file that is not a record: name → content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): p.read_text() for p in files if RECORDS not in p.parts}


def test_the_same_settings_replace_their_results_and_remove_what_is_no_longer_written(tmp_path):
    write(tmp_path, {"ckpt": "a"}, {"cam.json": "1", "cam/x.mp4": "film"})
    write(tmp_path, {"ckpt": "a"}, {"cam.json": "2"})
    assert content(tmp_path) == {"cam.json": "2"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECORDS, "cam.json"]


def test_other_settings_are_refused_unless_overwritten(tmp_path):
    write(tmp_path, {"ckpt": "a", "size": 1}, {"cam.json": "1", "old.png": "p"})
    with pytest.raises(InputError, match=r'holds another run\'s cam \(ckpt: "a", here "b"\); .*--overwrite'):
        write(tmp_path, {"ckpt": "b", "size": 1}, {"cam.json": "2"})
    assert content(tmp_path) == {"cam.json": "1", "old.png": "p"}
    write(tmp_path, {"ckpt": "b", "size": 1}, {"cam.json": "2"}, overwrite=True)
    assert content(tmp_path) == {"cam.json": "2"}


def test_a_kill_while_results_change_places_loses_nothing_and_the_next_run_puts_it_right(tmp_path, monkeypatch):
    write(tmp_path, {}, {"a.png": "1", "b.json": "1", "stale.csv": "1"})
    (tmp_path / "mine.txt").write_text("keep")
    replace = Path.replace

    def dying(path, target):
        if path.name == "b.json":
            raise MemoryError
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(MemoryError):
        write(tmp_path, {}, {"a.png": "2", "b.json": "2"})
    monkeypatch.undo()
    assert content(tmp_path) == {"a.png": "2", "b.json": "1", "stale.csv": "1", "mine.txt": "keep"}
    write(tmp_path, {}, {"a.png": "3", "b.json": "3"})
    assert content(tmp_path) == {"a.png": "3", "b.json": "3", "mine.txt": "keep"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("early", [(), ("cam.json",), ("*.json",)], ids=["late", "name", "pattern"])
def test_foreign_files_are_never_replaced(tmp_path, overwrite, early):
    (tmp_path / "cam.json").write_text("mine")
    with pytest.raises(InputError, match=r"holds cam\.json, not of this run"):
        write(tmp_path, {}, {"cam.json": "ours", "b.txt": "ours"}, overwrite=overwrite, names=early)
    assert content(tmp_path) == {"cam.json": "mine"}
    assert not (tmp_path / RECORDS).exists()


def test_a_result_that_was_edited_is_the_editors(tmp_path):
    write(tmp_path, {}, {"cam.json": "1", "stale.csv": "1"})
    (tmp_path / "stale.csv").write_text("edited")
    write(tmp_path, {}, {"cam.json": "2"})
    assert content(tmp_path) == {"cam.json": "2", "stale.csv": "edited"}
    (tmp_path / "cam.json").write_text("edited")
    with pytest.raises(InputError, match="move them away"):
        write(tmp_path, {}, {"cam.json": "3"}, overwrite=True)
    assert content(tmp_path) == {"cam.json": "edited", "stale.csv": "edited"}


def test_inputs_are_never_replaced_not_even_own_results(tmp_path):
    write(tmp_path, {}, {"cam.mp4": "film", "b.txt": "1"})
    for link in (tmp_path / "cam.mp4", tmp_path / ".." / tmp_path.name / "cam.mp4"):
        with pytest.raises(InputError, match=r"holds cam\.mp4"):
            write(tmp_path, {}, {"cam.mp4": "new", "b.txt": "2"}, inputs=[link], overwrite=True)
        write(tmp_path, {}, {"b.txt": "1"}, inputs=[link])  # nor removed
    assert content(tmp_path) == {"cam.mp4": "film", "b.txt": "1"}


def test_another_kinds_files_are_replaced_only_if_asked_or_shared(tmp_path):
    with results_folder(tmp_path, "knn", {}) as scratch:
        (scratch / "predictions.csv").write_text("knn")
        (scratch / "skipped.csv").write_text("knn")
    with pytest.raises(InputError, match=r"predictions\.csv, not of this run.*--overwrite"):
        write(tmp_path, {}, {"predictions.csv": "cam"})
    write(tmp_path, {}, {"skipped.csv": "cam"}, shared=("skipped.csv",))
    write(tmp_path, {}, {"predictions.csv": "cam"}, overwrite=True)
    assert content(tmp_path) == {"predictions.csv": "cam"}


def test_links_and_folders_under_a_results_name_are_foreign(tmp_path):
    (tmp_path / "users.txt").write_text("mine")
    (tmp_path / "link.json").symlink_to(tmp_path / "users.txt")
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.json").mkdir()
    for name in ("link.json", "dangling.json", "folder.json"):
        with pytest.raises(InputError, match=name):
            write(tmp_path, {}, {name: "ours"}, overwrite=True)
    assert (tmp_path / "users.txt").read_text() == "mine"


def test_a_file_that_was_claimed_and_not_written_leaves_no_record(tmp_path):
    with claim_file(tmp_path / "a.parquet", "fima extract"):
        pass
    assert not list(tmp_path.iterdir())


def test_an_error_leaves_no_trace(tmp_path):
    with pytest.raises(ZeroDivisionError), results_folder(tmp_path / "a" / "b", "cam", {}) as scratch:
        (scratch / f"{1 / 0}").touch()
    assert not list(tmp_path.iterdir())


def test_a_folder_of_an_earlier_version_is_known_by_its_command(tmp_path):
    (tmp_path / "cam.json").write_text(json.dumps({"provenance": {"command": "fima-analyze cam"}}))
    (tmp_path / "cam.png").write_text("old")
    (tmp_path / "cam.py").write_text("mine")
    names = ("cam.json", "cam.png")
    with pytest.raises(InputError, match=r"an earlier version of fima.*--overwrite"):
        write(tmp_path, {}, dict.fromkeys(names, "new"), names=names)
    write(tmp_path, {}, dict.fromkeys(names, "new"), names=names, overwrite=True)
    assert content(tmp_path) == {"cam.json": "new", "cam.png": "new", "cam.py": "mine"}


def test_files_written_in_place_are_own_even_after_a_kill(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from fima.files.claims import claim_output\n"
        "with claim_output(sys.argv[1], 'run', {}) as claim:\n"
        "    claim.expect('last.ckpt', 'later.ckpt'); Path(sys.argv[1], 'last.ckpt').write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path]).returncode == -signal.SIGKILL
    with claim_output(tmp_path, "run", {}) as claim:  # the dead process's lock is free
        assert claim.owns("last.ckpt")
        claim.expect("last.ckpt")
        (tmp_path / "last.ckpt").write_text("whole")
        (tmp_path / "users.ckpt").write_text("mine")
        assert claim.forget("last.ckpt")
        assert not claim.forget("users.ckpt")
    assert content(tmp_path) == {"users.ckpt": "mine"}


def test_a_second_run_at_once_is_refused(tmp_path):
    with claim_output(tmp_path, "cam", {}):
        with pytest.raises(InputError, match=f"--out {tmp_path}: another run is writing there"):
            write(tmp_path, {}, {"b.json": "2"})
        with claim_file(tmp_path / "table.md", "fima table"):
            pass  # single files do not mind each other
    write(tmp_path, {}, {"b.json": "2"})
    assert content(tmp_path) == {"b.json": "2"}


def test_a_single_file_is_replaced_by_its_own_command_only(tmp_path):
    for command, refused in (("fima table", False), ("fima table", False), ("fima export", True)):
        try:
            with claim_file(tmp_path / "a.md", command) as claim:
                claim.expect("a.md")
                write_text(tmp_path / "a.md", command)
        except InputError:
            assert refused
        else:
            assert not refused
    assert content(tmp_path) == {"a.md": "fima table"}


def test_damaged_records_own_nothing(tmp_path):
    write(tmp_path, {}, {"cam.json": "1"})
    wrong = [{"files": 3, "settings": {}}, {"files": {"cam.json": 1}, "settings": {}}, 3]
    wrong = [json.dumps({"results": {"cam": record}}) for record in wrong]
    for damage in ("", "[]", "[" * 100_000, *wrong):
        (tmp_path / RECORDS).write_text(damage)
        with pytest.raises(InputError, match=r"cam\.json"):
            write(tmp_path, {}, {"cam.json": "2"}, overwrite=True)
    assert content(tmp_path) == {"cam.json": "1"}
