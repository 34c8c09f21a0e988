"""Which videos of a data set are to be re-encoded, and which are done already; writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fima.data.datasets import VIDEO_EXTENSIONS
from fima.data.transcode.manifest import FOLDER, Done, read_manifest, read_planned
from fima.data.transcode.reencode import Encoding
from fima.errors import InputError

__all__ = ["FAILED", "Job", "Plan", "plan"]

FAILED = "failed.csv"
"""In the prepared folder, if any video failed: columns ``path``, relative to the source folder, and ``reason``."""

_TABLES = (".txt", ".csv", ".tsv", ".list", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md")
_ANNOTATIONS = (*_TABLES, ".pkl", ".pickle", ".mat", ".npy", ".npz")
_LICENSES = ("LICENSE", "LICENSE", "COPYING", "README")


@dataclass(frozen=True)
class Job:
    """One video to re-encode.

    Attributes:
        path: the source.
        name: its path relative to the source folder, with forward slashes.
        output: the new file's path relative to the prepared folder.
        size_bytes, mtime_ns: of the source; 0 if it is not there any more.
    """

    path: Path
    name: str
    output: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Plan:
    """What `prepare` is going to do.

    Attributes:
        source: the folder that names are relative to.
        folder: the prepared folder.
        encoding: how videos are re-encoded.
        jobs: the videos to do.
        done: those that are done already, by name; also such that the source does not hold any more.
        gone: how many of ``done`` the source does not hold any more.
        copies: annotation files to copy, relative to both folders.
        left_out: how many other files there are, which are not copied.
        changed: files in the folder that are not as an earlier run wrote them; they are kept aside.
    """

    source: Path
    folder: Path
    encoding: Encoding
    jobs: tuple[Job, ...]
    done: dict[str, Done] = field(default_factory=dict)
    gone: int = 0
    copies: tuple[str, ...] = ()
    left_out: int = 0
    changed: tuple[str, ...] = ()


def plan(source: str | Path, folder: str | Path, encoding: Encoding, *, overwrite: bool = False) -> Plan:
    """Finds out what there is to do; writes nothing.

    A video is done if its file is there as it was written, by the same settings, from a source of the same size and
    time of change.

    Args:
        source: a folder with videos at any depth, or one video.
        folder: where the prepared files go, in the source's tree shape; made if missing.
        encoding: how videos are re-encoded.
        overwrite: do everything again, and write into any folder.

    Raises:
        FileNotFoundError: if there is no source.
        InputError: if it holds no video, two of its videos would get one name, or the folder cannot be used: it is (in)
            the source, not empty and not made by us, or made with other settings.
    """
    source, folder = Path(source), Path(folder)
    root = source if source.is_dir() else source.parent
    _check_places(source, root, folder)
    files = list(_files(source)) if source.is_dir() else [source.name]
    videos = [name for name in files if source.is_file() or _has_suffix(name, VIDEO_EXTENSIONS)]
    if not videos:
        raise InputError(f"{source}: holds no video ({', '.join(VIDEO_EXTENSIONS)})")
    jobs = [_job(root, name) for name in videos]
    _check_outputs(source, jobs)
    done = {} if overwrite else _check_earlier(folder, encoding)
    annotations = [name for name in files if _is_annotation(name)] if source.is_dir() else []
    _check_own(folder, {*(job.output for job in jobs), *annotations, FAILED})
    unfinished = [job for job in jobs if not _is_done(job, done.get(job.name), folder)]
    earlier = [done.pop(job.name) for job in unfinished if job.name in done]
    copied = tuple(name for name in annotations if not _is_copied(root / name, folder / name))
    changed = [entry.output for entry in earlier if _is_changed(folder / entry.output, entry.output_bytes)]
    return Plan(
        source=root,
        folder=folder,
        encoding=encoding,
        jobs=tuple(unfinished),
        done=done,
        gone=len(done) - (len(jobs) - len(unfinished)),
        copies=copied,
        left_out=len(files) - len(videos) - len(annotations),
        changed=(*changed, *(name for name in copied if (folder / name).is_file())),
    )


def _check_places(source: Path, root: Path, folder: Path) -> None:
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder")
    if source.is_file() and _has_suffix(source.name, _ANNOTATIONS):
        raise InputError(f"{source}: expected a video or a folder of videos, got another kind of file")
    if _has_suffix(folder.name, VIDEO_EXTENSIONS):
        raise InputError(f"{folder}: is named like a video, expected a folder to write into")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder to write into")
    ours, theirs = folder.resolve(), root.resolve()
    if ours == theirs:
        raise InputError(f"{folder}: is the source folder itself, expected another one")
    if source.is_dir() and (ours.is_relative_to(theirs) or theirs.is_relative_to(ours)):
        inner, outer = (folder, source) if ours.is_relative_to(theirs) else (source, folder)
        raise InputError(f"{inner}: lies inside {outer}; source and prepared files must be apart")


def _files(root: Path) -> Iterator[str]:
    """All files that are not hidden, relative to the root, sorted folder by folder; links are followed."""
    seen = set()
    for place, folders, names in os.walk(root, onerror=_raise, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        real = Path(place).resolve()
        if real in seen:  # a link back up the tree
            folders.clear()
            continue
        seen.add(real)
        for name in sorted(names):
            if not name.startswith("."):
                yield (Path(place) / name).relative_to(root).as_posix()


def _raise(error: OSError) -> None:
    raise error


def _has_suffix(name: str, suffixes: tuple[str, ...]) -> bool:
    return PurePosixPath(name).suffix.lower() in suffixes


def _is_annotation(name: str) -> bool:
    return name != FAILED and (_has_suffix(name, _ANNOTATIONS) or PurePosixPath(name).name in _LICENSES)


def _job(root: Path, name: str) -> Job:
    path = root / name
    output = PurePosixPath(name).with_suffix(".mp4").as_posix()
    try:
        stat = path.stat()
    except OSError:  # a link to nowhere: it will fail, and be listed
        return Job(path, name, output, 0, 0)
    return Job(path, name, output, stat.st_size, stat.st_mtime_ns)


def _check_outputs(source: Path, jobs: list[Job]) -> None:
    names: dict[str, str] = {}
    for job in jobs:
        if names.setdefault(job.output, job.name) != job.name:
            raise InputError(f"{source}: {names[job.output]} and {job.name} would both become {job.output}; rename one")


def _check_earlier(folder: Path, encoding: Encoding) -> dict[str, Done]:
    """What an earlier run has done, once it is clear that this one may go on with it."""
    settings, done = read_manifest(folder)
    if settings is None:
        if folder.is_dir() and any(child.name != FOLDER for child in folder.iterdir()):
            raise InputError(f"{folder}: is not empty, and not a prepared folder; use another, or --overwrite")
        return {}
    if settings != encoding.to_dict():
        raise InputError(
            f"{folder}: was prepared with {_words(settings)}, not {_words(encoding.to_dict())}; use another folder, or "
            "--overwrite to do it again"
        )
    return done


def _check_own(folder: Path, names: set[str]) -> None:
    """Refuse to replace what no earlier run wrote; manifests of earlier versions cannot tell."""
    planned = read_planned(folder)
    if planned is None:
        return
    ours = planned | {entry.output for entry in read_manifest(folder)[1].values()}
    foreign = sorted(name for name in names - ours if os.path.lexists(folder / name))
    if foreign:
        raise InputError(f"{folder}: holds {foreign[0]}, not of fima prepare; use another folder, or move it away")


def _words(settings: dict[str, object]) -> str:
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in settings.items())


def _is_done(job: Job, entry: Done | None, folder: Path) -> bool:
    if entry is None or (entry.source_bytes, entry.source_mtime_ns) != (job.size_bytes, job.mtime_ns):
        return False
    with suppress(OSError):
        return (folder / entry.output).stat().st_size == entry.output_bytes
    return False


def _is_changed(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size != size_bytes


def _is_copied(source: Path, target: Path) -> bool:
    if not target.is_file():
        return False
    ours, theirs = source.stat(), target.stat()
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)
