"""Localization and sensitivity as studies, against backbones whose behavior is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from analysis.cli import main
from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.sessions import Session
from analysis.inputs.video.truth import scale_masks, truth_reader
from analysis.inputs.video.videos import list_videos
from analysis.measures.common.statistics import paired_difference
from analysis.settings import Settings
from analysis.studies import run
from fima.checkpoints import untrained_backbone
from fima.data.shapes import open_shapes
from fima.errors import InputError


class MotionEnergy(nn.Module):
    """Features are the course of local change: 8 channels for 8 stretches of time, and one that never changes."""

    def forward(self, clip):
        change = (clip[:, :, 1:] - clip[:, :, :-1]).abs().mean(1, keepdim=True)
        course = nn.functional.adaptive_avg_pool3d(change, (8, 7, 7))
        course = course.transpose(1, 2)
        resting = torch.full_like(course[:, :1], 1e-3)  # a clip without motion has a feature as well
        return torch.cat([course, resting], 1).expand(-1, -1, 2, -1, -1).contiguous()


class BackgroundTexture(nn.Module):
    """Features are what does not move: colors and contrast of the clip's median frame."""

    def forward(self, clip):
        still = clip.median(dim=2).values
        fine = (still - nn.functional.avg_pool2d(still, 5, 1, 2)).abs()
        maps = nn.functional.adaptive_avg_pool2d(torch.cat([still + 4, fine], 1), (7, 7))
        return maps[:, :, None].expand(-1, -1, 2, -1, -1).contiguous()


def session_of(backbone, settings):
    loaded = replace(untrained_backbone("tiny", seed=0), backbone=backbone, arch="toy")
    return Session(settings, loaded, FeatureExtractor(loaded), list_videos(settings).videos)


def studied(measure, backbone, data="shapes:easy,videos=12"):
    settings = Settings(data=data, split="test", batch_size=5, show=1)
    return run(measure, session_of(backbone, settings))


@pytest.mark.parametrize("measure", ["localize", "affinity", "temporal", "sensitivity"])
def test_copied_motion_beats_copied_background_on_every_measure(measure):
    motion, texture = (studied(measure, backbone()) for backbone in (MotionEnergy, BackgroundTexture))
    names = {
        "localize": ("energy", "pointing", "iou", "best_iou", "auroc"),
        "affinity": ("contrast", "top1_agreement", "auroc"),
        "temporal": ("offset_auroc",),
        "sensitivity": ("motion_share", "frozen"),
    }[measure]
    for name in names:
        difference = paired_difference(texture.video_scores[name], motion.video_scores[name])
        assert difference.low > 0, f"{name}: {difference}"
    if measure == "affinity":
        assert motion.scores["displacement"].high < texture.scores["displacement"].low


class Oracle(nn.Module):
    """Activation that is the mask: told by color, in videos whose object is painted white on black."""

    def forward(self, clip):
        return nn.functional.relu(clip.mean(1, keepdim=True) - clip.mean(1, keepdim=True).amin((2, 3, 4), keepdim=True))


def test_the_true_mask_as_activation_scores_one(monkeypatch):
    """Through the whole study: frames are replaced by the masks that come with them."""
    settings = Settings(data="shapes:easy,videos=3", size=64, show=1)
    session = session_of(Oracle(), settings)
    session = replace(session, loaded=replace(session.loaded, input=session.loaded.input.replace(size=64)))
    session = replace(session, extractor=FeatureExtractor(session.loaded))
    stream = session.stream

    def painted(*args, **kwargs):
        clips = stream(*args, **kwargs)
        plain = clips._decode

        def decode():
            for clip in plain():
                yield replace(clip, frames=clip.truth.mask[:, None].expand(-1, 3, -1, -1).to(torch.uint8) * 255)

        clips._decode = decode
        return clips

    monkeypatch.setattr(type(session), "stream", lambda self, *args, **kwargs: painted(*args, **kwargs))
    study = run("localize", session)
    for name in ("energy", "pointing", "iou", "best_iou", "auroc"):
        assert study.scores[name].mean == pytest.approx(1, abs=1e-6), name


class Uniform(nn.Module):
    def forward(self, clip):
        return torch.ones(len(clip), 4, 2, 7, 7)


def test_a_uniform_map_scores_chance():
    study = studied("localize", Uniform())
    for name in ("energy", "pointing", "iou", "auroc"):
        assert study.scores[name].mean == pytest.approx(study.scores[name].chance, abs=1e-6), name
    masks = [record.draw().masks(np.arange(17, 48, 2)).mean() for record in open_shapes("shapes:easy,videos=12", split="test").records]  # fmt: skip  # noqa: E501
    assert study.scores["energy"].chance == pytest.approx(np.mean(masks), rel=0.05)


def test_masks_are_cut_out_as_frames_are():
    """In a picture that is wider than high, with a mask told by color."""
    frames = np.zeros((2, 60, 100), bool)
    frames[:, 20:40, 45:60] = True
    scaled = scale_masks(frames, 30, 50)
    assert scaled.shape == (2, 30, 50)
    np.testing.assert_array_equal(np.argwhere(scaled[0]).min(0), [10, 22])  # half covered counts
    np.testing.assert_array_equal(np.argwhere(scaled[0]).max(0), [19, 29])


@pytest.mark.slow
def test_masks_of_files_give_the_numbers_of_the_drawn_ones(tmp_path):
    """The same videos drawn and from disk: the truth is the same, the frames nearly so."""
    from fima.cli import main as fima

    folder = tmp_path / "shapes"
    assert fima(["shapes", str(folder), "--videos", "4", "--set", "size=64", "--crf", "4"]) == 0
    drawn = run("localize", Settings(data="shapes:easy,videos=4,seed=0", split="train", show=1))
    files = run("localize", Settings(data=str(folder / "train.csv"), masks=str(folder / "masks"), show=1))
    for name in ("energy", "center_energy", "center_auroc"):
        assert files.scores[name].chance == pytest.approx(drawn.scores[name].chance, abs=1e-9)
    np.testing.assert_allclose(files.video_scores["center_auroc"], drawn.video_scores["center_auroc"], atol=1e-9)
    np.testing.assert_allclose(
        files.video_scores["difference_auroc"], drawn.video_scores["difference_auroc"], atol=0.05
    )
    sensitive = run("sensitivity", Settings(data=str(folder / "train.csv"), masks=str(folder / "masks"), show=1))
    assert sensitive.scores["motion_share"].num_videos == 4


def test_localize_without_masks_is_refused(tmp_path, clips_dir, capsys):
    clip = str(clips_dir / "dog.mp4")
    assert main(["localize", "--video", clip, "--out", str(tmp_path / "out")]) == 2
    (tmp_path / "masks").mkdir()
    np.savez(tmp_path / "masks" / "other.npz", masks=np.ones((3, 8, 8), bool))
    flags = ["--masks", str(tmp_path / "masks"), "--out", str(tmp_path / "out")]
    assert main(["localize", "--video", clip, *flags]) == 2
    first, second = capsys.readouterr().err.strip().splitlines()
    assert "--masks: where the objects are is needed" in first
    assert "holds none of the 1 videos" in second
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="--masks"):
        truth_reader(None, list_videos(Settings(video=clip)).videos)


def test_the_command_leaves_its_files(tmp_path):
    assert main(["localize", "--data", "shapes:clutter,videos=3", "--show", "2", "--out", str(tmp_path / "a")]) == 0
    report = json.loads((tmp_path / "a" / "localize.json").read_text())
    assert report["provenance"]["masks"] == "drawn"
    assert (tmp_path / "a" / "localize.png").exists()
    assert main(["localize", "--data", "shapes:clutter,videos=3", "--show", "2", "--out", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a" / "localize.npz").read_bytes() == (tmp_path / "b" / "localize.npz").read_bytes()
