"""Letters of names: fonts to fall back on where the figures' own lacks a script, and what no font here has."""

from __future__ import annotations

import functools

__all__ = ["fallbacks", "missing_letters"]

_WIDE = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari",
    "Noto Sans Thai", "WenQuanYi Zen Hei", "IPAGothic", "NanumGothic", "Droid Sans Fallback", "Unifont", "FreeSans",
    "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Arial Unicode MS", "Microsoft YaHei", "Yu Gothic",
    "Malgun Gothic", "Nirmala UI", "Segoe UI",
)  # fmt: skip
"""Fonts of many scripts, of the usual systems."""


@functools.cache
def fallbacks() -> tuple[str, ...]:
    """Those of the fonts of many scripts that are installed."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return tuple(name for name in _WIDE if name in installed)


def missing_letters(text: str) -> str:
    """The letters of a text that no font of the figures has; boxes stand for them."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = [get_font(findfont(FontProperties(family=name))) for name in ("DejaVu Sans", *fallbacks())]
    letters = dict.fromkeys(letter for letter in text if letter.isprintable())
    return "".join(letter for letter in letters if not any(font.get_char_index(ord(letter)) for font in fonts))
