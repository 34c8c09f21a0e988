"""The page of an embedding: the map to walk through, clip by clip. One file; needs no network and no other file."""

from __future__ import annotations

import base64
import hashlib
import io
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from analysis.output import to_plain
from analysis.plotting.embedding import COLOR_CYCLE, colorings, groups_of

if TYPE_CHECKING:
    from analysis.studies.base import Study

__all__ = ["page_data", "thumbnail_sheets", "write_page"]

_TILES = 16  # thumbnails in a row and in a column of a sheet: small enough for the memory of a phone


def write_page(path: Path, study: Study) -> None:
    """Write the page; equal studies give equal bytes.

    Names of videos and classes come from files and are only ever shown as text. The page says itself that nothing but
    its own script may run, and that nothing may be loaded.

    Args:
        path: The file.
        study: An embedding (``analysis.studies.embedding.study``).
    """
    folder = str(resources.files("analysis") / "templates")
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True)
    environment.filters["sha256"] = _sha256
    checkpoint, inputs = study.provenance["checkpoint"], study.provenance["inputs"]
    page = environment.get_template("embedding.html").render(
        checkpoint=checkpoint["path"] or f"seed {study.provenance['seed']}",
        arch=checkpoint["arch"],
        source=f"{inputs['data']} ({inputs['split']})" if inputs["split"] else inputs["data"] or "videos",
        untrained=study.untrained,
        projection=study.provenance["projection"],
        scores=study.table(),
        skipped=len(study.skipped),
        command=study.provenance["command"],
        data=to_plain(page_data(study.arrays)),
    )
    path.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def page_data(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What the page's script is given.

    Args:
        arrays: Of the study.

    Returns:
        ``points`` (N, 2) in [0, 1] with one scale for both axes, y upwards as in the figure; ``video``, ``seconds``,
        ``nearest`` per clip; ``video_id``; ``groups``: for each coloring its name, group per clip and group names;
        ``sheets`` of thumbnails with ``tiles`` in a row. Of a table of features there are no seconds but the number of
        the ``clip``, and no sheets.
    """
    points = arrays["points"].astype(np.float64)
    extent = max(float(np.ptp(points, axis=0).max()), 1e-12)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    groups = []
    for name in colorings(arrays):
        codes, names = groups_of(arrays, name)
        groups.append({"by": name, "codes": codes, "names": names})
    return {
        "points": np.round((points - middle) / extent + 0.5, 4),
        "video": arrays["video"],
        "seconds": np.round(arrays["seconds"], 2) if "seconds" in arrays else None,
        "clip": arrays.get("clip"),
        "nearest": arrays["nearest"],
        "video_id": arrays["video_id"],
        "groups": groups,
        "colors": COLOR_CYCLE,
        "sheets": thumbnail_sheets(arrays["thumbnail"]) if "thumbnail" in arrays else [],
        "tiles": _TILES,
    }


def thumbnail_sheets(thumbnails: np.ndarray) -> list[str]:
    """Thumbnails as few pictures, each a data address of a JPEG with 16 × 16 tiles, row by row.

    Args:
        thumbnails: uint8 ``(N, h, w, 3)``.
    """
    sheets = []
    for start in range(0, len(thumbnails), _TILES**2):
        part = thumbnails[start : start + _TILES**2]
        height, width = part.shape[1:3]
        tiles = np.zeros((_TILES**2, height, width, 3), np.uint8)
        tiles[: len(part)] = part
        rows = -(-len(part) // _TILES)
        grid = tiles[: rows * _TILES].reshape(rows, _TILES, height, width, 3).swapaxes(1, 2)
        buffer = io.BytesIO()
        # Colors at full resolution: a tile would bleed into its neighbor otherwise.
        Image.fromarray(grid.reshape(rows * height, _TILES * width, 3)).save(
            buffer, "JPEG", quality=85, subsampling=0, optimize=True
        )
        sheets.append("data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode())
    return sheets


def _sha256(text: str) -> str:
    """Of a script, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
