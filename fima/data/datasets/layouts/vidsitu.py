"""VidSitu, for verb prediction: clips of ten seconds, each five events of two seconds with a verb."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fima.data.datasets.index import Index, Listed, Request, Row, look_up, printable
from fima.data.datasets.layouts.vidsitu_files import EVENTS, Verb, Verbs, read_clips, read_verbs, split_files
from fima.data.datasets.records import SegmentRecord, VideoDataset, video_stem
from fima.errors import InputError

__all__ = ["event_verbs", "is_vidsitu", "read_vidsitu", "to_events"]

_SECONDS = 2
_ALSO = {"val": "valid", "validation": "valid", "test": "testvb"}
_LABELED = ("train", "valid")
_PLACES = (
    *("vsitu_video_trimmed_dir", "vsitu_trimmed_videos", "videos"),
    *("vsitu_video_frames_dir", "vsitu_frames", "frames", "rawframes", "."),
)


def is_vidsitu(request: Request) -> bool:
    """``vseg_split_train_lb.json`` and the like."""
    return bool(split_files(request))


def read_vidsitu(request: Request) -> Index:
    """A row for each event, ``start`` and ``end`` in seconds; classes are the verb ids of all splits, sorted.

    An event's label is the verb that most annotators gave; of those that as many gave, the one given first. Without a
    split: training and validation. The test splits are published without verbs.

    Source: TheShadow29/VidSitu ``data/README.md``, ``data/DATA_PREP.md`` (files, keys), ``prep_data/dwn_yt.py`` (names
    of clips and frames), ``vidsitu_code/dat_loader.py`` (the most common verb is the label).
    """
    lists, wanted = _wanted(request)
    verbs = {split: read_verbs(request, path) for split, path in lists.items()}
    names = _class_names(verbs.values())
    ids = {verb: label for label, verb in enumerate(names)}
    labels: dict[str, list[int | None]] = {}
    for split in wanted:
        for clip in read_clips(request, lists[split]):
            if verbs[split] and clip not in verbs[split]:
                raise InputError(f"{lists[split]}: lists {clip}, whose verbs are in no table of that split")
            given = verbs[split].get(clip)
            labels[clip] = [None] * len(EVENTS) if given is None else [ids[_most(event)] for event in given]
    clips = [Listed(clip, place) for place, clip in enumerate(labels)]  # the place, to find the clip of a row again
    root, found, missing = look_up(request, clips, [f"{top}{place}" for top in ("", "data/") for place in _PLACES])
    rows = (
        Row(row.name, label, _SECONDS * event, _SECONDS * (event + 1), row.folder)
        for row in found
        for event, label in enumerate(labels[clips[row.label or 0].name])
    )
    return Index("vidsitu", root, tuple(names.values()), tuple(rows), missing)


def to_events(index: Index, frame_template: str | None, frame_fps: float | None) -> VideoDataset:
    """Records of `read_vidsitu`'s index; ids are ``<clip>/Ev1`` and so on."""
    records = []
    for name, label, start, end, folder in index.rows:
        event = EVENTS[(start or 0) // _SECONDS]
        records.append(
            SegmentRecord(
                index.root / name / event,
                f"{video_stem(printable(name))}/{event}",
                label,
                None if label is None else index.class_names[label],
                frame_template=frame_template if folder else None,
                frame_fps=frame_fps if folder else None,
                clip=index.root / name,
                start_second=float(start or 0),
                end_second=float(end or 0),
            )
        )
    return VideoDataset(tuple(records), index.class_names, index.root, index.layout, index.missing)


def event_verbs(path: str | Path, split: str) -> dict[str, tuple[str, ...]]:
    """The verb ids that annotators gave events, for measures that count any of them as right.

    Args:
        path: the data set's folder.
        split: one with verbs.

    Returns:
        ``<clip>/Ev1`` → verb ids, in the order of the table.

    Raises:
        InputError: if there is no such split, or its verbs are not there.
    """
    request = Request(Path(path), split)
    lists, (name,) = _wanted(request)
    found = read_verbs(request, lists[name])
    if not found:
        raise InputError(f"{path}: there are no verbs of the split {split}")
    return {
        f"{clip}/{event}": tuple(verb for verb, _ in given)
        for clip, events in found.items()
        for event, given in zip(EVENTS, events, strict=True)
    }


def _wanted(request: Request) -> tuple[dict[str, Path], list[str]]:
    """Split → its list, and the splits that are asked for."""
    lists = split_files(request)
    split = _ALSO.get(request.split or "", request.split)
    if split is None:
        return lists, [name for name in _LABELED if name in lists]
    if split not in lists:
        there = ", ".join(lists) or "none"
        raise InputError(f"{request.path}: no split {request.split!r}; expected one of {there}")
    return lists, [split]


def _class_names(tables: Iterable[Verbs]) -> Mapping[str, str]:
    """Verb id → class name, by id: the verb, or verb and id where a verb has several ids."""
    names: dict[str, str] = {}
    for table in tables:
        for events in table.values():
            for given in events:
                for verb, name in given:
                    names.setdefault(verb, name)
    times = Counter(names.values())
    return {verb: name if times[name] == 1 else f"{name} [{verb}]" for verb, name in sorted(names.items())}


def _most(given: Sequence[Verb]) -> str:
    return Counter(verb for verb, _ in given).most_common(1)[0][0]  # the first of those that come as often
