"""The kept index: the same answer as listing, never a stale one, and never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fima.data.datasets import open_dataset, opening
from fima.data.datasets.cache import cache_folder, load_index, signature, store_index
from fima.errors import InputError

AN_HOUR = 3600


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """The folder of kept answers, empty at first."""
    monkeypatch.setenv("FIMA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


def age(root):
    """As if nothing had been touched for an hour: what has just changed is not kept."""
    then = time.time() - AN_HOUR
    for path in [root, *root.rglob("*")]:
        os.utime(path, (then, then))
    return root


def class_folders(root, count=1200):
    for i in range(count):
        path = root / "videos" / f"class{i % 4}" / f"{i:04d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return age(root)


def ucf101(root):
    class_folders(root)
    names = [f"class{i % 4}/{i:04d}.avi" for i in range(1300)]  # .mp4 on disk, and 100 are not there
    (root / "anno").mkdir()
    (root / "anno/trainlist01.txt").write_text("\n".join(names))
    (root / "anno/testlist01.txt").write_text("class1/0001.mp4\n")
    return age(root)


def list_file(root):
    class_folders(root / "data")
    rows = [f"videos/class{i % 4}/{i:04d}.mp4 {'run' if i % 2 else 'jump'}" for i in range(1100)]
    rows[5] = f"{root}/data/{rows[5]}"
    path = root / "data" / "list.txt"
    path.write_text("\n".join([*rows, "videos/class1/1101.mp4", "../elsewhere.mkv run"]))
    (root / "elsewhere.mkv").touch()
    age(root)
    return path


def diving48(root):
    (root / "rgb").mkdir(parents=True)
    entries = [{"vid_name": f"v{i}", "label": i % 3, "start_frame": 0, "end_frame": 50 + i} for i in range(1000)]
    for entry in entries[:-1]:
        (root / "rgb" / f"{entry['vid_name']}.mp4").touch()
    (root / "Diving48_V2_train.json").write_text(json.dumps(entries))
    return age(root)


def frames(root):
    for i in range(1000):
        (root / f"video{i}").mkdir(parents=True)
        (root / f"video{i}" / "img_00001.jpg").touch()
    return age(root)


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (class_folders, {}),
        (ucf101, {"split": "train"}),
        (ucf101, {"layout": "class-folders"}),
        (list_file, {"separator": "space"}),
        (diving48, {"split": "train"}),
        (frames, {"frame_fps": 12.5}),
        (frames, {"frame_template": "img_{:05d}.jpg"}),
    ],
)
def test_the_same_answer_without_looking(tmp_path, monkeypatch, kept, make, settings):
    path = make(tmp_path / "set")
    listed = open_dataset(path, **settings, cache=False)
    assert not kept.exists()
    assert open_dataset(path, **settings) == listed
    assert len(list(kept.iterdir())) == 1
    monkeypatch.setattr("os.scandir", None)
    assert open_dataset(path, **settings) == listed
    with pytest.raises(TypeError):  # it does look where it is told to
        open_dataset(path, **settings, cache=False)


def test_paths_are_as_the_caller_writes_them(tmp_path, monkeypatch):
    class_folders(tmp_path / "set")
    (tmp_path / "link").symlink_to("set")
    absolute = open_dataset(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.scandir", None)
    for spelling in (Path("set"), Path("link"), tmp_path / "link"):
        dataset = open_dataset(spelling)
        assert dataset.root == spelling / "videos"
        assert [r.path for r in dataset] == [spelling / r.path.relative_to(tmp_path / "set") for r in absolute]


CHANGES = {
    "a video more": lambda root: (root / "videos/class1/new.mp4").touch(),
    "a video less": lambda root: (root / "videos/class1/0001.mp4").unlink(),
    "a video renamed": lambda root: (root / "videos/class1/0001.mp4").rename(root / "videos/class1/0001.mkv"),
    "a class renamed": lambda root: (root / "videos/class1").rename(root / "videos/class9"),
    "another class moved here": lambda root: (root / "videos/class0").rename(root / "class0"),
    "lists that were not there": lambda root: (
        (root / "annotations").mkdir() or (root / "annotations/trainlist01.txt").write_text("class1/0001.mp4\n")
    ),
    "a list edited": lambda root: (root / "anno/trainlist01.txt").write_text("class1/0001.mp4\n"),
    "classes numbered": lambda root: (root / "anno/classInd.txt").write_text(
        "1 class3\n2 class2\n3 class1\n4 class0\n"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(tmp_path, change):
    root = ucf101(tmp_path / "set")
    before = open_dataset(root, split="train")
    CHANGES[change](root)
    after = open_dataset(root, split="train")
    assert after == open_dataset(root, split="train", cache=False)
    assert (after != before) == (change != "a video more")


def test_a_change_that_keeps_size_and_time_is_noticed(tmp_path):
    root = ucf101(tmp_path / "set")
    path = root / "anno/trainlist01.txt"
    before, status = open_dataset(root, split="train"), path.stat()
    path.write_text(path.read_text().replace("class1/0001", "class1/0002"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert open_dataset(root, split="train").missing == ("class1/0002.avi", *before.missing)


def test_each_question_has_its_own_answer(tmp_path, kept):
    root = ucf101(tmp_path / "set")
    assert len(open_dataset(root, split="train")) == 1200
    assert len(open_dataset(root, split="test")) == 1
    assert len(open_dataset(root, split="train")) == 1200
    assert open_dataset(root).layout == "ucf101"
    assert open_dataset(root, layout="class folders").layout == "class folders"
    with pytest.raises(InputError, match="no split 'val'"):
        open_dataset(root, split="val")
    assert len(list(kept.iterdir())) == 3  # one video and none are not worth keeping


def test_other_readers_do_not_use_what_was_kept(tmp_path, monkeypatch, kept):
    root = class_folders(tmp_path / "set")
    open_dataset(root)
    monkeypatch.setattr(opening, "_readers_digest", lambda: "another release")
    open_dataset(root)
    assert len(list(kept.iterdir())) == 2


def test_what_has_just_changed_is_not_kept(tmp_path, kept):
    root = class_folders(tmp_path / "set")
    os.utime(root / "videos/class2")
    assert len(open_dataset(root)) == 1200
    assert not kept.exists()
    assert store_index({}, root, 1, {"a": signature(root / "videos")})
    assert not store_index({}, root, 1, {"a": signature(root / "videos/class2"), "b": None})


def test_nothing_is_written_into_the_data_set(tmp_path, monkeypatch):
    root = class_folders(tmp_path / "set")
    monkeypatch.setenv("FIMA_CACHE_DIR", str(root / "cache"))
    before = sorted(root.rglob("*"))
    assert len(open_dataset(root)) == 1200
    assert sorted(root.rglob("*")) == before
    path = list_file(tmp_path / "other")
    monkeypatch.setenv("FIMA_CACHE_DIR", str(path.parent))
    assert len(open_dataset(path)) == 1102
    assert not list(path.parent.rglob("*.json"))


DAMAGE = {
    "empty": lambda text: "",
    "cut off": lambda text: text[: len(text) // 2],
    "binary": lambda text: "\0\x01",
    "another kind": lambda text: "[1, 2]",
    "deep": lambda text: "[" * 100_000,
    "another question": lambda text: text.replace('"split": null', '"split": "train"'),
    "rows that are none": lambda text: json.dumps({**json.loads(text), "content": {"rows": [[]]}}),
    "labels out of range": lambda text: text.replace('.mp4", 3', '.mp4", 33'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_ignored_and_replaced(tmp_path, kept, damage):
    root = class_folders(tmp_path / "set")
    dataset = open_dataset(root)
    (file,) = kept.iterdir()
    good = file.read_text()
    file.write_text(DAMAGE[damage](good))
    assert file.read_text() != good
    assert open_dataset(root) == dataset
    assert json.loads(file.read_text()) == json.loads(good)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    root = class_folders(tmp_path / "set")
    (tmp_path / "file").touch()
    monkeypatch.setenv("FIMA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert len(open_dataset(root)) == 1200
    monkeypatch.delenv("FIMA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert len(open_dataset(root)) == 1200

    def homeless():
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert len(open_dataset(root)) == 1200


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, kept):
    root = class_folders(tmp_path / "set")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert len(open_dataset(root)) == 1200
    assert not list(kept.iterdir())


def test_file_names_that_are_no_text(tmp_path, monkeypatch):
    root = class_folders(tmp_path / "set")
    (root / "videos/class1" / os.fsdecode(b"caf\xe9.mp4")).touch()
    age(root)
    dataset = open_dataset(root)
    assert dataset[600].path.name.encode(errors="surrogateescape") == b"caf\xe9.mp4"
    monkeypatch.setattr("os.scandir", None)
    assert open_dataset(root) == dataset


def test_where_answers_are_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("FIMA_CACHE_DIR", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.setenv("FIMA_CACHE_DIR", "")
    assert cache_folder() == Path("/shared/fima")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache/fima"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache/fima"


def test_answers_of_any_kind(tmp_path):
    data = age(class_folders(tmp_path / "set", 1))
    seen = {str(data): signature(data), str(data / "none"): None}
    key = {"question": 1}
    assert load_index(key, data) is None
    assert store_index(key, data, {"a": [1, None, "é"]}, seen)
    assert load_index(key, data) == {"a": [1, None, "é"]}
    assert load_index({"question": 2}, data) is None
    (data / "none").touch()
    assert load_index(key, data) is None


def test_several_processes_at_once(tmp_path, kept):
    root = class_folders(tmp_path / "set")
    code = """if True:
        import hashlib, sys
        from fima.data.datasets import open_dataset, opening
        for i in range(20):
            opening._readers_digest = lambda i=i: str(i % 2)  # each writes and reads two answers, again and again
            dataset = open_dataset(sys.argv[1])
            for file in opening.load_index.__globals__["cache_folder"]().glob("datasets/*.json"):
                if i % 3 == 0:
                    file.unlink(missing_ok=True)
            print(hashlib.sha256(repr(dataset.records).encode()).hexdigest())
    """
    command = [sys.executable, "-c", code, str(root)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate()[0].split() for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert [len(lines) for lines in outputs] == [20] * 4
    assert len({line for lines in outputs for line in lines}) == 1
    assert not list(kept.glob(".*"))
    assert all(json.loads(file.read_text()) for file in kept.iterdir())
