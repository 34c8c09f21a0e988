"""Tables of features: what is in them, and that it does not depend on how they came about."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from fima.checkpoints import load_backbone, save_backbone, untrained_backbone
from fima.cli import main
from fima.data.datasets import VideoDataset, VideoRecord, open_dataset
from fima.data.protocol_clips import ClipProtocol, read_test_clips
from fima.errors import InputError
from fima.evaluation.extract import describe_features, extract
from fima.evaluation.feature_parts import Parts, skipped_path
from fima.evaluation.feature_store import read_features, read_metadata
from fima.evaluation.features import iterate_features, show, to_clip_batch
from fima.transforms.motion import frame_difference
from fima.transforms.normalize import normalize

CLIPS = ClipProtocol(2)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    loaded = untrained_backbone(seed=3, input_spec="num_frames=4;size=32")
    path = tmp_path_factory.mktemp("ckpt") / "tiny.pt"
    return load_backbone(save_backbone(path, loaded.backbone, arch="tiny", input=loaded.input))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Nine drawn videos, and two broken files among them."""
    folder = tmp_path_factory.mktemp("broken")
    good = open_dataset("shapes:easy,videos=9", split="test")
    broken = []
    for name in ("one", "two"):
        path = folder / f"{name}.mp4"
        path.write_bytes(b"this is no video")
        broken.append(VideoRecord(path, f"broken/{name}", 1, good.class_names[1]))
    records = (*good.records[:4], broken[0], *good.records[4:], broken[1])
    return VideoDataset(records, good.class_names, folder, "list")


def make(backbone, data, out, protocol=CLIPS, **options):
    options = {"chunk": 3, "batch_size": 5, **options}
    about = describe_features(backbone, data, protocol, source={"path": "here", "split": None}, preset="fima", seed=0)
    return extract(backbone, data, protocol, out, about, **options)


def test_rows_are_the_backbones_pooled_maps(backbone, data, tmp_path):
    out = tmp_path / "f.parquet"
    done = make(backbone, data, out)
    assert (done.videos, list(done.skipped), done.before, done.joined) == (11, ["broken/one", "broken/two"], 0, True)
    rows = pq.read_table(out).to_pylist()
    good = [record for record in data if not record.video_id.startswith("broken")]
    assert [(row["video"], row["clip"]) for row in rows] == [(r.video_id, clip) for r in good for clip in (0, 1)]
    assert {row["video"]: (row["label"], row["class_name"]) for row in rows} == {
        r.video_id: (r.label, r.class_name) for r in good
    }
    for record in good[::3]:
        clips = to_clip_batch(read_test_clips(record, backbone.input, CLIPS))
        with torch.inference_mode():
            expected = backbone.backbone(normalize(clips, backbone.input)).mean(dim=(2, 3, 4)).numpy()
        got = np.array([row["vector"] for row in rows if row["video"] == record.video_id])
        np.testing.assert_allclose(got, expected, atol=1e-6)
    assert pq.read_schema(out).field("vector").type.value_type == pa.float32()


def test_a_table_says_what_it_is_of(backbone, data, tmp_path):
    out = tmp_path / "f.parquet"
    make(backbone, data, out)
    about = read_metadata(out)
    assert about["format"] == "fima-features"
    assert about["sha256"] == backbone.sha256
    assert about["arch"] == "tiny"
    assert about["input"] == backbone.input.to_dict()
    assert about["protocol"] == CLIPS.to_dict()
    assert about["data"]["videos"] == 11
    assert set(about["versions"]) == {"fima", "torch", "numpy", "av", "pyarrow"}
    assert about["class_names"] == list(data.class_names)
    with skipped_path(out).open() as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["video", "broken/one", "broken/two"]
    assert rows[1][1].startswith(str(data[4].path))


def test_features_of_videos_are_the_means_of_their_rows(backbone, data, tmp_path):
    out = tmp_path / "f.parquet"
    make(backbone, data, out)
    rows = pq.read_table(out).to_pylist()
    found, scaled = read_features(out), read_features(out, unit_clips=True)
    assert found.clips.tolist() == [2] * 9
    assert list(found.skipped) == ["broken/one", "broken/two"]
    for place, name in enumerate(found.video_ids):
        clips = np.array([row["vector"] for row in rows if row["video"] == name])
        np.testing.assert_allclose(found.vectors[place], clips.mean(0), rtol=1e-5)
        lengths = np.linalg.norm(clips, axis=1, keepdims=True)
        np.testing.assert_allclose(scaled.vectors[place], (clips / lengths).mean(0), rtol=1e-5)


def test_two_processes_and_an_interrupted_one_write_the_same_file(backbone, data, tmp_path):
    make(backbone, data, tmp_path / "one.parquet")
    whole = (tmp_path / "one.parquet").read_bytes()

    shared = tmp_path / "shared.parquet"
    assert not make(backbone, data, shared, rank=1, world=2).joined
    assert not shared.exists()
    assert make(backbone, data, shared, rank=0, world=2).skipped.keys() == {"broken/one", "broken/two"}
    assert shared.read_bytes() == whole

    class StopError(Exception):
        pass

    def stop(done, total):
        if done == 8:
            raise StopError

    cut = tmp_path / "cut.parquet"
    with pytest.raises(StopError):
        make(backbone, data, cut, progress=stop)
    assert not cut.exists()
    seen = []
    done = make(backbone, data, cut, progress=lambda done, total: seen.append((done, total)))
    assert (done.before, seen) == (6, [(i, 5) for i in range(1, 6)])
    assert cut.read_bytes() == whole
    assert skipped_path(cut).read_bytes() == skipped_path(shared).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    again = make(backbone, data, cut)
    assert (again.before, list(again.skipped)) == (11, ["broken/one", "broken/two"])


def test_batches_change_nothing_that_shows(backbone, data, tmp_path):
    make(backbone, data, tmp_path / "a.parquet")
    make(backbone, data, tmp_path / "b.parquet", batch_size=1, chunk=64, threads=2)
    a, b = (read_features(tmp_path / f"{name}.parquet") for name in "ab")
    assert a.video_ids == b.video_ids
    np.testing.assert_allclose(a.vectors, b.vectors, atol=1e-6)


def test_crops_are_averaged_within_their_clip(backbone, data):
    record = data[0]
    protocol = ClipProtocol(3, crops=10)
    (found,) = iterate_features(backbone, [record], protocol, batch_size=7)
    views = to_clip_batch(read_test_clips(record, backbone.input, protocol))
    with torch.inference_mode():
        maps = backbone.backbone(normalize(views, backbone.input)).mean(dim=(2, 3, 4))
    np.testing.assert_allclose(found.vectors["rgb"], maps.view(3, 10, -1).mean(1).numpy(), atol=1e-6)


def test_what_the_backbone_is_shown(backbone, data):
    clip = torch.rand(2, 3, 5, 6, 6)
    assert show(clip, "rgb") is clip
    assert torch.equal(show(clip, "static"), clip[:, :, [2]].repeat(1, 1, 5, 1, 1))
    assert torch.equal(show(clip, "motion"), frame_difference(clip, "repeat"))
    (found,) = iterate_features(backbone, [data[0]], CLIPS, inputs=("motion", "rgb", "static"))
    (plain,) = iterate_features(backbone, [data[0]], CLIPS)
    np.testing.assert_allclose(found.vectors["rgb"], plain.vectors["rgb"], atol=1e-6)
    assert not np.allclose(found.vectors["motion"], plain.vectors["rgb"])
    assert not np.allclose(found.vectors["static"], plain.vectors["rgb"])


def test_a_layer_inside(backbone, data):
    names = [tap.layer for tap in backbone.info.taps if tap.layer]
    (found,) = iterate_features(backbone, [data[0]], CLIPS, layer=names[0])
    seen = []
    backbone.backbone.get_submodule(names[0]).register_forward_hook(lambda module, given, out: seen.append(out))
    with torch.inference_mode():
        backbone.backbone(normalize(to_clip_batch(read_test_clips(data[0], backbone.input, CLIPS)), backbone.input))
    np.testing.assert_allclose(found.vectors["rgb"], seen[0].mean(dim=(2, 3, 4)).numpy(), atol=1e-6)
    with pytest.raises(InputError, match="--layer nowhere: not in tiny; taps: stem"):
        list(iterate_features(backbone, [data[0]], CLIPS, layer="nowhere"))


def test_other_features_are_not_overwritten(backbone, data, tmp_path):
    out = tmp_path / "f.parquet"
    make(backbone, data, out)
    with pytest.raises(InputError, match=r"is of other features: protocol is .*; pass --overwrite"):
        make(backbone, data, out, ClipProtocol(1))
    before, skipped = out.read_bytes(), skipped_path(out).read_bytes()
    with pytest.raises(ZeroDivisionError):
        make(backbone, data, out, ClipProtocol(1), overwrite=True, progress=lambda done, total: 1 // (8 - done))
    assert (out.read_bytes(), skipped_path(out).read_bytes()) == (before, skipped)
    make(backbone, data, out, ClipProtocol(1), overwrite=True)
    assert read_features(out).clips.tolist() == [1] * 9
    with pytest.raises(InputError, match="--overwrite is for one process"):
        make(backbone, data, out, overwrite=True, world=2)


def test_nothing_that_can_be_read(backbone, data, tmp_path):
    broken = VideoDataset((data[4], data[10]), data.class_names, data.root, "list")
    with pytest.raises(InputError, match=r"none of the 2 videos can be read; the first: .*one\.mp4"):
        make(backbone, broken, tmp_path / "f.parquet")
    assert list(tmp_path.iterdir()) == []


def test_processes_that_do_not_come(backbone, data, tmp_path, monkeypatch):
    monkeypatch.setattr("fima.evaluation.extract._PATIENCE", 0.3)
    with pytest.raises(InputError, match="2 of 4 parts are missing"):
        make(backbone, data, tmp_path / "f.parquet", world=2)


def test_processes_that_start_at_once_keep_each_others_parts(tmp_path):
    """Each opens the same work and writes its part; whoever comes first, none removes what another has begun."""
    rows, together = pa.table({"a": [1]}), threading.Barrier(8)

    def begin(parts, number):
        together.wait()
        parts.open({"of": "these"})
        parts.write(number, rows)

    with ThreadPoolExecutor(8) as pool:
        for trial in range(40):
            parts = Parts(tmp_path / f"{trial}.parquet", 8)
            list(pool.map(begin, [parts] * 8, range(8)))
            assert all(map(parts.is_whole, range(8)))
            assert parts.are_of({"of": "these"})
    assert {path.suffix for path in tmp_path.iterdir()} == {".parts"}  # no scratch is left


def test_unfinished_work_that_does_not_say_of_what_is_done_again(backbone, data, tmp_path, monkeypatch):
    monkeypatch.setattr("fima.evaluation.extract._PATIENCE", 0.3)
    out, whole = tmp_path / "f.parquet", tmp_path / "whole.parquet"
    make(backbone, data, whole)
    with pytest.raises(InputError, match="2 of 4 parts are missing"):
        make(backbone, data, out, world=2)
    (tmp_path / ".f.parquet.parts" / "settings.json").write_text('{"of')
    assert make(backbone, data, out).before == 0
    assert out.read_bytes() == whole.read_bytes()


def test_unfinished_work_on_other_features_is_left_alone(backbone, data, tmp_path, monkeypatch):
    monkeypatch.setattr("fima.evaluation.extract._PATIENCE", 0.3)
    out, parts = tmp_path / "f.parquet", tmp_path / ".f.parquet.parts"
    with pytest.raises(InputError, match="2 of 4 parts are missing"):
        make(backbone, data, out, world=2)
    before = {path.name: path.read_bytes() for path in parts.iterdir()}
    with pytest.raises(InputError, match=r"is of other features: .* pass --overwrite"):
        make(backbone, data, out, ClipProtocol(1))
    assert {path.name: path.read_bytes() for path in parts.iterdir()} == before
    assert list(tmp_path.iterdir()) == [parts]


def test_tables_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_features(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(InputError, match="is no parquet file"):
        read_features(tmp_path / "text.parquet")
    pq.write_table(pa.table({"video": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="it has no column clip, label, class_name, vector"):
        read_features(tmp_path / "other.parquet")
    ragged = {
        "video": ["a", "b"],
        "clip": [0, 0],
        "label": [0, 1],
        "class_name": ["x", "y"],
        "vector": [[1.0], [1.0] * 3],
    }
    pq.write_table(pa.table(ragged), tmp_path / "ragged.parquet")
    with pytest.raises(InputError, match="not all of one length"):
        read_features(tmp_path / "ragged.parquet")


def test_as_typed(tmp_path, capsys):
    out = tmp_path / "f.parquet"
    typed = ["extract", "--ckpt", "random", "--data", "shapes:easy,videos=3", "--split", "val", "--out", str(out)]
    typed += ["--clips", "1", "--device", "cpu"]
    assert main(typed) == 0
    assert capsys.readouterr().out == f"3 videos in {out}\n"
    assert main(typed) == 0
    assert capsys.readouterr().out == f"3 videos in {out}, 3 of them before\n"
    assert main([*typed, "--seed", "1"]) == 2
    assert "seed is 0, here 1; pass --overwrite" in capsys.readouterr().err
    assert main([*typed, "--shown", "sound", "--overwrite"]) == 2
    assert "argument --shown: invalid choice: 'sound'" in capsys.readouterr().err
    assert main([*typed[:-6], "--out", "features.csv"]) == 2
    assert "--out must be a .parquet file, got features.csv" in capsys.readouterr().err


def test_real_files_with_a_broken_one(tmp_path, capsys):
    assert main(["shapes", str(tmp_path / "s"), "--videos", "3", "--truth"]) == 0
    data = open_dataset(tmp_path / "s", split="train")
    data[1].path.write_bytes(b"")
    out = tmp_path / "f.parquet"
    typed = ["extract", "--ckpt", "tiny-fima", "--data", str(tmp_path / "s"), "--split", "train", "--out", str(out)]
    assert main([*typed, "--preset", "mscl", "--device", "cpu"]) == 3
    assert f"1 cannot be read, listed in {skipped_path(out)}" in capsys.readouterr().out
    found = read_features(out)
    assert found.video_ids == (data[0].video_id, data[2].video_id)
    size = data[0].path.stat().st_size
    assert found.contents[0].startswith(f"{size}-")


@pytest.mark.slow
def test_killed_and_shared_by_processes(tmp_path):
    def command(name):
        typed = ["extract", "--ckpt", "tiny-vd", "--data", "shapes:easy,videos=260", "--out", str(tmp_path / name)]
        return [sys.executable, "-m", "fima.cli", *typed, "--clips", "2", "--device", "cpu"]

    subprocess.run(command("whole.parquet"), check=True)
    whole = (tmp_path / "whole.parquet").read_bytes()
    ranks = [
        subprocess.Popen(command("shared.parquet"), env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"})
        for rank in (0, 1)
    ]
    assert [rank.wait(300) for rank in ranks] == [0, 0]
    assert (tmp_path / "shared.parquet").read_bytes() == whole

    killed = subprocess.Popen(command("killed.parquet"))
    parts = tmp_path / ".killed.parquet.parts"
    deadline = time.monotonic() + 200
    while not list(parts.glob("0*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed.parquet").exists()
    kept = {path.name: path.stat().st_mtime_ns for path in parts.glob("0*.parquet")}
    assert kept
    done = subprocess.run(command("killed.parquet"), check=True, capture_output=True, text=True)
    assert "of them before" in done.stdout
    assert (tmp_path / "killed.parquet").read_bytes() == whole
    assert json.loads(json.dumps(read_metadata(tmp_path / "killed.parquet")))["chunk"] == 64
