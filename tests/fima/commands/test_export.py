from fima.checkpoints import load_backbone
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
