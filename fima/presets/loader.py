"""The presets that ship: ``fima/presets/<task>/<name>.yaml``, found by name and checked. Imports no torch."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fima.errors import InputError
from fima.files.reading import read_yaml

__all__ = ["TASKS", "check_keys", "flatten", "nearest_hint", "preset_names", "preset_path", "read_preset"]

TASKS = ("pretrain", "finetune", "linear", "retrieval", "detection")
"""Folders of presets."""

_FOLDER = Path(__file__).parent


@cache
def preset_names(task: str) -> tuple[str, ...]:
    """The presets of a task, sorted; ``task`` is one of `TASKS`."""
    return tuple(sorted(file.stem for file in (_FOLDER / task).glob("*.yaml")))


def preset_path(name: str, task: str, *, flag: str = "--preset") -> Path:
    """The file of a preset.

    Args:
        name: of the preset.
        task: one of `TASKS`.
        flag: that the name was given with, for the message.

    Raises:
        InputError: if there is none; the message lists those there are and names the nearest.
    """
    known = preset_names(task)
    if name not in known:
        there = ", ".join(known)
        raise InputError(f"{flag} {name}: no such preset of {task}; there are {there}{nearest_hint(name, known)}")
    return _FOLDER / task / f"{name}.yaml"


def read_preset(name: str, task: str, known: Collection[str]) -> dict[str, Any]:
    """The settings of a preset, with dotted keys.

    Args:
        name: of the preset.
        task: one of `TASKS`.
        known: keys that it may have beside ``source`` and ``notes``.

    Returns:
        Key → value; ``source`` is a text, ``notes`` a list of texts, lists are as YAML has them.

    Raises:
        InputError: if there is no such preset, it names no source, or has a key that is not known.
    """
    path = preset_path(name, task)
    content = flatten(read_yaml(path))
    check_keys(content, {"source", "notes", *known}, path)
    if not isinstance(content.get("source"), str):
        raise InputError(f"{path}: source: is missing, expected where its numbers are from")
    return {"notes": [], **content}


def check_keys(content: Iterable[str], known: Collection[str], where: Path | str) -> None:
    """Refuse keys that are not known.

    Raises:
        InputError: names the first such key and the known one that is nearest.
    """
    for key in content:
        if key not in known:
            raise InputError(f"{where}: {key}: there is no such setting{nearest_hint(key, known)}")


def nearest_hint(name: str, known: Collection[str]) -> str:
    """The end of a message about a name that is not known: empty, or ``; did you mean …?``."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys; tuples become lists.

    >>> flatten({"arch": "i3d", "test": {"clips": 10}})
    {'arch': 'i3d', 'test.clips': 10}
    """
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
