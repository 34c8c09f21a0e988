"""The gallery's page. One file; needs no network and no other file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from analysis.gallery.compute import Backgrounds
from analysis.gallery.media import Media
from analysis.output import to_plain
from fima.evaluation.neighbor_report import Neighbors

__all__ = ["INPUT_NAMES", "MOST_BYTES", "page_data", "write_page"]

MOST_BYTES = 14_000_000
"""Of stills and films; with names and script a page stays under 15 MB."""

INPUT_NAMES = {"rgb": "RGB clip", "frozen": "frozen frame", "motion": "motion"}

MEASURES = {
    "same_nearest": "nearest video is the one RGB finds",
    "same_background": "nearest video has the query's background",
}


def page_data(
    found: Mapping[str, Neighbors],
    queries: Sequence[Mapping[str, Any]],
    media: Callable[[str, int], Media],
    known: Backgrounds | None,
    *,
    most_bytes: int = MOST_BYTES,
) -> dict[str, Any]:
    """What the page's script is given.

    Args:
        found: input → its neighbors.
        queries: of `analysis.gallery.compute.listed_queries`.
        media: ("test" or "train", place) → what to show of the video; called once for each video that is shown.
        known: backgrounds; None where they are not known.
        most_bytes: of stills and films. Queries from the first that does not fit are left out.

    Returns:
        ``videos``: name, class, background (None if not known), still and film of each; ``queries``: video, first
        and near, with places in ``videos``; ``classes``, ``backgrounds``: names; ``inputs``: id and name of each.
    """
    one = next(iter(found.values()))
    sets = {"test": one.test, "train": one.train}
    backgrounds = None if known is None else {"test": known.test, "train": known.train}
    shown: dict[tuple[str, int], int] = {}
    videos: list[dict[str, Any]] = []
    listed: list[dict[str, Any]] = []
    used = 0
    for query in queries:
        wanted = [("test", query["place"])] + [("train", n[0]) for near in query["near"].values() for n in near]
        new = {key: media(*key) for key in dict.fromkeys(wanted) if key not in shown}
        used += sum(map(len, new.values()))
        if used > most_bytes and listed:
            break
        for (part, place), files in new.items():
            shown[part, place] = len(videos)
            background = None if backgrounds is None else int(backgrounds[part][place])
            name, label = sets[part].video_ids[place], int(sets[part].labels[place])
            videos.append(
                {"name": name, "label": label, "background": background, "still": files.still, "film": files.film}
            )
        near = {
            name: [[shown["train", place], round(distance, 4), int(hit)] for place, distance, hit in neighbors]
            for name, neighbors in query["near"].items()
        }
        listed.append({"video": shown["test", query["place"]], "first": query["first"], "near": near})
    return {
        "videos": videos,
        "queries": listed,
        "classes": list(one.test.class_names),
        "backgrounds": [] if known is None else list(known.names),
        "inputs": [[name, INPUT_NAMES[name]] for name in found],
    }


def write_page(path: Path, content: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Write the page; equal contents give equal bytes.

    Names of videos and classes come from files and are only ever shown as text. The page says itself that nothing but
    its own script may run, and that nothing may be loaded.

    Args:
        path: The file.
        content: As ``gallery.json`` holds it (`analysis.gallery.building`).
        data: Of `page_data`.
    """
    folder = str(resources.files("analysis") / "templates")
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True)
    environment.filters["sha256"] = _sha256
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
    environment.filters["interval"] = lambda score: f"{100 * score['low']:.1f} to {100 * score['high']:.1f}"
    page = environment.get_template("gallery.html").render(
        about=content["about"],
        checkpoint=Path(content["about"]["checkpoint"]).name,
        scores=content["scores"],
        inputs={name: INPUT_NAMES[name] for name in content["scores"]},
        measures=_measures(content["scores"]),
        asked=len(content["shown"]),
        data=to_plain(data),
    )
    path.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def _measures(scores: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Id and name of each measure, in the order of the table."""
    names = list(dict.fromkeys(name for values in scores.values() for name in values))
    last = [name for name in MEASURES if name in names]
    return [(name, MEASURES.get(name, name.replace("recall", "R"))) for name in names if name not in last] + [
        (name, MEASURES[name]) for name in last
    ]


def _sha256(text: str) -> str:
    """Of a script, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
