"""Every preset against the tables of docs/protocols.md: what a cell leaves open must be open."""

import subprocess
import sys

import pytest
import yaml

from fima.errors import InputError
from fima.models import backbone_names
from fima.presets.detection import detection_preset
from fima.presets.loader import TASKS, check_keys, flatten, preset_names, preset_path, read_preset
from fima.presets.retrieval import retrieval_preset
from fima.presets.supervised import OURS, preset
from fima.tasks.classify.parse import parse_supervised
from fima.tasks.pretrain.recipes import parse_pretrain

SECTIONS = {
    "finetune": "Fine-tuning",
    "linear": "Linear probe",
    "retrieval": "k-NN and retrieval",
    "detection": "Detection",
    "pretrain": "Pre-training",
}
SUPERVISED = [(task, name) for task in ("finetune", "linear") for name in preset_names(task)]


def of_file(task, name):
    content = flatten(yaml.safe_load(preset_path(name, task).read_text(encoding="utf-8")))
    return {key: value for key, value in content.items() if key not in ("source", "notes")}


@pytest.mark.parametrize("task", ["finetune", "linear", "retrieval", "detection"])
def test_files_say_what_the_tables_say(preset_tables, task):
    table, *ours = preset_tables[SECTIONS[task]]
    assert set(table) == set(preset_names(task))
    for name, settings in table.items():
        differing = {f"ours.{key}": value for key, value in (ours[0].get(name, {}) if ours else {}).items()}
        assert of_file(task, name) == {**settings, **differing}, name


def test_recipes_run_with_what_the_tables_say(preset_tables):
    tables = preset_tables[SECTIONS["pretrain"]]
    assert {name for table in tables for name in table} == set(preset_names("pretrain"))
    for table in tables:
        rows = {flag for settings in table.values() for flag in settings}
        for name, settings in table.items():
            config = parse_pretrain(["--recipe", name, "--data", "d"])
            runs = flatten(config.to_dict())
            assert {flag: runs[flag] for flag in rows if runs.get(flag) is not None} == settings, name
            assert of_file("pretrain", name).keys() <= settings.keys(), name


@pytest.mark.parametrize(("task", "name"), SUPERVISED)
def test_classifiers_run_with_what_the_tables_say(preset_tables, task, name):
    """Every published number arrives in the configuration; where it is open, ours does."""
    published, ours = preset_tables[SECTIONS[task]]
    config = flatten(parse_supervised(["--preset", name, "--data", "d", "--ckpt", "c"], task).to_dict())
    expected = {**flatten(OURS), **ours.get(name, {}), **published[name]}
    assert {flag: config[flag] for flag in OURS} == {flag: expected[flag] for flag in OURS}
    assert set(preset(name, task).open) == OURS.keys() - published[name].keys()
    assert preset(name, task).arch == published[name]["arch"]


@pytest.mark.parametrize("name", preset_names("retrieval"))
def test_retrieval_is_as_the_table_says(preset_tables, name):
    (table,) = preset_tables[SECTIONS["retrieval"]]
    made, defaults = retrieval_preset(name), {"test.clips": 10, "test.average": "softmax", "unit_clips": False}
    about = {"center": made.center, "unit_clips": made.unit_clips, **{f"input.{k}": v for k, v in made.input.items()}}
    clips = {f"test.{key}": value for key, value in made.protocol.to_dict().items()}
    assert flatten({**clips, **about}) == {**defaults, **table[name]}
    assert ("classification test" in made.source) == (name in ("fima", "maclr", "severe"))
    assert made.notes or "classification test" in made.source


@pytest.mark.parametrize("name", preset_names("detection"))
def test_detection_is_as_the_table_says(preset_tables, name):
    (table,) = preset_tables[SECTIONS["detection"]]
    made = {key: value for key, value in detection_preset(name).settings().items() if value is not None}
    assert made == {"name": name, **table[name]}


def test_every_preset_names_its_source(protocols, repo_dir):
    text = (repo_dir / "docs/protocols.md").read_text(encoding="utf-8")
    for task in TASKS:
        for name in preset_names(task):
            source = yaml.safe_load(preset_path(name, task).read_text(encoding="utf-8"))["source"]
            assert task == "pretrain" or f"- `{name}`: {source}\n" in text, (task, name)


def test_architectures_are_ours_but_for_s3d():
    assert {preset(name, task).arch for task, name in SUPERVISED} - set(backbone_names()) == {"s3d"}


def test_changes_of_a_preset_change_only_themselves():
    whole = retrieval_preset("maclr").protocol
    assert retrieval_preset("maclr", clips=2).protocol == type(whole)(2, crops=3, crop_fraction=None)
    assert retrieval_preset("tclr", center="train").protocol == retrieval_preset("tclr").protocol
    assert retrieval_preset("coclr", clips=3).protocol.placement == "uniform"


def test_open_learning_rate_of_fimas_probe():
    assert preset("fima", "linear").settings()["optimizer.lr"] is None
    assert any("published nowhere" in note for note in preset("fima", "linear").notes)


@pytest.mark.parametrize(("task", "name"), [("finetune", "tclr"), ("linear", "fame"), ("linear", "mscl")])
def test_what_no_source_has_is_refused_with_the_reason(task, name):
    with pytest.raises(InputError, match=f"--preset {name}: .*; presets of {task}: coclr"):
        preset(name, task)


def test_a_misspelt_name_or_key_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean maclr"):
        preset("maclar", "finetune")
    with pytest.raises(InputError, match=r"fame.yaml: optimizer.lr: .*; did you mean optimizer.lrs\?"):
        read_preset("fame", "finetune", {*OURS, "arch", "optimizer.lrs"} - {"optimizer.lr"})
    with pytest.raises(InputError, match=r"mine: lrr: there is no such setting; did you mean lr\?"):
        check_keys({"lrr": 1}, {"lr"}, "mine")


@pytest.mark.parametrize("command", ["finetune", "linear"])
@pytest.mark.parametrize("flags", [["--help"], ["--print_config"], ["--preset", "none"]])
def test_no_torch_for_help(command, flags):
    code = f"import sys; from fima.cli import main; main([{command!r}, *{flags!r}]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
