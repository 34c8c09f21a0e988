"""VidSitu's annotation files: which clips a split holds, and the verbs of their events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fima.data.datasets.index import Request
from fima.errors import InputError
from fima.files.reading import read_json

__all__ = ["EVENTS", "Verb", "Verbs", "read_clips", "read_verbs", "split_files"]

EVENTS = tuple(f"Ev{number}" for number in range(1, 6))

Verb = tuple[str, str]
"""A verb's id and its name."""

Verbs = dict[str, tuple[tuple[Verb, ...], ...]]
"""Clip → for each of its events the verbs that annotators gave, in the order of the table."""

_TOPS = (".", "vidsitu_annotations", "data/vidsitu_annotations", "annotations")
_SPLIT = re.compile(r"vseg_split_(train|valid|testvb|testsrl|testevrel)_lb\.json")


def split_files(request: Request) -> dict[str, Path]:
    """Split → the list of its clips, in ``split_files/`` or beside the other tables; empty where there are none."""
    for top in _TOPS:
        for folder in (request.path / top / "split_files", request.path / top):
            found = [match for match in map(_SPLIT.fullmatch, request.disk.files_in(folder)) if match]
            if found:
                return {match[1]: folder / match[0] for match in found}
    return {}


def read_clips(request: Request, path: Path) -> list[str]:
    """The clips of a list, ``v_<YouTube id>_seg_<start>_<end>``.

    Raises:
        InputError: if it is no list of names.
    """
    content = read_json(request.disk.watch(path))
    if not isinstance(content, list) or not all(isinstance(name, str) and name for name in content):
        raise InputError(f"{path}: expected a list of names of clips")
    return content


def read_verbs(request: Request, clips: Path) -> Verbs:
    """Verbs of a split: of ``vinfo_…``, where it has those of ten annotators, else of ``vsann_…``; else none.

    Args:
        request: with the data set's folder.
        clips: the split's list, of `split_files`.

    Raises:
        InputError: if a table is not understood.
    """
    split = clips.name.removeprefix("vseg_split_").removesuffix("_lb.json")
    info = _beside(request, clips, "vinfo_files", f"vinfo_{split}_lb.json")
    verbs = {} if info is None else dict(_from_info(request, info))
    if not verbs and (annotated := _beside(request, clips, "vseg_ann_files", f"vsann_{split}_lb.json")) is not None:
        for clip, events in _from_annotations(request, annotated):
            before = verbs.get(clip, ((),) * len(EVENTS))
            verbs[clip] = tuple((*others, verb) for others, verb in zip(before, events, strict=True))
    return verbs


def _beside(request: Request, clips: Path, folder: str, name: str) -> Path | None:
    for place in (clips.parent.parent / folder, clips.parent):
        if name in request.disk.files_in(place):
            return place / name
    return None


def _from_info(request: Request, path: Path) -> Iterator[tuple[str, tuple[tuple[Verb, ...], ...]]]:
    """Clips with lists of verbs; those without, as all of training's are, are passed over."""
    for row in _objects(request, path):
        if "vbid_lst" not in row:
            continue
        clip, ids = _text(row, "vid_seg_int", path), row["vbid_lst"]
        names = row.get("vb_lst", ids)
        events = []
        for event in EVENTS:
            own, named = (table.get(event) if isinstance(table, dict) else None for table in (ids, names))
            if not (isinstance(own, list) and isinstance(named, list) and len(own) == len(named) > 0):
                raise InputError(f"{path}: {clip}: expected lists of as many verb ids as verbs for {event}")
            events.append(tuple(zip(map(str, own), map(str, named), strict=True)))
        yield clip, tuple(events)


def _from_annotations(request: Request, path: Path) -> Iterator[tuple[str, tuple[Verb, ...]]]:
    """An annotator's verbs of a clip; a clip may come several times."""
    for row in _objects(request, path):
        events = [row[event] for event in EVENTS if isinstance(row.get(event), dict)]
        if len(events) != len(EVENTS):
            raise InputError(f"{path}: expected the events {', '.join(EVENTS)}, got {', '.join(row) or 'nothing'}")
        clip = _text(events[0], "vid_seg_int", path)
        yield clip, tuple((_text(event, "VerbID", path), str(event.get("Verb", event["VerbID"]))) for event in events)


def _objects(request: Request, path: Path) -> list[dict[str, Any]]:
    content = read_json(request.disk.watch(path))
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InputError(f"{path}: expected a list of objects")
    return content


def _text(row: dict[str, Any], key: str, path: Path) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise InputError(f"{path}: expected a text under {key}, got {value!r}")
    return value
