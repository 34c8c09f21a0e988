"""Data sets on disk: one reader per layout, each giving the same records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fima.data.listfiles import number_labels, read_class_ids, read_list, read_split
from fima.errors import InputError

__all__ = ["VIDEO_EXTENSIONS", "VideoDataset", "VideoRecord", "open_dataset"]

VIDEO_EXTENSIONS = (".avi", ".mp4", ".webm", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".3gp")
"""What counts as a video, by its name; also the order in which a listed name is looked for under another extension."""

_VIDEO_FOLDERS = ("videos", "data", "UCF-101", ".")
_LIST_FOLDERS = ("annotations", "anno", "ucfTrainTestlist")
_LIST_EXTENSIONS = (".txt", ".csv", ".tsv", ".list")
_UNDERSTOOD = (
    "a UCF101 tree (class folders in videos/, data/, UCF-101/ or the folder itself, lists in annotations/, anno/ or "
    "ucfTrainTestlist/), a folder of class folders, a folder of videos, or a list file of `path label` rows"
)


@dataclass(frozen=True)
class VideoRecord:
    """One video of a data set.

    Attributes:
        path: the file.
        video_id: its path relative to the data set's root, without extension, with forward slashes; unique.
        label: index into the data set's ``class_names``; None without labels.
        class_name: the class's name; None without labels.
    """

    path: Path
    video_id: str
    label: int | None
    class_name: str | None


@dataclass(frozen=True)
class VideoDataset:
    """The videos of one split, always in the same order.

    Attributes:
        records: the videos that are there.
        class_names: by label; empty without labels.
        root: the folder that ``video_id`` is relative to.
        layout: which reader understood it: "ucf101", "class folders", "flat folder" or "list".
        missing: names that a list holds but the disk does not.
    """

    records: tuple[VideoRecord, ...]
    class_names: tuple[str, ...]
    root: Path
    layout: str
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> VideoRecord:
        return self.records[index]

    def __iter__(self) -> Iterator[VideoRecord]:
        return iter(self.records)


def open_dataset(path: str | Path, *, split: str | None = None, separator: str | None = None) -> VideoDataset:
    """Finds out how a data set is laid out and reads which videos it holds.

    Layouts:
        ucf101: class folders in ``videos/``, ``data/``, ``UCF-101/`` or the folder itself; ``classInd.txt``,
            ``trainlist01.txt``, ``testlist01.txt`` in ``annotations/``, ``anno/`` or ``ucfTrainTestlist/``. Classes
            are numbered as in ``classInd.txt`` (less 1), without it by sorted folder name. A listed name may have
            another extension on disk, or none in the list.
        class folders: every folder with videos in it is a class, numbered by sorted name; looked for in the same
            places, or one level deeper, in a folder for each split.
        flat folder: videos without labels.
        list: rows of ``path label`` or ``path``; the label is a number or a name (names are numbered in sorted order);
            relative paths start at the list's folder. The separator is a space, a comma, a tab or ``::``.

    Args:
        path: a folder or a list file.
        split: for UCF101 "train", "test", "train1", "test2", …, no number meaning 1; None: every video of the tree.
        separator: of a list file: "space", "comma", "tab", "::" or the character itself; None: found out.

    Returns:
        The data set, records sorted by path (list files and UCF101 lists: in the list's order).

    Raises:
        FileNotFoundError: if there is no such path.
        InputError: if nothing there is understood, no video is left, a list contradicts itself, or there is no such
            split.

    Source: UCF101's own lists (Soomro, Zamir, Shah, CRCV-TR-12-01); list files as in V-JEPA 2 and MMAction2.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if separator is not None and not path.is_file():
        raise InputError(f"{path}: separator {separator!r} is only for list files")
    if path.is_file():
        return _checked(_read_list(path, split, separator), path)
    for layout in _LAYOUTS:
        if layout.matches(path):
            return _checked(layout.read(path, split), path)
    raise InputError(f"{path}: holds no data set; expected {_UNDERSTOOD}")


def _read_ucf101(root: Path, split: str | None) -> VideoDataset:
    videos, lists = _class_root(root), _list_folder(root)
    if videos is None or lists is None:  # _is_ucf101 has seen both
        raise InputError(f"{root}: holds no UCF101 tree")
    folders = _class_folders(videos)
    official = read_class_ids(lists / "classInd.txt")
    ids = official or {folder.name: i for i, folder in enumerate(folders)}
    names = tuple(sorted(ids, key=ids.__getitem__))
    if split is None:
        return VideoDataset(_in_folders(folders, videos, ids), names, videos, "ucf101")
    records, missing = [], []
    for row in read_split(_split_list(lists, split), official):
        file = _find(videos / row.name)
        if file is None:
            missing.append(row.name)
        else:
            records.append(_record(file, videos, ids, row.class_name))
    return VideoDataset(tuple(records), names, videos, "ucf101", tuple(missing))


def _read_class_folders(root: Path, split: str | None) -> VideoDataset:
    if split is not None:
        raise InputError(f"{root}: class folders without lists have no split {split!r}")
    return _read_class_tree(_class_root(root) or root)


def _read_split_folders(root: Path, split: str | None) -> VideoDataset:
    splits = [folder.name for folder in _folders_in(root) if _class_folders(folder)]
    if split not in splits:
        raise InputError(f"{root}: holds the splits {', '.join(splits)}; expected one of them, got {split}")
    return _read_class_tree(root / split)


def _read_class_tree(videos: Path) -> VideoDataset:
    folders = _class_folders(videos)
    ids = {folder.name: i for i, folder in enumerate(folders)}
    return VideoDataset(_in_folders(folders, videos, ids), tuple(ids), videos, "class folders")


def _read_flat_folder(root: Path, split: str | None) -> VideoDataset:
    if split is not None:
        raise InputError(f"{root}: a folder of videos without lists has no split {split!r}")
    videos = _flat_root(root) or root
    if _class_folders(videos):
        raise InputError(f"{videos}: holds videos and folders of videos; expected one or the other")
    return VideoDataset(
        tuple(_record(file, videos, {}, None) for file in _videos_in(videos)), (), videos, "flat folder"
    )


def _read_list(path: Path, split: str | None, separator: str | None) -> VideoDataset:
    if split is not None:
        raise InputError(f"{path}: a list file has no split {split!r}; name the split's own list")
    if path.suffix.lower() not in _LIST_EXTENSIONS:
        raise InputError(f"{path}: expected a folder or a list file ({', '.join(_LIST_EXTENSIONS)})")
    rows = read_list(path, separator, VIDEO_EXTENSIONS)
    ids, names = number_labels(path, rows)
    records, missing = [], []
    for row in rows:
        file = _find(path.parent / row.name)
        if file is None:
            missing.append(row.name)
        else:
            records.append(_record(file, path.parent, ids, row.class_name))
    return VideoDataset(tuple(records), names, path.parent, "list", tuple(missing))


class _Layout(NamedTuple):
    matches: Callable[[Path], bool]
    read: Callable[[Path, str | None], VideoDataset]


def _is_ucf101(root: Path) -> bool:
    return _list_folder(root) is not None and _class_root(root) is not None


def _has_class_folders(root: Path) -> bool:
    return _class_root(root) is not None and not _videos_in(root)


def _has_split_folders(root: Path) -> bool:
    return any(_class_folders(child) for child in _folders_in(root))


def _has_videos(root: Path) -> bool:
    return _flat_root(root) is not None


# Asked from the top; a new data set is a line here and a reader above.
_LAYOUTS = (
    _Layout(_is_ucf101, _read_ucf101),
    _Layout(_has_class_folders, _read_class_folders),
    _Layout(_has_videos, _read_flat_folder),
    _Layout(_has_split_folders, _read_split_folders),
)


def _checked(dataset: VideoDataset, path: Path) -> VideoDataset:
    """Refuses a data set with nothing in it, or with two files under one id."""
    if not dataset.records:
        listed = f"none of the {len(dataset.missing)} listed videos was found" if dataset.missing else "lists no video"
        example = f", such as {dataset.missing[0]}" if dataset.missing else ""
        raise InputError(f"{path}: {listed} under {dataset.root}{example}")
    seen: dict[str, Path] = {}
    for record in dataset.records:
        if seen.setdefault(record.video_id, record.path) != record.path:
            raise InputError(
                f"{path}: {seen[record.video_id].name} and {record.path.name} share a video id; remove one"
            )
    return dataset


def _record(file: Path, root: Path, ids: dict[str, int], class_name: str | None) -> VideoRecord:
    if class_name is not None and class_name not in ids:
        raise InputError(f"{root}: class {class_name!r} is not one of the {len(ids)} classes listed in classInd.txt")
    inside = file.relative_to(root) if file.is_relative_to(root) else file
    video_id = inside.with_suffix("").as_posix().lstrip("/")
    return VideoRecord(file, video_id, None if class_name is None else ids[class_name], class_name)


def _in_folders(folders: list[Path], root: Path, ids: dict[str, int]) -> tuple[VideoRecord, ...]:
    return tuple(_record(file, root, ids, folder.name) for folder in folders for file in _videos_in(folder))


def _find(file: Path) -> Path | None:
    """The file, or the same name with another extension, or with one added."""
    if file.is_file():
        return file
    bases = [file.with_suffix("")] if file.suffix.lower() in VIDEO_EXTENSIONS else [file]
    candidates = (base.with_name(base.name + extension) for base in bases for extension in VIDEO_EXTENSIONS)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _videos_in(folder: Path) -> list[Path]:
    return sorted(file for file in _visible(folder) if file.suffix.lower() in VIDEO_EXTENSIONS and file.is_file())


def _folders_in(folder: Path) -> list[Path]:
    return sorted(child for child in _visible(folder) if child.is_dir())


def _class_folders(folder: Path) -> list[Path]:
    return [child for child in _folders_in(folder) if _videos_in(child)]


def _visible(folder: Path) -> Iterator[Path]:
    return (child for child in folder.iterdir() if not child.name.startswith("."))


def _class_root(root: Path) -> Path | None:
    """The first of the usual folders that holds class folders; a usual folder itself is no class."""
    for folder in (root / name for name in _VIDEO_FOLDERS):
        if folder.is_dir() and any(child.name not in _VIDEO_FOLDERS for child in _class_folders(folder)):
            return folder
    return None


def _flat_root(root: Path) -> Path | None:
    candidates = [root, *(root / name for name in _VIDEO_FOLDERS)]
    return next((folder for folder in candidates if folder.is_dir() and _videos_in(folder)), None)


def _list_folder(root: Path) -> Path | None:
    candidates = [root / name for name in _LIST_FOLDERS]
    return next(
        (f for f in candidates if f.is_dir() and (any(f.glob("t*list*.txt")) or (f / "classInd.txt").is_file())), None
    )


def _split_list(lists: Path, split: str) -> Path:
    """The list file of "train", "test", "train2", …."""
    kind = split.rstrip("0123456789")
    number = int(split[len(kind) :] or 1)
    file = lists / f"{kind}list{number:02d}.txt"
    if kind not in ("train", "test") or not file.is_file():
        there = ", ".join(sorted(f.name for f in lists.glob("t*list*.txt"))) or "no lists"
        raise InputError(f"{lists}: no split {split!r}; expected train, test, train1, …, of {there}")
    return file
