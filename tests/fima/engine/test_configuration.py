"""Ranges, groups and files of settings, for every task alike."""

import dataclasses

import pytest
import yaml

from fima.engine.configuration import Checkpoints, Loader, Optimizer, RunConfig, Schedule
from fima.engine.folder import write_config
from fima.engine.optimizer import group, make_optimizer, set_rates
from fima.engine.parsing import build, make_parser, parse_settings
from fima.engine.schedule import Plateau
from fima.errors import InputError


@dataclasses.dataclass(kw_only=True)
class Config(RunConfig):
    """A task's.

    Args:
        clips: Clips of a video.
    """

    clips: int = 2


def parse(*words, file=None):
    values = parse_settings(make_parser(Config, skip=set()), [*words], file=file, keep_out=())
    return build(Config, {**values, "data": "d", "out": "o"})


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"optimizer": Optimizer(epochs=0)}, "optimizer.epochs must be at least 1, got 0"),
        ({"optimizer": Optimizer(lr=0.0)}, "optimizer.lr must be above 0, got 0.0"),
        ({"optimizer": Optimizer(lr=float("nan"))}, "optimizer.lr must be above 0, got nan"),
        ({"optimizer": Optimizer(momentum=float("inf"))}, "optimizer.momentum must be at least 0, got inf"),
        ({"optimizer": Optimizer(gamma=1.5)}, "optimizer.gamma must be in (0, 1], got 1.5"),
        ({"optimizer": Optimizer(epochs=2, warmup_epochs=2)}, "optimizer: warmup_epochs must be less than epochs, "),
        ({"loader": Loader(max_failed=1.1)}, "loader.max_failed must be in [0, 1], got 1.1"),
        ({"checkpoints": Checkpoints(keep=0)}, "checkpoints.keep must be at least 1, got 0"),
        ({"seed": -1}, "seed must be in [0, 2**63), got -1"),
    ],
)
def test_numbers_that_no_run_can_use(group, said):
    with pytest.raises(InputError) as caught:
        RunConfig(data="d", out="o", **group)
    assert str(caught.value).startswith(said)


def test_flags_win_over_the_file_and_the_file_over_the_class(tmp_path):
    (tmp_path / "a.yaml").write_text("optimizer: {lr: 1e-3, epochs: 7}\nclips: 5\nsource: a paper\nnotes: [ours]\n")
    config = parse("--optimizer.epochs=9", "--frame-template", "a{}.jpg", file=tmp_path / "a.yaml")
    assert (config.optimizer.lr, config.optimizer.epochs, config.optimizer.momentum) == (0.001, 9, 0.9)
    assert (config.clips, config.frame_template) == (5, "a{}.jpg")


def test_a_flag_may_stand_alone():
    assert parse("--trust-checkpoint").trust_checkpoint is True
    assert parse("--trust_checkpoint", "false").trust_checkpoint is False


def test_names_of_earlier_versions_in_a_file(tmp_path):
    (tmp_path / "a.yaml").write_text("optimiser: {lr: 0.5}\n")
    assert parse(file=tmp_path / "a.yaml").optimizer.lr == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimizer: 3", "optimizer: expected settings by name, got 3"),
        ("optimizer: {epoch: 3}", r"a.yaml: optimizer.epoch is no setting; did you mean optimizer.epochs"),
        ("clip: 3", r"a.yaml: clip is no setting; did you mean clips"),
        ("[1]", "a.yaml: expected groups of settings, got list"),
        ("a: [", "a.yaml: is not YAML"),
    ],
)
def test_files_with_mistakes(tmp_path, text, said):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        parse(file=tmp_path / "a.yaml")


def test_what_is_written_down_repeats_the_run(tmp_path):
    config = parse("--optimizer.milestones=[3,4]", "--clips=3", "--trust-checkpoint=true")
    write_config(tmp_path / "config.yaml", config)
    assert "trust_checkpoint" not in yaml.safe_load((tmp_path / "config.yaml").read_text())
    again = parse(file=tmp_path / "config.yaml")
    assert again == dataclasses.replace(config, trust_checkpoint=False)


def test_groups_have_rates_and_decays_of_their_own():
    import torch

    left, right, frozen = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).requires_grad_(False)
    groups = [
        group(left.parameters()),
        group(right.parameters(), share=0.1, weight_decay=0.0),
        group(frozen.parameters()),
    ]
    options = Optimizer(lr=0.5, schedule="constant", weight_decay=0.01)
    optimizer = make_optimizer(groups, options, nesterov=True)
    assert set_rates(optimizer, 0, 10, options, Plateau(Schedule())) == 0.5
    assert [(g["lr"], g["weight_decay"], g["nesterov"]) for g in optimizer.param_groups] == [
        (0.5, 0.01, True),
        (0.05, 0.0, True),
    ]
