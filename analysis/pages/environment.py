"""How every page is made: one environment, one rule of what may run on a page, one way to put a file into it."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from analysis.output import timestamp
from analysis.pages.words import typographic
from fima.files.writing import write_text

__all__ = ["data_address", "jpeg_address", "read_template", "render", "script_hash", "write_page"]

_FOLDER = Path(str(resources.files("analysis"))) / "templates"
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_POLICY = "%POLICY%"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, undefined=StrictUndefined
    )
    environment.globals |= {"warnings": (), "findings": (), "about": "", "command": "", "policy": _POLICY}
    environment.filters |= typographic()
    return environment


def render(template: str, **content: Any) -> str:
    """The text of a page, or of a part of one.

    Names of videos, classes and checkpoints come from files and are only ever shown as text: everything is escaped.
    A page says itself (Content-Security-Policy) that nothing may be loaded, and that nothing may run but the scripts
    that it was made with. ``base.html`` shows ``title``, ``about``, ``warnings``, ``findings`` and ``command``.

    Args:
        template: File in ``analysis/templates``.
        content: What the template is given; ``created`` is now unless given.
    """
    page = _environment().get_template(template).render(**{"created": timestamp(), **content})
    return page.replace(_POLICY, _policy(page), 1)


def _policy(page: str) -> str:
    hashes = dict.fromkeys(map(script_hash, _SCRIPT.findall(page)))
    allowed = " ".join(f"'{digest}'" for digest in hashes) or "'none'"
    return (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'"
    )


def script_hash(script: str) -> str:
    """A script as a content security policy names it: ``sha256-…``."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def read_template(name: str) -> str:
    """The text of a file in ``analysis/templates`` as it stands."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def write_page(path: Path, page: str) -> None:
    """Write a page that appears whole; what is no text of any language becomes a character reference."""
    write_text(path, page, errors="xmlcharrefreplace")


def data_address(kind: str, content: bytes) -> str:
    """A file as an address that holds it.

    Args:
        kind: Its media type, such as ``image/png``.
        content: Its bytes.
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def jpeg_address(frame: NDArray[np.uint8], *, quality: int = 80, **options: Any) -> str:
    """A frame, uint8 ``(H, W)`` or ``(H, W, 3)``, as the data address of a JPEG.

    Args:
        frame: The frame.
        quality: Of the JPEG, at most 95.
        options: Of Pillow's JPEG writer.
    """
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality, optimize=True, **options)
    return data_address("image/jpeg", buffer.getvalue())
