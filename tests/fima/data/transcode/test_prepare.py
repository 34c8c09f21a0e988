"""What is prepared is the source's tree; what is done stays done; what fails is listed and nothing is half-written."""

from __future__ import annotations

import csv
import json
import os
import pickle
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from benchmarks.star import moving_shape
from fima.data.datasets import open_dataset
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import write_video
from fima.data.transcode.manifest import FOLDER, Done, read_manifest
from fima.data.transcode.preparation import FAILED, plan
from fima.data.transcode.prepare import Failed, prepare
from fima.data.transcode.reencode import Encoding
from fima.errors import InputError

SMALL = Encoding(short_side=32)
VIDEOS = {"videos/Dive/a.avi": 0, "videos/Dive/b b.mkv": 1, "videos/Run/c.mp4": 2, "videos/Run/ä.mov": 3}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A UCF101-like tree with videos of several kinds."""
    root = tmp_path_factory.mktemp("originals") / "set"
    for name, seed in VIDEOS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures = moving_shape(seed, num_frames=8 + seed, height=48, width=64).frames.transpose(0, 2, 3, 1)
        written = write_video(path.with_suffix(".mov"), pictures, fps=25)
        written.replace(path)  # libav looks inside, not at the name
    lists = root / "annotations"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Dive\n2 Run\n")
    (lists / "trainlist01.txt").write_text("Dive/a.avi 1\nDive/b b.mkv 1\nRun/c.mp4 2\n")
    (lists / "testlist01.txt").write_text("Run/ä.mov\n")
    (lists / "boxes.pkl").write_bytes(pickle.dumps({"a": [1, 2]}))
    (root / "LICENSE").write_text("free")
    (root / "big.zip").write_bytes(b"zip")
    (root / ".hidden.mp4").write_bytes(b"no video")
    return root


@pytest.fixture
def source(originals, tmp_path):
    """Links to the originals that a test may change one by one."""
    root = tmp_path / "source"
    for path in originals.rglob("*"):
        if path.is_file():
            target = root / path.relative_to(originals)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    return root


def run(source, folder, encoding=SMALL, *, workers=2, **options):
    return sorted(prepare(plan(source, folder, encoding, **options), workers=workers), key=str)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def states(folder):
    """Of every file but the manifest: an entry that a rewritten file would not have."""
    found = [path for path in folder.rglob("*") if path.is_file() and FOLDER not in path.parts]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def failures(folder):
    with (folder / FAILED).open(newline="") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def test_the_tree_stays_and_the_same_reader_opens_it(source, tmp_path):
    outcomes = run(source, tmp_path / "out")
    assert [type(outcome) for outcome in outcomes] == [Done] * 4
    assert files(tmp_path / "out") == [
        f"{FOLDER}/manifest.jsonl",
        "LICENSE",
        *(f"annotations/{name}" for name in ("boxes.pkl", "classInd.txt", "testlist01.txt", "trainlist01.txt")),
        *sorted(name.rsplit(".", 1)[0] + ".mp4" for name in VIDEOS),
    ]
    for name in ("LICENSE", "annotations/boxes.pkl", "annotations/trainlist01.txt"):
        assert (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()
    for split in (None, "train1", "test1"):
        before, after = (open_dataset(root, split=split) for root in (source, tmp_path / "out"))
        assert after.class_names == before.class_names == ("Dive", "Run")
        assert [(r.video_id, r.label) for r in after] == [(r.video_id, r.label) for r in before]
        for old, new in zip(before, after, strict=True):
            with VideoReader(old.path) as ours, VideoReader(new.path) as theirs:
                assert (len(ours), ours.fps) == (len(theirs), theirs.fps)
                assert (theirs.height, theirs.width) == (32, 42)


def test_what_is_left_out_is_counted(source, tmp_path):
    todo = plan(source, tmp_path / "out", SMALL)
    assert [job.name for job in todo.jobs] == sorted(VIDEOS)
    assert (len(todo.copies), todo.left_out, todo.gone, todo.done) == (5, 1, 0, {})
    assert not (tmp_path / "out").exists()


def test_one_video(source, tmp_path):
    run(source / "videos/Dive/a.avi", tmp_path / "out")
    assert files(tmp_path / "out") == [f"{FOLDER}/manifest.jsonl", "a.mp4"]


def test_links_are_followed_once(source, tmp_path):
    (source / "videos" / "Run" / "up").symlink_to(source / "videos", target_is_directory=True)
    other = tmp_path / "elsewhere"
    other.mkdir()
    (source / "videos" / "Dive" / "a.avi").rename(other / "far.avi")
    (source / "videos" / "Far").symlink_to(other, target_is_directory=True)
    names = [job.name for job in plan(source, tmp_path / "out", SMALL).jobs]
    assert sorted(name.rsplit("/", 1)[1] for name in names) == ["b b.mkv", "c.mp4", "far.avi", "ä.mov"]


def test_files_do_not_depend_on_the_workers(source, tmp_path):
    run(source, tmp_path / "one", workers=1)
    run(source, tmp_path / "three", workers=3)
    for path in (tmp_path / "one").rglob("*.mp4"):
        assert path.read_bytes() == (tmp_path / "three" / path.relative_to(tmp_path / "one")).read_bytes()


def test_the_manifest_says_what_is_in_the_files(source, tmp_path):
    run(source, tmp_path / "out")
    settings, done = read_manifest(tmp_path / "out")
    assert settings == {"short_side": 32, "crf": 23, "gop": 12}
    assert sorted(done) == sorted(VIDEOS)
    for name, entry in done.items():
        path = tmp_path / "out" / entry.output
        with VideoReader(path) as reader:
            facts = (len(reader), reader.fps, reader.height, reader.width, path.stat().st_size)
        assert (entry.num_frames, entry.fps, entry.height, entry.width, entry.output_bytes) == facts
        assert (entry.source_bytes, entry.source_mtime_ns) == (
            (source / name).stat().st_size,
            (source / name).stat().st_mtime_ns,
        )


def test_what_is_done_is_not_done_again(source, tmp_path):
    run(source, tmp_path / "out")
    before = states(tmp_path / "out")
    assert run(source, tmp_path / "out") == []
    assert states(tmp_path / "out") == before
    todo = plan(source, tmp_path / "out", SMALL)
    assert (todo.jobs, todo.copies, len(todo.done)) == ((), (), 4)


def change_source(source, out):
    path = source / "videos/Dive/a.avi"
    content = (source / "videos/Run/c.mp4").read_bytes()
    path.unlink()
    path.write_bytes(content)


def touch_source(source, out):
    path = source / "videos/Dive/a.avi"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


def remove_output(source, out):
    (out / "videos/Dive/a.mp4").unlink()


def cut_output(source, out):
    path = out / "videos/Dive/a.mp4"
    path.write_bytes(path.read_bytes()[:-1])


def tear_manifest(source, out):
    path = out / FOLDER / "manifest.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    mine = next(line for line in lines if "a.avi" in line)
    path.write_text("".join(line for line in lines if line != mine) + mine[: len(mine) // 2])


@pytest.mark.parametrize("harm", [change_source, touch_source, remove_output, cut_output, tear_manifest])
def test_only_what_changed_is_done_again(source, tmp_path, harm):
    out = tmp_path / "out"
    run(source, out)
    before = states(out)
    harm(source, out)
    assert [outcome.source for outcome in run(source, out)] == ["videos/Dive/a.avi"]
    after = states(out)
    assert [path.name for path in after if after[path] != before.get(path)] == (
        ["a.mp4"] if harm is not cut_output else ["a.mp4", "a.mp4.changed"]
    )
    assert run(source, out) == []
    with VideoReader(out / "videos/Dive/a.mp4") as reader:
        assert len(reader) == (10 if harm is change_source else 8)


def test_what_somebody_edited_is_kept(source, tmp_path):
    out = tmp_path / "out"
    run(source, out)
    video, annotation = out / "videos/Dive/a.mp4", next(path for path in out.rglob("*.txt"))
    for text in ("mine", "mine again"):
        for path in (video, annotation):
            path.write_text(text)
        assert [outcome.source for outcome in run(source, out)] == ["videos/Dive/a.avi"]
    for path in (video, annotation):
        assert path.with_name(f"{path.name}.changed").read_text() == "mine"
        assert path.with_name(f"{path.name}.changed1").read_text() == "mine again"
    assert run(source, out) == []


def test_other_settings_need_another_folder_or_overwrite(source, tmp_path):
    out = tmp_path / "out"
    run(source, out)
    with pytest.raises(
        InputError, match=r"out: was prepared with --short-side 32 --crf 23 --gop 12, not --short-side 32 "
    ):
        plan(source, out, Encoding(short_side=32, crf=30))
    assert len(run(source, out, Encoding(short_side=32, crf=30), overwrite=True)) == 4
    assert run(source, out, Encoding(short_side=32, crf=30)) == []
    assert len(run(source, out, Encoding(short_side=32, crf=30), overwrite=True)) == 4


def test_videos_that_the_source_no_longer_holds_stay_and_are_counted(source, tmp_path):
    run(source, tmp_path / "out")
    (source / "videos/Run/c.mp4").unlink()
    todo = plan(source, tmp_path / "out", SMALL)
    assert (todo.jobs, todo.gone) == ((), 1)
    list(prepare(todo, workers=1))
    assert (tmp_path / "out/videos/Run/c.mp4").is_file()
    assert plan(source, tmp_path / "out", SMALL).gone == 1


def test_broken_videos_are_listed_and_the_others_done(source, tmp_path):
    out = tmp_path / "out"
    broken = {
        "videos/Dive/empty.mp4": b"",
        "videos/Dive/text, really.avi": b"this is no video at all",
        "videos/Run/cut.mov": (source / "videos/Run/c.mp4").read_bytes()[:1500],
    }
    for name, content in broken.items():
        (source / name).write_bytes(content)
    (source / "videos/Run/nowhere.mkv").symlink_to(source / "absent")
    names = sorted([*broken, "videos/Run/nowhere.mkv"])
    outcomes = run(source, out)
    assert sorted(o.name for o in outcomes if isinstance(o, Failed)) == names
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 4
    listed = failures(out)
    assert sorted(listed) == names
    assert listed["videos/Dive/empty.mp4"] == "the file is empty"
    assert listed["videos/Run/nowhere.mkv"] == "no such file"
    assert all(reason and str(tmp_path) not in reason for reason in listed.values())
    assert not {name.rsplit(".", 1)[0] + ".mp4" for name in names} & set(files(out))

    assert sorted(outcome.name for outcome in run(source, out)) == names  # tried again, since they may be mended
    for name in names:
        (source / name).unlink()
    assert run(source, out) == []
    assert not (out / FAILED).exists()


def test_what_a_source_was_before_it_broke_does_not_stay(source, tmp_path):
    run(source, tmp_path / "out")
    (source / "videos/Run/c.mp4").unlink()
    (source / "videos/Run/c.mp4").write_bytes(b"broken")
    (outcome,) = run(source, tmp_path / "out")
    assert outcome.name == "videos/Run/c.mp4"
    assert not (tmp_path / "out/videos/Run/c.mp4").exists()


def test_stopping_early_keeps_what_is_done_and_leaves_nothing_else(source, tmp_path):
    out = tmp_path / "out"
    with closing(prepare(plan(source, out, SMALL), workers=1)) as outcomes:
        first = next(outcomes)
    assert files(out / FOLDER) == ["manifest.jsonl"]
    assert not list(out.rglob("*.tmp"))
    left = plan(source, out, SMALL)
    assert first.source in left.done
    assert len(run(source, out)) == len(left.jobs) < 4


def test_left_over_temporary_files_are_swept(source, tmp_path):
    scratch = tmp_path / "out" / FOLDER / "tmp"
    scratch.mkdir(parents=True)
    (scratch / "123.mp4").write_bytes(b"half")
    (scratch / ".123.mp4.9.tmp").write_bytes(b"half")
    run(source, tmp_path / "out")
    assert files(tmp_path / "out" / FOLDER) == ["manifest.jsonl"]
    assert not scratch.exists()


def test_two_at_a_time_are_refused(source, tmp_path):
    with closing(prepare(plan(source, tmp_path / "out", SMALL), workers=1)) as outcomes:
        next(outcomes)
        with pytest.raises(InputError, match=r"out: another run is writing there"):
            next(prepare(plan(source, tmp_path / "out", SMALL), workers=1))
    run(source, tmp_path / "out")


def test_a_manifest_that_is_none(source, tmp_path):
    (tmp_path / "out" / FOLDER).mkdir(parents=True)
    for content in ("", "[]\n", json.dumps({"version": 99, "settings": {}}) + "\n"):
        (tmp_path / "out" / FOLDER / "manifest.jsonl").write_text(content)
        with pytest.raises(InputError, match=r"manifest\.jsonl: is not a manifest of version 1"):
            plan(source, tmp_path / "out", SMALL)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("source", "source: is the source folder itself"),
        ("source/inside", "source/inside: lies inside .*source; source and prepared files must be apart"),
        (".", "source: lies inside .*; source and prepared files must be apart"),
        ("link", "link: is the source folder itself"),
        ("file", "file: is a file, expected a folder"),
        ("out.mp4", r"out\.mp4: is named like a video, expected a folder"),
        ("full", "full: is not empty, and not a prepared folder; use another, or --overwrite"),
    ],
)
def test_folders_that_cannot_be_used(source, tmp_path, place, message):
    (tmp_path / "link").symlink_to(source, target_is_directory=True)
    (tmp_path / "file").write_text("file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    before = files(tmp_path)
    with pytest.raises(InputError, match=message):
        plan(source, tmp_path / place, SMALL)
    assert files(tmp_path) == before


def test_overwrite_writes_into_any_folder_and_removes_nothing(source, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    run(source, tmp_path / "full", overwrite=True)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert run(source, tmp_path / "full") == []


@pytest.mark.parametrize("name", ["videos/Run/c.mp4", FAILED])
def test_overwrite_replaces_only_what_a_manifest_lists(source, tmp_path, name):
    mine = tmp_path / "full" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(InputError, match=f"full: holds {name}, not of fima prepare"):
        plan(source, tmp_path / "full", SMALL, overwrite=True)
    assert mine.read_text() == "mine"


def test_sources_that_cannot_be_used(source, tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FileNotFoundError, match="absent: no such file or folder"):
        plan(tmp_path / "absent", tmp_path / "out", SMALL)
    with pytest.raises(InputError, match=r"nothing: holds no video \(\.avi, "):
        plan(tmp_path / "nothing", tmp_path / "out", SMALL)
    with pytest.raises(InputError, match=r"classInd\.txt: expected a video or a folder of videos"):
        plan(source / "annotations" / "classInd.txt", tmp_path / "out", SMALL)
    with pytest.raises(InputError, match=r"Run: is the source folder itself"):
        plan(source / "videos/Run/c.mp4", source / "videos/Run", SMALL)
    os.link(source / "videos/Run/c.mp4", source / "videos/Run/c.avi")
    with pytest.raises(
        InputError, match=r"videos/Run/c\.avi and videos/Run/c\.mp4 would both become videos/Run/c\.mp4"
    ):
        plan(source, tmp_path / "out", SMALL)


def test_names_of_any_bytes(source, tmp_path):
    name = os.fsdecode(b"odd \xff\n name.mp4")
    os.link(source / "videos/Run/c.mp4", source / "videos" / "Run" / name)
    (source / "videos/Run" / os.fsdecode(b"bad\xfe.mp4")).write_bytes(b"bad")
    outcomes = run(source, tmp_path / "out")
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 5
    assert (tmp_path / "out/videos/Run" / name).is_file()
    assert len(run(source, tmp_path / "out")) == 1
    with (tmp_path / "out" / FAILED).open(newline="", errors="surrogateescape") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["videos/Run/" + os.fsdecode(b"bad\xfe.mp4")]


@pytest.mark.slow
def test_real_clips_open_quickly_after_preparation(clips_dir, tmp_path):
    outcomes = run(clips_dir, tmp_path / "out", Encoding(short_side=128))
    assert len(outcomes) == sum(
        path.is_file() for path in clips_dir.iterdir() if path.suffix in (".mp4", ".avi", ".mov")
    )
    for path in sorted((tmp_path / "out").glob("*.mp4")):
        with VideoReader(path) as reader:
            assert reader._index.unread
            assert np.isfinite(reader.fps)


def test_importing_the_command_needs_no_torch():
    modules = "fima.commands.prepare, fima.data.transcode.parallel, fima.data.transcode.manifest"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
