"""The background battery: networks whose answer is known, order of the videos, splits, the command."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.cli import main
from analysis.inputs.sessions import Session, open_session
from analysis.inputs.video.clips import ClipTruth
from analysis.inputs.video.videos import VideoSource
from analysis.settings import Settings
from analysis.studies.background import run
from analysis.studies.common.labeled import _of_other_recordings
from fima.data.masks.automatic import AutomaticMasks
from fima.errors import InputError
from fima.input_spec import InputSpec

T, SIDE, CLASSES = 6, 24, 3
COLORS = torch.tensor([[40, 80, 20], [20, 40, 80], [80, 20, 40]], dtype=torch.uint8)


class World(Session):
    """A pure red square whose way is the class, before a color that is the class too."""

    unknown = ()

    def stream(self, place=None, *, truth=False, **more):
        stream = super().stream(place, **more)
        plain = stream._decode

        def drawn():
            for clip in plain():
                label = clip.video.label
                mask = torch.zeros(T, SIDE, SIDE, dtype=torch.bool)
                for t in range(T):
                    row, column = ((8, 2 + 3 * t), (2 + 3 * t, 8), (8, 17 - 3 * t))[label]
                    mask[t, row : row + 4, column : column + 4] = True
                frames = COLORS[label].view(1, 3, 1, 1).repeat(T, 1, SIDE, SIDE).clone()
                frames += clip.video.seed % 4  # no two videos are the same
                frames = torch.where(
                    mask[:, None], torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1), frames
                )
                known = torch.full((T,), clip.video.video_id not in self.unknown)
                yield replace(clip, frames=frames, truth=ClipTruth(mask, known) if truth else None)

        stream._decode = drawn
        return stream


class Sees(torch.nn.Module):
    """The way of what is red, or the color of what is not."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, clip):
        red = (clip[:, 0] > 0.99) & (clip[:, 1] < 0.01) & (clip[:, 2] < 0.01)  # (N, T, H, W)
        if self.what == "foreground":
            ticks = torch.arange(SIDE, dtype=torch.float32) / SIDE
            count = red.sum(dim=(2, 3)).clamp(min=1)
            x, y = (red * ticks).sum(dim=(2, 3)) / count, (red * ticks[:, None]).sum(dim=(2, 3)) / count
            seen = torch.stack([way[:, -1] - way[:, 0] for way in (x, y)], dim=1)
        else:
            seen = (clip * ~red[:, None]).sum(dim=(2, 3, 4)) / (~red).sum(dim=(1, 2, 3)).clamp(min=1)[:, None]
        return seen[:, :, None, None, None]


def session(what, videos=36, order=None, kind=World):
    opened = open_session(Settings(ckpt="random", num_frames=T, size=SIDE, masks="auto"))
    spec = InputSpec((0.0,) * 3, (1.0,) * 3, num_frames=T, frame_stride=1, size=SIDE)
    loaded = replace(opened.loaded, backbone=Sees(what), input=spec, arch="tests:sees", settings={})
    sources = [VideoSource(f"v{i:02d}", None, i % CLASSES, seed=i, group=i) for i in range(videos)]
    sources = [sources[i] for i in (order if order is not None else range(videos))]
    extractor = type(opened.extractor)(loaded)
    return kind(opened.settings, loaded, extractor, sources)


@pytest.fixture(autouse=True)
def masks_are_the_worlds(monkeypatch):
    monkeypatch.setattr(AutomaticMasks, "read", None)  # the world's own are used


def means(study):
    return {name: summary.mean for name, summary in study.scores.items()}


def test_a_network_that_sees_the_foreground_alone():
    found = means(run(session("foreground")))
    for name in ("original", "scuba", "swap_foreground", "foreground_only"):
        assert found[name] == 1, name
    assert found["swap_background"] == 0
    assert found["contra"] == pytest.approx(1 - found["scufo"])  # without motion it guesses
    for name in ("scufo", "background_only"):
        assert found[name] <= 0.45, name


def test_a_network_that_sees_the_background_alone():
    found = means(run(session("background")))
    assert found["original"] == found["background_only"] == found["swap_background"] == 1
    assert found["scuba_video"] == found["swap_foreground"] == found["contra"] == 0  # another class's background
    assert found["scuba_noise"] <= 0.45
    assert found["foreground_only"] <= 0.45


def test_the_order_of_the_videos_and_batches_change_nothing():
    plain = run(session("background"))
    mixed = session("background", order=np.random.default_rng(0).permutation(36))
    mixed = replace(mixed, settings=replace(mixed.settings, batch_size=5))
    shuffled = run(mixed)
    place = np.argsort(shuffled.video_scores["video_id"])
    for name in ("scuba", "swap_background", "scuba_noise"):
        np.testing.assert_array_equal(shuffled.video_scores[name][place], plain.video_scores[name])


def test_a_video_without_masks_is_not_altered():
    study = run(session("foreground", kind=type("Kind", (World,), {"unknown": ("v03", "v10")})))
    missing = np.isnan(study.video_scores["scuba"])
    assert study.video_scores["video_id"][missing].tolist() == ["v03", "v10"]
    assert study.provenance["num_altered"] == 34
    assert not np.isnan(study.video_scores["original"]).any()
    with pytest.raises(InputError, match="no mask is known"):
        run(session("foreground", kind=type("Kind", (World,), {"unknown": [f"v{i:02d}" for i in range(36)]})))


def test_the_command_with_a_split_to_train_on(tmp_path, capsys):
    flags = ["--data", "shapes:easy,videos=60,num_frames=16", "--num-frames", "4", "--size", "32", "--ckpt", "random"]
    assert main(["background", *flags, "--train-split", "train", "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "background.json").read_text())
    assert report["provenance"]["settings"]["train_split"] == "train"
    assert report["scores"]["scuba"]["num_videos"] == 60
    assert np.load(tmp_path / "out" / "background.npz")["example_frames"].shape == (7, 4, 32, 32, 3)
    assert "SCUBA" in capsys.readouterr().out


def test_what_cannot_be_asked_is_refused(clips_dir, capsys):
    assert main(["background", "--data", "shapes:easy,videos=12", "--num-frames", "4", "--size", "32"]) == 2
    assert "at least 3 videos of every class" in capsys.readouterr().err
    assert main(["background", "--data", str(clips_dir), "--masks", "auto"]) == 2
    assert "whose videos have classes" in capsys.readouterr().err
    assert main(["background", "--train-split", "train"]) == 2
    assert "train_split" in capsys.readouterr().err


def test_training_videos_of_tested_recordings_are_left_out(tmp_path):
    (tmp_path / "annotations").mkdir()
    groups = {"a/v1": "x", "a/v2": "y", "b/v3": "x", "b/v4": "z"}
    (tmp_path / "annotations" / "groups.csv").write_text(
        "video,place\n" + "".join(f"{name}.mp4,{place}\n" for name, place in groups.items())
    )
    training, tested = (
        [VideoSource(name, None, 0) for name in names] for names in (["a/v1", "a/v2"], ["b/v3", "b/v4"])
    )
    assert [video.video_id for video in _of_other_recordings(training, tested, str(tmp_path))] == ["a/v2"]
    assert _of_other_recordings(training, tested, str(tmp_path / "none")) == training
    with pytest.raises(InputError, match="every recording of it is tested too"):
        _of_other_recordings(training[:1], tested, str(tmp_path))
