"""Names of earlier versions in files and flags, as today's: what was spelled ``colour`` is ``color``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["american_flags", "american_keys", "american_name", "input_name"]

_SPELLING = {
    "colour": "color",
    "centring": "centering",
    "centred": "centered",
    "centre": "center",
    "grey": "gray",
    "neighbour": "neighbor",
    "normalis": "normaliz",
    "optimis": "optimiz",
    "labelled": "labeled",
    "localis": "localiz",
}
_WORDS = re.compile("|".join(sorted(_SPELLING, key=len, reverse=True)))


def american_name(name: str) -> str:
    """A key, score or flag of an earlier version under its present name.

    >>> american_name("--colours.grey_probability")
    '--colors.gray_probability'
    """
    return _WORDS.sub(lambda word: _SPELLING[word[0]], name)


def american_keys(content: Any) -> Any:
    """Mappings and sequences, nested, with their text keys renamed; values stay."""
    if isinstance(content, Mapping):
        return {
            american_name(key) if isinstance(key, str) else key: american_keys(value) for key, value in content.items()
        }
    return [american_keys(item) for item in content] if isinstance(content, list) else content


def american_flags(arguments: Sequence[str]) -> list[str]:
    """A command line with its long flags renamed; values stay."""
    renamed = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        renamed.append(american_name(flag) + equals + value if flag.startswith("--") else argument)
    return renamed


def input_name(name: str) -> str:
    """What a backbone is shown of a clip under its present name: the middle frame was called ``frozen``.

    >>> input_name("frozen"), input_name("rgb")
    ('static', 'rgb')
    """
    return "static" if name == "frozen" else name
