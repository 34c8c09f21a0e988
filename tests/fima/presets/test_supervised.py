"""Each preset against the table of protocols, typed again here; what a cell leaves open must be None."""

import subprocess
import sys

import pytest

from fima.errors import InputError
from fima.models import backbone_names
from fima.presets.supervised import OURS, SupervisedPreset, preset, preset_names
from fima.tasks.classify.parse import parse_supervised


def row(**cells):
    return cells


# Columns of the table: net, frames × stride @ rate, crop (train / test), optimizer, lr, momentum, weight decay, batch,
# epochs, schedule, milestones, gamma, warm-up (epochs, start), dropout, clips × crops, average, best on test.
TABLE = {
    ("finetune", "fima"): row(
        arch="i3d", num_frames=16, frame_stride=2, size=224, algorithm="sgd", lr=0.01, momentum=0.9, weight_decay=1e-4,
        batch_size=16, epochs=150, schedule="milestones", milestones=(60, 120), gamma=0.1, dropout=0.7, area=(0.2, 1),
        flip_probability=0.5, gray_probability=0.2, jitter_probability=0.8, clips=10, crops=1, placement="uniform",
        crop_fraction=0.875, average="log_softmax", best_on_test=True, every_epochs=10,
    ),
    ("finetune", "fima-hmdb51"): row(
        arch="i3d", num_frames=16, frame_stride=2, size=224, algorithm="sgd", lr=0.01, momentum=0.9, weight_decay=1e-4,
        batch_size=16, epochs=150, schedule="milestones", milestones=(60, 120), gamma=0.1, dropout=0.5, area=(0.2, 1),
        flip_probability=0.5, gray_probability=0.2, jitter_probability=0.8, clips=10, crops=1, placement="uniform",
        crop_fraction=0.875, average="log_softmax", best_on_test=True, every_epochs=10,
    ),
    ("linear", "fima"): row(
        arch="i3d", num_frames=16, frame_stride=2, size=224, algorithm="sgd", momentum=0.9, weight_decay=0,
        batch_size=256, epochs=100, schedule="milestones", milestones=(60, 80), gamma=0.1, dropout=0, l2_norm=True,
        backbone_mode="eval", area=(0.2, 1), flip_probability=0.5, gray_probability=0.2, jitter_probability=0.8,
        clips=10, crops=1, placement="uniform", crop_fraction=0.875, average="log_softmax", best_on_test=True,
        every_epochs=10,
    ),
    ("finetune", "fame"): row(
        arch="i3d", num_frames=16, frame_stride=2, size=224, lr=0.025, weight_decay=1e-4, batch_size=128, epochs=150,
        schedule="milestones", milestones=(60, 120), clips=10, crops=1,
    ),
    ("finetune", "maclr"): row(
        arch="slow_r50", num_frames=32, frame_stride=8, size=224, test_size=256, algorithm="sgd", lr=0.01,
        weight_decay=1e-4, batch_size=64, epochs=200, schedule="cosine", warmup_epochs=1.7, warmup_start=1e-3,
        dropout=0.5, area=(0.3, 1), aspect=(0.5, 2), gray_probability=0.5, jitter_probability=0.6, clips=10, crops=3,
    ),
    ("linear", "maclr"): row(
        arch="slow_r50", num_frames=32, frame_stride=8, size=224, test_size=256, lr=32, weight_decay=0, batch_size=256,
        epochs=200, schedule="cosine", warmup_epochs=0, dropout=0, clips=10, crops=3,
    ),
    ("finetune", "slowfast"): row(
        arch="slow_r50", num_frames=8, frame_stride=8, size=224, test_size=256, lr=0.01, weight_decay=0, batch_size=64,
        epochs=200, schedule="cosine", dropout=0.8, clips=10, crops=3,
    ),
    ("linear", "tclr"): row(
        arch="r3d_18_dilated", num_frames=16, frame_stride=2, size=112, algorithm="adam", lr=0.01, batch_size=32,
        epochs=100, schedule="plateau", gamma=0.1, patience=3, backbone_mode="train", clips=10, crops=1,
        average="softmax", best_on_test=True,
    ),
    ("finetune", "coclr"): row(
        arch="s3d", num_frames=32, frame_stride=1, size=128, algorithm="adam", lr=1e-3, backbone_lr_factor=0.1,
        weight_decay=1e-3, batch_size=32, epochs=500, schedule="milestones", milestones=(400, 450), dropout=0.9,
        crops=10, placement="half_overlap",
    ),
    ("linear", "coclr"): row(
        arch="s3d", num_frames=32, frame_stride=1, size=128, algorithm="sgd", lr=0.1, weight_decay=1e-3, epochs=100,
        schedule="milestones", milestones=(60, 80), l2_norm=True, batch_norm=True, backbone_mode="eval", crops=10,
        placement="half_overlap",
    ),
    ("linear", "coclr-features"): row(
        arch="s3d", num_frames=32, frame_stride=1, size=128, lr=1.0, batch_size=1024, l2_norm=True, batch_norm=True,
        backbone_mode="eval", crops=10, placement="half_overlap",
    ),
    ("finetune", "mscl"): row(
        arch="r3d_18", num_frames=16, size=112, test_size=128, algorithm="sgd", lr=0.12, weight_decay=1e-6,
        batch_size=32, epochs=22, schedule="milestones", milestones=(14, 18), dropout=0.5, clips=1, crops=1,
    ),
    ("finetune", "severe"): row(
        arch="r2plus1d_18", num_frames=32, fps=16, size=112, algorithm="adam", lr=1e-4, weight_decay=0, batch_size=32,
        epochs=16, schedule="milestones", milestones=(6, 10, 14), gamma=0.3, clips_per_epoch=10, clips=10,
        average="softmax",
    ),
    ("finetune", "severe-ssv2"): row(
        arch="r2plus1d_18", num_frames=32, fps=16, size=112, algorithm="adam", lr=1e-4, weight_decay=0, batch_size=32,
        epochs=22, schedule="milestones", milestones=(12, 17, 20), gamma=0.3, clips_per_epoch=2, clips=10,
        average="softmax",
    ),
    ("finetune", "severe-1000"): row(
        arch="r2plus1d_18", num_frames=32, fps=16, size=112, algorithm="adam", lr=1e-4, weight_decay=0, batch_size=32,
        epochs=16, schedule="milestones", milestones=(6, 10, 14), gamma=0.3, clips_per_epoch=10, clips=10,
        average="softmax", examples=1000,
    ),
    ("linear", "severe"): row(
        arch="r2plus1d_18", num_frames=16, fps=16, size=112, algorithm="adam", lr=1e-2, batch_size=128, epochs=10,
        gamma=0.3, clips=10,
    ),
    ("linear", "severe-kinetics"): row(
        arch="r2plus1d_18", num_frames=16, fps=16, size=112, algorithm="adam", lr=1e-2, batch_size=64, epochs=40,
        gamma=0.3, clips=10,
    ),
}  # fmt: skip
META = {"name", "task", "source", "ours", "notes"}


def test_every_preset_is_in_the_table():
    assert {(task, name) for task in ("finetune", "linear") for name in preset_names(task)} == TABLE.keys()


@pytest.mark.parametrize(("task", "name"), TABLE)
def test_numbers_are_the_tables(task, name):
    found = preset(name, task)
    expected = TABLE[task, name]
    for field in SupervisedPreset.__dataclass_fields__.keys() - META:
        assert getattr(found, field) == expected.get(field), field
    assert (found.task, found.name) == (task, name)
    assert found.open == tuple(f for f in SupervisedPreset.__dataclass_fields__ if f not in expected and f not in META)


@pytest.mark.parametrize(("task", "name"), TABLE)
def test_the_command_runs_with_the_presets_settings(task, name):
    """Every published number arrives in the configuration, every open one is filled by ours."""
    config = parse_supervised(["--preset", name, "--data", "d", "--ckpt", "c"], task)
    expected = TABLE[task, name]
    places = {
        "input": ("num_frames", "frame_stride", "size", "clips_per_epoch"),
        "augment": ("area", "aspect", "flip_probability", "gray_probability", "jitter_probability"),
        "optimizer": (
            "algorithm", "backbone_lr_factor", "momentum", "weight_decay", "batch_size", "epochs", "schedule",
            "milestones", "gamma", "patience", "warmup_epochs", "warmup_start",
        ),
        "head": ("dropout", "l2_norm", "batch_norm", "backbone_mode"),
        "test": ("clips", "crops", "placement", "crop_fraction", "average"),
    }  # fmt: skip
    for group, names in places.items():
        for word in names:
            chosen = {**OURS, **preset(name, task).ours, **expected}
            value = getattr(getattr(config, group), word)
            assert (tuple(value) if isinstance(value, list | tuple) else value) == chosen[word], word
    assert config.test.size == expected.get("test_size")
    assert config.examples == expected.get("examples")
    assert config.optimizer.lr == expected.get("lr")


def test_open_learning_rate_of_fimas_probe():
    assert preset("fima", "linear").lr is None
    assert any("published nowhere" in note for note in preset("fima", "linear").notes)


def test_architectures_are_ours_but_for_s3d():
    assert {preset(name, task).arch for task, name in TABLE} - set(backbone_names()) == {"s3d"}


@pytest.mark.parametrize(("task", "name"), [("finetune", "tclr"), ("linear", "fame"), ("linear", "mscl")])
def test_what_no_source_has_is_refused_with_the_reason(task, name):
    with pytest.raises(InputError, match=f"--preset {name}: .*; presets of {task}: fima"):
        preset(name, task)


def test_a_misspelt_preset_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean maclr"):
        preset("maclar", "finetune")


@pytest.mark.parametrize("command", ["finetune", "linear"])
@pytest.mark.parametrize("flags", [["--help"], ["--print_config"], ["--preset", "none"]])
def test_no_torch_for_help(command, flags):
    code = f"import sys; from fima.cli import main; main([{command!r}, *{flags!r}]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
