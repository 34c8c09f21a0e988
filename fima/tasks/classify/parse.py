"""From a preset and flags to the typed configuration of ``fima finetune`` and ``fima linear``. No torch here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

import yaml
from jsonargparse import ArgumentParser, Namespace

from fima.engine.parsing import argument_docs, as_yaml, explain
from fima.errors import InputError
from fima.legacy import american_keys
from fima.presets.loader import preset_names
from fima.presets.supervised import preset
from fima.safe_files import read_yaml
from fima.tasks.classify import options
from fima.tasks.classify.config import SupervisedConfig, flatten
from fima.tasks.pretrain.config import CheckpointOptions, LoaderOptions, LogOptions, TrainerOptions

__all__ = ["batch_is_given", "parse_supervised"]

_GROUPS: dict[str, Any] = {
    "input": options.InputOptions,
    "augment": options.AugmentOptions,
    "optimizer": options.OptimizerOptions,
    "head": options.HeadOptions,
    "test": options.TestOptions,
    "validation": options.ValidationOptions,
    "sweep": options.SweepOptions,
    "loader": LoaderOptions,
    "trainer": TrainerOptions,
    "checkpoints": CheckpointOptions,
    "log": LogOptions,
}
_PRINT = "--print_config"
_NEEDED = ("data", "ckpt", "out")
_USAGE = (
    "fima {task} --ckpt PATH|NAME|random --data PATH [--train-split NAME] [--test-split NAME] [--preset NAME] "
    "[--config FILE] [--out DIR] [--resume auto] [--GROUP.NAME VALUE …]; of fima linear also --features-train FILE "
    "--features-test FILE (of fima extract) instead of --ckpt and --data"
)


def parse_supervised(arguments: Sequence[str], task: Literal["finetune", "linear"]) -> SupervisedConfig | None:
    """The configuration of a command.

    Args:
        arguments: without the command's name.
        task: the command's name.

    Returns:
        The configuration; None if ``--help`` or ``--print_config`` was asked for and has been printed.

    Raises:
        InputError: for an unknown preset or key, a value of another type, or a file that cannot be read.
    """
    known = _first_look(arguments)
    written = _read(Path(known.config)) if known.config else {}
    name = known.preset or written.get("preset") or "fima"
    parser = _parser(task, str(name), Path(known.config) if known.config else None)
    try:
        if any(flag in arguments for flag in ("--help", "-h")):
            parser.print_help()
            return None
        parsed = parser.parse_args([word for word in arguments if word != _PRINT])
    except argparse.ArgumentError as error:
        raise InputError(explain(str(error), known.config, parser)) from None
    values = {key: value for key, value in parsed.as_dict().items() if key not in ("config", "__default_config__")}
    if _PRINT in arguments:
        sys.stdout.write(yaml.safe_dump(as_yaml(values), sort_keys=False))
        return None
    if values["features_train"] or values["features_test"]:
        ours = SupervisedConfig(task=task, data="", ckpt="", out="")
        _check_tables(arguments, values, {**flatten(ours.to_dict()), **preset(str(name), task).settings()})
    return _build(task, values)


def batch_is_given(arguments: Sequence[str], config: SupervisedConfig) -> bool:
    """Whether somebody asked for the batch: as a flag, or in a file with another value than the preset's."""
    flag = "--optimizer.batch_size"
    typed = any(word == flag or word.startswith(f"{flag}=") for word in arguments)
    theirs = preset(config.preset, config.task).settings()["optimizer.batch_size"]
    return typed or config.optimizer.batch_size != theirs


def _first_look(arguments: Sequence[str]) -> argparse.Namespace:
    """What decides how the rest is read."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset")
    parser.add_argument("--config")
    try:
        return parser.parse_known_args(list(arguments))[0]
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"--config {path}: no such file; print one with {_PRINT}")
    content = american_keys(read_yaml(path))
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected groups of settings, got {type(content).__name__}")
    return content


def _parser(task: Literal["finetune", "linear"], name: str, config: Path | None) -> ArgumentParser:
    chosen = preset(name, task)
    words = {"finetune": "Train a classifier and its backbone", "linear": "Train a classifier on a frozen backbone"}
    parser = ArgumentParser(
        prog=f"fima {task}",
        usage=_USAGE.format(task=task),
        description=f"{words[task]}, then test it on many clips of every video. Presets: "
        + ", ".join(preset_names(task))
        + f". With {_PRINT} the settings are printed as a file for --config, and nothing runs.",
        exit_on_error=False,
        default_config_files=[str(config)] if config else [],
    )
    parser.add_argument("--config", type=str | None, help=f"a YAML file of settings, as {_PRINT} prints")
    helps, types = argument_docs(SupervisedConfig), get_type_hints(SupervisedConfig)
    for item in fields(SupervisedConfig):
        if item.name == "task" or item.name in _GROUPS:
            continue
        default = None if item.name in _NEEDED else item.default
        kind = types[item.name] | None if default is None else types[item.name]
        names = dict.fromkeys((f"--{item.name.replace('_', '-')}", f"--{item.name}"))
        parser.add_argument(*names, dest=item.name, type=kind, default=default, help=helps[item.name])
    for group, cls in _GROUPS.items():
        parser.add_class_arguments(cls, group)
    parser.set_defaults({**chosen.settings(), "preset": name})
    return parser


_OF_VIDEOS = (
    *("data", "ckpt", "arch", "train_split", "test_split", "val_split", "layout", "frame_template", "frame_fps"),
    *("test_only", "input", "augment", "test.clips", "test.crops", "test.placement", "test.crop_fraction"),
    *("test.size", "test.batch_size", "validation.clips"),
)
"""Settings and groups that are about videos, which tables of features hold no more."""


def _check_tables(arguments: Sequence[str], values: dict[str, Any], ours: dict[str, Any]) -> None:
    """Refuse one table alone, and settings that the tables' features have behind them."""
    for here, there in (("train", "test"), ("test", "train")):
        if not values[f"features_{here}"]:
            raise InputError(f"--features-{here}: is missing beside --features-{there}")
    given = flatten({key: part.as_dict() if isinstance(part, Namespace) else part for key, part in values.items()})
    typed = {word.split("=")[0].removeprefix("--").replace("-", "_") for word in arguments if word.startswith("--")}
    for name, value in given.items():
        about_videos = name in _OF_VIDEOS or name.split(".")[0] in _OF_VIDEOS
        known = ours[name] or None
        if about_videos and (name in typed or (value or None) != (list(known) if isinstance(known, tuple) else known)):
            flag = name if "." in name else name.replace("_", "-")
            raise InputError(f"--{flag}: needs videos; --features-train and --features-test hold finished features")


def _build(task: Literal["finetune", "linear"], values: dict[str, Any]) -> SupervisedConfig:
    for name, what in (("data", "a folder of videos or a list file"), ("ckpt", "a checkpoint, or random,")):
        if not values[name] and not values["features_train"]:
            raise InputError(f"--{name}: {what} is needed")
    for group, cls in _GROUPS.items():
        kept = values[group]
        values[group] = cls(**(kept.as_dict() if isinstance(kept, Namespace) else kept))
    values |= {name: values[name] or "" for name in ("data", "ckpt")}
    values["out"] = values["out"] or f"runs/{task}-{values['preset']}"
    return SupervisedConfig(task=task, **values)
