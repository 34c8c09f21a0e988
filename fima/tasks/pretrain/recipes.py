"""From a recipe and flags to a typed configuration.

A recipe is a YAML file with the groups of `fima.tasks.pretrain.config`; the shipped ones are in
``fima/presets/pretrain``. Flags override it one by one (``--optimizer.lr 0.01``). What a method may be given is in
`fima.tasks.pretrain.method_options`, so a setting that it does not know, or a value of another type, is refused before
anything is loaded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from jsonargparse import ArgumentParser, Namespace

from fima.engine.parsing import argument_docs, as_yaml, explain
from fima.errors import InputError
from fima.files import write_text
from fima.legacy import american_keys
from fima.presets.loader import nearest_hint, preset_names, preset_path
from fima.safe_files import read_yaml
from fima.tasks.pretrain import config as options
from fima.tasks.pretrain.config import PretrainConfig
from fima.tasks.pretrain.method_options import METHODS, ColorOptions

__all__ = ["parse_pretrain", "recipe_names", "recipe_path", "write_config"]

_GROUPS = {
    "windows": options.WindowOptions,
    "views": options.ViewOptions,
    "optimizer": options.OptimizerOptions,
    "loader": options.LoaderOptions,
    "trainer": options.TrainerOptions,
    "checkpoints": options.CheckpointOptions,
    "log": options.LogOptions,
}
_USAGE = (
    "fima pretrain [--recipe NAME|FILE] --data PATH [--split NAME] [--out DIR] [--resume auto] [--GROUP.NAME VALUE …]"
)
_PRINT = "--print_config"
_ABOUT = ("recipe", "source", "notes", "__default_config__")


def recipe_names() -> tuple[str, ...]:
    """The shipped recipes, sorted."""
    return preset_names("pretrain")


def recipe_path(recipe: str) -> Path:
    """The file of a recipe: a shipped one's name, or a path.

    Raises:
        InputError: if it is neither; the message lists the shipped ones.
    """
    names = recipe_names()
    if recipe in names:
        return preset_path(recipe, "pretrain")
    if Path(recipe).is_file():
        return Path(recipe)
    raise InputError(f"--recipe {recipe}: no such file, and not one of {', '.join(names)}{nearest_hint(recipe, names)}")


def parse_pretrain(arguments: Sequence[str]) -> PretrainConfig | None:
    """The configuration of ``fima pretrain``.

    Args:
        arguments: without the command's name.

    Returns:
        The configuration; None if ``--help`` or ``--print_config`` was asked for and has been printed.

    Raises:
        InputError: for an unknown key, a value of another type, or a recipe that cannot be read.
    """
    known = _first_look(arguments)
    recipe = recipe_path(known.recipe) if known.recipe else None
    written = _read_recipe(recipe) if recipe else {}
    name = known.method or (written.get("method") or {}).get("name") or "fima"
    if name not in METHODS:
        raise InputError(f"method.name must be one of {', '.join(METHODS)}, got {name!r}")
    parser = _parser(name, recipe)
    try:
        if any(flag in arguments for flag in ("--help", "-h")):
            parser.print_help()
            return None
        parsed = parser.parse_args([word for word in arguments if word != _PRINT])
    except argparse.ArgumentError as error:
        raise InputError(explain(str(error), recipe, parser)) from None
    if _PRINT in arguments:
        sys.stdout.write(_dump(parsed))
        return None
    return _build(parsed, known.recipe)


def write_config(path: Path, config: PretrainConfig) -> None:
    """Write a configuration as a recipe that repeats the run."""
    plain = as_yaml(config.to_dict())
    plain.pop("recipe")
    write_text(path, yaml.safe_dump(plain, sort_keys=False))


def _first_look(arguments: Sequence[str]) -> argparse.Namespace:
    """What decides how the rest is read."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--recipe")
    parser.add_argument("--method.name", dest="method")
    try:
        return parser.parse_known_args(list(arguments))[0]
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from None


def _read_recipe(path: Path) -> dict[str, Any]:
    content = american_keys(read_yaml(path))
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected groups of settings, got {type(content).__name__}")
    if not isinstance(content.get("method") or {}, dict):
        raise InputError(f"{path}: method: expected name, arch and settings, got {content['method']!r}")
    return content


def _parser(name: str, recipe: Path | None) -> ArgumentParser:
    parser = ArgumentParser(
        prog="fima pretrain",
        usage=_USAGE,
        description="Pre-train a method. Recipes: " + ", ".join(recipe_names()) + f". With {_PRINT} the settings are "
        "printed as a recipe, and nothing runs.",
        exit_on_error=False,
        default_config_files=[str(recipe)] if recipe else [],
    )
    parser.add_argument("--recipe", type=str | None, help="a shipped recipe's name, or a YAML file")
    for about, kind in (("source", str), ("notes", list[str])):  # of a preset's file; no setting of a run
        parser.add_argument(f"--{about}", type=kind | None, help=argparse.SUPPRESS)
    _add_fields(parser, PretrainConfig, skip={"recipe", "method", "colors", *_GROUPS})
    parser.add_argument("--method.name", type=str, default=name, help=f"one of {', '.join(METHODS)}")
    parser.add_argument("--method.arch", type=str, default="i3d", help="backbone, or package.module:factory")
    parser.add_argument("--method.backbone_settings", type=dict, default={}, help="keyword arguments of the backbone")
    parser.add_class_arguments(METHODS[name][1], "method")
    parser.add_class_arguments(ColorOptions, "colors")
    for group, cls in _GROUPS.items():
        parser.add_class_arguments(cls, group)
    return parser


def _add_fields(parser: ArgumentParser, cls: type[PretrainConfig], *, skip: set[str]) -> None:
    """The plain settings at the top of a configuration, with the help of its docstring."""
    helps, types = argument_docs(cls), get_type_hints(cls)
    for item in fields(cls):
        if item.name not in skip:
            default = None if item.name in ("data", "out") else item.default
            kind = types[item.name] if default is not None else types[item.name] | None
            parser.add_argument(f"--{item.name}", type=kind, default=default, help=helps[item.name])


def _build(parsed: Namespace, recipe: str | None) -> PretrainConfig:
    if not parsed.data:
        raise InputError("--data: a folder of videos or a list file is needed")
    values = {item.name: parsed.get(item.name) for item in fields(PretrainConfig) if item.name in parsed}
    for name, value in values.items():
        if isinstance(value, Namespace):
            values[name] = value.as_dict()
    for group, cls in _GROUPS.items():
        values[group] = cls(**values[group]) if is_dataclass(cls) else values[group]
    values["recipe"] = recipe
    stem = Path(recipe).stem if recipe else str(values["method"]["name"])
    values["out"] = values["out"] or f"runs/{stem}"
    return PretrainConfig(**values)


def _dump(parsed: Namespace) -> str:
    values = {name: value for name, value in parsed.as_dict().items() if name not in _ABOUT}
    return yaml.safe_dump(as_yaml(values), sort_keys=False)
