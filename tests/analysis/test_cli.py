"""fima-analyze as a user types it (in process; tests/end_to_end has the processes)."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from analysis.cli import main
from fima.files.writing import partial_name

SMALL = ["--num-frames", "8", "--size", "56"]


def _refused(capsys, tmp_path, argv, said, out="out"):
    """Exit code 2, one line that says so, nothing written."""
    folder = tmp_path / out
    before = sorted(tmp_path.rglob("*"))
    argv = [*argv, "--out", str(folder)] if argv[0] != "layers" else argv
    try:
        code = main(argv)
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.count("\n") == 1, captured.err
    for word in said if isinstance(said, list) else [said]:
        assert word in captured.err
    assert captured.out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("measure", ["cam", "affinity", "temporal"])
def test_defaults_write_figure_arrays_and_scores(measure, tmp_path, capsys):
    flags = ["--ckpt", "random", *SMALL]
    assert main([measure, "--out", str(tmp_path / "out"), "--format", "png", "svg", *flags]) == 0
    names = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert {f"{measure}.png", f"{measure}.svg", f"{measure}.npz", f"{measure}.json"} <= names
    assert ("cam.mp4" in names) == (measure == "cam")
    report = json.loads((tmp_path / "out" / f"{measure}.json").read_text())
    assert report["untrained"] is True
    assert report["provenance"]["command"].startswith(f"fima-analyze {measure} --ckpt random --num-frames 8")
    assert report["provenance"]["checkpoint"]["load_report"]["missing"] == []
    saved = np.load(tmp_path / "out" / f"{measure}.npz")
    for name in report["scores"]:
        np.testing.assert_allclose(saved[f"score_{name}"], np.array(report["per_video"][name], dtype=float))
    printed = capsys.readouterr().out
    assert "untrained weights" in printed
    assert str(tmp_path / "out" / f"{measure}.png") in printed


def test_bad_flags(capsys, tmp_path):
    _refused(capsys, tmp_path, ["cam", "--size", "0"], "size must be a whole number of at least 8, got 0")
    _refused(capsys, tmp_path, ["cam", "--num-frames", "-1"], "num_frames")
    _refused(capsys, tmp_path, ["cam", "--frame-stride", "0"], "frame_stride")
    _refused(capsys, tmp_path, ["cam", "--size", "big"], "--size")
    _refused(capsys, tmp_path, ["cam", "--sise", "56"], "--sise")
    _refused(capsys, tmp_path, ["cam", "--arch", "resnet"], ["--arch resnet", "tiny"])
    _refused(capsys, tmp_path, ["cam", "--layer", "nowhere"], ["--layer nowhere", "taps"])
    _refused(capsys, tmp_path, ["cam", "--device", "tpu"], "device 'tpu'")
    _refused(capsys, tmp_path, ["cam", "--input-spec", "color=1"], "color")
    _refused(capsys, tmp_path, ["cam", "--start-seconds", "900"], "start")
    _refused(capsys, tmp_path, ["layers", "--arch", "nothing"], "--arch nothing")
    _refused(capsys, tmp_path, ["cam", "--seed", "-1"], "seed must be")
    _refused(capsys, tmp_path, ["report", "-p", "sise", "56"], ["parameter 'sise'", "known"])
    _refused(capsys, tmp_path, ["report", "-p", "hop", "["], ["parameter hop", "YAML"])
    _refused(capsys, tmp_path, ["report", "-p", "start_seconds", "abc"], "start_seconds")
    _refused(capsys, tmp_path, ["affinity", "--layer", "stem", "--size", "224"], ["at most 3136 positions", "--layer"])


def test_bad_videos(capsys, tmp_path, clips_dir):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "cut.mp4").write_bytes((clips_dir / "dog.mp4").read_bytes()[:3000])
    for name in ("missing.mp4", "empty.mp4", "text.mp4", "cut.mp4"):
        _refused(capsys, tmp_path, ["cam", "--video", str(tmp_path / name)], name)
    _refused(capsys, tmp_path, ["cam", "--video", str(tmp_path)], str(tmp_path))
    _refused(capsys, tmp_path, ["cam", "--data", str(tmp_path / "nowhere")], "nowhere")


def test_bad_checkpoints(capsys, tmp_path):
    (tmp_path / "junk.pth").write_bytes(b"\x80junk")
    (tmp_path / "empty.pth").write_bytes(b"")
    for name in ("missing.pth", "junk.pth", "empty.pth"):
        _refused(capsys, tmp_path, ["affinity", "--ckpt", str(tmp_path / name)], name)


def test_out_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    _refused(capsys, tmp_path, ["cam", *SMALL], "--out", out="file")
    _refused(capsys, tmp_path, ["cam", *SMALL], "--out", out="file/below")
    assert (tmp_path / "file").read_text() == "mine"


def test_skipped_videos_give_exit_code_3(capsys, tmp_path, clips_dir):
    data = tmp_path / "data"
    data.mkdir()
    (data / "dog.mp4").write_bytes((clips_dir / "dog.mp4").read_bytes())
    (data / "text.mp4").write_text("hello")
    assert main(["affinity", "--data", str(data), "--out", str(tmp_path / "out"), *SMALL]) == 3
    assert "skipped text" in capsys.readouterr().out
    assert (tmp_path / "out" / "skipped.csv").exists()


def test_layers_lists_what_layer_takes(capsys):
    assert main(["layers", "--arch", "i3d", "--size", "64", "--json"]) == 0
    layers = {layer["name"]: layer for layer in json.loads(capsys.readouterr().out)}
    assert layers["mixed_5c"]["tap"]
    assert layers["mixed_5c"]["shape"] == [1024, 2, 2, 2]
    assert main(["layers", "--size", "56"]) == 0
    said = capsys.readouterr().out
    assert "channels" in said
    assert "7 x 7 cells, one for 8 pixels" in " ".join(said.split())
    assert "--size 112 gives 14 x 14" in " ".join(said.split())


def test_a_layer_changes_the_grid(tmp_path):
    assert main(["affinity", "--arch", "i3d", "--layer", "mixed_4f", "--size", "64", "--num-frames", "8",
                 "--out", str(tmp_path)]) == 0  # fmt: skip
    assert np.load(tmp_path / "affinity.npz")["grid"].tolist() == [4, 4]


def test_a_killed_runs_scratch_is_swept_up(tmp_path):
    out = tmp_path / "out"
    killed = out / partial_name().replace(str(os.getpid()), "999999999")
    killed.mkdir(parents=True)
    (killed / "half.npz").write_text("half")
    assert main(["affinity", "--out", str(out), *SMALL]) == 0
    assert not list(out.rglob(".partial*"))


def test_layers_of_your_own_module_are_all_listed(tmp_path, monkeypatch, capsys):
    (tmp_path / "mynet.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Sequential(torch.nn.Conv3d(3, 4, 8, stride=8))\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["layers", "--arch", "mynet:make", "--size", "32"]) == 0
    assert "4 x 4" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_nothing(tmp_path, how, code):
    out = tmp_path / "out"
    words = ["cam", "--data", "shapes:camera,videos=400,size=112", "--out", str(out)]
    child = subprocess.Popen([sys.executable, "-m", "analysis.cli", *words], stderr=subprocess.PIPE, text=True)
    while child.poll() is None and not out.exists():
        time.sleep(0.1)
    time.sleep(0.5)
    child.send_signal(how)
    _, said = child.communicate(timeout=120)
    assert child.returncode == code
    assert said.splitlines()[-1] == "fima-analyze cam: error: interrupted"
    assert not out.exists()
