"""From a file of settings and flags to a typed configuration: one way for every command that trains. No torch here."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from jsonargparse import ArgumentParser

from fima.engine.configuration import RunConfig
from fima.errors import InputError
from fima.files.reading import read_yaml
from fima.legacy import american_keys
from fima.presets.loader import flatten, nearest_hint

__all__ = ["as_yaml", "build", "first_look", "make_parser", "parse_settings", "read_settings"]

C = TypeVar("C", bound=RunConfig)
PRINT = "--print_config"


def first_look(arguments: Sequence[str], *names: str) -> dict[str, str | None]:
    """Values of the flags that decide how the rest is read, by name; None where one is not given."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in names:
        parser.add_argument(f"--{name}", dest=name)
    try:
        return vars(parser.parse_known_args(list(arguments))[0])
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from None


def read_settings(path: Path) -> dict[str, Any]:
    """Groups of settings from a YAML file, with names of earlier versions as today's, without what explains them.

    Raises:
        InputError: If it is not YAML, or not of groups.
    """
    content = american_keys(read_yaml(path))
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected groups of settings, got {type(content).__name__}")
    return {name: value for name, value in content.items() if name not in ("source", "notes")}


def make_parser(config: type[RunConfig], *, skip: set[str], **about: Any) -> ArgumentParser:
    """A parser whose flags are the fields of a configuration: plain ones by name, groups with a dot.

    Args:
        config: The configuration; what is in a group comes from the field's type, with the help of its docstring.
        skip: Fields that the command adds itself, or sets.
        about: Program, usage and description.
    """
    parser = ArgumentParser(exit_on_error=False, **about)
    types = get_type_hints(config)
    helps = {name: text for part in reversed(config.__mro__) for name, text in _argument_docs(part).items()}
    groups = [item.name for item in fields(config) if is_dataclass(types[item.name])]
    for item in fields(config):
        if item.name in skip or item.name in groups:
            continue
        needed = item.default is MISSING
        kind = types[item.name] | None if needed or item.default is None else types[item.name]
        names = dict.fromkeys((f"--{item.name.replace('_', '-')}", f"--{item.name}"))
        default = None if needed else item.default
        alone: dict[str, Any] = {"nargs": "?", "const": True} if kind is bool else {}
        parser.add_argument(*names, dest=item.name, type=kind, default=default, help=helps.get(item.name, ""), **alone)
    for name in groups:
        if name not in skip:
            parser.add_class_arguments(types[name], name)
    return parser


def parse_settings(
    parser: ArgumentParser, arguments: Sequence[str], *, file: Path | None, keep_out: Sequence[str]
) -> dict[str, Any] | None:
    """Plain values: the parser's defaults, over them the file's, over them the flags'.

    Args:
        parser: From `make_parser`.
        arguments: Words of the command line, without the command's name.
        file: Settings to begin with.
        keep_out: Flags that are no settings, which a printed file leaves out.

    Returns:
        Groups as mappings; None if ``--help`` or ``--print_config`` was asked for and has been printed.

    Raises:
        InputError: For an unknown key, a value of another type, or a file that cannot be read.
    """
    if any(flag in arguments for flag in ("--help", "-h")):
        parser.print_help()
        return None
    words = [word for word in arguments if word != PRINT]
    try:
        begin = parser.parse_object(_checked_groups(read_settings(file), parser, file)) if file else None
        values: dict[str, Any] = parser.parse_args(words, namespace=begin).as_dict()
    except argparse.ArgumentError as error:
        raise InputError(_explain(str(error), file, parser)) from None
    _check_numbers(values)
    if PRINT not in arguments:
        return values
    shown = {name: value for name, value in values.items() if name not in keep_out}
    sys.stdout.write(yaml.safe_dump(as_yaml(shown), sort_keys=False))
    return None


def _check_numbers(values: Mapping[str, Any]) -> None:
    """Settings are numbers that 64 bits hold, and finite.

    Raises:
        InputError: Names the first that is not.
    """
    for name, value in flatten(dict(values)).items():
        for number in value if isinstance(value, list | tuple) else [value]:
            whole = isinstance(number, int) and not isinstance(number, bool)
            if (whole and not -(2**63) < number < 2**63) or (isinstance(number, float) and not math.isfinite(number)):
                raise InputError(f"--{name}: must be a finite number of at most 64 bits, got {str(number)[:40]}")


def build(config: type[C], values: Mapping[str, Any]) -> C:
    """A configuration from the plain values of `parse_settings`.

    Raises:
        InputError: Names the group and the setting that is out of its range.
    """
    types = get_type_hints(config)
    built = {item.name: values[item.name] for item in fields(config) if item.name in values}
    for name, value in built.items():
        if is_dataclass(types[name]):
            built[name] = _in_group(name, partial(types[name], **value))
    return config(**built)


def as_yaml(value: Any) -> Any:
    """Lists for tuples, as YAML has them."""
    if isinstance(value, dict):
        return {key: as_yaml(item) for key, item in value.items()}
    return [as_yaml(item) for item in value] if isinstance(value, list | tuple) else value


def _in_group(name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _checked_groups(content: dict[str, Any], parser: ArgumentParser, file: Path) -> dict[str, Any]:
    groups = {action.dest.split(".")[0] for action in parser._actions if "." in action.dest}
    for name, value in content.items():
        if name in groups and not isinstance(value, dict):
            raise InputError(f"{file}: {name}: expected settings by name, got {value!r}")
    return content


def _argument_docs(cls: type) -> dict[str, str]:
    """Argument → its description in a class's docstring."""
    from docstring_parser import parse

    return {item.arg_name: item.description or "" for item in parse(cls.__doc__ or "").params}


def _explain(message: str, file: Path | None, parser: ArgumentParser) -> str:
    """The parser's complaint in one line, with the nearest key that exists."""
    message = " ".join(message.split())
    words = message.replace('"', " ").replace("'", " ").split()
    keys = [action.dest for action in parser._actions]
    wrong = next((w.lstrip("-") for w in words if w.startswith("--") and w.lstrip("-").split("=")[0] not in keys), None)
    unknown = re.fullmatch(r"(?:Group '(\S+)' does not accept option|Option) '(\S+)'.*", message)
    if unknown:
        wrong = f"{unknown[1]}.{unknown[2]}" if unknown[1] else unknown[2]
        message = f"{file}: {wrong} is no setting"
    return message + (nearest_hint(wrong.split("=")[0], keys) if wrong else "")
