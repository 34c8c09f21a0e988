"""Recipes and flags: what is shipped, what is refused, and that options say what the classes say."""

import dataclasses
import inspect

import pytest
import yaml

import fima.methods
from fima.cli import main
from fima.engine.folder import write_config
from fima.errors import InputError
from fima.methods.loading import _parameters
from fima.tasks.pretrain.method_options import METHODS
from fima.tasks.pretrain.recipes import parse_pretrain, recipe_names, recipe_path


def parse(*arguments):
    return parse_pretrain(["--data", "videos", *arguments])


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_can_be_read(recipe):
    config = parse("--recipe", recipe)
    assert config.out == f"runs/{recipe}"
    assert recipe.startswith(("fima", "moco", "vd", "pixel", "maclr"))


def test_the_papers_settings():
    """spec/fima.md, section 6."""
    ucf, kinetics = parse("--recipe", "fima-ucf101"), parse("--recipe", "fima-k400")
    assert (ucf.method["queue_size"], ucf.method["pixel_queue_size"]) == (2240, 0)
    assert (ucf.optimizer.batch_size, ucf.optimizer.lr, ucf.optimizer.epochs) == (24, 0.00375, 200)
    assert (kinetics.method["queue_size"], kinetics.method["pixel_queue_size"]) == (65536, 31360)
    assert (kinetics.optimizer.batch_size, kinetics.optimizer.lr, kinetics.optimizer.epochs) == (64, 0.01, 100)
    for config in (ucf, kinetics):
        assert (config.windows.num_frames, config.views.size, config.method["arch"]) == (32, 224, "i3d")
        assert (config.optimizer.momentum, config.optimizer.weight_decay) == (0.9, 1e-4)
        assert (config.optimizer.schedule, config.optimizer.update, config.optimizer.warmup_epochs) == (
            "cosine",
            "epoch",
            0,
        )
    assert ucf.split == "train1"


@pytest.mark.parametrize(("name", "known"), METHODS.items())
def test_options_are_those_of_the_class(name, known):
    class_name, options = known
    method = getattr(fima.methods, class_name)
    theirs = {}
    for part in reversed(method.__mro__):
        if issubclass(part, fima.methods.Method) and "__init__" in vars(part):
            parameters = inspect.signature(vars(part)["__init__"]).parameters.values()
            theirs |= {p.name: p.default for p in parameters if p.name in _parameters(method)}
    for elsewhere in ("arch", "backbone_settings"):
        theirs.pop(elsewhere)
    assert {item.name: item.default for item in dataclasses.fields(options)} == theirs


def test_flags_override_the_recipe():
    config = parse(
        "--recipe", "fima-small", "--optimizer.lr", "0.5", "--method.pixel", "false", "--views.area", "[0.5,1]"
    )
    assert config.optimizer.lr == 0.5
    assert config.method["pixel"] is False
    assert config.views.area == (0.5, 1.0)
    assert config.method["arch"] == "tiny"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--recipe", "fima-smal"), "--recipe fima-smal: no such file.*did you mean fima-small"),
        (("--optimizer.lrr", "3"), "optimizer.lrr.*did you mean optimizer.lr"),
        (("--optimizer.lr", "fast"), 'optimizer.lr".*float.*fast'),
        (("--method.name", "mocco"), "method.name must be one of moco, fima"),
        (("--recipe", "moco-small", "--method.pixel", "true"), "method.pixel"),
        (("--optimizer.schedule", "linear"), "optimizer.schedule.*linear"),
        (("--optimizer.lr", "0"), "optimizer.lr must be above 0"),
        (("--loader.max_failed", "2"), r"loader.max_failed must be in \[0, 1\], got 2"),
        (("--optimizer.warmup_epochs", "300"), "warmup_epochs must be less"),
    ],
)
def test_what_is_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        parse(*arguments)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimizer: {lrr: 1}", "optimizer.lrr is no setting; did you mean optimizer.lr"),
        ("optimzer: {lr: 1}", "optimzer.lr is no setting; did you mean optimizer.lr"),
        ("optimizer: {lr: fast}", "fast"),
        ("- a\n- b", "expected groups of settings, got list"),
        ("method: fima", "method: expected name"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_recipe_with_a_mistake(tmp_path, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        parse("--recipe", str(tmp_path / "mine.yaml"))
    if "fast" not in text:
        assert "mine.yaml" in str(caught.value)


def test_data_is_needed():
    with pytest.raises(InputError, match="--data"):
        parse_pretrain(["--recipe", "fima-small"])


def test_a_printed_configuration_is_a_recipe(tmp_path, capsys):
    assert main(["pretrain", "--recipe", "fima-small", "--data", "videos", "--seed", "3", "--print_config"]) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out)
    mine, theirs = parse("--recipe", str(tmp_path / "mine.yaml")), parse("--recipe", "fima-small", "--seed", "3")
    assert mine.decisive() == theirs.decisive()


def test_what_a_run_writes_down_repeats_it(tmp_path):
    config = parse("--recipe", "fima-small", "--windows.gap_seconds", "[0.5,2]")
    write_config(tmp_path / "config.yaml", config)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["windows"]["gap_seconds"] == [0.5, 2.0]
    again = parse_pretrain(["--recipe", str(tmp_path / "config.yaml")])
    assert again.to_dict() | {"recipe": None} == config.to_dict() | {"recipe": None}


def test_help_lists_settings_and_recipes(capsys):
    assert main(["pretrain", "--help"]) == 0
    text = capsys.readouterr().out
    for word in ("--recipe", "--method.pixel_queue_size", "--optimizer.lr", "fima-ucf101", "--resume"):
        assert word in text


def test_one_line_and_exit_code(capsys):
    assert main(["pretrain", "--recipe", "nothing", "--data", "x"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fima pretrain: error: --recipe nothing")
    assert err.count("\n") == 1


def test_shipped_recipes_win_only_without_a_slash():
    assert recipe_path("fima-small").name == "fima-small.yaml"
    with pytest.raises(InputError):
        recipe_path("./fima-small")
