import pytest
import torch

from fima.checkpoints import load_backbone, save_backbone, untrained_backbone
from fima.cli import main


def test_a_backbone_may_be_given_another_input(tmp_path, capsys):
    out = tmp_path / "small.ckpt"
    assert main(["export", "tiny-fima", str(out), "--format", "backbone", "--input-spec", "size=112"]) == 0
    loaded, source = load_backbone(out), load_backbone("tiny-fima")
    assert loaded.input == source.input.replace(size=112)
    for name, value in source.backbone.state_dict().items():
        assert value.equal(loaded.backbone.state_dict()[name])


def test_a_method_is_exported_as_it_was_trained(tmp_path, capsys):
    arguments = ["export", "tiny-fima", str(tmp_path / "x.pth"), "--format", "fima", "--input-spec", "size=112"]
    assert main(arguments) == 2
    assert "--input-spec: goes with --format backbone" in capsys.readouterr().err


def test_weights_of_several_runs_are_averaged(tmp_path, capsys):
    """Mean by hand, the running statistics too; what is read back computes with it."""
    runs = []
    for seed in range(3):
        loaded = untrained_backbone(seed=seed)
        loaded.backbone.stem[1].running_mean += seed
        runs.append(save_backbone(tmp_path / f"{seed}.pt", loaded.backbone, arch="tiny", input=loaded.input))
    out = tmp_path / "mean.pt"
    assert main(["export", str(runs[0]), str(out), "--format", "backbone", "--average", *map(str, runs[1:])]) == 0
    mean, states = load_backbone(out), [load_backbone(run).backbone.state_dict() for run in runs]
    for name, value in mean.backbone.state_dict().items():
        wanted = sum(state[name].double() for state in states) / 3 if value.is_floating_point() else states[0][name]
        torch.testing.assert_close(value.double(), wanted.double(), atol=1e-6, rtol=0)
    assert mean.backbone.state_dict()["stem.1.running_mean"] == pytest.approx(1.0)
    assert mean.extra["mean_of"] == [load_backbone(run).sha256 for run in runs]


def test_networks_without_a_mean_are_refused(tmp_path, capsys):
    out = tmp_path / "x.pt"
    assert main(["export", "tiny-fima", str(out), "--format", "backbone", "--average", "small-fima"]) == 2
    assert "small-fima.ckpt: small has other weights than tiny" in capsys.readouterr().err
    assert main(["export", "tiny-fima", str(out), "--format", "fima", "--average", "tiny-vd"]) == 2
    assert "--average: goes with --format backbone" in capsys.readouterr().err
    assert not out.exists()
