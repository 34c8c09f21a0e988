"""Opening a data set: which layout it has, and what was found when it was opened before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache as remember
from pathlib import Path
from typing import Any

from fima.data.datasets import list_files as listfiles
from fima.data.datasets.cache import load_index, store_index
from fima.data.datasets.index import Index, Request, check, to_dataset
from fima.data.datasets.layouts.vidsitu import to_events
from fima.data.datasets.records import VideoDataset
from fima.data.datasets.registry import LAYOUTS, Layout
from fima.data.readers.picture_names import template_pattern
from fima.errors import InputError

__all__ = ["is_shapes", "open_dataset"]

_LONGEST_SPLIT = 100
_WORTH_KEEPING = 1000  # videos; fewer are listed about as fast as an index is read

_UNDERSTOOD = (
    "a UCF101 tree (class folders in videos/, data/, UCF-101/ or the folder itself, lists in annotations/, anno/ or "
    "ucfTrainTestlist/), HMDB51, Kinetics, Something-Something v2, Diving48 or VidSitu with their lists, a folder of "
    "class folders, a folder of videos or of folders of pictures, or a list file of `path label` rows"
)


def open_dataset(
    path: str | Path,
    *,
    split: str | None = None,
    separator: str | None = None,
    layout: str | None = None,
    frame_template: str | None = None,
    frame_fps: float | None = None,
    cache: bool = True,
) -> VideoDataset:
    """Finds out how a data set is laid out and reads which videos it holds.

    What the layouts look like, their splits and how their classes are numbered is in ``docs/datasets.md``; the table is
    `fima.data.datasets.registry.LAYOUTS`. A listed name may have another extension on disk, or none in the list; one
    that is not there is kept in ``missing``.

    Args:
        path: a folder or a list file; or a procedural data set, as `fima.data.shapes.open_shapes` names it.
        split: "train", "test", "val", …, as the layout names them, with a number where there are several (UCF101,
            HMDB51: "train2"; no number means 1); None: every video, where class folders or lists tell.
        separator: of list files: "space", "comma", "tab", "::" or the character itself; None: found out.
        layout: a name in the table, or that of a data set ("kinetics"); None: found out.
        frame_template: how the pictures of a video are named, such as ``img_{:05d}.jpg`` or ``frame%06d.jpg``; asks for
            folders of pictures also where there are videos. None: videos if there are any, otherwise folders of
            pictures, whose names are found out on opening.
        frame_fps: frames per second of folders of pictures.
        cache: use and keep the index of large data sets in the user's cache folder (`fima.data.datasets.cache`).

    Returns:
        The data set, records sorted by path (with lists: in the list's order).

    Raises:
        FileNotFoundError: if there is no such path.
        InputError: if nothing there is understood, no video is left, an annotation contradicts itself, or there is no
            such split or layout.
    """
    if is_shapes(path):
        from fima.data.shapes import open_shapes

        return open_shapes(str(path), split=split)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if split is not None and len(split) > _LONGEST_SPLIT:
        raise InputError(f"split must be a short name such as train or test, got {split[:20]}…")
    if frame_template is not None:
        template_pattern(frame_template)
    if frame_fps is not None and not 0 < frame_fps < float("inf"):
        raise InputError(f"frame_fps must be more than 0, got {frame_fps}")
    request = Request(path, split, separator, frame_template)
    key = _key(request, layout)
    if cache and (kept := load_index(key, path)) is not None:
        with suppress(LookupError, TypeError, ValueError, AttributeError):  # a damaged file: list instead
            return _records(Index.from_json(kept, path), frame_template, frame_fps)
    index = _chosen(request, layout).read(request)
    dataset = check(_records(index, frame_template, frame_fps), path)
    if cache and len(index.rows) + len(index.missing) >= _WORTH_KEEPING:
        store_index(key, path, index.to_json(path), request.disk.seen)
    return dataset


def is_shapes(path: str | Path) -> bool:
    """Whether this names a procedural data set, as ``shapes:easy`` does, and no place on the disk."""
    return str(path).startswith("shapes:")


def _records(index: Index, frame_template: str | None, frame_fps: float | None) -> VideoDataset:
    make = to_events if index.layout == "vidsitu" else to_dataset
    return make(index, frame_template, frame_fps)


def _chosen(request: Request, name: str | None) -> Layout:
    layouts = _named(name)
    layout = next((layout for layout in layouts if _fits(request, layout)), None)
    if layout is None:
        layout = next((one for one in layouts if one.has_lists is not None and one.has_lists(request)), None)
    if layout is None:
        raise InputError(f"{request.path}: {_expected(request, layouts, name)}")
    if request.separator is not None and not layout.separator:
        raise InputError(f"{request.path}: separator {request.separator!r} is only for list files")
    return layout


def _fits(request: Request, layout: Layout) -> bool:
    return (layout.name == "list") == request.path.is_file() and layout.matches(request)


def _named(name: str | None) -> Sequence[Layout]:
    if name is None:
        return LAYOUTS
    wanted = name.lower().replace("-", " ").replace("_", " ")
    found = [layout for layout in LAYOUTS if wanted in (layout.name, *layout.also)]
    if not found:
        names = dict.fromkeys(layout.name for layout in LAYOUTS)
        raise InputError(f"layout must be one of {', '.join(names)}, got {name!r}")
    return found


def _expected(request: Request, layouts: Sequence[Layout], name: str | None) -> str:
    words = _UNDERSTOOD if name is None else "; or ".join(layout.words for layout in layouts)
    if request.frame_template:
        words = f"folders of pictures, since frame_template is given, in {words}"
    if request.path.is_file():
        return f"is a file, expected a folder of the layout {name}: {words}"
    there = [*(f"{folder}/" for folder in request.disk.folders_in(request.path)), *request.disk.files_in(request.path)]
    found = ", ".join(there[:5]) + (", …" if len(there) > 5 else "") or "nothing"
    return f"holds no data set{f' of the layout {name}' if name else ''}; expected {words}; found {found}"


def _key(request: Request, layout: str | None) -> dict[str, Any]:
    """The question: a change of the readers' own code makes it another one."""
    return {
        "path": str(request.path.resolve()),
        "split": request.split,
        "separator": request.separator,
        "layout": layout,
        "frame_template": request.frame_template,
        "readers": _readers_digest(),
    }


@remember
def _readers_digest() -> str:
    digest = hashlib.sha256()
    for source in [Path(listfiles.__file__), *sorted(Path(__file__).parent.glob("*.py"))]:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
