"""From a recipe and flags to a typed configuration.

A recipe is a YAML file with the groups of `fima.tasks.pretrain.config`; the shipped ones are in
``fima/presets/pretrain``. Flags override it one by one (``--optimizer.lr 0.01``). What a method may be given is in
`fima.tasks.pretrain.method_options`, so a setting that it does not know, or a value of another type, is refused before
anything is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from fima.engine.parsing import PRINT, build, first_look, make_parser, parse_settings, read_settings
from fima.errors import InputError
from fima.presets.loader import nearest_hint, preset_names, preset_path
from fima.tasks.pretrain.config import PretrainConfig
from fima.tasks.pretrain.method_options import METHODS

__all__ = ["parse_pretrain", "recipe_names", "recipe_path"]

_USAGE = (
    "fima pretrain [--recipe NAME|FILE] --data PATH [--split NAME] [--out DIR] [--resume auto] [--GROUP.NAME VALUE …]"
)


def recipe_names() -> tuple[str, ...]:
    """The shipped recipes, sorted."""
    return preset_names("pretrain")


def recipe_path(recipe: str) -> Path:
    """The file of a recipe: a shipped one's name, or a path.

    Raises:
        InputError: If it is neither; the message lists the shipped ones.
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
        arguments: Words of the command line, without the command's name.

    Returns:
        The configuration; None if ``--help`` or ``--print_config`` was asked for and has been printed.

    Raises:
        InputError: For an unknown key, a value of another type, or a recipe that cannot be read.
    """
    known = first_look(arguments, "recipe", "method.name")
    recipe = recipe_path(known["recipe"]) if known["recipe"] else None
    written = (read_settings(recipe).get("method") or {}) if recipe else {}
    if not isinstance(written, dict):
        raise InputError(f"{recipe}: method: expected name, arch and settings, got {written!r}")
    name = known["method.name"] or written.get("name") or "fima"
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(f"method.name must be one of {', '.join(METHODS)}, got {name!r}")
    values = parse_settings(_parser(name), arguments, file=recipe, keep_out=("recipe",))
    if values is None:
        return None
    if not values["data"]:
        raise InputError("--data: a folder of videos or a list file is needed")
    stem = Path(known["recipe"]).stem if known["recipe"] else name
    return build(PretrainConfig, {**values, "recipe": known["recipe"], "out": values["out"] or f"runs/{stem}"})


def _parser(name: str) -> ArgumentParser:
    parser = make_parser(
        PretrainConfig,
        skip={"recipe", "method"},
        prog="fima pretrain",
        usage=_USAGE,
        description=f"Pre-train a method. Recipes: {', '.join(recipe_names())}. With {PRINT} the settings are printed "
        "as a recipe, and nothing runs.",
    )
    parser.add_argument("--recipe", type=str | None, help="Name of a shipped recipe, or a YAML file.")
    parser.add_argument("--method.name", type=str, default=name, help=f"One of {', '.join(METHODS)}.")
    parser.add_argument("--method.arch", type=str, default="i3d", help="Backbone, or package.module:factory.")
    parser.add_argument("--method.backbone_settings", type=dict, default={}, help="Keyword arguments of the backbone.")
    parser.add_class_arguments(METHODS[name][1], "method")
    return parser
