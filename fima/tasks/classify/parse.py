"""From a preset and flags to the typed configuration of ``fima finetune`` and ``fima linear``. No torch here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser

from fima.engine.parsing import PRINT, build, first_look, make_parser, parse_settings, read_settings
from fima.errors import InputError
from fima.presets.loader import flatten, preset_names
from fima.presets.supervised import preset
from fima.tasks.classify.config import SupervisedConfig

__all__ = ["batch_is_given", "parse_supervised"]

_USAGE = (
    "fima {task} --ckpt PATH|NAME|random --data PATH [--train-split NAME] [--test-split NAME] [--preset NAME] "
    "[--config FILE] [--out DIR] [--resume auto] [--GROUP.NAME VALUE …]; of fima linear also --features-train FILE "
    "--features-test FILE (of fima extract) instead of --ckpt and --data"
)
_WORDS = {"finetune": "Train a classifier and its backbone", "linear": "Train a classifier on a frozen backbone"}


def parse_supervised(arguments: Sequence[str], task: Literal["finetune", "linear"]) -> SupervisedConfig | None:
    """The configuration of a command.

    Args:
        arguments: Words of the command line, without the command's name.
        task: The command's name.

    Returns:
        The configuration; None if ``--help`` or ``--print_config`` was asked for and has been printed.

    Raises:
        InputError: For an unknown preset or key, a value of another type, or a file that cannot be read.
    """
    known = first_look(arguments, "preset", "config")
    file = Path(known["config"]) if known["config"] else None
    if file is not None and not file.is_file():
        raise InputError(f"--config {file}: no such file; print one with {PRINT}")
    name = str(known["preset"] or (read_settings(file).get("preset") if file else None) or "fima")
    parser = _parser(task, name)
    values = parse_settings(parser, arguments, file=file, keep_out=("config",))
    if values is None:
        return None
    if values["features_train"] or values["features_test"]:
        _check_tables(arguments, values, parser.get_defaults().as_dict())
    for flag, what in (("data", "a folder of videos or a list file"), ("ckpt", "a checkpoint, or random,")):
        if not values[flag] and not values["features_train"]:
            raise InputError(f"--{flag}: {what} is needed")
        values[flag] = values[flag] or ""
    stem = "-".join([task, values["preset"], *_name(values["ckpt"])])
    return build(SupervisedConfig, {**values, "task": task, "out": values["out"] or f"runs/{stem}"})


def _name(ckpt: str) -> list[str]:
    """What tells one checkpoint's folder from another's: the file, or the run whose last or best one it is."""
    path = Path(ckpt or "")
    parts = [path.parent.name, path.stem] if path.suffix in (".ckpt", ".pth", ".pt", ".pyth") else [path.name]
    return [re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-.") for part in parts if part][-2:]


def batch_is_given(arguments: Sequence[str], config: SupervisedConfig) -> bool:
    """Whether somebody asked for the batch: as a flag, or in a file with another value than the preset's."""
    flag = "--optimizer.batch_size"
    typed = any(word == flag or word.startswith(f"{flag}=") for word in arguments)
    theirs = preset(config.preset, config.task).settings()["optimizer.batch_size"]
    return typed or config.optimizer.batch_size != theirs


def _parser(task: Literal["finetune", "linear"], name: str) -> ArgumentParser:
    chosen = preset(name, task)
    parser = make_parser(
        SupervisedConfig,
        skip={"task"},
        prog=f"fima {task}",
        usage=_USAGE.format(task=task),
        description=f"{_WORDS[task]}, then test it on many clips of every video. Presets: "
        + ", ".join(preset_names(task))
        + f". With {PRINT} the settings are printed as a file for --config, and nothing runs.",
    )
    parser.add_argument("--config", type=str | None, help=f"A YAML file of settings, as {PRINT} prints.")
    parser.set_defaults({**chosen.settings(), "preset": name})
    return parser


_OF_VIDEOS = (
    *("data", "ckpt", "arch", "train_split", "test_split", "val_split", "layout", "frame_template", "frame_fps"),
    *("test_only", "input", "augment", "test.clips", "test.crops", "test.placement", "test.crop_fraction"),
    *("test.size", "test.batch_size", "validation.clips"),
)
"""Settings and groups that are about videos, which tables of features hold no more."""


def _check_tables(arguments: Sequence[str], values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuse one table alone, and settings that the tables' features have behind them."""
    for here, there in (("train", "test"), ("test", "train")):
        if not values[f"features_{here}"]:
            raise InputError(f"--features-{here}: is missing beside --features-{there}")
    given, known = flatten(dict(values)), flatten(dict(defaults))
    typed = {word.split("=")[0].removeprefix("--").replace("-", "_") for word in arguments if word.startswith("--")}
    for name, value in given.items():
        about_videos = name in _OF_VIDEOS or name.split(".")[0] in _OF_VIDEOS
        if about_videos and (name in typed or (value or None) != (known.get(name) or None)):
            flag = name if "." in name else name.replace("_", "-")
            raise InputError(f"--{flag}: needs videos; --features-train and --features-test hold finished features")
