"""Lists of `path label` rows: one file, or a folder with one for each split as other toolboxes write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fima.data.datasets.index import Index, Listed, Request, Row, fold_of, look_up
from fima.data.datasets.layouts.folders import FRAME_PLACES
from fima.data.datasets.list_files import ListRow, folder_names, number_labels, read_counted_list, read_list
from fima.data.datasets.records import VIDEO_EXTENSIONS
from fima.errors import InputError

__all__ = ["ListFamily", "is_list_file", "read_list_file"]

_EXTENSIONS = (".txt", ".csv", ".tsv", ".list")
_COUNTED = re.compile(r".*(_rawframes|videofolder)\.txt", re.DOTALL)
_KINDS = ("train", "val", "test")
_SAMPLE = 20  # rows of a list that are looked up to tell whether it belongs to what is here


class _ListFile(NamedTuple):
    path: Path
    kind: str
    fold: int


class ListFamily(NamedTuple):
    """Lists that come as one file for each split.

    Attributes:
        layout: its name.
        folders: where the lists may lie; the first that holds one counts.
        pattern: of their names; its groups are the kind (train, val, test) and, if any, the fold.
        places: where listed videos may lie; ``{kind}`` stands for the split's kind.
        counted: rows of ``path n_frames label``, which need no separator.
        below: the lists are one folder deeper, and the pattern is of the two names.
        test_is_val: how the names of lists begin whose "val" is what the data set itself calls the test split.
    """

    layout: str
    folders: tuple[str, ...]
    pattern: re.Pattern[str]
    places: tuple[str, ...]
    counted: bool = False
    below: bool = False
    test_is_val: tuple[str, ...] = ()

    def has_lists(self, request: Request) -> bool:
        """Whether there are such lists."""
        return bool(self._files(request))

    def matches(self, request: Request) -> bool:
        """Whether there are such lists, and one of the first videos of one of them."""
        for file in self._files(request):
            try:
                rows = self._rows(request, file, _SAMPLE)
            except InputError:  # other tables have such names too
                continue
            if look_up(request, [Listed(row.name, None) for row in rows], self._places(file.kind))[1]:
                return True
        return False

    def read(self, request: Request) -> Index:
        """Labels are numbered over all lists of the folder, so that they mean the same in each.

        Numbers are taken as they are, and named by their videos' folders where each has one of its own; names are
        numbered in sorted order. Without a split, all lists are read, and what several name is taken once.
        """
        files = self._files(request)
        chosen = self._chosen(request, files)
        rows = {file: self._rows(request, file) for file in files}
        everything = [row for file in files for row in rows[file]]
        ids, numbers = number_labels(files[0].path.parent, everything)
        by_folder = folder_names(everything, ids)
        names = tuple(by_folder.get(label, name) for label, name in enumerate(numbers))
        if request.split is None:
            first: dict[ListRow, str] = {}
            for file in chosen:
                first |= dict.fromkeys((row for row in rows[file] if row not in first), file.kind)
            listed = {kind: [row for row in first if first[row] == kind] for kind in _KINDS}
        else:
            listed = {chosen[0].kind: rows[chosen[0]]}
        found = [look_up(request, _labeled(rows, ids), self._places(kind)) for kind, rows in listed.items() if rows]
        root, there, missing = _joined(request.path, found)
        return Index(self.layout, root, names, there, missing)

    def _places(self, kind: str) -> list[str]:
        return [place.format(kind=kind) for place in self.places]

    def _rows(self, request: Request, file: _ListFile, limit: int | None = None) -> list[ListRow]:
        path = request.disk.watch(file.path)
        if self.counted:
            return read_counted_list(path, limit=limit)
        return read_list(path, request.separator, VIDEO_EXTENSIONS, limit=limit)

    def _files(self, request: Request) -> list[_ListFile]:
        disk = request.disk
        for folder in (request.path / name for name in self.folders):
            names = disk.files_in(folder)
            if self.below:
                names = [f"{sub}/{name}" for sub in disk.folders_in(folder) for name in disk.files_in(folder / sub)]
            matches = [match for match in map(self.pattern.fullmatch, names) if match]
            files = [_ListFile(folder / m[0], m["kind"], int(m.groupdict().get("fold") or 1)) for m in matches]
            if files:
                return sorted(files, key=lambda file: (file.fold, _KINDS.index(file.kind), file.path.name))
        return []

    def _chosen(self, request: Request, files: Sequence[_ListFile]) -> list[_ListFile]:
        if not files:
            raise InputError(f"{request.path}: holds no {self.layout}")
        there = ", ".join(file.path.name for file in files)
        if len({(file.kind, file.fold) for file in files}) < len(files):
            raise InputError(f"{request.path}: expected one list for each split, found {there}")
        if request.split is None:
            return list(files)
        kind, number = fold_of(request.split)
        officially_test = files[0].path.name.startswith(self.test_is_val) and all(file.kind != "test" for file in files)
        kind = "val" if kind == "validation" or (kind == "test" and officially_test) else kind
        chosen = [file for file in files if (file.kind, file.fold) == (kind, 1 if number is None else number)]
        if not chosen:
            raise InputError(f"{request.path}: no split {request.split!r}; there are the lists {there}")
        return chosen


def is_list_file(request: Request) -> bool:
    """Any file: what it holds shows on reading."""
    return request.path.is_file()


def read_list_file(request: Request) -> Index:
    """Rows of ``path label`` or ``path``; in ``*_rawframes.txt`` and ``*videofolder.txt`` of ``path n_frames label``.

    Relative paths start at the list's folder or, if nothing is found there, at one of the usual folders beside it.

    Source: list files as in V-JEPA 2 and MMAction2.
    """
    path = request.path
    if request.split is not None:
        raise InputError(f"{path}: a list file has no split {request.split!r}; name the split's own list")
    if path.suffix.lower() not in _EXTENSIONS:
        raise InputError(f"{path}: expected a folder or a list file ({', '.join(_EXTENSIONS)})")
    request.disk.watch(path)
    counted = _COUNTED.fullmatch(path.name) is not None
    rows = read_counted_list(path) if counted else read_list(path, request.separator, VIDEO_EXTENSIONS)
    ids, names = number_labels(path, rows)
    root, found, missing = look_up(request, _labeled(rows, ids), (".", *FRAME_PLACES))
    return Index("list", root, names, found, missing)


def _labeled(rows: Sequence[ListRow], ids: dict[str, int]) -> list[Listed]:
    return [Listed(row.name, None if row.class_name is None else ids[row.class_name]) for row in rows]


def _joined(
    base: Path, found: Sequence[tuple[Path, tuple[Row, ...], tuple[str, ...]]]
) -> tuple[Path, tuple[Row, ...], tuple[str, ...]]:
    """Several splits as one; where they lie in different folders, names begin with the folder."""
    roots = {root for root, _, _ in found}
    missing = tuple(name for _, _, names in found for name in names)
    if len(roots) == 1:
        return roots.pop(), tuple(row for _, rows, _ in found for row in rows), missing
    inside = [(root.relative_to(base).as_posix(), rows) for root, rows, _ in found]
    return (
        base,
        tuple(r if r.name[0] == "/" else r._replace(name=f"{i}/{r.name}") for i, rs in inside for r in rs),
        missing,
    )
