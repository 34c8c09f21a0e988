"""Names of extracted frames: which pictures of a folder are a video's frames, and in which order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from fima.errors import InputError

__all__ = ["PICTURE_EXTENSIONS", "FrameNamesError", "is_picture", "order_frames", "template_pattern"]

PICTURE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
"""What counts as a picture, by its name."""

# What stands before the number in frames written by MMAction2, TSN, PySlowFast ("<video>_"), ffmpeg and OpenCV scripts.
_USUAL = frozenset({"", "img_", "image_", "frame_", "frame", "frames_", "image", "img", "im", "rgb_"})
_FLOW = re.compile(r"^(flow.*|[xyuv]_)$")
_NUMBERED = re.compile(r"^(.*?)(\d+)(\.[A-Za-z]+)$", re.ASCII | re.DOTALL)
_FIELD = re.compile(r"\{\d*(?::(?:0?(\d+))?d?)?\}|%(?:0?(\d+))?d", re.ASCII)


class FrameNamesError(Exception):
    """Names that are no video's frames; whoever knows the folder says so with its path."""


def is_picture(name: str) -> bool:
    """Whether a file name is a picture's; hidden files are none."""
    return not name.startswith(".") and name.lower().endswith(PICTURE_EXTENSIONS)


def template_pattern(template: str) -> re.Pattern[str]:
    """A pattern of the names that a template makes; its group is the number.

    Args:
        template: with one number in it, as ``img_{:05d}.jpg``, ``{}.png`` or ``frame%06d.jpg``.

    Raises:
        InputError: if it holds no number, several, or a folder.
    """
    fields = list(_FIELD.finditer(template))
    if len(fields) != 1 or "/" in template:
        raise InputError(
            f"frame_template must be a file name with one number, such as img_{{:05d}}.jpg or frame%06d.jpg, "
            f"got {template!r}"
        )
    start, end = fields[0].span()
    width = fields[0][1] or fields[0][2]
    digits = rf"(\d{{{int(width)},}})" if width and int(width) else r"(\d+)"
    return re.compile(re.escape(template[:start]) + digits + re.escape(template[end:]), re.ASCII)


def order_frames(names: Iterable[str], template: str | None = None, folder: str = "") -> list[str]:
    """A video's frames in order.

    Args:
        names: of the files in a folder.
        template: as for `template_pattern`; None: the pictures that share what stands before and after their number.
            Optical flow (``flow_x_…``, ``x_…``) is left aside; where several kinds are left, the one with a usual name
            is taken (``img_``, ``frame``, nothing, …, or the folder's own name).
        folder: the folder's name.

    Returns:
        The names, by ascending number. Numbers may start anywhere and may have any one step.

    Raises:
        InputError: if the template is none.
        FrameNamesError: if there are none, several kinds of pictures, a number twice, or one is missing in between.
    """
    if template is None:
        numbered = _usual_frames(names, folder)
    else:
        pattern = template_pattern(template)
        numbered = [(int(match[1]), match[0]) for match in map(pattern.fullmatch, names) if match]
        if not numbered:
            raise FrameNamesError(f"holds no picture named like {template}")
    numbered.sort()
    _check_numbers(numbered)
    return [name for _, name in numbered]


def _usual_frames(names: Iterable[str], folder: str) -> list[tuple[int, str]]:
    kinds: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in filter(is_picture, names):
        if (match := _NUMBERED.match(name)) and not _FLOW.match(match[1]):
            kinds.setdefault((match[1], match[3].lower()), []).append((int(match[2]), name))
    usual = [kind for kind in kinds if kind[0] in _USUAL or (folder and kind[0] in (f"{folder}_", f"{folder}-"))]
    chosen = list(kinds) if len(kinds) == 1 else usual
    if len(chosen) == 1:
        return kinds[chosen[0]]
    if not kinds:
        raise FrameNamesError("holds no numbered pictures")
    examples = " and ".join(min(numbered)[1] for numbered in list(kinds.values())[:2])
    raise FrameNamesError(f"holds several kinds of pictures, such as {examples}; say which with frame_template")


def _check_numbers(numbered: Sequence[tuple[int, str]]) -> None:
    step = numbered[1][0] - numbered[0][0] if len(numbered) > 1 else 1
    for (before, name), (after, next_name) in pairwise(numbered):
        if after == before:
            raise FrameNamesError(f"{name} and {next_name} have the same number")
        if after - before != step:
            raise FrameNamesError(f"a picture is missing between {name} and {next_name}")
