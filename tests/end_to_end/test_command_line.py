"""The installed commands, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.progress import without_progress

BIN = Path(sys.executable).parent


def _run(*argv, cwd=None, **kwargs):
    return subprocess.run(
        [str(BIN / argv[0]), *map(str, argv[1:])], cwd=cwd, capture_output=True, text=True, timeout=300, **kwargs
    )


@pytest.mark.parametrize("argv", [["fima-analyze", "--help"], ["fima-analyze", "cam", "--help"], ["fima", "--help"]])
def test_help_needs_no_torch(argv, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('torch was imported')")
    (tmp_path / "matplotlib.py").write_text("raise ImportError('matplotlib was imported')")
    done = _run(*argv, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
    assert without_progress(done.stderr) == ""


def test_bad_input_is_one_line_and_exit_code_2(tmp_path):
    for argv in (["cam", "--video", "nowhere.mp4"], ["affinity", "--ckpt", "nowhere.pth"], ["cam", "--size", "0"], []):
        done = _run("fima-analyze", *argv, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("fima-analyze")
        assert not list(tmp_path.iterdir())


def test_reference_format_checkpoint_on_real_clips(tmp_path, golden, clips_dir):
    import torch

    state = {f"module.{name}": value for name, value in golden.state("fima_i3d").items()}
    torch.save(
        {"epoch": 200, "arch": "i3d", "state_dict": state, "optimizer": {}}, tmp_path / "checkpoint_0199.pth.tar"
    )
    videos = [clips_dir / name for name in ("dog.mp4", "mpeg4.avi", "h265.mp4", "video_90.mov")]
    done = _run(
        "fima-analyze", "affinity", "--ckpt", tmp_path / "checkpoint_0199.pth.tar", "--video", *videos,
        "--size", 64, "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "affinity.json").read_text())
    assert report["untrained"] is False
    assert report["provenance"]["checkpoint"]["arch"] == "i3d"
    assert len(report["provenance"]["checkpoint"]["load_report"]["loaded"]) == 342
    assert len(report["provenance"]["checkpoint"]["sha256"]) == 64
    assert report["per_video"]["video_id"] == ["dog", "mpeg4", "h265", "video_90"]
    assert without_progress(done.stderr) == ""


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(tmp_path, fight_dir):
    process = subprocess.Popen(
        [
            str(BIN / "fima-analyze"),
            "affinity",
            "--arch",
            "i3d",
            "--data",
            str(fight_dir),
            "--out",
            str(tmp_path / "out"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)  # well inside the run
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip().endswith("interrupted")
    assert "Traceback" not in stderr
    assert not (tmp_path / "out").exists()
