"""Feature colors of clips: networks whose features are known, one basis for a set, the command as a user types it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import analysis
from analysis.cli import main
from fima.checkpoints import load_backbone
from fima.errors import InputError
from fima.input_spec import InputSpec

SPEC = InputSpec((0.0,) * 3, (1.0,) * 3, num_frames=8, frame_stride=2, size=64)


class Known(torch.nn.Module):
    """A network whose features are the brightness of its cells, or their place."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, clip):
        if self.what == "brightness":
            luma = torch.einsum("ncthw,c->nthw", clip, torch.tensor([0.299, 0.587, 0.114]))
            return F.adaptive_avg_pool3d(luma, (4, 8, 8))[:, None] * torch.tensor([1.0, 2.0])[None, :, None, None, None]
        places = torch.stack(torch.meshgrid(*(torch.arange(n) for n in (4, 8, 8)), indexing="ij")).float()
        return places[None].expand(len(clip), -1, -1, -1, -1)


def measured(what, **settings):
    loaded = replace(load_backbone("tiny-vd"), backbone=Known(what), input=SPEC, arch="tests:known", settings={})
    return analysis.run("pca", loaded, data="shapes:camera,videos=5", **settings)


@pytest.mark.parametrize("fit", ["clip", "set"])
def test_brightness_is_found_out(fit):
    scores = measured("brightness", fit=fit).scores
    assert scores["brightness"].mean == pytest.approx(1)
    assert scores["brightness"].chance < 0.5
    assert scores["explained_first"].mean == pytest.approx(1)
    assert scores["position"].mean < 0.8


def test_position_is_found_out():
    scores = measured("position").scores
    assert scores["position"].mean == pytest.approx(1)
    assert scores["brightness"].mean < 0.5
    assert scores["motion_energy"].mean < 0.5


def test_one_basis_for_the_set_makes_colors_of_clips_compare():
    each, together = (measured("brightness", fit=fit).arrays["example_rgb_colors"] for fit in ("clip", "set"))
    means = [np.std(colors.mean(axis=(1, 2, 3))[:, 0]) for colors in (each, together)]
    assert means[0] == pytest.approx(0, abs=0.02)  # gray is each clip's own mean
    assert means[1] > 0.05


def test_as_a_user_types_it(tmp_path, clips_dir):
    argv = ["pca", "--video", str(clips_dir / "dog.mp4"), "--fit", "set", "--out", str(tmp_path)]
    assert main(argv) == 0
    for ending in ("png", "mp4", "npz", "json"):
        assert (tmp_path / f"pca.{ending}").stat().st_size > 0
    study = analysis.load(tmp_path / "pca")
    colors = study.arrays["example_rgb_colors"]
    assert colors.shape == (1, 2, 7, 7, 3)
    assert 0 <= colors.min() < colors.max() <= 1
    assert "of the whole set" in study.figure().get_suptitle()
    first = study.arrays["example_explained"][0, 0]
    assert any(f"{100 * first:.0f} +" in ax.get_ylabel() for ax in study.figure().axes)


def test_refused():
    with pytest.raises(InputError, match="fit must be one of clip, set, got 'all'"):
        analysis.run("pca", fit="all")
