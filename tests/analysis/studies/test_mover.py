"""The mover against its still copy: networks whose answer is known, on drawn clips and on files with masks."""

import json

import numpy as np
import pytest
import torch

import analysis
from analysis.plotting.mover import KINDS, MAPS
from fima.checkpoints import load_backbone
from fima.cli import main
from fima.errors import InputError
from fima.input_spec import InputSpec

SPEC = InputSpec((0.5,) * 3, (0.5,) * 3, num_frames=8, frame_stride=2, size=64)


class Answer(torch.nn.Module):
    """A network that sees change alone, brightness alone, or nothing."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, clip):
        if self.what == "change":
            change = (clip - clip.roll(1, dims=2)).abs().mean(dim=1, keepdim=True)
            change[:, :, 0] = change[:, :, 1]
            return change
        return clip.mean(dim=1, keepdim=True) + 1 if self.what == "brightness" else torch.ones_like(clip[:, :1])


def measured(what, **settings):
    from dataclasses import replace

    loaded = replace(load_backbone("tiny-vd"), backbone=Answer(what), input=SPEC, arch="tests:answer", settings={})
    return analysis.run("mover", loaded, **settings)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A drawn world as video files with masks."""
    folder = tmp_path_factory.mktemp("mover") / "easy"
    flags = ["--regime", "camera", "--videos", "4", "--set", "num_frames=24", "size=96", "radius=0.1-0.12", "shake=0"]
    assert main(["shapes", str(folder), *flags]) == 0
    return folder


def test_a_network_that_sees_change_finds_the_mover_of_drawn_videos():
    study = measured("change", data="shapes:easy,videos=6")
    scores = study.scores
    assert scores["picture"].mean > 0.93  # the copy rests, and so does the camera
    assert scores["world"].mean > 0.93
    assert scores["seam"].mean == 0.5
    assert scores["picture"].chance == 0.5
    assert scores["difference_picture"].mean == pytest.approx(scores["picture"].mean, abs=0.02)
    assert abs(scores["contrast_picture"].mean - 0.5) < 0.1
    assert measured("nothing", data="shapes:easy,videos=2").scores["picture"].mean == 0.5
    assert abs(measured("brightness", data="shapes:easy,videos=6").scores["picture"].mean - 0.5) < 0.1


def test_real_files_get_a_pasted_copy(files):
    study = measured("change", data=str(files / "train.csv"), masks=str(files / "masks"))
    assert study.scores["picture"].mean > study.scores["control"].mean + 0.1
    assert study.scores["seam"].mean == 0.5
    assert set(study.scores) == {
        f"{prefix}{kind}" for prefix in MAPS if prefix not in ("twin_", "attention_") for kind in KINDS
    }
    assert study.provenance["without_place"] == []


def test_token_networks_have_attention_too(monkeypatch):
    """The mean over channels says nothing after a layer norm; then attention put in by hand: the frame difference."""
    small = {"arch": "videomae-tiny", "size": 32, "num_frames": 8}
    found = analysis.run("mover", "random", data="shapes:easy,videos=2,size=64", **small)
    scores = found.scores
    assert {f"attention_{kind}" for kind in ("picture", "world", "seam")} <= scores.keys()
    assert scores["attention_picture"].chance == 0.5
    assert 0 < scores["attention_picture"].mean < 1
    words = [text.get_text() for ax in found.figure().axes if ax.get_legend() for text in ax.get_legend().get_texts()]
    assert words[:3] == ["backbone, RGB", "backbone, motion", "attention received"]

    def by_change(extractor, clip, layer):
        change = Answer("change")(clip)[:, 0]
        return torch.nn.functional.adaptive_avg_pool3d(change, (4, 16, 16))

    monkeypatch.setattr("analysis.studies.mover.attention_map", by_change)
    scores = analysis.run("mover", "random", data="shapes:easy,videos=4,size=64", **small).scores
    assert scores["attention_picture"].mean > 0.8
    assert scores["attention_seam"].mean == 0.5


def test_the_command_saves_what_it_draws_and_a_twin(files, tmp_path, capsys):
    from analysis.cli import main as analyze

    flags = ["--data", str(files / "train.csv"), "--masks", str(files / "masks"), "--out", str(tmp_path / "out")]
    assert analyze(["mover", *flags, "--num-frames", "8", "--show", "1"]) == 0
    report = json.loads((tmp_path / "out" / "mover.json").read_text())
    assert "twin_world" in report["scores"]
    arrays = np.load(tmp_path / "out" / "mover.npz")
    assert arrays["example_frames"].shape[:3] == (1, 2, 2)
    assert (tmp_path / "out" / "mover.png").stat().st_size > 10_000
    capsys.readouterr()


def test_without_a_place_or_masks_it_is_refused(files, tmp_path):
    with pytest.raises(InputError, match="--masks: where the objects are is needed"):
        measured("change", data=str(files / "train.csv"))
    whole = {"masks_packed": np.full((24, 96, 12), 255, np.uint8), "shape": np.array([24, 96, 96])}
    for stored in (files / "masks").iterdir():
        np.savez(tmp_path / stored.name, **whole)  # the object fills every frame
    with pytest.raises(InputError, match="no clip has a moving object and a free place"):
        measured("change", data=str(files / "train.csv"), masks=str(tmp_path))
    with pytest.raises(InputError, match=r"no clip has a moving object before a resting camera \(--masks auto\) and"):
        measured("change", data=str(files / "train.csv"), masks="auto")  # here the camera pans
