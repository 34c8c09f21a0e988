"""The gallery's page. One file; needs no network and no other file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.gallery.compute import Backgrounds
from analysis.gallery.media import Media
from analysis.output import to_plain
from analysis.pages.environment import render
from analysis.pages.environment import write_page as write_file
from analysis.pages.forest import Effect, ForestGroup, forest_group
from analysis.pages.strips import Condition, Line, Scale, mark, strip
from analysis.pages.words import data_title, percent, percent_interval, plural, points
from fima.evaluation.neighbor_report import Neighbors

__all__ = ["INPUT_NAMES", "MOST_BYTES", "page_data", "write_page"]

MOST_BYTES = 14_000_000
"""Of stills and films; with names and script a page stays under 15 MB."""

_SATURATED = 0.99
_Scores = Mapping[str, Mapping[str, Mapping[str, float]]]

INPUT_NAMES = {"rgb": "RGB clip", "static": "static frame", "motion": "motion"}

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

    Args:
        path: The file.
        content: As ``gallery.json`` holds it (`analysis.gallery.building`).
        data: Of `page_data`.
    """
    scores, about = content["scores"], content["about"]
    measures, saturated = _measures(scores)
    page = render(
        "gallery.html",
        title=_title(about),
        about=_about(about),
        warnings=_warnings(about),
        findings=content["findings"],
        command=" ".join(about["command"]),
        created=about["created"],
        first=_first(scores),
        forest=_forest(scores, content["minus_rgb"]),
        scores=scores,
        inputs={name: INPUT_NAMES[name] for name in scores},
        measures=measures,
        saturated=saturated,
        chances={name: next(of[name]["chance"] for of in scores.values() if name in of) for name, _ in measures},
        asked=len(content["shown"]),
        data=to_plain(data),
    )
    write_file(path, page)


def _title(about: Mapping[str, Any]) -> str:
    data = data_title(about["test"]["path"], None)
    return f"{Path(about['checkpoint']).name} on {data}: nearest videos by RGB clip, static frame and motion"


def _about(about: Mapping[str, Any]) -> str:
    test, train = about["test"], about["train"]
    return (
        f"{about['arch']} · {data_title(test['path'], None)}: {test['used']} queries ({test['split']}) "
        f"among {train['used']} videos ({train['split']}) · {about['classes']} classes · preset {about['preset']}, "
        f"centering {about['center']}, clips of a video: {', '.join(map(str, about['clips']))}"
    )


def _warnings(about: Mapping[str, Any]) -> list[str]:
    lines = ["Untrained weights: this shows how to read the page, not a result."] if about["untrained"] else []
    if about["skipped"]:
        lines.append(f"{plural(about['skipped'], 'video')} could not be read (reasons in skipped.csv).")
    if about["duplicates"]:
        are = plural(about["duplicates"], "query is a training video", "queries are training videos")
        lines.append(f"{are} too (pairs in gallery.json): recall is partly memory.")
    return lines


def _first(scores: _Scores) -> Scale:
    """Recall at 1 by input: what the features live on."""
    lines = []
    for place, (shown, of) in enumerate(scores.items()):
        value, low, high, chance = (of["recall@1"][key] for key in ("value", "low", "high", "chance"))
        sign = Condition(place)
        drawn = strip(value, low, high, limits=(0.0, 1.0), reference=chance, place=sign)
        lines.append(Line(INPUT_NAMES[shown], mark(sign), percent_interval(value, low, high), drawn))
    return Scale("R@1: the nearest video is of the same class", [f"chance {percent(chance)} %"], ("0", "100 %"), lines)


def _forest(scores: _Scores, minus_rgb: Mapping[str, Mapping[str, float]]) -> list[ForestGroup]:
    """Recall at 1 of the other inputs against the clip as it is."""
    before = percent(scores["rgb"]["recall@1"]["value"])
    effects = [
        Effect(
            INPUT_NAMES[shown], INPUT_NAMES[shown], Condition(list(scores).index(shown)),
            f"{before} → {percent(scores[shown]['recall@1']['value'])} %", one["mean"], one["low"], one["high"],
        )
        for shown, one in minus_rgb.items()
    ]  # fmt: skip
    return [forest_group("", "R@1, points", effects, points)] if effects else []


def _measures(scores: _Scores) -> tuple[list[tuple[str, str]], list[str]]:
    """Id and name of each measure in the order of the table, and names of those that say nothing: all find it."""
    names = list(dict.fromkeys(name for values in scores.values() for name in values))
    titles = {name: MEASURES.get(name, name.replace("recall", "R")) for name in names}
    full = [
        name
        for name in names
        if name not in MEASURES and all(values[name]["value"] >= _SATURATED for values in scores.values())
    ]
    kept = sorted((name for name in names if name not in full), key=lambda name: name in MEASURES)
    return [(name, titles[name]) for name in kept], [titles[name] for name in full]
