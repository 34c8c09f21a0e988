"""MaCLR in files: both backbones by name, none of the user's code unasked, and the visual one for analysis."""

import pytest
import torch

from fima.checkpoints import load_backbone
from fima.errors import CheckpointError, InputError
from fima.methods import MaCLR, export_method, load_method, method_state, restore_method, save_method
from fima.models import create_backbone
from fima.transforms.views import Views

SMALL = {"motion_arch": "tiny", "queue_size": 10, "dim": 8, "hidden": 16}


@pytest.fixture
def method():
    torch.manual_seed(0)
    return MaCLR("tiny", **SMALL)


def make_views():
    generator = torch.Generator().manual_seed(0)
    sizes = {"global_clips": (2, 2, 3, 8, 32, 32), "local_clips": (2, 1, 2, 3, 16, 32, 32), "boxes": (2, 2, 4)}
    return Views(**{name: torch.rand(size, generator=generator) for name, size in sizes.items()})


def test_restored_it_takes_the_same_step(method):
    method(make_views(), augment=False)
    again = restore_method(method_state(method), "memory")
    ours, theirs = (m(make_views(), augment=False) for m in (method, again))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in method.state_dict().items())


def test_someone_s_code_is_not_run_for_the_motion_pathway(method, tmp_path):
    path = save_method(tmp_path / "x.pth", method)
    content = torch.load(path, weights_only=True)
    content["settings"]["motion_arch"] = "os:getcwd"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="made with your own os:getcwd; pass motion_arch='os:getcwd'"):
        load_method(path)
    with pytest.raises(CheckpointError, match="pass motion_arch="):
        load_method(path, arch="tiny")
    assert load_method(path, motion_arch="tiny").settings["motion_arch"] == "tiny"


def test_a_motion_backbone_without_a_name_cannot_be_saved(tmp_path):
    method = MaCLR("tiny", **SMALL | {"motion_arch": create_backbone("tiny")})
    with pytest.raises(InputError, match="MaCLR was built around a module"):
        save_method(tmp_path / "x.pth", method)
    assert list(tmp_path.iterdir()) == []


def test_the_reference_has_no_such_file(method, tmp_path):
    with pytest.raises(InputError, match="MaCLR has no reference format"):
        export_method(tmp_path / "x.pth", method)
    assert list(tmp_path.iterdir()) == []


def test_analysis_reads_the_visual_backbone_and_accounts_for_the_rest(tmp_path):
    torch.manual_seed(0)
    method = MaCLR("slow_r50", **SMALL | {"backbone_settings": {"width": 4}})
    loaded = load_backbone(save_method(tmp_path / "x.pth", method))
    assert (loaded.arch, loaded.settings) == ("slow_r50", {"width": 4})
    assert loaded.input.mean == (0.45,) * 3
    for name, value in method.encoder_q.state_dict().items():
        assert torch.equal(loaded.backbone.state_dict()[name], value)
    assert len(loaded.report.loaded) + len(loaded.report.ignored) == len(method.state_dict())
