"""Files appear whole or not at all, whatever happens to who writes them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fima.errors import InputError, WriteError
from fima.files.writing import _MACHINE, _machine, is_abandoned, sweep, whole_file, write_csv, write_json, write_text


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as partial:
        partial.write_text(str(1 / 0), encoding="utf-8")
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["a.txt"]


def test_a_file_has_the_permissions_of_any_new_file(tmp_path):
    write_text(tmp_path / "a.txt", "x")
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_json_and_csv_read_back_with_names_that_are_no_text(tmp_path):
    stray = os.fsdecode(b"bad\xff.mp4")
    write_json(tmp_path / "a" / "b.json", {"video": stray, "漢": 1})
    assert json.loads((tmp_path / "a" / "b.json").read_text(encoding="utf-8")) == {"video": stray, "漢": 1}
    write_csv(tmp_path / "c.csv", ("video", "reason"), {stray: "a, b"})
    assert (tmp_path / "c.csv").read_bytes() == b'video,reason\r\nbad\\udcff.mp4,"a, b"\r\n'


def test_a_place_that_refuses_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match=r"folder: cannot be written \(Is a directory\)"):
        write_text(tmp_path / "folder", "x")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/a.txt: cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"source\.mp4"), whole_file(tmp_path / "a.txt"):
        (tmp_path / "source.mp4").read_bytes()


_FULL = """
import resource, signal, sys
from pathlib import Path
from fima.files.writing import write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, -1))
write_text(Path(sys.argv[1]), "x" * 1000)
"""


def test_a_full_disk_is_said_of_the_file_and_leaves_the_old_one(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    done = subprocess.run([sys.executable, "-c", _FULL, tmp_path / "a.txt"], capture_output=True, text=True)
    assert done.stderr.endswith(f"WriteError: {tmp_path / 'a.txt'}: cannot be written (File too large)\n")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert _names(tmp_path) == ["a.txt"]


_SLOW = """
import sys, time
from pathlib import Path
from fima.files.writing import whole_file
with whole_file(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", _SLOW, tmp_path / name], stdout=subprocess.PIPE)
        for name in ("killed.txt", "alive.txt")
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == b"writing\n"
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        assert len(_names(tmp_path)) == 2
        write_text(tmp_path / "mine.txt", "x")
        assert len(_names(tmp_path)) == 2
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


def test_files_of_another_machine_go_after_a_day_and_others_hidden_files_stay(tmp_path):
    other = "00000000" if _MACHINE != "00000000" else "11111111"
    fresh, old = tmp_path / f".partial-{other}-1-1.csv", tmp_path / f".partial-{other}-1-2.csv"
    users = [tmp_path / ".partial-notes", tmp_path / ".a.partial"]
    for path in (fresh, old, *users):
        path.touch()
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    assert is_abandoned(old)
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([fresh, *users])


def test_containers_and_reboots_of_one_hosts_name_are_machines_of_their_own(tmp_path):
    """Their process ids say nothing of each other."""
    names = {_machine(tmp_path / "no proc")}
    for container in ("a", "b"):
        for part, text in (("sys/kernel/random/boot_id", "one boot\n"), ("self/ns/pid", "")):
            (tmp_path / container / part).parent.mkdir(parents=True)
            (tmp_path / container / part).write_text(text)
        names.add(_machine(tmp_path / container))
    (tmp_path / "a" / "sys/kernel/random/boot_id").write_text("another boot\n")
    names.add(_machine(tmp_path / "a"))
    assert len(names) == 4
    assert _machine() == _MACHINE


def test_a_folder_is_swept_once_whatever_it_is_called(tmp_path, monkeypatch):
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        left = folder / f".partial-{_MACHINE}-{2**22 + 1}-0"  # no process has so high a number
        left.touch()
        monkeypatch.chdir(folder)
        sweep(Path())
        assert not left.exists()
