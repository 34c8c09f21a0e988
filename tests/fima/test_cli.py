import json
import subprocess
import sys

import pytest
import torch

from fima.checkpoints import save_backbone, untrained_backbone
from fima.checkpoints.files import sha256_of
from fima.cli import COMMANDS, main


@pytest.fixture
def checkpoint(tmp_path):
    tiny = untrained_backbone()
    return save_backbone(tmp_path / "tiny.pt", tiny.backbone, arch="tiny", input=tiny.input, extra={"epoch": 4})


@pytest.fixture
def holed(checkpoint):
    content = torch.load(checkpoint)
    del content["state_dict"]["stage1.first.0.weight"]
    path = checkpoint.with_name("holed.pt")
    torch.save(content, path)
    return path


def test_info_shows_what_it_is(checkpoint, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["info", str(checkpoint)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for text in ("fima-backbone", "tiny", "401,264", "16 × stride 2, 56 × 56 pixels", "RGB, mean (0.43216", "60: stem"):
        assert text in out


def test_info_json_is_complete(checkpoint, capsys):
    assert main(["info", str(checkpoint), "--json", "--input-spec", "size=64"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["arch"] == "tiny"
    assert facts["epoch"] == 4
    assert facts["input"]["size"] == 64
    assert facts["complete"] is True
    assert len(facts["report"]["loaded"]) == 60
    assert len(facts["sha256"]) == 64


@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["table", "json"])
def test_a_hole_is_shown_and_then_an_error(holed, flags, capsys):
    assert main(["info", str(holed), *flags]) == 2
    out, err = capsys.readouterr()
    assert "stage1.first.0.weight" in out
    assert err == f"fima info: error: {holed}: does not fill tiny: 1 of 60 entries missing: stage1.first.0.weight\n"


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ([], "fima: error: the following arguments are required: COMMAND"),
        (["inform"], "fima: error: argument COMMAND: invalid choice: 'inform'"),
        (["info"], "fima info: error: the following arguments are required: CKPT"),
        (["info", "a", "--arc", "x"], "fima: error: unrecognized arguments: --arc x"),
        (["info", "/nowhere/a.pt"], "fima info: error: /nowhere/a.pt: no such checkpoint"),
    ],
    ids=["nothing", "unknown", "no-file", "abbreviated", "absent"],
)
def test_bad_input_is_one_line(argv, line, capsys):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_bad_arch_and_spec_are_one_line(checkpoint, capsys):
    for flags in (["--arch", "i3d"], ["--arch", "nope"], ["--input-spec", "size=0"]):
        assert main(["info", str(checkpoint), *flags]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), flags


def test_names_in_square_brackets_are_shown_as_they_are(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    state = {**untrained_backbone().backbone.state_dict(), "[red]head.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "a.pt")
    assert main(["info", str(tmp_path / "a.pt")]) == 0
    assert "[red]head.weight" in capsys.readouterr().out


def test_every_subcommand_has_help(capsys):
    assert main(["--help"]) == 0
    listing = capsys.readouterr().out
    for command in COMMANDS:
        assert command.name in listing
        assert main([command.name, "--help"]) == 0
        assert "usage: fima " + command.name in capsys.readouterr().out


def test_runs_as_a_module_and_survives_a_closed_pipe(checkpoint):
    command = [sys.executable, "-m", "fima.cli", "info", str(checkpoint), "--json"]
    done = subprocess.run(["bash", "-c", '"$@" | head -1', "_", *command], capture_output=True, text=True, check=True)
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_a_piped_table_breaks_no_line(tmp_path, capsys):
    tiny = untrained_backbone("tiny")
    path = save_backbone(tmp_path / "tiny.pth", tiny.backbone, arch="tiny", input=tiny.input)
    assert main(["info", str(path)]) == 0
    assert any(sha256_of(path) in line for line in capsys.readouterr().out.splitlines())
