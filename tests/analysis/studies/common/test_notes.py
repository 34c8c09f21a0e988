"""Videos that are no evidence: nothing moves in them, or they are copies of others; the command says so."""

import json
import shutil

import av
import numpy as np
import pytest

from analysis.cli import main
from tests.media import moving_photograph


def write(path, frames):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    moving = list(moving_photograph(3, 40, 64, 64))
    write(folder / "moving.mp4", moving)
    write(folder / "still.mp4", moving[:1] * 40)
    write(folder / "black.mp4", [np.zeros_like(moving[0])] * 40)
    return folder


@pytest.mark.parametrize("measure", ["affinity", "temporal", "attribution", "mechanism"])
def test_what_compares_with_motion_refuses_a_still_video_by_name(folder, measure, tmp_path, capsys):
    assert main([measure, "--video", str(folder / "still.mp4"), "--out", str(tmp_path / "o")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "still.mp4: nothing moves in it" in lines[0]
    assert not (tmp_path / "o").exists()


def test_of_a_data_set_still_videos_are_left_out_with_the_reason(folder, tmp_path, capsys):
    assert main(["affinity", "--data", str(folder), "--out", str(tmp_path)]) == 3
    assert "nothing moves" in capsys.readouterr().out
    report = json.loads((tmp_path / "affinity.json").read_text())
    assert set(report["skipped"]) == {"still", "black"}
    assert report["scores"]["auroc"]["num_videos"] == 1


def test_the_cost_is_told_of_a_data_set_that_begins_with_a_still_video(folder, tmp_path, capsys):
    flags = ["--num-frames", "8", "--size", "32", "--steps", "2", "--show", "1", "--out", str(tmp_path)]
    assert main(["attribution", "--data", str(folder), *flags]) == 3  # it begins with the black one
    assert "passes forward and backward, by the first about" in capsys.readouterr().err


def test_a_map_of_a_still_video_is_drawn_and_its_agreement_with_motion_is_missing(folder, tmp_path, capsys):
    assert main(["cam", "--data", str(folder), "--out", str(tmp_path)]) == 0
    assert "nothing moves, so without scores of motion: 2 videos" in capsys.readouterr().out
    report = json.loads((tmp_path / "cam.json").read_text())
    values = dict(zip(report["per_video"]["video_id"], report["per_video"]["rgb_motion_correlation"], strict=True))
    assert values["still"] is None
    assert values["black"] is None
    assert values["moving"] is not None


def test_copies_of_a_video_count_once(folder, tmp_path, capsys):
    for name in "abcd":
        shutil.copy(folder / "moving.mp4", tmp_path / f"{name}.mp4")
    write(tmp_path / "other.mp4", list(moving_photograph(4, 40, 64, 64)))
    assert main(["cam", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert "copies of others, with which they count once: 3 videos (b, c, d)" in capsys.readouterr().out
    score = json.loads((tmp_path / "out" / "cam.json").read_text())["scores"]["rgb_motion_correlation"]
    assert (score["num_videos"], score["num_units"], score["low"]) == (5, 2, None)
