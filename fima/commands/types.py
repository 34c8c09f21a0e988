"""What flags may hold, by type: argparse's own types also take ²٣, NaN, 5000 digits and nothing at all."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError

__all__ = ["finite", "text", "whole"]

_DIGITS = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_LARGEST = 2**63 - 1
_SHOWN = 40


def whole(word: str) -> int:
    """A whole number that 64 bits hold."""
    if not _DIGITS.fullmatch(word.strip()) or not -_LARGEST <= int(word) <= _LARGEST:
        raise ArgumentTypeError(f"must be a whole number of 64 bits, got {_short(word)}")
    return int(word)


def finite(word: str) -> float:
    """A number that is neither infinite nor none."""
    try:
        value = float(word) if word.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"must be a finite number, got {_short(word)}")
    return value


def text(word: str) -> str:
    """Anything but nothing."""
    if not word.strip():
        raise ArgumentTypeError("must not be empty")
    return word


def _short(word: str) -> str:
    return repr(word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…")
