"""The backbones that come with the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import fima
from fima.checkpoints import SHIPPED, load_backbone
from fima.cli import main

FOLDER = Path(fima.__file__).parent / "weights"


@pytest.mark.parametrize("name", list(SHIPPED))
def test_a_name_is_a_file_that_is_small_and_complete(name):
    loaded = load_backbone(name)
    assert (loaded.arch, loaded.trained, loaded.report.complete) == (name.split("-")[0], True, True)
    assert loaded.path == FOLDER / f"{name}.ckpt"
    assert loaded.path.stat().st_size <= {"tiny": 2_000_000, "small": 8_000_000}[loaded.arch]
    size = {"tiny": 56, "small": 112}[loaded.arch]
    assert (loaded.input.num_frames, loaded.input.frame_stride, loaded.input.size) == (16, 2, size)
    torch.load(loaded.path, weights_only=True)  # runs no code
    assert loaded.arch == "small" or loaded.extra["recipe"] == f"{name.removeprefix('tiny-')}-shapes"


def test_the_card_tells_which_files_they_are():
    card = "".join((FOLDER / file).read_text(encoding="utf-8") for file in ("README.md", "small-fima.md"))
    for name in SHIPPED:
        assert load_backbone(name).sha256 in card
    assert re.search(r"\| `tiny-fima` \| FIMA \| `fima-shapes` \| `shapes:camera,videos=1600` \| 0 \|", card)


def test_a_file_of_that_name_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny-fima").write_bytes((FOLDER / "tiny-vd.ckpt").read_bytes())
    assert load_backbone("tiny-fima").sha256 == load_backbone("tiny-vd").sha256


def test_info_knows_them(capsys):
    assert main(["info", "tiny-fima"]) == 0
    assert "tiny" in capsys.readouterr().out
