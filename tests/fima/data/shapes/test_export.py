"""`fima shapes`: real files that the ordinary readers take, and the truth beside them."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from fima.cli import main
from fima.data.datasets import open_dataset
from fima.data.flow import FlowFolder
from fima.data.readers.open import open_video
from fima.data.shapes import MOTIONS, PATTERNS, open_shapes


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes") / "camera"
    flags = ["--regime", "camera", "--set", "size=48", "num_frames=20", "--videos", "3", "--test", "2", "--seed", "7"]
    assert main(["shapes", str(folder), *flags, "--truth", "masks", "flow", "backgrounds"]) == 0
    return folder


def test_the_files_hold_the_world(written):
    drawn = [record.draw() for record in open_shapes("shapes:camera,seed=7,size=48,num_frames=20,videos=3").records]
    data = open_dataset(written / "train.csv")
    assert [record.label for record in data] == [video.label for video in drawn]
    flow = FlowFolder(written / "flow")
    for record, video in zip(data, drawn, strict=True):
        every = np.arange(20)
        with open_video(record) as reader:
            frames = reader.frames(every).permute(0, 2, 3, 1).numpy()
        assert np.abs(frames.astype(int) - video.frames(every)).mean() < 14  # H.264 halves the colors' resolution
        packed = np.load(written / "masks" / f"{record.path.stem}.npz")
        masks = np.unpackbits(packed["masks_packed"], axis=-1, count=packed["shape"][-1]).astype(bool)
        np.testing.assert_array_equal(masks, video.masks(every))
        kept = flow.read(record.video_id, [0, 5, 18]).numpy().transpose(1, 0, 2, 3)
        np.testing.assert_allclose(kept, video.flow(np.array([0, 5, 18])), atol=0.02)
        with open_video(written / "backgrounds" / record.path.name) as reader:
            plain = reader.frames([4])[0].permute(1, 2, 0).numpy()
        assert np.abs(plain.astype(int) - video.background(np.array([4]))[0]).mean() < 14
    assert len(open_dataset(written / "test.csv")) == 2


def test_truth_is_listed(written):
    rows = list(csv.DictReader((written / "truth.csv").open()))
    assert [row["split"] for row in rows] == ["train"] * 3 + ["test"] * 2
    for row in rows:
        assert MOTIONS[int(row["label"])] == row["class"] == row["motions"]
        assert PATTERNS[int(row["pattern"])] == row["background"]


def test_it_goes_on_where_it_stopped_and_refuses_what_is_not_its_own(written, capsys):
    flags = ["--regime", "camera", "--set", "size=48", "num_frames=20", "--videos", "3", "--test", "2", "--seed", "7"]
    truth = ["--truth", "masks", "flow", "backgrounds"]
    kept, lost = written / "videos" / "train-00000.mp4", written / "videos" / "train-00001.mp4"
    before, bits = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    assert main(["shapes", str(written), *flags, *truth]) == 0
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == bits
    assert main(["shapes", str(written), *flags]) == 2
    assert main(["shapes", str(written / "videos"), "--videos", "1"]) == 2
    assert main(["shapes", str(written), "--regime", "no", "--videos", "1"]) == 2
    assert main(["shapes", str(written / "new"), "--videos", "0"]) == 2
    assert main(["shapes", str(written / "new"), "--truth", "depth"]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 5
    assert "holds another world's videos" in errors[0]
    assert "is there and not empty" in errors[1]
    assert "the regime must be one of" in errors[2]
    assert "not all 0" in errors[3]
    assert "--truth must be of masks, flow, backgrounds, copies, got depth" in errors[4]
    assert not (written / "new").exists()


def test_what_a_run_that_was_killed_at_its_start_hides_is_no_obstacle(tmp_path):
    hidden = (".fima-lock", ".fima-results.json.lock", ".partial-0123abcd-4194305-0.json")
    for name in hidden:
        (tmp_path / name).touch()
    words = ["shapes", str(tmp_path), "--videos", "1", "--test", "0", "--set", "size=48", "num_frames=8"]
    assert main(words) == 0
    assert (tmp_path / "shapes.json").is_file()
