"""What the typed command lines share: help from docstrings, plain values for YAML, one line for what is wrong."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

__all__ = ["argument_docs", "as_yaml", "explain"]


def argument_docs(cls: type) -> dict[str, str]:
    """Argument → its description in a class's docstring."""
    from docstring_parser import parse

    return {item.arg_name: item.description or "" for item in parse(cls.__doc__ or "").params}


def as_yaml(value: Any) -> Any:
    """Lists for tuples, as YAML has them."""
    if isinstance(value, dict):
        return {key: as_yaml(item) for key, item in value.items()}
    return [as_yaml(item) for item in value] if isinstance(value, list | tuple) else value


def explain(message: str, recipe: Path | None, parser: ArgumentParser) -> str:
    """The parser's complaint in one line, with the nearest key that exists."""
    message = " ".join(message.split())
    words = message.replace('"', " ").replace("'", " ").split()
    keys = [action.dest for action in parser._actions]
    wrong = next((w.lstrip("-") for w in words if w.startswith("--") and w.lstrip("-").split("=")[0] not in keys), None)
    unknown = re.fullmatch(r"(?:Group '(\S+)' does not accept option|Option) '(\S+)'.*", message)
    if unknown:
        wrong = f"{unknown[1]}.{unknown[2]}" if unknown[1] else unknown[2]
        message = f"{recipe}: {wrong} is no setting"
    close = difflib.get_close_matches((wrong or "").split("=")[0], keys, 1) if wrong else []
    return message + (f"; did you mean {close[0]}?" if close else "")
