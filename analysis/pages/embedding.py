"""The page of an embedding: the map to walk through, clip by clip. One file; needs no network and no other file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from analysis.measures.common.numbers import interval
from analysis.measures.registry import find_score
from analysis.output import to_plain
from analysis.pages.environment import jpeg_address, render
from analysis.pages.environment import write_page as write_file
from analysis.pages.strips import Line, Scale, strip
from analysis.pages.words import data_title, number, percent, percent_interval, plural, skipped_note
from analysis.plotting.embedding import COLOR_CYCLE, colorings, groups_of

if TYPE_CHECKING:
    from analysis.measures.common.statistics import Summary
    from analysis.studies.common.study import Study

__all__ = ["page_data", "study_page", "thumbnail_sheets", "write_page"]

_TILES = 16  # thumbnails in a row and in a column of a sheet: small enough for the memory of a phone


def study_page(study: Study) -> dict[str, Callable[[Path], None]]:
    """The page beside the figure, and a pointer to it under the name that it once had: what writes each."""
    return {
        "index.html": lambda path: write_page(path, study),
        "embedding.html": lambda path: write_file(path, render("moved.html", title="Embedding", created="")),
    }


def write_page(path: Path, study: Study) -> None:
    """Write the page; equal studies give equal bytes.

    Args:
        path: The file.
        study: An embedding (``analysis.studies.embedding.study``).
    """
    checkpoint, inputs = study.provenance["checkpoint"], study.provenance["inputs"]
    projection, data = study.provenance["projection"], page_data(study.arrays)
    source = data_title(inputs["data"], inputs["split"]) if inputs["data"] else "videos"
    name = Path(checkpoint["path"]).name if checkpoint["path"] else f"untrained {checkpoint['arch']}"
    page = render(
        "embedding.html",
        title=f"{name}: which clips of {source} are alike",
        about=f"{checkpoint['arch']} · {plural(len(data['points']), 'clip')} of "
        f"{plural(len(data['video_id']), 'video')} · {projection['method']} "
        f"({projection['components']} components, perplexity {projection['perplexity']:.3g})",
        warnings=[
            *(["Untrained weights: this shows how to read the page, not a result."] if study.untrained else []),
            *skipped_note(list(study.skipped), "skipped.csv"),
        ],
        findings=_findings(study),
        scores=_scales(study),
        created="",
        command=study.provenance["command"],
        data=to_plain(data),
    )
    write_file(path, page)


def _scales(study: Study) -> list[Scale]:
    """The scores of the features, those of one range on one axis."""
    scales: dict[tuple[float, float], list[Line]] = {}
    for name, s in study.scores.items():
        score = find_score(study.measure, name)
        limits = score.axis or (-1.0, 1.0)
        drawn = strip(s.mean, s.low, s.high, limits=limits, reference=s.chance, place=0)
        text = interval(s)
        scales.setdefault(limits, []).append(Line(score.title, Markup(""), text, drawn))
    titles = {(0.0, 1.0): "Nearest clip of another video, share of the clips", (-1.0, 1.0): "How far groups lie apart"}
    return [Scale(titles[at], [], (number(at[0]), number(at[1])), lines) for at, lines in scales.items()]


_SAME = {"knn_label": "label", "knn_background": "background"}


def _findings(study: Study) -> list[str]:
    """What the scores, not the map, let one say."""
    sentences = [
        f"The nearest clip of another video has the same {what} for "
        f"{percent_interval(summary.mean, summary.low, summary.high)} of the clips, with shuffled labels for "
        f"{percent(summary.chance)} %: {_above(summary)}."
        for name, what in _SAME.items()
        if (summary := study.scores.get(name)) is not None and summary.chance is not None
    ]
    sentences.append(
        "Nothing may be concluded from the map alone: it keeps neighborhoods, and neither sizes of clusters nor gaps "
        "between them mean anything."
    )
    return [*sentences, "It is one checkpoint: nothing is said of the method that trained it."]


def _above(summary: Summary) -> str:
    if not math.isfinite(summary.low):
        return "too few videos to tell them apart"
    return "more than by chance" if summary.low > (summary.chance or 0.0) else "it cannot be told from chance"


def page_data(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What the page's script is given.

    Args:
        arrays: Of the study.

    Returns:
        ``points`` (N, 2) in [0, 1] with one scale for both axes, y upwards as in the figure; ``video``, ``seconds``,
        ``neighbors`` per clip; ``video_id``; ``groups``: for each coloring its name, group per clip and group names;
        ``sheets`` of thumbnails with ``tiles`` in a row, as many ``frames`` for each clip, the next after
        ``milliseconds``. Of a table of features there are no seconds but the number of the ``clip``, and no sheets.
    """
    points = arrays["points"].astype(np.float64)
    extent = max(float(np.ptp(points, axis=0).max()), 1e-12)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    groups = []
    for name in colorings(arrays):
        codes, names = groups_of(arrays, name)
        groups.append({"by": name, "codes": codes, "names": names})
    films = arrays.get("film", arrays["thumbnail"][:, None] if "thumbnail" in arrays else None)
    return {
        "points": np.round((points - middle) / extent + 0.5, 4),
        "video": arrays["video"],
        "seconds": np.round(arrays["seconds"], 2) if "seconds" in arrays else None,
        "clip": arrays.get("clip"),
        "neighbors": arrays.get("neighbors", arrays["nearest"][:, None]),
        "video_id": arrays["video_id"],
        "groups": groups,
        "colors": COLOR_CYCLE,
        "sheets": [] if films is None else thumbnail_sheets(films.reshape(-1, *films.shape[2:])),
        "tiles": _TILES,
        "frames": 1 if films is None else films.shape[1],
        "milliseconds": 1000 * float(np.median(arrays.get("film_seconds", 1.0))),
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
        # Colors at full resolution: a tile would bleed into its neighbor otherwise.
        sheets.append(jpeg_address(grid.reshape(rows * height, _TILES * width, 3), quality=85, subsampling=0))
    return sheets
